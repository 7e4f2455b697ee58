"""What turns a wire format into rows: the statements of decode/*.sql, read once.

A format has a fast way and, for what that refuses by throwIf (code 395), ways that read more and
take longer: its file names the next one. A statement with input() gets the body; one without
reads what those before it have written.
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
from trilens.store.any_value import FALLBACK, decode_sql
from trilens.store.engine_answer import Undecodable
from trilens.store.schema_sql import statements, tables

REFUSED_BY_THROW_IF: Final = 395
# Pieces of a body are sent one by one: small messages are put together first.
PIECE_BYTES_MIN: Final = 256 << 10
# One empty message: loads nothing, but needs all that a statement needs.
NOTHING: Final = [b""]
_FALLBACK_LINE = re.compile(rf"^{FALLBACK}(\S+)$", re.MULTILINE)
_WRITES = re.compile(r"^-- writes .*\n(?:-- {6,}.*\n)*", re.MULTILINE)

Body = Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    has_body: bool


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
        parts = tuple(Statement(sql, "input(" in sql) for sql in statements(text))
        found.append(Decode(name, parts))
    return tuple(found)


@cache
def tables_counted(wire_format: WireFormat) -> tuple[str, ...]:
    """The tables in which a format's rows are records: to be counted, and removed when in doubt.

    The comments of the decode files name all that they write.
    """
    known = [table.name for table in tables().values() if not table.is_idempotent]
    texts = [match[0] for _, text in _files(wire_format) for match in _WRITES.finditer(text)]
    return tuple(name for name in known if any(re.search(rf"\b{name}\b", text) for text in texts))


def unpacked(frames: Sequence[Frame]) -> list[bytes]:
    """Their messages. Raises Undecodable when a payload cannot be unpacked."""
    messages = []
    for frame in frames:
        try:
            messages.append(unpack(frame.encoding, frame.payload))
        except Exception as error:  # each codec has errors of its own
            raise Undecodable(0, f"not {frame.encoding}: {error}") from error
    return messages


class Delimited:
    """A body: messages behind each other, each after its length. Put together as it is sent."""

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


def delimited(messages: Sequence[bytes]) -> list[Body]:
    return [Delimited(messages)]


# What makes bodies of messages, for formats that the engine does not read as they come. Each body
# is loaded by itself. May raise Undecodable.
BODIES_OF: Final[dict[WireFormat, Callable[[Sequence[bytes]], Iterable[Body]]]] = {}


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
