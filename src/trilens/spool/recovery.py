"""What a stream's directory holds when it is opened. Nothing that was committed is changed.

A file that was followed by another is closed by the header of that one, which says where it ends
and how many frames it has. In the newest the last commit mark is looked for from its end, where it
mostly is. So opening costs a few reads a file, however large the spool is. Frames are not checked
here: the reader checks each one anyway before it hands it out, which is later, so nothing would be
gained but a slow start.

New frames never go into a recovered file. So a cut needs no write, and positions that the ledger
knows can never come to mean other frames.
"""

from __future__ import annotations

import contextlib
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
    COMMIT_MARK,
    FILE_HEADER_BYTES,
    FRAME_MARK,
    VERSION,
    CommitMark,
    FileHeader,
    parsed,
    seed_of,
)
from trilens.spool.reader import Walk, Window

_PIECE_BYTES: Final = 1 << 20
_CANDIDATES_MAX: Final = 10_000
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


def recover(
    directory: Path, disk: Disk, *, wire_format: str, salt: int, fill_unreadable: bool
) -> Recovered:
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
            window = Window(disk, descriptor, size_bytes, fill_unreadable=fill_unreadable)
            header = _header(window, path, wire_format)
            seed = seed_of(header.salt if header else salt, number)
            file = SpoolFile(number, path, seed, size_bytes=size_bytes)
            _measure(file, window, following)
            _settle(file, disk, descriptor)
        finally:
            disk.close(descriptor)
        _sort(recovered, file, header)
        following = header or following
    recovered.files.reverse()
    return recovered


def _header(window: Window, path: Path, wire_format: str) -> FileHeader | None:
    header = FileHeader.unpack(window.bytes_at(0, FILE_HEADER_BYTES))
    if header is None:
        return None
    if header.version != VERSION:
        raise Broken(f"{path} has version {header.version}; this program reads {VERSION}")
    if header.format != wire_format or header.number != number_of(path.name):
        raise Broken(f"{path} is file {header.number} of {header.format!r}: it has been moved here")
    return header


def _measure(file: SpoolFile, window: Window, following: FileHeader | None) -> None:
    """Where its committed part ends, and how many frames it has."""
    if following and following.previous_number == file.number:
        file.end, file.frames = following.previous_end, following.previous_frames
    else:
        _find_end(file, window)
    file.frames_end = max(FIRST, file.end - COMMIT_BYTES)
    mark = _mark_at(window, file.frames_end, file.seed)
    if mark:
        file.last_received_ns = mark.last_received_ns
    file.is_damaged |= window.is_filled


def _settle(file: SpoolFile, disk: Disk, descriptor: int) -> None:
    """What a killed program wrote may be in memory only; it is about to be relied on."""
    if file.frames:
        with contextlib.suppress(OSError):
            disk.sync(descriptor)


def _mark_at(window: Window, offset: int, seed: int) -> CommitMark | None:
    mark = parsed(window.bytes_at(offset, COMMIT_BYTES), 0, offset=offset, seed=seed)
    return mark if isinstance(mark, CommitMark) else None


def _find_end(file: SpoolFile, window: Window) -> None:
    mark = _last_mark(window, file.seed)
    if mark:
        file.end, file.frames = mark.end, mark.file_frames
    if file.end < file.size_bytes:
        _take_group_without_mark(file, window)
    if file.end < file.size_bytes:
        cut_bytes = file.size_bytes - file.end
        log.info("%s ends with %d bytes that were never acknowledged", file.path, cut_bytes)


def _last_mark(window: Window, seed: int) -> CommitMark | None:
    """The last good commit mark: at the end, or found backwards from there."""
    stop, candidates = window.end, 0
    while stop > FIRST and candidates < _CANDIDATES_MAX:
        start = max(FIRST, stop - _PIECE_BYTES)
        piece = window.bytes_at(start, min(window.end, stop + COMMIT_BYTES - 1) - start)
        at = len(piece)
        while (at := piece.rfind(COMMIT_MARK, 0, at)) >= 0 and candidates < _CANDIDATES_MAX:
            mark = parsed(piece, at, offset=start + at, seed=seed)
            if isinstance(mark, CommitMark):
                return mark
            candidates += 1
            at += len(COMMIT_MARK) - 1
        stop = start
    if candidates < _CANDIDATES_MAX:
        return None
    # A payload full of marks: go from frame to frame instead, which steps over payloads.
    walk = Walk(window, seed=seed, offset=FIRST)
    while walk.next_header():
        pass
    return walk.mark


def _take_group_without_mark(file: SpoolFile, window: Window) -> None:
    """A whole group and then a mark's worth of bytes that are no mark: the mark was damaged.

    It could also be a torn write, and then the group was not acknowledged. But its frames are
    intact, and to keep what was sent and not answered is allowed; to lose the rest is not.
    """
    end = file.size_bytes - COMMIT_BYTES
    walk = Walk(window, seed=file.seed, offset=file.end)
    frames = 0
    while walk.offset < end and not walk.damage and (header := walk.next_header()):
        if header.end > end or walk.payload(header) is None:
            return
        frames += 1
    is_torn_frame = window.bytes_at(end, len(FRAME_MARK)) == FRAME_MARK
    if frames and not walk.damage and walk.offset == end and not is_torn_frame:
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
