"""What turns a wire format into rows: the statements of decode/*.sql, read once.

A format has a fast way and, for what that refuses by throwIf (code 395), ways that read more and
take longer: its file names the next one. A statement with input() gets the bodies of its FORMAT;
one without reads what those before it have written. Most formats are read as they came; machine
code makes columns of the others first (known_samples.py, otlp_columns.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from trilens.envelope import WireFormat, unpack
from trilens.errors import Broken
from trilens.protobuf_wire import varint
from trilens.spool import Frame
from trilens.store import otlp_columns
from trilens.store.any_value import FALLBACK, decode_sql
from trilens.store.engine_answer import Undecodable
from trilens.store.known_samples import block_of_known_samples
from trilens.store.schema_sql import statements, tables

REFUSED_BY_THROW_IF: Final = 395
# Pieces of a body are sent one by one: small messages are put together first.
PIECE_BYTES_MIN: Final = 256 << 10
# One empty message: loads nothing, but needs all that a statement needs.
NOTHING: Final = [b""]
_FALLBACK_LINE = re.compile(rf"^{FALLBACK}(\S+)$", re.MULTILINE)
_WRITES = re.compile(r"^-- writes .*\n(?:-- {6,}.*\n)*", re.MULTILINE)

_INPUT_FORMAT = re.compile(r"\binput\(.*\bFORMAT (\w+)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Body:
    """What a statement reads, in a format of the engine's. Its pieces may be asked for again.

    `records` is how many rows that are records it holds, where that is known.
    """

    format: str
    pieces: Iterable[bytes | memoryview]
    records: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """`reads` is the format of the bodies that it gets, None where it gets none."""

    sql: str
    reads: str | None


@dataclass(frozen=True, slots=True)
class Decode:
    """One file of decode/."""

    name: str
    statements: tuple[Statement, ...]


@cache
def decodes(wire_format: WireFormat) -> tuple[Decode, ...]:
    """The ways to decode a format: the fast one, then its fallbacks in order."""
    found = []
    for name, text in _files(wire_format):
        found.append(Decode(name, tuple(_statement(sql) for sql in statements(text))))
    return tuple(found)


@cache
def tables_counted(wire_format: WireFormat) -> tuple[str, ...]:
    """The tables in which a format's rows are records: to be counted, and removed when in doubt.

    The comments of the decode files name all that they write.
    """
    return _tables_written(wire_format, are_idempotent=False)


@cache
def tables_of_facts(wire_format: WireFormat) -> tuple[str, ...]:
    """The others that a format writes: their rows stay when a load is in doubt."""
    return _tables_written(wire_format, are_idempotent=True)


def _tables_written(wire_format: WireFormat, *, are_idempotent: bool) -> tuple[str, ...]:
    texts = [match[0] for _, text in _files(wire_format) for match in _WRITES.finditer(text)]
    return tuple(
        table.name
        for table in tables().values()
        if table.is_idempotent == are_idempotent
        and any(re.search(rf"\b{table.name}\b", text) for text in texts)
    )


def unpacked(frames: Sequence[Frame]) -> list[bytes]:
    """Their messages. Raises Undecodable when a payload cannot be unpacked."""
    messages = []
    for frame in frames:
        try:
            messages.append(unpack(frame.encoding, frame.payload))
        except Exception as error:  # each codec has errors of its own
            raise Undecodable(0, f"not {frame.encoding}: {error}") from error
    return messages


def delimited(messages: Sequence[bytes]) -> list[Body]:
    return [Body("Protobuf", _Delimited(messages))]


class _Delimited:
    """Messages behind each other, each after its length. Put together as they are sent."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._messages = messages

    def __iter__(self) -> Iterator[bytes]:
        held: list[bytes] = []
        held_bytes = 0
        for message in self._messages:
            held += (varint(len(message)), message)
            held_bytes += len(message)
            if held_bytes >= PIECE_BYTES_MIN:
                yield b"".join(held)
                held, held_bytes = [], 0
        if held:
            yield b"".join(held)


def _write_bodies(messages: Sequence[bytes]) -> Iterator[Body]:
    """Samples of known series as columns, and what else there is as it came."""
    block, rests = block_of_known_samples(messages)
    if block.samples or not rests:
        yield Body("Native", block.pieces, block.samples)
    if rests or not block.samples:
        yield from delimited(rests)


def _trace_bodies(messages: Sequence[bytes]) -> Iterator[Body]:
    for blocks in otlp_columns.traces(messages):
        yield Body("Native", blocks)


# What makes bodies of messages, for formats that the engine does not read as they come. Each body
# is loaded by itself; of messages with nothing in them there is one for each statement. May raise
# Undecodable.
BODIES_OF: Final[dict[WireFormat, Callable[[Sequence[bytes]], Iterable[Body]]]] = {
    "otlp_traces": _trace_bodies,
    "prometheus_write": _write_bodies,
}


def _statement(sql: str) -> Statement:
    match = _INPUT_FORMAT.search(sql)
    return Statement(sql, match[1] if match else None)


def _files(wire_format: WireFormat) -> Iterator[tuple[str, str]]:
    name: str | None = f"{wire_format}.sql"
    seen: set[str] = set()
    while name is not None:
        if name in seen:
            raise Broken(f"decode/{name} falls back to itself")
        seen.add(name)
        text = decode_sql(name)
        yield name, text
        match = _FALLBACK_LINE.search(text)
        name = match[1] if match else None
