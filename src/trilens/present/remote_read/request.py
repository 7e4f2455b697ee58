"""prometheus.ReadRequest, out of its bytes.

    ReadRequest   1 queries: Query, 2 accepted_response_types: 0 SAMPLES, 1 STREAMED_XOR_CHUNKS
    Query         1 start_timestamp_ms, 2 end_timestamp_ms, 3 matchers: LabelMatcher, 4 hints
    LabelMatcher  1 type: = != =~ !~, 2 name, 3 value

Hints are not read: they may only make an answer smaller, never other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import cramjam

from trilens.errors import Refused
from trilens.protobuf_wire import BYTES, FIXED64, VARINT
from trilens.query.promql.ast import Matcher, MatchType

MESSAGE_BYTES_MAX: Final = 1 << 20
QUERIES_MAX: Final = 100
MATCHERS_MAX: Final = 1000
SAMPLES: Final = 0
CHUNKS: Final = 1
_FIXED32: Final = 5
_VARINT_BYTES_MAX: Final = 10
_OPERATORS: Final[tuple[MatchType, ...]] = ("=", "!=", "=~", "!~")
Field: TypeAlias = "tuple[int, int | bytes]"


@dataclass(frozen=True, slots=True)
class Query:
    """Series that match, their samples from start to end, both included."""

    start_ms: int
    end_ms: int
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """`form` is SAMPLES or CHUNKS: the first of those that the client takes."""

    queries: tuple[Query, ...]
    form: int


def read_request(body: bytes) -> ReadRequest:
    """Raises Refused: malformed, too_large, unsupported."""
    queries: list[Query] = []
    accepted: list[int] = []
    for number, value in _fields(_unsnapped(body)):
        if number == 1:
            queries.append(_query(_bytes(value)))
        elif number == 2:
            accepted += [value] if isinstance(value, int) else list(_varints(value))
    if len(queries) > QUERIES_MAX:
        raise Refused("too_large", f"more than {QUERIES_MAX} queries in one request")
    return ReadRequest(tuple(queries), _form(accepted))


def _form(accepted: list[int]) -> int:
    if not accepted:
        return SAMPLES
    for form in accepted:
        if form in (SAMPLES, CHUNKS):
            return form
    raise Refused(
        "unsupported",
        f"server does not support any of the requested response types: {accepted}; "
        "supported: SAMPLES, STREAMED_XOR_CHUNKS",
    )


def _query(message: bytes) -> Query:
    start_ms = end_ms = 0
    matchers: list[Matcher] = []
    for number, value in _fields(message):
        if number == 1:
            start_ms = _signed(value)
        elif number == 2:
            end_ms = _signed(value)
        elif number == 3:
            matchers.append(_matcher(_bytes(value)))
    if len(matchers) > MATCHERS_MAX:
        raise Refused("too_large", f"more than {MATCHERS_MAX} matchers in one query")
    return Query(start_ms, end_ms, tuple(matchers))


def _matcher(message: bytes) -> Matcher:
    kind, name, text = 0, "", ""
    for number, value in _fields(message):
        if number == 1:
            kind = _signed(value)
        elif number == 2:
            name = _text(value)
        elif number == 3:
            text = _text(value)
    if not 0 <= kind < len(_OPERATORS):
        raise Refused("malformed", f"invalid matcher type {kind}")
    return Matcher(name, _OPERATORS[kind], text)


def _unsnapped(body: bytes) -> bytes:
    try:
        if cramjam.snappy.decompress_raw_len(body) > MESSAGE_BYTES_MAX:
            raise Refused("too_large", f"the message is larger than {MESSAGE_BYTES_MAX} bytes")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Refused("malformed", f"not a snappy block: {error}") from None


def _fields(message: bytes) -> Iterator[Field]:
    """(number, value) of each field: an integer, or bytes. Numbers of fixed size are passed."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == BYTES:
            size, at = _varint(message, at)
        elif wire_type in (FIXED64, _FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise _malformed(f"wire type {wire_type}")
        if number == 0 or at + size > len(message):
            raise _malformed("a field that is cut short")
        if wire_type == BYTES:
            yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = 0
    for place, byte in enumerate(message[at : at + _VARINT_BYTES_MAX]):
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number & (1 << 64) - 1, at + place + 1
    raise _malformed("a number that is cut short")


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        number, at = _varint(packed, at)
        yield number


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _malformed("bytes instead of a number")
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _malformed("a number instead of a message")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise _malformed("text that is not UTF-8") from None


def _malformed(what: str) -> Refused:
    return Refused("malformed", f"not a prometheus.ReadRequest: {what}")
