"""What one stream holds on disk, as numbers in memory: its files, and what in them is loaded."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.spool.frame import FILE_HEADER_BYTES, Group, Position

FIRST: Final = FILE_HEADER_BYTES  # offset of the first frame of a file


class Ranges:
    """A set of offsets as sorted, disjoint [start, end). Few, since loading goes in order."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        if start >= end:
            return
        low = bisect_left(self._ranges, start, key=lambda known: known[1])
        high = low
        while high < len(self._ranges) and self._ranges[high][0] <= end:
            start = min(start, self._ranges[high][0])
            end = max(end, self._ranges[high][1])
            high += 1
        self._ranges[low:high] = [(start, end)]

    def overlaps(self, start: int, end: int) -> bool:
        return any(known[0] < end and start < known[1] for known in self._ranges)

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """What of [start, end) is not in the set."""
        gaps = []
        for known_start, known_end in self._ranges:
            if known_start >= end:
                break
            if known_start > start:
                gaps.append((start, known_start))
            start = max(start, known_end)
        if start < end:
            gaps.append((start, end))
        return gaps

    def end_before(self, offset: int, default: int) -> int:
        """The end of the last range that begins before `offset`."""
        ends = [known[1] for known in self._ranges if known[0] < offset]
        return ends[-1] if ends else default

    def copy(self) -> Ranges:
        twin = Ranges()
        twin._ranges = list(self._ranges)
        return twin

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)


@dataclass(slots=True)
class SpoolFile:
    """One file. Frames lie in [FIRST, frames_end); `end` is behind the commit mark."""

    number: int
    path: Path
    seed: int
    end: int = FIRST
    frames_end: int = FIRST
    frames: int = 0
    last_received_ns: int | None = None
    size_bytes: int = FIRST
    finished: Ranges = field(default_factory=Ranges)
    finished_frames: int = 0
    empty: Ranges = field(default_factory=Ranges)  # no intact frame begins in these
    is_damaged: bool = False
    is_held: bool = False  # a group is being written to it: not to be deleted

    def first_unfinished(self) -> int | None:
        covered = self.finished.copy()
        for start, end in self.empty:
            covered.add(start, end)
        gaps = covered.gaps(FIRST, self.frames_end)
        return gaps[0][0] if gaps else None

    def unfinished_bytes(self) -> int:
        return sum(end - start for start, end in self.finished.gaps(FIRST, self.frames_end))


class Files:
    """The files of one stream. Thread-safe; no method waits for the disk.

    `changed` guards everything and is notified when a group is committed or on `close`.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.last_received_ns: int | None = None
        self.is_closed = False
        self.size_bytes = 0
        self.doomed: list[SpoolFile] = []  # taken by `take_done`, not removed yet
        self._files: dict[int, SpoolFile] = {}  # in the order of their numbers
        self._oldest: tuple[Position, int] | None = None

    def add(self, file: SpoolFile) -> None:
        with self.changed:
            self._files[file.number] = file
            self.size_bytes += file.size_bytes
            if file.last_received_ns is not None:
                self.last_received_ns = file.last_received_ns

    def drop(self, file: SpoolFile) -> None:
        with self.changed:
            if self._files.pop(file.number, None):
                self.size_bytes -= file.size_bytes

    def all(self) -> list[SpoolFile]:
        with self.changed:
            return list(self._files.values())

    def get(self, number: int) -> SpoolFile | None:
        with self.changed:
            return self._files.get(number)

    def at(self, position: Position) -> tuple[SpoolFile, int, int] | None:
        """The file where reading goes on from `position`, from which offset, and up to which."""
        with self.changed:
            return self._at(position)

    def _at(self, position: Position) -> tuple[SpoolFile, int, int] | None:
        for number, file in self._files.items():
            start = max(position.offset, FIRST) if number == position.file else FIRST
            if number >= position.file and start < file.frames_end:
                return file, start, file.frames_end
        return None

    def wait(self, after: Position, timeout_s: float) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.is_closed or self._at(after), timeout_s)
            return self._at(after) is not None

    def hold(self, file: SpoolFile) -> bool:
        """Keep a file from being taken by `take_done`; False where it has been."""
        with self.changed:
            file.is_held = file.number in self._files
            return file.is_held

    def rest(self, file: SpoolFile) -> None:
        with self.changed:
            file.is_held = False

    def newest(self) -> SpoolFile | None:
        with self.changed:
            number = next(reversed(self._files), None)
            return None if number is None else self._files[number]

    def committed(self, file: SpoolFile, group: Group) -> None:
        """A group is on disk. The file need not be held any more."""
        with self.changed:
            if self._front() is None:
                self._oldest = (Position(file.number, file.frames_end), group.first_received_ns)
            self.size_bytes += group.end - file.size_bytes
            file.end, file.frames_end, file.size_bytes = group.end, group.frames_end, group.end
            file.frames += group.frames
            file.last_received_ns = self.last_received_ns = group.last_received_ns
            file.is_held = False
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def front(self) -> Position | None:
        """The first place that is neither finished nor known to hold nothing."""
        with self.changed:
            return self._front()

    def _front(self) -> Position | None:
        for file in self._files.values():
            offset = file.first_unfinished()
            if offset is not None:
                return Position(file.number, offset)
        return None

    def set_oldest(self, front: Position, received_at_ns: int) -> None:
        with self.changed:
            if self._front() == front:
                self._oldest = (front, received_at_ns)

    def oldest_ns(self) -> int | None:
        """When the oldest frame that is not finished was received."""
        with self.changed:
            if self._front() is None or self._oldest is None:
                return None
            return self._oldest[1]

    def take_done(self, newest_bytes_min: int) -> None:
        """Doom the files that nobody needs, the newest only if it is that large."""
        with self.changed:
            newest = next(reversed(self._files), None)
            done = [
                file
                for file in self._files.values()
                if not file.is_held
                and file.first_unfinished() is None
                and (file.number != newest or file.size_bytes >= newest_bytes_min)
            ]
            for file in done:
                del self._files[file.number]
            self.doomed += done

    def forget_doomed(self) -> None:
        """They are gone from the disk."""
        with self.changed:
            self.size_bytes -= sum(file.size_bytes for file in self.doomed)
            self.doomed = []

    def unfinished(self) -> tuple[int, int]:
        """Bytes and frames that are not finished; frames in damaged places count for none."""
        with self.changed:
            open_files = [f for f in self._files.values() if f.first_unfinished() is not None]
            return (
                sum(file.unfinished_bytes() for file in open_files),
                sum(file.frames - file.finished_frames for file in open_files),
            )
