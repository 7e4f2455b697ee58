"""Group commit: one thread a stream makes one write and one sync of all that waits."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from trilens.clock import Clock
from trilens.envelope import Envelope, WireFormat
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.spool.disk import Disk
from trilens.spool.files import FIRST, Files, SpoolFile
from trilens.spool.frame import (
    CODES,
    COMMIT_BYTES,
    FILE_BYTES_MAX,
    FRAME_HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    FileHeader,
    Group,
    seed_of,
)
from trilens.spool.recovery import name_of

GROUP_BYTES_MAX: Final = 16 << 20  # one larger payload is a group of its own
GROUP_FRAMES_MAX: Final = 1024
PENDING_BYTES_MAX: Final = 256 << 20
PENDING_FRAMES_MAX: Final = 100_000
RETRY_AFTER_S: Final = 5.0
_TIME_MAX_NS: Final = (1 << 63) - 1
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Waiting = tuple[Envelope, "Future[None]"]

log = logging.getLogger(__name__)


def refused(error: OSError) -> Refused:
    """What a sender is told when the disk fails: in both cases, to come again."""
    if error.errno in _FULL:
        return Refused("spool_full", "the disk is full", retry_after_s=RETRY_AFTER_S)
    return Refused("overloaded", "the disk does not take it now", retry_after_s=RETRY_AFTER_S)


class Writer:
    """Appends to the files of one stream. `append` may be called from any thread."""

    def __init__(self, directory: Path, files: Files, *, wire_format: WireFormat, origin: int,
                 salt: int, number_max: int, disk: Disk, clock: Clock, measures: Measures
                 ) -> None:  # fmt: skip
        """New files get numbers above `number_max`."""
        self.pending_bytes = 0
        self._directory = directory
        self._files = files
        self._format = wire_format
        self._origin = origin
        self._salt = salt
        self._number = number_max
        self._disk = disk
        self._clock = clock
        self._measures = measures
        self._file: SpoolFile | None = None
        self._descriptor = -1
        self._pending: deque[Waiting] = deque()
        self._filled = threading.Condition()
        self._is_idle = True
        self._is_closing = False
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name=f"spool-{wire_format}", daemon=True)
        self._thread.start()

    def append(self, envelope: Envelope) -> Future[None]:
        """Done when synced. Raises Refused: too_large, or overloaded."""
        size_bytes = len(envelope.payload)
        if envelope.encoding not in CODES or not 0 <= envelope.received_at_ns <= _TIME_MAX_NS:
            raise ValueError(f"{envelope.encoding}, received at {envelope.received_at_ns} ns")
        if size_bytes > PAYLOAD_BYTES_MAX:
            raise Refused("too_large", f"the payload is larger than {PAYLOAD_BYTES_MAX} bytes")
        future: Future[None] = Future()
        with self._filled:
            if self._is_closing:
                raise Refused("overloaded", "the server is stopping", retry_after_s=RETRY_AFTER_S)
            if (
                self.pending_bytes + size_bytes > PENDING_BYTES_MAX
                or len(self._pending) >= PENDING_FRAMES_MAX
            ):
                raise Refused("overloaded", "the disk is behind", retry_after_s=RETRY_AFTER_S)
            self.pending_bytes += size_bytes + FRAME_HEADER_BYTES
            self._pending.append((envelope, future))
            if self._is_idle:
                self._filled.notify()
        return future

    def close(self) -> None:
        """Commit what waits, then stop. What the disk does not take fails as ever."""
        with self._filled:
            self._is_closing = True
            self._filled.notify()
        self._thread.join()
        self._leave()

    def _run(self) -> None:
        while waiting := self._next():
            try:
                self._commit(waiting)
            except Exception as error:
                # Not foreseen, so nothing is known about the end of the file.
                log.exception("a group of %d frames of %s failed", len(waiting), self._format)
                self._retire()
                broken = Broken("the spool failed")
                broken.__cause__ = error
                _fail(waiting, broken)
            finally:
                with self._filled:
                    self.pending_bytes -= _size_bytes(waiting)

    def _next(self) -> list[Waiting]:
        """What goes into the next group; empty at the end."""
        while True:
            with self._filled:
                while not self._pending:
                    if self._is_closing:
                        return []
                    self._is_idle = True
                    self._filled.wait()
                self._is_idle = False
                taken = self._taken()
            # Outside of the lock, since the event loop waits for that.
            waiting = [pair for pair in taken if pair[1].set_running_or_notify_cancel()]
            if len(waiting) < len(taken):
                with self._filled:
                    self.pending_bytes -= _size_bytes(taken) - _size_bytes(waiting)
            if waiting:
                return waiting

    def _taken(self) -> list[Waiting]:
        taken: list[Waiting] = []
        room_bytes = GROUP_BYTES_MAX
        while self._pending and len(taken) < GROUP_FRAMES_MAX:
            room_bytes -= FRAME_HEADER_BYTES + len(self._pending[0][0].payload)
            if taken and room_bytes < 0:
                break
            taken.append(self._pending.popleft())
        return taken

    def _commit(self, waiting: list[Waiting]) -> None:
        started_at_ns = self._clock.monotonic_ns()
        try:
            file = self._ready_file(_size_bytes(waiting) + COMMIT_BYTES)
        except OSError as error:
            self._refuse(waiting, error)
            return
        group = Group(file.seed, file.end, file.frames)
        for envelope, _ in waiting:
            group.add(envelope)
        group.close()
        if failure := self._stored(file, group):
            self._refuse(waiting, failure)
            return
        if self._is_failing:
            log.warning("the disk stores %s again", self._format)
        self._is_failing = False
        took_s = (self._clock.monotonic_ns() - started_at_ns) / 1e9
        self._files.committed(file, group)
        for _, future in waiting:
            future.set_result(None)
        self._measures.count("trilens_spool_syncs_total", self._format)
        self._measures.observe("trilens_spool_sync_seconds", self._format, seconds=took_s)

    def _refuse(self, waiting: list[Waiting], error: OSError) -> None:
        # A full disk fails every group until there is room: once is enough to be told.
        if not self._is_failing:
            log.error("the disk does not store %s: %s", self._format, error)
        self._is_failing = True
        _fail(waiting, refused(error))

    def _stored(self, file: SpoolFile, group: Group) -> OSError | None:
        try:
            self._disk.write(self._descriptor, group.pieces, file.end)
        except OSError as error:
            # The mark goes last, so what was written is no group; give the room back.
            try:
                self._disk.truncate(self._descriptor, file.end)
            except OSError:
                self._retire()
            self._files.rest(file)
            return error
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            self._retire()
            return error
        return None

    def _ready_file(self, size_bytes: int) -> SpoolFile:
        """The file for a group of this size, kept from being deleted. Raises OSError."""
        file = self._file
        if file and file.end + size_bytes <= FILE_BYTES_MAX and self._files.hold(file):
            return file
        self._leave()
        self._file = file = self._created()
        return file

    def _created(self) -> SpoolFile:
        self._number += 1  # never twice, whatever happens to this one
        path = self._directory / name_of(self._number)
        previous = self._files.newest()
        header = FileHeader(
            self._number, self._salt, self._origin, self._format, self._clock.now_ns(),
            previous.number if previous else 0,
            previous.end if previous else 0,
            previous.frames if previous else 0,
        )  # fmt: skip
        descriptor = self._disk.create(path)
        try:
            self._disk.write(descriptor, [header.pack()], 0)
            self._disk.sync(descriptor)
            self._disk.sync_directory(self._directory)
        except OSError:
            self._disk.close(descriptor)
            with contextlib.suppress(OSError):
                self._disk.remove(path)
            raise
        file = SpoolFile(self._number, path, seed_of(self._salt, self._number), is_held=True)
        self._files.add(file)
        self._descriptor = descriptor
        return file

    def _retire(self) -> None:
        """Never write to this file again: what the disk has of its tail is not known.

        The header of the next file says where it ends. Until there is one, cutting the tail is
        the best that can be done to keep a failed group from coming back after a crash.
        """
        if self._file:
            with contextlib.suppress(OSError):
                self._disk.truncate(self._descriptor, self._file.end)
        self._leave()

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(OSError):
            self._disk.close(self._descriptor)
        self._descriptor = -1
        self._files.rest(file)
        if file.frames_end == FIRST:
            self._files.drop(file)
            with contextlib.suppress(OSError):
                self._disk.remove(file.path)


def _size_bytes(waiting: list[Waiting]) -> int:
    return sum(FRAME_HEADER_BYTES + len(envelope.payload) for envelope, _ in waiting)


def _fail(waiting: list[Waiting], error: Exception) -> None:
    for _, future in waiting:
        future.set_exception(error)
