"""Which batches of metrics are loaded, in the order of what they hold: for who sends them on.

    order      LoadOrder: batches of a stream are noted, and then finished in the ledger, in the
               order of their frames, though loads end in another one
    log        LoadedBatches: a record of 56 bytes a batch, synced before its frames are finished

So a batch is in the log before the spool may forget its frames. A kill between the two leaves a
batch in doubt whose number is in the log: its rows are removed and come again under a new number,
so who reads the old one finds nothing, or has read it before.

    <directory>/<index of the first record, 16 hexadecimal digits>.batches

| At | Bytes | |
|---|---|---|
| 0 | 4 | AB 54 4C 62 |
| 4 | 4 | CRC-32 of the rest |
| 8 | 8 | index of this record |
| 16 | 8 | number of the batch |
| 24 | 8 | rows of all records before this one in this log |
| 32 | 8 | when its oldest frame was received, ns since 1970 |
| 40 | 8 | when it was loaded, ns since 1970 |
| 48 | 4 | its rows |
| 52 | 1 | what brought it: 1 Prometheus, 2 OTLP |
| 53 | 3 | 0 |

A record that does not match its checksum is a batch that is lost to the log; at its end it was
never counted on, and is written over.

A file is written with zeros behind its records, and the next one is made when this one is half
full: on a full disk the spool can be emptied only by what is noted here first.
"""

from __future__ import annotations

import logging
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trilens.clock import Clock
from trilens.envelope import WireFormat
from trilens.spool import Disk, OsDisk, Position

