"""Log files: finding them, knowing them again under another name, and cutting them into lines."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from trilens.agent.timestamps import Timestamps

READ_BYTES: Final = 256 << 10
LINE_BYTES_MAX: Final = 64 << 10  # longer lines are cut, and each piece is marked
FINGERPRINT_BYTES: Final = 1024
FINGERPRINT_BYTES_MIN: Final = 16  # fewer do not tell one file from another
DIRECTORIES_MAX: Final = 4096
ENTRIES_MAX: Final = 65_536

_NAMED_AFTER: Final = re.compile("[.-]")
_COMPRESSED: Final = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The first bytes of a file, as a length and a checksum. An inode number is used again."""

    length: int = 0
    crc: int = 0

    @classmethod
    def of(cls, fd: int, length: int = FINGERPRINT_BYTES) -> Fingerprint:
        head = os.pread(fd, length, 0)
        return cls(len(head), zlib.crc32(head))

    def fits(self, fd: int) -> bool:
        """Whether the file begins with these bytes; a file may have grown since."""
        return Fingerprint.of(fd, self.length) == self


@dataclass(slots=True)
class Entry:
    """How far a file has been acknowledged: what the checkpoint keeps of it."""

    path: str
    inode: int
    offset: int
    length: int
    crc: int
    is_inside_line: bool = False
    modified_ns: int = 0

    @classmethod
    def read(cls, row: dict[str, Any]) -> Entry:
        """Raises KeyError or TypeError for a row that `row` did not make."""
        return cls(**{name: row[name] for name in cls.__slots__})

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(self.length, self.crc)


@dataclass(slots=True)
class Lines:
    """Whole lines from one read. `end` is the offset after them."""

    data: bytes
    start: int
    end: int
    is_continued: bool  # the first piece continues a line that was cut
    is_cut: bool  # the last piece goes on after `end`


@dataclass(slots=True, eq=False)
class LogFile:
    """One open file, followed by inode: a rename changes nothing for it."""

    path: str
    fd: int
    key: tuple[int, int]  # device and inode
    offset: int
    fingerprint: Fingerprint
    is_inside_line: bool = False
    is_rotated: bool = False  # its path leads to another file, or to none
    is_copy: bool = False  # of a followed file: nothing in it is news
    grown_at_ns: int = 0
    seen_size: int = 0
    seen_modified_ns: int = 0
    timestamps: Timestamps = field(default_factory=Timestamps)
    fields: bytes = b""

    def entry(self) -> Entry:
        mark = self.fingerprint
        return Entry(
            self.path, self.key[1], self.offset, mark.length, mark.crc,
            self.is_inside_line, self.seen_modified_ns,
        )  # fmt: skip

    def is_at_end(self, status: os.stat_result) -> bool:
        """Nothing was written since it was read to its end."""
        is_as_seen = status.st_mtime_ns == self.seen_modified_ns
        return is_as_seen and self.offset == self.seen_size == status.st_size

    def is_truncated(self, size: int) -> bool:
        return size < self.offset or not self.fingerprint.fits(self.fd)

    def grew(self, status: os.stat_result, now_ns: int) -> None:
        """A file that changed: a longer beginning tells more."""
        self.seen_modified_ns = status.st_mtime_ns
        if status.st_size == self.seen_size:
            return
        self.seen_size, self.grown_at_ns = status.st_size, now_ns
        if self.fingerprint.length < FINGERPRINT_BYTES:
            self.fingerprint = Fingerprint.of(self.fd)

    def lines(self, *, is_final: bool = False) -> Lines | None:
        """What follows `offset`, up to READ_BYTES; None when there is no whole line yet.

        With `is_final` an unfinished last line counts as whole.
        """
        data = os.pread(self.fd, READ_BYTES, self.offset)
        end = data.rfind(b"\n") + 1
        is_cut = False
        if not end and data:
            if len(data) > LINE_BYTES_MAX:
                end, is_cut = whole_characters(data, LINE_BYTES_MAX), True
            elif is_final:
                end = len(data)
        if not end:
            return None
        start = self.offset
        return Lines(data[:end], start, start + end, self.is_inside_line, is_cut)

    def close(self) -> None:
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of a file is read that was there before anybody looked."""

    bytes_max: int = 1 << 20
    age_s: float = 86_400.0

    def start(self, fd: int, status: os.stat_result, now_ns: int) -> int:
        """The offset of the first line to read."""
        if now_ns / 1e9 - status.st_mtime > self.age_s:
            return status.st_size
        start = status.st_size - self.bytes_max
        if start <= 0:
            return 0
        head = os.pread(fd, LINE_BYTES_MAX, start - 1)
        return start + head.find(b"\n") if b"\n" in head else start


def is_same_beginning(fd: int, other_fd: int) -> bool:
    """Whether two files agree in their last bytes before the end of the shorter one."""
    size = min(os.fstat(fd).st_size, os.fstat(other_fd).st_size)
    start = max(0, size - FINGERPRINT_BYTES)
    return os.pread(fd, size - start, start) == os.pread(other_fd, size - start, start)


def whole_characters(data: bytes, end: int) -> int:
    """The last place at or before `end` that does not cut a UTF-8 character in two."""
    at = end
    while at > end - 4 and at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at if at > end - 4 else end


def open_file(path: str) -> tuple[int, os.stat_result] | None:
    """A descriptor and status if it is a regular file. Raises OSError.

    Not blocking: a FIFO may have taken the place of the file since it was looked at.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return fd, status
    os.close(fd)
    return None


