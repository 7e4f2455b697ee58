"""A complete check of a protobuf message in bounded memory.

The parser is C (upb): it checks framing, types, UTF-8 and a nesting of at most 100. But two
bytes can be an empty submessage that costs 200 bytes parsed, so 64 MiB could become 6 GiB.
Fields of one message may be cut apart anywhere between two of them, and each run is a message of
the same type: a large message is therefore checked in runs of PIECE_BYTES, each freed before
the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from trilens.errors import Refused

PIECE_BYTES: Final = 1 << 20
FIELDS_MAX: Final = 4_000_000  # walked one by one, at 0.2 us each
DEPTH_MAX: Final = 100
_TEXT: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)

M = TypeVar("M", bound=Message)


def checked(message_class: type[M], data: bytes) -> M | None:
    """The parsed message, or None where `data` was too large to hold it parsed.

    Raises Refused: malformed, or too_large for more fields or longer lists than we walk.
    """
    if len(data) <= PIECE_BYTES:
        return _parsed(message_class, data)
    _Walk(data).check(message_class, 0, len(data), depth=1)
    return None


def runs(data: bytes) -> Iterator[bytes]:
    """A message as messages of the same type of PIECE_BYTES, and larger fields alone.

    Raises Refused as checked() does, for framing only.
    """
    if len(data) <= PIECE_BYTES:
        yield data
        return
    for start, end in _Walk(data).runs(0, len(data)):
        yield data[start:end]


def _parsed(message_class: type[M], data: bytes) -> M:
    try:
        return message_class.FromString(data)
    except DecodeError:
        name = message_class.DESCRIPTOR.name
        raise Refused("malformed", f"the body is not a valid protobuf {name}") from None


@dataclass(slots=True)
class _Walk:
    data: bytes
    fields_left: int = FIELDS_MAX

    def check(self, message_class: Any, start: int, end: int, *, depth: int) -> None:
        """Check the message in data[start:end], run by run."""
        if depth > DEPTH_MAX:
            raise Refused("malformed", f"nested deeper than {DEPTH_MAX} messages")
        for run_start, run_end in self.runs(start, end):
            if run_end - run_start > PIECE_BYTES:
                self._check_large(message_class, run_start, run_end, depth)
            else:
                _parsed(message_class, self.data[run_start:run_end])

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """data[start:end] cut between fields: into runs of PIECE_BYTES, and larger fields alone."""
        position = run_start = start
        for after in self._field_ends(start, end):
            if after - run_start > PIECE_BYTES and position > run_start:
                yield run_start, position
                run_start = position
            if after - position > PIECE_BYTES:
                yield position, after
                run_start = after
            position = after
        if end > run_start:
            yield run_start, end

    def _check_large(self, message_class: Any, start: int, after: int, depth: int) -> None:
        """One field longer than a piece: a message is walked, text and bytes are parsed whole."""
        tag, position = _varint(self.data, start, after)
        field = message_class.DESCRIPTOR.fields_by_number.get(tag >> 3)
        if field is not None and field.message_type is not None:
            _, content = _varint(self.data, position, after)
            part = message_factory.GetMessageClass(field.message_type)
            self.check(part, content, after, depth=depth + 1)
        elif field is not None and field.is_repeated and field.type not in _TEXT:
            raise Refused("too_large", f"{field.name} is a list of more than {PIECE_BYTES} bytes")
        else:
            _parsed(message_class, self.data[start:after])

    def _field_ends(self, start: int, end: int) -> Iterator[int]:
        """The position after each field. Runs once per field, so the usual ones are inline."""
        data, position = self.data, start
        while position < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise Refused("too_large", f"more than {FIELDS_MAX} fields")
            if data[position] & 0x87 == 2 and position + 3 < end and data[position + 1] < 128:
                position += 2 + data[position + 1]
            elif data[position] & 0x87 == 2 and position + 3 < end and data[position + 2] < 128:
                position += 3 + (data[position + 1] & 127 | data[position + 2] << 7)
            else:
                position = _field_end(data, position, end)
            if position > end:
                raise Refused("malformed", "a field is cut short")
            yield position


def _field_end(data: bytes, position: int, end: int) -> int:
    tag, position = _varint(data, position, end)
    wire_type = tag & 7
    if wire_type == 0:
        return _varint(data, position, end)[1]
    if wire_type == 1:
        return position + 8
    if wire_type == 2:
        size_bytes, position = _varint(data, position, end)
        return position + size_bytes
    if wire_type == 5:
        return position + 4
    raise Refused("malformed", f"wire type {wire_type} is not used by this message")


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise Refused("malformed", "a number is cut short or too long")
