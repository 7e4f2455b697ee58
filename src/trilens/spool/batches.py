"""Which ranges of a stream are begun, loaded, or neither though loading has passed them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from trilens.errors import Broken
from trilens.spool.files import FIRST, Files, Ranges, SpoolFile
from trilens.spool.frame import Position
from trilens.spool.ledger import SEQUENCE_BITS, Batch, Ledger, Record

CountFrames = Callable[[SpoolFile, Position, Position], int]


class Batches:
    """The ledger of a stream, applied to its files. One thread at a time.

    Every range lies in one file. After an OSError nothing has changed.
    """

    def __init__(self, ledger: Ledger, files: Files, count_frames: CountFrames) -> None:
        self.in_doubt: list[Batch] = []
        self._ledger = ledger
        self._files = files
        self._count_frames = count_frames
        self._unrecorded: dict[int, Record] = {}  # in doubt, but no record need say so

    def recover(self) -> None:
        """Mark in the files what is loaded, and find what is in doubt."""
        state = self._ledger.state
        for record in state.finished.values():
            file = self._files.get(record.start.file)
            if file and not file.finished.overlaps(record.start.offset, record.end.offset):
                _mark_finished(file, record)
        for number, record in list(state.begun.items()):
            # A file goes when all of it is finished, so what was in it is, whatever is noted.
            if self._files.get(record.start.file) is None:
                del state.begun[number]
        for number in state.lost:
            nothing = self._ledger.record("begin", number, state.resume, state.resume, 0)
            self._unrecorded[number] = nothing
        for file in self._files.all():
            self._find_passed(file)
        records = sorted(self._open(), key=lambda record: record.start)
        self.in_doubt = [Batch(r.number, r.start, r.end) for r in records]

    def still_in_doubt(self) -> list[Batch]:
        numbers = {record.number for record in self._open()}
        return [batch for batch in self.in_doubt if batch.number in numbers]

    def begin(self, start: Position, end: Position) -> Batch:
        """Raises Broken where the range is not of one file, not committed, or in a batch."""
        file = self._files.get(start.file)
        if (
            file is None
            or start.file != end.file
            or not FIRST <= start.offset < end.offset <= file.frames_end
        ):
            raise Broken(f"{start} to {end} is no range of one file")
        self._check_free(file, start, end)
        start = self._snapped(file, start)
        frames = self._count_frames(file, start, end)
        self.prepare()
        number = self._ledger.next_number()
        self._ledger.write("begin", number, start, end, frames)
        return Batch(number, start, end)

    def finish(self, number: int) -> None:
        record = self._begun(number)
        self._write("finish", record)
        file = self._files.get(record.start.file)
        if file:
            with self._files.changed:
                _mark_finished(file, record)

    def abandon(self, number: int) -> None:
        self._write("abandon", self._begun(number))

    def prepare(self) -> None:
        """Have a ledger that can be written to."""
        self._ledger.prepare(self.finished_records())

    def renew(self) -> None:
        """Write the ledger anew now: only a disk that takes writes lets this return."""
        self._ledger.renew(self.finished_records())

    def finished_records(self) -> Iterator[Record]:
        """One for each finished range of each file that may still be on disk."""
        number = self._ledger.state.origin << SEQUENCE_BITS
        for file in (*self._files.doomed, *self._files.all()):
            frames = file.finished_frames
            for start, end in file.finished:
                range_ = Position(file.number, start), Position(file.number, end)
                yield self._ledger.record("finish", number, *range_, frames)
                frames = 0  # they are those of all ranges

    def _open(self) -> list[Record]:
        return [*self._ledger.state.begun.values(), *self._unrecorded.values()]

    def _begun(self, number: int) -> Record:
        record = self._unrecorded.get(number) or self._ledger.state.begun.get(number)
        if record is None:
            raise Broken(f"batch {number} is not begun")
        return record

    def _write(self, kind: Literal["finish", "abandon"], record: Record) -> None:
        self.prepare()
        self._ledger.write(kind, record.number, record.start, record.end, record.frames)
        self._unrecorded.pop(record.number, None)

    def _check_free(self, file: SpoolFile, start: Position, end: Position) -> None:
        for record in self._open():
            if record.start < end and start < record.end:
                raise Broken(f"{start} to {end} is in batch {record.number}, which is not over")
        if file.finished.overlaps(start.offset, end.offset):
            raise Broken(f"{start} to {end} is loaded already")

    def _snapped(self, file: SpoolFile, start: Position) -> Position:
        """Back over what holds no frame (a mark, damage), so that ranges meet."""
        floor = Position(file.number, self._taken(file).end_before(start.offset, FIRST))
        if floor == start or self._count_frames(file, floor, start):
            return start
        return floor

    def _taken(self, file: SpoolFile) -> Ranges:
        taken = file.finished.copy()
        for record in self._open():
            if record.start.file == file.number:
                taken.add(record.start.offset, record.end.offset)
        return taken

    def _find_passed(self, file: SpoolFile) -> None:
        """Ranges in front of where loading goes on that are in no batch: abandoned, mostly.

        They get numbers that no row has. No record is needed: after a crash they are found again.
        """
        resume = self._ledger.state.resume
        if file.number > resume.file:
            return
        end = file.frames_end
        if file.number == resume.file:
            end = min(end, resume.offset)
        for gap_start, gap_end in self._taken(file).gaps(FIRST, end):
            range_ = Position(file.number, gap_start), Position(file.number, gap_end)
            frames = self._count_frames(file, *range_)
            if not frames:
                file.empty.add(gap_start, gap_end)
                continue
            number = self._ledger.next_number()
            self._unrecorded[number] = self._ledger.record("begin", number, *range_, frames)


def _mark_finished(file: SpoolFile, record: Record) -> None:
    file.finished.add(record.start.offset, record.end.offset)
    file.finished_frames += record.frames
