"""Writing protobuf (the wire format of proto3) by hand, for the few messages that we send.

A log line or a sample becomes one `bytes.join`; the generated classes need an object for each
label and attribute, five to ten times the work.
"""

from __future__ import annotations

import struct
from typing import Final

BYTES: Final = 2  # wire types
FIXED64: Final = 1
VARINT: Final = 0

_SHORT: Final = tuple(bytes((number,)) for number in range(128))
double: Final = struct.Struct("<d").pack
fixed64: Final = struct.Struct("<Q").pack


def varint(number: int) -> bytes:
    """A non-negative integer below 2**64; negative ones come as two's complement."""
    if 0 <= number < 128:
        return _SHORT[number]
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def block(field: int, payload: bytes) -> bytes:
    """A field of type bytes, string or message."""
    return tag(field, BYTES) + varint(len(payload)) + payload


def text(field: int, value: str) -> bytes:
    """A string field; what UTF-8 cannot hold (lone surrogates) becomes a question mark."""
    return block(field, value.encode("utf-8", "replace"))


def number(field: int, value: int) -> bytes:
    return tag(field, VARINT) + varint(value)
