"""One stream of the spool: what receivers append to, and what the loader takes from."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trilens.clock import Clock
from trilens.envelope import Encoding, Envelope, WireFormat
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.spool.aside import Aside
from trilens.spool.batches import Batches
from trilens.spool.disk import Disk
from trilens.spool.files import Files, SpoolFile
from trilens.spool.frame import Position
from trilens.spool.ledger import LEDGER, Batch, Ledger
from trilens.spool.reader import Walk, Window
from trilens.spool.recovery import Recovered, recover
from trilens.spool.writer import RETRY_AFTER_S, Writer, refused

READ_ATTEMPTS_MAX: Final = 5
_RUNS_REMEMBERED: Final = 64
_DONE_BYTES: Final = 16 << 20  # a file that is still written is given up when it is done and large

NOWHERE: Final = Position(0, 0)  # files are counted from 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """One payload, still encoded as it came."""

    position: Position
    received_at_ns: int
    encoding: Encoding
    payload: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive frames of one file. The next read starts at `end`."""

    start: Position
    end: Position
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not finished. The times are of receipt, None where there is none to tell."""

    bytes: int
    frames: int
    oldest_ns: int | None
    last_received_ns: int | None


class Stream:
    """The frames of one wire format, and what of them is loaded. Every method is thread-safe.

    `read`, `begin`, `finish` and `abandon` wait for the disk. Where it fails they raise Refused
    (spool_full or overloaded): then nothing has changed, and the call can be made again.
    """

    def __init__(self, wire_format: WireFormat, directory: Path, *, size_bytes_max: int,
                 disk: Disk, clock: Clock, measures: Measures) -> None:  # fmt: skip
        self.format: WireFormat = wire_format
        self._directory = directory
        self._aside = Aside(directory, disk, size_bytes_max=size_bytes_max // 8)
        self._done_bytes = min(_DONE_BYTES, size_bytes_max // 16)
        self._disk = disk
        self._clock = clock
        self._measures = measures
        self._files = Files()
        self._ledger = Ledger(directory, disk, clock)
        self._loading = threading.RLock()  # the ledger, and what depends on it
        self._batches = Batches(self._ledger, self._files, self._count_frames)
        self._runs: OrderedDict[tuple[Position, Position], int] = OrderedDict()
        self._damaged_bytes = 0
        self._failed_read = (NOWHERE, 0)
        self._writer: Writer | None = None

    @property
    def origin(self) -> int:
        """In front of the sequence in the number of each new batch."""
        return self._ledger.state.origin

    def open(self, *, origins_taken: set[int]) -> None:
        """Raises Broken, or OSError where the disk fails."""
        self._disk.make_directory(self._directory)
        self._disk.sync_directory(self._directory.parent)
        self._ledger.open(origins_taken)
        state = self._ledger.state
        recovered = self._recovered()
        for path in recovered.unneeded:
            with contextlib.suppress(OSError):
                self._disk.remove(path)
        for file in recovered.files:
            self._files.add(file)
        for file in recovered.damaged:
            self._note_damage(file, "its header, its end or its last commit mark")
        if self._ledger.is_damaged:
            self._count_damage(self._directory / LEDGER, "records that do not match")
        self._batches.recover()
        try:
            self._batches.prepare()
        except OSError as error:
            log.warning("the ledger of %s cannot be written now: %s", self.format, error)
        self._discard_done(newest_bytes_min=0)
        self._damaged_bytes = self._measured_damage()
        self._find_oldest()
        number_max = max(recovered.number_max, state.resume.file)
        self._writer = Writer(
            self._directory, self._files, wire_format=self.format, origin=state.origin,
            salt=state.salt, number_max=number_max, disk=self._disk, clock=self._clock,
            measures=self._measures,
        )  # fmt: skip

    def append(self, envelope: Envelope) -> Future[None]:
        """Never waits for the disk. Raises Refused: too_large, or overloaded."""
        if self._writer is None:
            raise Refused("overloaded", "the spool is not open", retry_after_s=RETRY_AFTER_S)
        return self._writer.append(envelope)

    def close(self) -> None:
        self._files.close()
        if self._writer:
            self._writer.close()
        with self._loading:
            self._ledger.close()

    # What the loader reads.

    def read(self, start: Position, *, unpacked_bytes_max: int, frames_max: int = 100_000,
             before: Position | None = None) -> Run:  # fmt: skip
        """Committed frames from `start` on, and none at or behind `before`.

        At least one frame if there is any; no more than have unpacked_bytes_max together when
        unpacked. A run ends with its file. Damaged places are passed over and counted. A run
        without frames starts and ends where the next read should start.
        """
        while found := self._files.at(start):
            file, offset, end = found
            if before and Position(file.number, offset) >= before:
                break
            if before and file.number == before.file:
                end = min(end, before.offset)
            run = self._run(file, offset, end, unpacked_bytes_max, frames_max)
            if run and run.frames:
                return run
            with self._files.changed:
                file.empty.add(offset, end)
            start = Position(file.number, end)
            self._discard_done()
        return Run(start, start, ())

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Until something is committed at or behind `after`; False if nothing is."""
        return self._files.wait(after, timeout_s)

    def has_file_after(self, position: Position) -> bool:
        """Whether there is a newer file than that of `position`."""
        newest = self._files.newest()
        return newest is not None and newest.number > position.file

    def resume_at(self) -> Position:
        """Where loading goes on: the end of the highest batch ever begun."""
        with self._loading:
            return self._ledger.state.resume

    def in_doubt(self) -> list[Batch]:
        """Batches that were begun before the spool was opened, and nobody knows if they are loaded.

        Their rows must be deleted, then they are abandoned and their ranges loaded again. Ranges
        that were abandoned and never begun again are here too, under a new number. A range may
        be empty: then a damaged ledger has kept no more than the number.
        """
        with self._loading:
            return self._batches.still_in_doubt()

    def begin(self, start: Position, end: Position) -> Batch:
        """Give a range of one file a number of its own; synced before it returns.

        Raises Broken where the range is not of one file, not committed, or already in a batch.
        """
        with self._loading, self._disk_errors():
            return self._batches.begin(start, end)

    def finish(self, number: int) -> None:
        """All rows of the batch are in the engine. Deletes the files that nobody needs any more."""
        with self._loading, self._disk_errors():
            self._batches.finish(number)
            self._discard_done()
            self._find_oldest()

    def abandon(self, number: int) -> None:
        """No row of the batch is in the engine any more; its frames will be begun again."""
        with self._loading, self._disk_errors():
            self._batches.abandon(number)

    def backlog(self) -> Backlog:
        """From memory."""
        size_bytes, frames = self._files.unfinished()
        return Backlog(size_bytes, frames, self._files.oldest_ns(), self._files.last_received_ns)

    def size_bytes(self) -> int:
        """On disk and on the way to it, damaged copies with it; from memory."""
        pending = self._writer.pending_bytes if self._writer else 0
        return self._files.size_bytes + pending + self._damaged_bytes

    # Reading.

    def _run(self, file: SpoolFile, offset: int, end: int, unpacked_bytes_max: int,
             frames_max: int) -> Run | None:  # fmt: skip
        """None where the file is gone."""
        start = Position(file.number, offset)
        try:
            with self._walk(file, offset, end) as walk:
                frames, run_end = _collected(walk, file.number, unpacked_bytes_max, frames_max)
        except FileNotFoundError:
            if self._files.get(file.number):
                self._note_damage(file, "all of it: the file is gone")
                self._files.drop(file)
            return None
        except OSError as error:
            log.warning("%s cannot be read: %s", file.path, error)
            attempts = self._failed_read[1] if self._failed_read[0] == start else 0
            self._failed_read = (start, attempts + 1)
            raise refused(error) from error
        self._failed_read = (NOWHERE, 0)
        if walk.damage:
            self._note_damage(file, ", ".join(f"{a} to {b}" for a, b in walk.damage[:10]))
        run = Run(start, Position(file.number, run_end), tuple(frames))
        if frames:
            self._remember(run)
        return run

    @contextlib.contextmanager
    def _walk(self, file: SpoolFile, offset: int, end: int) -> Iterator[Walk]:
        position, attempts = self._failed_read
        is_given_up = attempts >= READ_ATTEMPTS_MAX and position == Position(file.number, offset)
        if is_given_up:
            # Bad sectors would stop all that comes behind them, so they are taken for damage; but
            # not while the disk as a whole is away, which taking a write disproves.
            with self._loading:
                self._batches.renew()
        descriptor = self._disk.open(file.path)
        try:
            window = Window(self._disk, descriptor, end, fill_unreadable=is_given_up)
            yield Walk(window, seed=file.seed, offset=offset)
        finally:
            self._disk.close(descriptor)

    def _remember(self, run: Run) -> None:
        with self._loading:
            self._runs[run.start, run.end] = len(run.frames)
            if len(self._runs) > _RUNS_REMEMBERED:
                self._runs.popitem(last=False)

    def _count_frames(self, file: SpoolFile, start: Position, end: Position) -> int:
        """What cannot be read at this moment counts for one: it must not pass for nothing."""
        known = self._runs.get((start, end))
        if known is not None:
            return known
        try:
            with self._walk(file, start.offset, end.offset) as walk:
                return sum(1 for _ in iter(walk.next_header, None))
        except OSError:
            return 1

    def _discard_done(self, newest_bytes_min: int | None = None) -> None:
        """What cannot be removed now stays in the ledger, and is removed later."""
        bytes_min = self._done_bytes if newest_bytes_min is None else newest_bytes_min
        with self._loading:
            self._files.take_done(bytes_min)
            if not self._files.doomed:
                return
            try:
                for file in self._files.doomed:
                    with contextlib.suppress(FileNotFoundError):
                        self._disk.remove(file.path)
                self._disk.sync_directory(self._directory)
            except OSError as error:
                log.warning("loaded files of %s are not removed yet: %s", self.format, error)
                return
            has_damage = any(file.is_damaged for file in self._files.doomed)
            self._files.forget_doomed()
            if has_damage:
                self._damaged_bytes = self._measured_damage()

    def _find_oldest(self) -> None:
        front = self._files.front()
        file = self._files.get(front.file) if front else None
        if front is None or file is None:
            return
        with contextlib.suppress(OSError), self._walk(file, front.offset, file.frames_end) as walk:
            header = walk.next_header()
            if header:
                self._files.set_oldest(front, header.received_at_ns)

    def _recovered(self) -> Recovered:
        fill_unreadable = False
        while True:
            try:
                return recover(
                    self._directory, self._disk, wire_format=self.format,
                    salt=self._ledger.state.salt, fill_unreadable=fill_unreadable,
                )  # fmt: skip
            except OSError:
                if fill_unreadable:
                    raise
                self._ledger.renew(self._ledger.state.finished.values())
                fill_unreadable = True

    # Damage.

    def _note_damage(self, file: SpoolFile, what: str) -> None:
        """Once a file: count it and keep a copy. Its intact frames are loaded all the same."""
        with self._loading:
            if file.is_damaged:
                return
            file.is_damaged = True
            self._count_damage(file.path, what)

    def _count_damage(self, path: Path, what: str) -> None:
        log.error("%s is damaged (%s); a copy is kept, the rest is loaded", path, what)
        self._measures.count("trilens_spool_damaged_files_total", self.format)
        self._aside.keep(path)

    def _measured_damage(self) -> int:
        live = {file.path.name for file in self._files.all()}
        return self._aside.size_bytes(live)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("the disk fails %s: %s", self.format, error)
            raise refused(error) from error


def _collected(
    walk: Walk, number: int, unpacked_bytes_max: int, frames_max: int
) -> tuple[list[Frame], int]:
    """The frames of a run, and the offset where it ends."""
    frames: list[Frame] = []
    end, room_bytes = walk.offset, unpacked_bytes_max
    while len(frames) < frames_max and (header := walk.next_header()):
        cost_bytes = max(header.unpacked_bytes, header.payload_bytes)
        if frames and cost_bytes > room_bytes:
            break
        payload = walk.payload(header)
        if payload is None:
            continue
        position = Position(number, header.offset)
        frames.append(Frame(position, header.received_at_ns, header.encoding, payload))
        room_bytes -= cost_bytes
        end = header.end
    return frames, end