RECORDS_A_FILE: Final = 4096
# At a batch in 0.7 s four days; what is older is lost to whoever has not read it.
RECORDS_MAX: Final = 512 * 1024
_MAGIC: Final = b"\xabTLb"
_RECORD: Final = struct.Struct("<4sIQQQqqIB3x")
_CHECKED: Final = 8
_KINDS: Final[dict[WireFormat, int]] = {"prometheus_write": 1, "otlp_metrics": 2}
SENT_ON: Final = frozenset(_KINDS)
_FORMATS: Final = {number: name for name, number in _KINDS.items()}
_SUFFIX: Final = ".batches"
_BESIDE: Final = ".new"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """`rows` may be 0 where the engine could not say; `rows_before` are of the records before."""

    index: int
    number: int
    format: WireFormat
    rows: int
    rows_before: int
    received_at_ns: int
    loaded_at_ns: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that is over. `rows` is None where it became a dead letter."""

    start: Position
    number: int
    rows: int | None
    received_at_ns: int


class LoadOrder:
    """Of one stream: what has begun, what is over, and in which order it is finished."""

    def __init__(self) -> None:
        self.finishing = threading.Lock()
        self._lock = threading.Lock()
        self._open: dict[int, Position] = {}
        self._over: dict[int, Loaded] = {}

    def begin(self, number: int, start: Position) -> None:
        with self._lock:
            self._open[number] = start

    def give_up(self, number: int) -> None:
        """Its frames have begun under other numbers."""
        with self._lock:
            self._open.pop(number, None)

    def end(self, number: int, rows: int | None, received_at_ns: int) -> None:
        with self._lock:
            start = self._open.pop(number)
            self._over[number] = Loaded(start, number, rows, received_at_ns)

    def due(self, *, is_in_order: bool) -> list[Loaded]:
        """In the order of their frames; with `is_in_order` none behind what is still open."""
        with self._lock:
            first = min(self._open.values(), default=None) if is_in_order else None
            found = [one for one in self._over.values() if first is None or one.start < first]
        return sorted(found, key=lambda one: one.start)

    def forget(self, number: int) -> None:
        """It has been finished."""
        with self._lock:
            del self._over[number]


class LoadedBatches:
    """Thread-safe. Nothing is kept, and no method but `keep` does anything, before keep()."""

    def __init__(self, directory: Path, clock: Clock, disk: Disk | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._disk = disk or OsDisk()
        self._lock = threading.RLock()
        self._files: list[int] = []  # indexes of their first records
        self._made = -1  # the newest file that is known to be there
        self._descriptor = -1
        self._next = 0
        self._rows = 0
        self._told: list[Callable[[], None]] = []
        self.is_kept = False

    def tell(self, call: Callable[[], None]) -> None:
        """Call this, which must not block, whenever a batch has been appended."""
        self._told.append(call)

    @property
    def next_index(self) -> int:
        """Of the batch that is appended next. Does not wait for a disk that syncs."""
        return self._next

    def end(self) -> tuple[int, int]:
        """`next_index` and `rows`, of one moment."""
        with self._lock:
            return self._next, self._rows

    @property
    def first_index(self) -> int:
        with self._lock:
            return self._files[0] if self._files else self._next

    @property
    def rows(self) -> int:
        """Of all batches that were ever appended. Does not wait for a disk that syncs."""
        return self._rows

    def keep(self) -> None:
        """From now on; what an earlier process has kept is taken up. Raises OSError."""
        with self._lock:
            if self.is_kept:
                return
            self._disk.make_directory(self._directory)
            self._files = sorted(
                int(name.removesuffix(_SUFFIX), 16)
                for name in self._disk.sizes(self._directory)
                if name.endswith(_SUFFIX)
            )
            self._take_up()
            with suppress(OSError):
                self._make(self._next - self._next % RECORDS_A_FILE)
            self.is_kept = True

    def drop(self) -> None:
        """Nobody reads any more: nothing is kept from now on. Raises OSError."""
        with self._lock:
            self.is_kept = False
            self._close()
            self._files, self._made = [], -1
            for name in self._disk.sizes(self._directory):
                if name.endswith((_SUFFIX, _SUFFIX + _BESIDE)):
                    with suppress(FileNotFoundError):
                        self._disk.remove(self._directory / name)
            self._next = self._rows = 0

    def append(self, number: int, wire_format: WireFormat, rows: int, received_at_ns: int) -> None:
        """Returns when it is synced. Raises OSError: then it is not there."""
        with self._lock:
            if not self.is_kept:
                return
            offset = self._next % RECORDS_A_FILE * _RECORD.size
            try:
                if self._descriptor < 0 or not offset:
                    self._open_file()
                record = self._packed(number, _KINDS[wire_format], rows, received_at_ns)
                self._disk.write(self._descriptor, [record], offset)
                self._disk.sync(self._descriptor)
            except OSError:
                # Written again it is at the same place, and so is all that the page may lack.
                self._close()
                self._made = -1
                raise
            self._next += 1
            self._rows += rows
            self._limit()
            self._prepare()
        for call in self._told:
            call()

    def read(self, start: int, count: int) -> list[LoadedBatch]:
        """Up to `count` batches, the first at or behind `start`. Raises OSError."""
        found: list[LoadedBatch] = []
        with self._lock:
            index = max(start, self.first_index)  # a file that is gone was too old
            while index < self._next and len(found) < count:
                first = max(one for one in self._files if one <= index)
                end = min(self._end_of(first), index + count - len(found))
                found += self._records(first, index, end)
                index = self._end_of(first) if end == self._end_of(first) else end
        return found

    def forget(self, before: int) -> None:
        """Files with nothing but records before this index."""
        with self._lock:
            self._forget(before)

    # --- files

    def _take_up(self) -> None:
        while self._files:
            first = self._files[-1]
            found = self._records(first, first, first + RECORDS_A_FILE)
            if found:
                self._next = found[-1].index + 1
                self._rows = found[-1].rows_before + found[-1].rows
                return
            self._next = first  # nothing is in it yet
            self._files.pop()

    def _open_file(self) -> None:
        """That of the next record. Files begin at multiples of RECORDS_A_FILE."""
        self._close()
        first = self._next - self._next % RECORDS_A_FILE
        self._make(first)
        self._descriptor = self._disk.open(self._path(first))
        if first not in self._files:
            self._files.append(first)

    def _prepare(self) -> None:
        """The file after this one, while there is room for it."""
        if self._next % RECORDS_A_FILE < RECORDS_A_FILE // 2:
            return
        with suppress(OSError):
            self._make(self._files[-1] + RECORDS_A_FILE)

    def _make(self, first: int) -> None:
        """Unless it is there, with zeros for all that it will hold."""
        if first == self._made:
            return
        path = self._path(first)
        if path.name not in self._disk.sizes(self._directory):
            beside = path.with_name(path.name + _BESIDE)
            with suppress(FileNotFoundError):
                self._disk.remove(beside)
            descriptor = self._disk.create(beside)
            try:
                self._disk.write(descriptor, [bytes(RECORDS_A_FILE * _RECORD.size)], 0)
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.rename(beside, path)
        self._disk.sync_directory(self._directory)
        self._made = first

    def _end_of(self, first: int) -> int:
        later = [one for one in self._files if one > first]
        return min(later) if later else self._next

    def _records(self, first: int, start: int, end: int) -> list[LoadedBatch]:
        descriptor = self._disk.open(self._path(first))
        try:
            size_bytes = (end - start) * _RECORD.size
            data = self._disk.read(descriptor, size_bytes, (start - first) * _RECORD.size)
        finally:
            self._disk.close(descriptor)
        found = []
        for at in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
            record = _unpacked(data[at : at + _RECORD.size])
            if record is not None and record.index == start + at // _RECORD.size:
                found.append(record)
        return found

    def _packed(self, number: int, kind: int, rows: int, received_at_ns: int) -> bytes:
        values = (
            self._next, number, self._rows, received_at_ns, self._clock.now_ns(),
            min(rows, 0xFFFFFFFF), kind,
        )  # fmt: skip
        checksum = zlib.crc32(_RECORD.pack(_MAGIC, 0, *values)[_CHECKED:])
        return _RECORD.pack(_MAGIC, checksum, *values)

    def _limit(self) -> None:
        over = self._next - RECORDS_MAX
        if over > self.first_index:
            self._forget(over)

    def _forget(self, before: int) -> None:
        while len(self._files) > 1 and self._files[1] <= before:
            with suppress(OSError):
                self._disk.remove(self._path(self._files[0]))
            self._files.pop(0)

    def _path(self, first: int) -> Path:
        return self._directory / f"{first:016x}{_SUFFIX}"

    def _close(self) -> None:
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1


def _unpacked(data: bytes) -> LoadedBatch | None:
    magic, checksum, index, number, before, received, loaded, rows, kind = _RECORD.unpack(data)
    if magic != _MAGIC or zlib.crc32(data[_CHECKED:]) != checksum or kind not in _FORMATS:
        return None
    return LoadedBatch(index, number, _FORMATS[kind], rows, before, received, loaded)
