"""What of one stream has been loaded: records of 64 bytes in a file named `ledger`.

A record is synced before its call returns. All records have one size and a checksum of their own
and repeat the stream's origin and salt, so a damaged one is passed over and its number is treated
as a batch in doubt. The file is written with zeros behind the records, so that a full disk does
not keep a finished batch from being noted. It is written anew (beside, synced, renamed) when the
stream is opened, when the zeros are used up, and after a failed sync.
"""

from __future__ import annotations

import logging
import secrets
import struct
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from trilens.clock import Clock
from trilens.spool.disk import Disk
from trilens.spool.frame import Position

LEDGER: Final = "ledger"
_BESIDE: Final = "ledger.new"
RECORD_BYTES: Final = 64
PREPARED_BYTES: Final = 256 << 10
SEQUENCE_BITS: Final = 43
_SEQUENCE_MAX: Final = (1 << SEQUENCE_BITS) - 1
_RECORDS_BYTES_MAX: Final = 64 << 20  # of a file to be read: far above what can come about

Kind = Literal["head", "begin", "finish", "abandon"]
_MARKS: Final[dict[Kind, bytes]] = {
    "head": b"\xabTLh",
    "begin": b"\xabTLb",
    "finish": b"\xabTLd",
    "abandon": b"\xabTLa",
}
_KINDS: Final = {mark: kind for kind, mark in _MARKS.items()}
_RECORD = struct.Struct("<IQQIIQIIIq")  # index .. written_at_ns, after mark and checksum
_EMPTY: Final = bytes(RECORD_BYTES)
START: Final = Position(0, 0)  # before every frame

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """A run that is given to the engine. `number` is unique over streams, servers and time."""

    number: int
    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the ledger. A head has the next number, and in `end` where loading goes on."""

    kind: Kind
    number: int
    start: Position
    end: Position
    frames: int
    origin: int
    salt: int
    written_at_ns: int = 0

    def pack(self, index: int) -> bytes:
        body = _RECORD.pack(
            index, self.number, self.start.file, self.start.offset, self.end.offset,
            self.end.file, self.frames, self.origin, self.salt, self.written_at_ns,
        )  # fmt: skip
        return _MARKS[self.kind] + zlib.crc32(body).to_bytes(4, "little") + body

    @staticmethod
    def unpack(data: bytes, index: int) -> Record | None:
        """None where this is not the record of that place."""
        kind = _KINDS.get(data[:4])
        if kind is None or zlib.crc32(data[8:]) != int.from_bytes(data[4:8], "little"):
            return None
        (own_index, number, start_file, start_offset, end_offset, end_file, frames, origin, salt,
         written_at_ns) = _RECORD.unpack(data[8:])  # fmt: skip
        if own_index != index:
            return None
        start, end = Position(start_file, start_offset), Position(end_file, end_offset)
        return Record(kind, number, start, end, frames, origin, salt, written_at_ns)


def records(data: bytes) -> Iterable[tuple[int, Record | None]]:
    """Index and record of each place that is not empty; None where it is damaged."""
    for offset in range(0, len(data), RECORD_BYTES):
        place = data[offset : offset + RECORD_BYTES]
        if place != _EMPTY[: len(place)]:
            index = offset // RECORD_BYTES
            yield index, Record.unpack(place, index) if len(place) == RECORD_BYTES else None


@dataclass(slots=True)
class State:
    """What the records add up to."""

    origin: int = -1
    salt: int = -1
    sequence: int = 1  # of the next batch
    resume: Position = START
    begun: dict[int, Record] = field(default_factory=dict)
    finished: dict[tuple[Position, Position], Record] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)  # numbers whose begin cannot be read
    records: int = 0
    damaged: int = 0

    def apply(self, record: Record) -> None:
        self.origin, self.salt = record.origin, record.salt
        self.resume = max(self.resume, record.end)
        if record.kind == "head":
            self.sequence = max(self.sequence, record.number & _SEQUENCE_MAX)
            return
        self.sequence = max(self.sequence, (record.number & _SEQUENCE_MAX) + 1)
        self.begun.pop(record.number, None)
        if record.kind == "abandon":
            return
        # Nobody begins what is begun, so whatever this one covers had been abandoned.
        for number, other in list(self.begun.items()):
            if other.start < record.end and record.start < other.end:
                del self.begun[number]
        if record.kind == "begin":
            self.begun[record.number] = record
        else:
            self.finished[record.start, record.end] = record


def replayed(data: bytes) -> State:
    """The state after these records; a damaged one costs no row and doubles none.

    A lost finish or abandon leaves its batch in doubt. A lost begin leaves a number that no
    record names, which is then in doubt too; its range is found as a gap. What a renewed ledger
    begins with is written twice, since without it numbers of finished batches would look lost.
    """
    state, last_is_damaged = State(), False
    named: set[int] = set()
    head: int | None = None
    for index, record in records(data):
        state.records = index + 1
        last_is_damaged = record is None
        if record is None:
            state.damaged += 1
            continue
        state.apply(record)
        if record.kind == "head":
            head = record.number & _SEQUENCE_MAX
        else:
            named.add(record.number & _SEQUENCE_MAX)
    if state.damaged and state.origin >= 0:
        low = state.sequence if head is None else head
        state.sequence += state.damaged
        state.lost = [
            state.origin << SEQUENCE_BITS | sequence
            for sequence in range(low, state.sequence)
            if sequence not in named
        ]
        state.damaged -= last_is_damaged  # a torn last record is no damage
    return state


class Ledger:
    """The records of one stream. Its caller lets in one thread at a time.

    After an OSError nothing has changed: the call may be made again.
    """

    def __init__(self, directory: Path, disk: Disk, clock: Clock) -> None:
        self.state = State()
        self._path = directory / LEDGER
        self._disk = disk
        self._clock = clock
        self._descriptor = -1
        self._size_bytes = 0
        self._is_renewal_due = True
        self._is_trusted = False  # the records on disk are those of `state`

    def open(self, taken: Collection[int]) -> None:
        """Read what is there. A new origin is not one of `taken`."""
        directory = self._path.parent
        sizes = self._disk.sizes(directory)
        if LEDGER in sizes:
            self._descriptor = self._disk.open(self._path)
            self._size_bytes = sizes[LEDGER]
            data = self._disk.read(self._descriptor, min(self._size_bytes, _RECORDS_BYTES_MAX), 0)
            self.state = replayed(data)
            self._is_trusted = True
        if self.state.origin < 0 or self.state.damaged:
            # Numbers that cannot be read may be in the engine: never give one of them again.
            self.state.sequence = 1
            self.state.origin = _new_origin({*taken, self.state.origin})
        if self.state.salt < 0:
            self.state.salt = secrets.randbits(32)

    @property
    def is_damaged(self) -> bool:
        return self.state.damaged > 0

    def next_number(self) -> int:
        number = self.state.origin << SEQUENCE_BITS | self.state.sequence
        self.state.sequence += 1
        return number

    def prepare(self, finished: Iterable[Record]) -> None:
        """Write the file anew where that is due. `finished` is what still matters of it."""
        is_full = (self.state.records + 1) * RECORD_BYTES > max(self._size_bytes, PREPARED_BYTES)
        if not (self._is_renewal_due or is_full):
            return
        try:
            self.renew(finished)
        except OSError:
            if not self._is_trusted:
                raise
            # The old file still serves, also beyond what was prepared where there is room.

    def renew(self, finished: Iterable[Record]) -> None:
        """Write the file anew: it begins with what `finished` and the batches not over say."""
        self.state.finished = {(record.start, record.end): record for record in finished}
        self._renew()

    def write(self, kind: Kind, number: int, start: Position, end: Position, frames: int) -> None:
        """Append one record and sync it."""
        record = self.record(kind, number, start, end, frames)
        offset = self.state.records * RECORD_BYTES
        try:
            self._disk.write(self._descriptor, [record.pack(self.state.records)], offset)
            self._disk.sync(self._descriptor)
        except OSError:
            # Whether it is there nobody can say: the file is written anew before anything else.
            self._is_trusted, self._is_renewal_due = False, True
            raise
        self.state.records += 1
        self.state.apply(record)

    def record(self, kind: Kind, number: int, start: Position, end: Position, frames: int
               ) -> Record:  # fmt: skip
        state = self.state
        now_ns = self._clock.now_ns()
        return Record(kind, number, start, end, frames, state.origin, state.salt, now_ns)

    def _renew(self) -> None:
        state, disk = self.state, self._disk
        next_number = state.origin << SEQUENCE_BITS | state.sequence
        head = self.record("head", next_number, START, state.resume, 0)
        kept = 2 * [head, *state.finished.values(), *state.begun.values()]
        data = b"".join(record.pack(index) for index, record in enumerate(kept))
        size_bytes = max(PREPARED_BYTES, 2 * len(data))
        beside = self._path.with_name(_BESIDE)
        descriptor = self._created(beside)
        try:
            disk.write(descriptor, [data.ljust(size_bytes, b"\0")], 0)
            disk.sync(descriptor)
            disk.rename(beside, self._path)
        except OSError:
            disk.close(descriptor)
            raise
        if self._descriptor >= 0:
            disk.close(self._descriptor)
        self._descriptor, self._size_bytes, state.records = descriptor, size_bytes, len(kept)
        # Until the name is synced the old file may come back, so nothing may be built on this.
        self._is_trusted = False
        disk.sync_directory(self._path.parent)
        self._is_trusted, self._is_renewal_due = True, False

    def _created(self, path: Path) -> int:
        if path.name in self._disk.sizes(path.parent):
            self._disk.remove(path)
        return self._disk.create(path)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1


def _new_origin(taken: Collection[int]) -> int:
    while True:
        origin = secrets.randbelow(1 << 20)
        if origin not in taken:
            return origin
