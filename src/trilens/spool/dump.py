"""Spool files and ledgers as text, for a person: what `trilens spool dump` prints.

Reads only, also beside a running server. Nothing is repaired, and every payload is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from trilens.errors import Refused
from trilens.spool.aside import SUFFIX
from trilens.spool.disk import OsDisk
from trilens.spool.files import FIRST
from trilens.spool.frame import (
    FILE_HEADER_BYTES,
    CommitMark,
    FileHeader,
    FrameHeader,
    seed_of,
)
from trilens.spool.ledger import LEDGER, SEQUENCE_BITS, Record, records
from trilens.spool.reader import Walk, Window
from trilens.spool.recovery import number_of

_DISK = OsDisk()


def dump(path: Path) -> Iterator[str]:
    """A file, or all files below a directory, line by line. Raises Refused: not_found."""
    if not path.exists():
        raise Refused("not_found", f"there is no {path}")
    paths = [path]
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p))
    for each in paths:
        kind = _kind(each)
        yield f"{each} {each.stat().st_size} bytes"
        if kind == "ledger":
            yield from _ledger_lines(each)
        elif kind == "frames":
            yield from _frame_lines(each)
        else:
            yield "  neither a spool file nor a ledger"


def write_payload(path: Path, offset: int, out: BinaryIO) -> None:
    """The payload of the frame at `offset` of a file, as it came. Raises Refused."""
    descriptor = _opened(path)
    try:
        window = Window(_DISK, descriptor, path.stat().st_size)
        header = FileHeader.unpack(window.bytes_at(0, FILE_HEADER_BYTES))
        if header is None:
            raise Refused("malformed", f"{path} has no header that can be read")
        walk = Walk(window, seed=seed_of(header.salt, header.number), offset=offset)
        frame = walk.next_header() if offset >= FIRST else None
        if frame is None or frame.offset != offset:
            raise Refused("not_found", f"no frame begins at {offset} of {path}")
        payload = walk.payload(frame)
        if payload is None:
            raise Refused("malformed", f"the payload at {offset} does not match its checksum")
    finally:
        _DISK.close(descriptor)
    out.write(payload)


def _kind(path: Path) -> str:
    name = path.name.removesuffix(SUFFIX)
    if name == LEDGER:
        return "ledger"
    return "frames" if number_of(name) is not None else ""


def _opened(path: Path) -> int:
    try:
        return _DISK.open(path)
    except OSError as error:
        raise Refused("not_found", f"{path} cannot be opened: {error.strerror}") from error


def _frame_lines(path: Path) -> Iterator[str]:
    descriptor = _opened(path)
    try:
        window = Window(_DISK, descriptor, path.stat().st_size, fill_unreadable=True)
        header = FileHeader.unpack(window.bytes_at(0, FILE_HEADER_BYTES))
        if header is None:
            yield "  header damaged: without its salt no frame can be told from chance"
            return
        yield (
            f"  header version={header.version} format={header.format} number={header.number}"
            f" origin={header.origin} created={_time(header.created_at_ns)}"
            f" previous={header.previous_number} which ends at {header.previous_end}"
            f" with {header.previous_frames} frames"
        )
        yield from _walk_lines(window, seed_of(header.salt, header.number))
    finally:
        _DISK.close(descriptor)


def _walk_lines(window: Window, seed: int) -> Iterator[str]:
    walk = Walk(window, seed=seed, offset=FIRST)
    shown = 0
    while found := walk.next_found():
        for start, end in walk.damage[shown:]:
            yield f"  {start:>10} damaged up to {end}"
        if isinstance(found, CommitMark):
            line = _mark_line(found)
        else:
            line = _frame_line(found, is_intact=walk.payload(found) is not None)
        shown = len(walk.damage)
        yield line
    end = walk.mark.end if walk.mark else FIRST
    for start, stop in walk.damage[shown:]:
        if start < end:
            yield f"  {start:>10} damaged up to {stop}"
    if end < window.end:
        yield f"  {end:>10} {window.end - end} bytes behind the last commit mark: torn, or in work"


def _mark_line(mark: CommitMark) -> str:
    return (
        f"  {mark.offset:>10} commit group={mark.group_frames} frames from"
        f" {mark.group_start}, file={mark.file_frames} frames"
    )


def _frame_line(frame: FrameHeader, *, is_intact: bool) -> str:
    checksum = f"{frame.payload_checksum:08x} {'ok' if is_intact else 'DAMAGED'}"
    return (
        f"  {frame.offset:>10} frame received={_time(frame.received_at_ns)}"
        f" encoding={frame.encoding} payload={frame.payload_bytes}"
        f" unpacked={frame.unpacked_bytes} checksum={checksum}"
    )


def _ledger_lines(path: Path) -> Iterator[str]:
    for index, record in records(path.read_bytes()):
        yield f"  {index:>10} " + (_record_text(record) if record else "damaged or torn")


def _record_text(record: Record) -> str:
    sequence = record.number & ((1 << SEQUENCE_BITS) - 1)
    start, end = record.start, record.end
    written = f"written={_time(record.written_at_ns)}"
    if record.kind == "head":
        resume = f"resume={end.file}:{end.offset}"
        return f"head origin={record.origin} next={sequence} {resume} {written}"
    # A renewed ledger begins with ranges in which finished batches have been joined.
    name = f"batch={record.number} sequence={sequence}" if sequence else "joined"
    where = f"{start.file}:{start.offset} to {end.file}:{end.offset}"
    return f"{record.kind} {name} {where} frames={record.frames} {written}"


def _time(at_ns: int) -> str:
    """ISO 8601 with all nine digits; the bare number where a calendar has no such time."""
    try:
        whole = datetime.fromtimestamp(at_ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at_ns}ns"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ns % 10**9:09}Z"
