"""Lines to OTLP log records (opentelemetry.proto.logs.v1, OTLP 1.9).

A batch is an ExportLogsServiceRequest built from bytes. All of its records share one observed
time, which no other batch of this machine has: it is the batch's identity when the server is
asked whether it already has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import zstandard

from trilens.agent.log_files import LINE_BYTES_MAX, Lines, LogFile, whole_characters
from trilens.protobuf_wire import (
    BYTES,
    FIXED64,
    VARINT,
    block,
    double,
    fixed64,
    number,
    tag,
    text,
    varint,
)

HEADERS: Final = {"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"}
PATH: Final = "/v1/logs"

# ExportLogsServiceRequest.resource_logs = 1; ResourceLogs.resource = 1, scope_logs = 2;
# ScopeLogs.scope = 1, log_records = 2. LogRecord's fields:
_TIME: Final = tag(1, FIXED64)
_OBSERVED: Final = tag(11, FIXED64)
_BODY: Final = tag(5, BYTES)
_TEXT_VALUE: Final = tag(1, BYTES)
_DOUBLE_VALUE: Final = tag(4, FIXED64)
_RECORD: Final = tag(2, BYTES)
_ATTRIBUTE: Final = tag(6, BYTES)
_VALUE: Final = tag(2, BYTES)
_INT_VALUE: Final = tag(3, VARINT)
_OFFSET: Final = text(1, "log.file.offset")

SEVERITIES: Final = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}

# On text in lower case, from the character before a word: 1.3 us a line. To begin at a word and
# to ignore the case takes 5. A part of a name (libgpg-error, /var/log/error) says nothing.
_SEVERITY: Final = re.compile(
    rb"[^a-z0-9_/.-](?=[acdefinptw])"
    rb"(?:(?:(fatal|crit(?:ical)?|emerg(?:ency)?|alert|panic)|(err(?:or)?)|(warn(?:ing)?)"
    rb"|(info(?:rmation)?|notice)|(debug)|(trace))(?![a-z0-9_/-])|(?<=\n)([iwef])\d{4} )"
)
_SEVERITY_OF_GROUP: Final = (0, 21, 17, 13, 9, 5, 1)
_SEVERITY_OF_LETTER: Final = {b"I": 9, b"W": 13, b"E": 17, b"F": 21}
SEVERITY_WITHIN_BYTES: Final = 160  # words further right are about something else


def severity_field(severity_number: int, severity_text: bytes = b"") -> bytes:
    """LogRecord.severity_number = 2 and severity_text = 3."""
    if not severity_number:
        return b""
    return number(2, severity_number) + (block(3, severity_text) if severity_text else b"")


def attribute(key: str, value: str | float, *, field: int = 6) -> bytes:
    """A KeyValue; LogRecord.attributes = 6, Resource.attributes = 1, Span.attributes = 9."""
    if isinstance(value, str):
        encoded = text(1, value)
    elif isinstance(value, bool):
        encoded = number(2, value)
    elif isinstance(value, int):
        encoded = number(3, value)
    else:
        encoded = _DOUBLE_VALUE + double(value)
    return block(field, text(1, key) + block(2, encoded))


def record(at_ns: int, fields: bytes, body: bytes) -> bytes:
    """One LogRecord inside its ScopeLogs. `fields` are all others, encoded; `body` is UTF-8."""
    value = _TEXT_VALUE + varint(len(body)) + body
    inner = b"".join((_TIME, fixed64(at_ns), fields, _BODY, varint(len(value)), value))
    return _RECORD + varint(len(inner)) + inner


def _offset_field(offset: int) -> bytes:
    """attribute("log.file.offset", offset), in a third of the time."""
    value = varint(offset)
    head, inner = bytes((len(_OFFSET) + 3 + len(value),)), bytes((1 + len(value),))
    return b"".join((_ATTRIBUTE, head, _OFFSET, _VALUE, inner, _INT_VALUE, value))


def observed_field(at_ns: int) -> bytes:
    return _OBSERVED + fixed64(at_ns)


def resource_logs(resource: dict[str, str], scope: str, records: list[bytes]) -> bytes:
    attributes = b"".join(attribute(k, v, field=1) for k, v in resource.items() if v)
    scope_logs = block(1, text(1, scope)) + b"".join(records)
    return block(1, block(1, attributes) + block(2, scope_logs))


def severities(lines: bytes, starts: list[int]) -> dict[int, tuple[int, bytes]]:
    """Position in `starts` -> severity number and word, by one search over all lines.

    `starts` are the offsets of the lines in `lines`. The first word near a line's start that
    names a severity counts.
    """
    found: dict[int, tuple[int, bytes]] = {}
    line, last = 0, len(starts) - 1
    for match in _SEVERITY.finditer(b"\n" + lines.lower()):
        at = match.start()  # of the word in `lines`: the search has a character more in front
        while line < last and starts[line + 1] <= at:
            line += 1
        if line in found or at - starts[line] > SEVERITY_WITHIN_BYTES:
            continue
        group = match.lastindex or 0
        word = lines[at : at + match.end(group) - match.start(group)]
        if group < 7:
            found[line] = (_SEVERITY_OF_GROUP[group], word)
        elif word in _SEVERITY_OF_LETTER:
            found[line] = (_SEVERITY_OF_LETTER[word], word)
    return found


_CUT: Final = attribute("log.line.cut", "true")


@dataclass(frozen=True, slots=True)
class LogBatch:
    """A body ready to be sent, and what a question about it needs."""

    body: bytes
    records: int
    observed_ns: int
    first_ns: int
    last_ns: int


def packed(parts: list[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(b"".join(parts))


def records_of(file: LogFile, lines: Lines, observed_ns: int, span: list[int]) -> Iterator[bytes]:
    """Records of one read of a file; widens `span`, the least and greatest time of the batch.

    A line without a time of its own has the time of the line before it, since it belongs to it;
    where there is none, that of the file's last change.
    """
    pieces = _pieces(lines)
    starts = [0, *accumulate(len(piece) + 1 for piece, _ in pieces)][:-1]
    data = lines.data if lines.data.isascii() else _valid(lines.data)
    found = severities(lines.data, starts) if lines.data else {}
    constant = observed_field(observed_ns) + file.fields
    at_ns = min(observed_ns, file.seen_modified_ns or observed_ns)
    time_of: Callable[[bytes, int], int | None] = file.timestamps.of
    for index, (piece, is_cut) in enumerate(pieces):
        body = piece.strip(b"\0\r") if piece[:1] in b"\0" or piece[-1:] in b"\0\r" else piece
        if not body:
            continue
        at_ns = time_of(body, observed_ns) or at_ns
        fields = constant + _offset_field(lines.start + starts[index])
        if index in found:
            fields += severity_field(*found[index])
        if is_cut:
            fields += _CUT
        if data is None:
            body = body.decode("utf-8", "replace").encode()
        span[0], span[1] = min(span[0], at_ns), max(span[1], at_ns)
        yield record(at_ns, fields, body)


def _valid(data: bytes) -> bytes | None:
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return data


def _pieces(lines: Lines) -> list[tuple[bytes, bool]]:
    """Lines without their ends; long ones in pieces that are marked as cut."""
    whole = lines.data.split(b"\n")
    if not whole[-1]:
        whole.pop()
    if max(map(len, whole)) <= LINE_BYTES_MAX and not (lines.is_continued or lines.is_cut):
        return [(line, False) for line in whole]
    pieces: list[tuple[bytes, bool]] = []
    for index, line in enumerate(whole):
        is_cut = (index == 0 and lines.is_continued) or (index == len(whole) - 1 and lines.is_cut)
        rest = line
        while len(rest) > LINE_BYTES_MAX:
            end = whole_characters(rest, LINE_BYTES_MAX)
            pieces.append((rest[:end], True))
            rest, is_cut = rest[end:], True
        pieces.append((rest, is_cut))
    return pieces
