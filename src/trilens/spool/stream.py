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
from typing import Final, Literal

from trilens.clock import Clock
from trilens.envelope import Encoding, Envelope, WireFormat
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.spool.aside import Aside
from trilens.spool.disk import Disk
from trilens.spool.files import FIRST, Files, SpoolFile
from trilens.spool.frame import Position
from trilens.spool.ledger import LEDGER, SEQUENCE_BITS, Batch, Ledger, Record
from trilens.spool.reader import Walk, Window
from trilens.spool.recovery import recover
from trilens.spool.writer import RETRY_AFTER_S, Writer, refused

READ_ATTEMPTS_MAX: Final = 5
_RUNS_REMEMBERED: Final = 64
_DONE_BYTES: Final = 16 << 20  # a file that is still written is given up when it is done and large

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
        self._unrecorded: dict[int, Record] = {}  # in doubt, but no record need say so
        self._in_doubt: list[Batch] = []
        self._runs: OrderedDict[tuple[Position, Position], int] = OrderedDict()
        self._doomed: list[SpoolFile] = []
        self._damaged_bytes = 0
        self._failed_read = (Position(0, 0), 0)
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
        recovered = recover(
            self._directory, self._disk, wire_format=self.format, salt=state.salt
        )
        for path in recovered.unneeded:
            with contextlib.suppress(OSError):
                self._disk.remove(path)
        for file in recovered.files:
            self._files.add(file)
        for file in recovered.damaged:
            self._note_damage(file, "its header, its end or its last commit mark")
        if self._ledger.is_damaged:
            self._count_damage(self._directory / LEDGER, "records that do not match")
        self._apply_ledger()
        try:
            self._ledger.prepare(self._finished_records())
        except OSError as error:
            log.warning("the ledger of %s cannot be written now: %s", self.format, error)
        self._discard_done()
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
            known = {**self._ledger.state.begun, **self._unrecorded}
            return [batch for batch in self._in_doubt if batch.number in known]

    def begin(self, start: Position, end: Position) -> Batch:
        """Give a range of one file a number of its own; synced before it returns.

        Raises Broken where the range is not of one file, not committed, or already in a batch.
        """
        with self._loading, self._disk_errors():
            file = self._files.get(start.file)
            if file is None or start.file != end.file or not FIRST <= start.offset < end.offset <= (
                file.frames_end
            ):
                raise Broken(f"{start} to {end} is no range of one file of {self.format}")
            self._check_free(file, start, end)
            start = self._snapped(file, start)
            frames = self._frames_between(file, start, end)
            self._ledger.prepare(self._finished_records())
            number = self._ledger.next_number()
            self._ledger.write("begin", number, start, end, frames)
            return Batch(number, start, end)

    def finish(self, number: int) -> None:
        """All rows of the batch are in the engine. Deletes the files that nobody needs any more."""
        with self._loading, self._disk_errors():
            record = self._begun(number)
            self._write("finish", record)
            file = self._files.get(record.start.file)
            if file:
                with self._files.changed:
                    file.finished.add(record.start.offset, record.end.offset)
                    file.finished_frames += record.frames
            self._discard_done()
            self._find_oldest()

    def abandon(self, number: int) -> None:
        """No row of the batch is in the engine any more; its frames will be begun again."""
        with self._loading, self._disk_errors():
            self._write("abandon", self._begun(number))

    def backlog(self) -> Backlog:
        """From memory."""
        size_bytes, frames = self._files.unfinished()
        return Backlog(size_bytes, frames, self._files.oldest_ns(), self._files.last_received_ns)

    def size_bytes(self) -> int:
        """On disk and on the way to it, damaged copies with it; from memory."""
        pending = self._writer.pending_bytes if self._writer else 0
        doomed = sum(file.size_bytes for file in self._doomed)
        return self._files.size_bytes + pending + doomed + self._damaged_bytes

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
        if walk.damage:
            self._note_damage(file, ", ".join(f"{a} to {b}" for a, b in walk.damage[:10]))
        run = Run(start, Position(file.number, run_end), tuple(frames))
        if frames:
            self._remember(run)
        return run

    @contextlib.contextmanager
    def _walk(self, file: SpoolFile, offset: int, end: int) -> Iterator[Walk]:
        # What cannot be read after so many attempts is taken for damage, or it would stop all.
        is_given_up = self._failed_read == (Position(file.number, offset), READ_ATTEMPTS_MAX)
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

    def _frames_between(self, file: SpoolFile, start: Position, end: Position) -> int:
        known = self._runs.get((start, end))
        if known is not None:
            return known
        with self._walk(file, start.offset, end.offset) as walk:
            return sum(1 for _ in iter(walk.next_header, None))

    # Loading.

    def _begun(self, number: int) -> Record:
        record = self._unrecorded.get(number) or self._ledger.state.begun.get(number)
        if record is None:
            raise Broken(f"batch {number} of {self.format} is not begun")
        return record

    def _write(self, kind: Literal["finish", "abandon"], record: Record) -> None:
        self._ledger.prepare(self._finished_records())
        self._ledger.write(kind, record.number, record.start, record.end, record.frames)
        self._unrecorded.pop(record.number, None)

    def _check_free(self, file: SpoolFile, start: Position, end: Position) -> None:
        begun = [*self._ledger.state.begun.values(), *self._unrecorded.values()]
        for record in begun:
            if record.start < end and start < record.end:
                raise Broken(f"{start} to {end} is in batch {record.number}, which is not over")
        if file.finished.overlaps(start.offset, end.offset):
            raise Broken(f"{start} to {end} of {self.format} is loaded already")

    def _snapped(self, file: SpoolFile, start: Position) -> Position:
        """Back over what holds no frame (a mark, damage), so that ranges meet."""
        taken = file.finished.copy()
        for record in (*self._ledger.state.begun.values(), *self._unrecorded.values()):
            if record.start.file == file.number:
                taken.add(record.start.offset, record.end.offset)
        floor = Position(file.number, taken.end_before(start.offset, FIRST))
        if floor == start or self._frames_between(file, floor, start):
            return start
        return floor

    def _finished_records(self) -> Iterator[Record]:
        for file in (*self._doomed, *self._files.all()):
            frames = file.finished_frames
            for start, end in file.finished:
                yield self._ledger.record(
                    "finish", self.origin << SEQUENCE_BITS, Position(file.number, start),
                    Position(file.number, end), frames,
                )  # fmt: skip
                frames = 0

    def _discard_done(self) -> None:
        """What cannot be removed now stays in the ledger, and is removed later."""
        with self._loading:
            self._doomed += self._files.take_done(self._done_bytes)
            if not self._doomed:
                return
            try:
                for file in self._doomed:
                    with contextlib.suppress(FileNotFoundError):
                        self._disk.remove(file.path)
                self._disk.sync_directory(self._directory)
            except OSError as error:
                log.warning("loaded files of %s are not removed yet: %s", self.format, error)
                return
            has_damage = any(file.is_damaged for file in self._doomed)
            self._doomed = []
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

    def _apply_ledger(self) -> None:
        """What is loaded, in doubt, or neither though loading has passed it."""
        state = self._ledger.state
        for record in state.finished.values():
            file = self._files.get(record.start.file)
            if file and not file.finished.overlaps(record.start.offset, record.end.offset):
                file.finished.add(record.start.offset, record.end.offset)
                file.finished_frames += record.frames
        for number, record in list(state.begun.items()):
            # A file goes when all of it is finished, so what was in it is, whatever is noted.
            if self._files.get(record.start.file) is None:
                del state.begun[number]
        records = [*state.begun.values()]
        for number in state.lost:
            lost = self._ledger.record("begin", number, state.resume, state.resume, 0)
            self._unrecorded[number] = lost
        records += self._unrecorded.values()
        for file in self._files.all():
            records += self._passed(file)
        self._in_doubt = [
            Batch(record.number, record.start, record.end)
            for record in sorted(records, key=lambda record: record.start)
        ]

    def _passed(self, file: SpoolFile) -> Iterator[Record]:
        """Ranges in front of where loading goes on that are in no batch: abandoned, mostly.

        They get numbers that no row has. No record is needed: after a crash they are found again.
        """
        state = self._ledger.state
        end = file.frames_end
        if file.number >= state.resume.file:
            end = min(end, state.resume.offset) if file.number == state.resume.file else 0
        taken = file.finished.copy()
        for record in state.begun.values():
            if record.start.file == file.number:
                taken.add(record.start.offset, record.end.offset)
        for gap_start, gap_end in taken.gaps(FIRST, end):
            start, stop = Position(file.number, gap_start), Position(file.number, gap_end)
            frames = self._frames_between(file, start, stop)
            if not frames:
                file.empty.add(gap_start, gap_end)
                continue
            number = self._ledger.next_number()
            self._unrecorded[number] = self._ledger.record("begin", number, start, stop, frames)
            yield self._unrecorded[number]

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
        if frames and header.unpacked_bytes > room_bytes:
            break
        payload = walk.payload(header)
        if payload is None:
            continue
        position = Position(number, header.offset)
        frames.append(Frame(position, header.received_at_ns, header.encoding, payload))
        room_bytes -= header.unpacked_bytes
        end = header.end
    return frames, end