@dataclass(frozen=True, slots=True)
class Where:
    """Directories to search, names to take, directories and files to leave out.

    Links to files are followed, links to directories are not: a loop cannot be entered. What one
    of the `patterns` (of glob, of whole paths) fits is taken whatever else is said.
    """

    roots: tuple[Path, ...]
    names: tuple[str, ...]
    excluded: tuple[Path, ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def places(self) -> list[str]:
        return [*map(str, self.roots), *self.patterns]

    def is_within(self, path: str, place: str) -> bool:
        """Whether `place`, one of `places`, is why `path` was found."""
        return path.startswith(f"{place}/") or fnmatch.fnmatch(path, place)

    def found(self) -> Iterator[str]:
        """Paths of files and of links; a file comes before the links to it."""
        yield from self._searched()
        for pattern in self.patterns:
            yield from islice(glob.iglob(pattern, recursive=True), ENTRIES_MAX)

    def _searched(self) -> Iterator[str]:
        pattern = re.compile("|".join(fnmatch.translate(name) for name in self.names))
        pending = [str(root) for root in self.roots]
        left_out = {str(path) for path in self.excluded}
        links: list[str] = []
        directories = entries = 0
        while pending and directories < DIRECTORIES_MAX:
            directories += 1
            for item in _listed(pending.pop()):
                entries += 1
                if entries > ENTRIES_MAX:
                    break
                if item.path in left_out:
                    continue
                if item.is_symlink():
                    links.extend([item.path] if pattern.match(item.name) else [])
                elif item.is_dir(follow_symlinks=False):
                    pending.append(item.path)
                elif pattern.match(item.name) and item.is_file(follow_symlinks=False):
                    yield item.path
        yield from links

    def service(self, path: str) -> str:
        """The name of what writes a file: its directory below the root, else its own stem."""
        for root in self.roots:
            if path.startswith(f"{root}/"):
                first, _, rest = path[len(str(root)) + 1 :].partition("/")
                return first if rest else first.split(".", 1)[0]
        return Path(path).stem


def _listed(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as listing:
            return sorted(listing, key=lambda item: item.name)
    except OSError:
        return []


def sibling(entry: Entry, *, by_inode: bool) -> str | None:
    """Another name of the file in its directory, or a copy of it that goes on after its offset.

    Rotation by rename keeps the inode; rotation by copying keeps the first bytes. Compressed
    files are neither.
    """
    if entry.length < FINGERPRINT_BYTES_MIN and not (by_inode and entry.length):
        return None
    for item in _listed(str(Path(entry.path).parent)):
        is_same = item.inode() == entry.inode
        if item.name.endswith(_COMPRESSED) or is_same != by_inode:
            continue
        try:
            if item.is_file(follow_symlinks=False) and _continues(item.path, entry):
                return item.path
        except OSError:
            continue
    return None


def generations(paths: Iterable[str]) -> Iterator[tuple[str, str, os.stat_result]]:
    """Uncompressed files that are named after one of `paths`: app.log.1, app.log-20261125.

    Yields the path that one is named after, its own, and its status.
    """
    by_directory: dict[str, set[str]] = {}
    for path in paths:
        directory, name = os.path.split(path)
        by_directory.setdefault(directory, set()).add(name)
    for directory, names in by_directory.items():
        for item in _listed(directory):
            ends = [match.start() for match in _NAMED_AFTER.finditer(item.name)]
            after = next((item.name[:end] for end in ends if item.name[:end] in names), None)
            if after is None or item.name.endswith(_COMPRESSED):
                continue
            try:
                if item.is_file(follow_symlinks=False):
                    yield f"{directory}/{after}", item.path, item.stat(follow_symlinks=False)
            except OSError:  # rotated on while we look
                continue


def leads_to(path: str, key: tuple[int, int]) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == key


def _continues(path: str, entry: Entry) -> bool:
    opened = open_file(path)
    if opened is None:
        return False
    fd, status = opened
    try:
        return status.st_size >= entry.offset and entry.fingerprint.fits(fd)
    finally:
        os.close(fd)
