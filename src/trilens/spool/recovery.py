"""What a stream's directory holds when it is opened. Nothing that was committed is changed.

A file that was followed by another is closed by the header of that one, which says where it ends
and how many frames it has. The newest is looked at: mostly it ends with a commit mark, else it is
walked header by header to find the last one. So opening costs a few reads a file, however large
the spool is. Payloads are not checked here: the reader checks each one anyway before it hands it
out, which is later, so nothing would be gained but a slow start.

New frames never go into a recovered file. So a cut needs no write, and positions that the ledger
knows can never come to mean other frames.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.errors import Broken
from trilens.spool.disk import Disk
from trilens.spool.files import FIRST, SpoolFile
from trilens.spool.frame import (
    COMMIT_BYTES,
    FILE_HEADER_BYTES,
    VERSION,
    CommitMark,
    FileHeader,
    parsed,
    seed_of,
)
from trilens.spool.reader import Walk, Window

_NAME: Final = re.compile(r"(\d{10,20})\.frames")

log = logging.getLogger(__name__)


def name_of(number: int) -> str:
    return f"{number:010}.frames"


def number_of(name: str) -> int | None:
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


@dataclass(slots=True)
class Recovered:
    """`unneeded` hold nothing that was committed. `damaged` are among `files`."""

    files: list[SpoolFile] = field(default_factory=list)
    unneeded: list[Path] = field(default_factory=list)
    damaged: list[SpoolFile] = field(default_factory=list)
    number_max: int = 0


def recover(directory: Path, disk: Disk, *, wire_format: str, salt: int) -> Recovered:
    """Raises Broken for files of another format or version, OSError where the disk fails."""
    recovered = Recovered()
    sizes = disk.sizes(directory)
    numbers = sorted(n for name in sizes if (n := number_of(name)) is not None)
    recovered.number_max = max(numbers, default=0)
    following: FileHeader | None = None
    for number in reversed(numbers):
        path = directory / name_of(number)
        size_bytes = sizes[path.name]
        if following and number > following.previous_number:
            # Given up after a failed sync, or finished, and then its removal was lost.
            recovered.unneeded.append(path)
            continue
        descriptor = disk.open(path)
        try:
            header = _header(disk, descriptor, path, wire_format)
            seed = seed_of(header.salt if header else salt, number)
            file = SpoolFile(number, path, seed, size_bytes=size_bytes)
            _measure(file, disk, descriptor, following)
        finally:
            disk.close(descriptor)
        _sort(recovered, file, header)
        following = header or following
    recovered.files.reverse()
    return recovered


def _header(disk: Disk, descriptor: int, path: Path, wire_format: str) -> FileHeader | None:
    header = FileHeader.unpack(disk.read(descriptor, FILE_HEADER_BYTES, 0))
    if header is None:
        return None
    if header.version != VERSION:
        raise Broken(f"{path} has version {header.version}; this program reads {VERSION}")
    if header.format != wire_format or header.number != number_of(path.name):
        raise Broken(f"{path} is file {header.number} of {header.format!r}: it has been moved here")
    return header


def _measure(file: SpoolFile, disk: Disk, descriptor: int, following: FileHeader | None) -> None:
    """Where its committed part ends, and how many frames it has."""
    if following and following.previous_number == file.number:
        file.end, file.frames = following.previous_end, following.previous_frames
    else:
        _find_end(file, disk, descriptor)
    file.frames_end = max(FIRST, file.end - COMMIT_BYTES)
    piece = disk.read(descriptor, COMMIT_BYTES, file.frames_end)
    mark = parsed(piece, 0, offset=file.frames_end, seed=file.seed)
    if isinstance(mark, CommitMark):
        file.last_received_ns = mark.last_received_ns


def _find_end(file: SpoolFile, disk: Disk, descriptor: int) -> None:
    last = file.size_bytes - COMMIT_BYTES
    if last >= FIRST:
        piece = disk.read(descriptor, COMMIT_BYTES, last)
        mark = parsed(piece, 0, offset=last, seed=file.seed)
        if isinstance(mark, CommitMark):
            file.end, file.frames = mark.end, mark.file_frames
            return
    walk = Walk(Window(disk, descriptor, file.size_bytes), seed=file.seed, offset=FIRST)
    while walk.next_header():
        pass
    if walk.mark:
        file.end, file.frames = walk.mark.end, walk.mark.file_frames
    _take_group_without_mark(file, disk, descriptor)
    if file.end < file.size_bytes:
        cut = file.size_bytes - file.end
        log.info("%s ends with %d bytes that were never acknowledged", file.path, cut)


def _take_group_without_mark(file: SpoolFile, disk: Disk, descriptor: int) -> None:
    """A whole group and then a mark's worth of bytes that are no mark: the mark was damaged.

    It could also be a torn write, and then the group was not acknowledged. But its frames are
    intact, and to keep what was sent and not answered is allowed; to lose the rest is not.
    """
    window = Window(disk, descriptor, max(FIRST, file.size_bytes - COMMIT_BYTES))
    walk = Walk(window, seed=file.seed, offset=file.end)
    frames = 0
    while header := walk.next_header():
        if walk.payload(header) is None or walk.damage:
            return
        frames += 1
    if frames and not walk.damage and walk.offset == window.end:
        file.end, file.frames = file.size_bytes, file.frames + frames
        file.is_damaged = True


def _sort(recovered: Recovered, file: SpoolFile, header: FileHeader | None) -> None:
    has_frames = file.frames_end > FIRST
    if not has_frames and (header or file.size_bytes <= FILE_HEADER_BYTES):
        # Made, and then the program stopped before anything was committed.
        recovered.unneeded.append(file.path)
        return
    is_short = file.end > file.size_bytes
    if header is None or is_short or file.is_damaged:
        file.is_damaged = False  # the stream notes it, once
        recovered.damaged.append(file)
    recovered.files.append(file)
