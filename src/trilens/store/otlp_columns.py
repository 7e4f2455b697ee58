"""Messages of OTLP as blocks of columns, by machine code: what the engine reads cheaply.

    ExportTraceServiceRequest ...  ->  one row for each resource and scope, in the Native format:
                                       what its spans have in common, and an array of them

The engine's own reader of protobuf leaves values of any type to be cut apart by string functions,
or unrolled to a fixed depth: 7 us a span, half of what a load costs. otlp_columns.zig, compiled by
`make setup`, takes 1 us. Values of any type become text there:

    a string as it is, numbers and booleans plain, bytes in base64, lists as JSON, of any depth; in
    it doubles that JSON lacks as "nan", "-nan", "inf" and "-inf", an unset value as null

Of equal keys the first counts, of equal fields the last. What a column of a table is made of, and
what a number means, is said by decode/*.sql.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trilens.store.engine_answer import EngineBusy, Undecodable

# A body is no larger than the messages, of which there are as many as the engine has memory for, or
# than this. Most spans are two thirds of their size as messages, and one body: another one is an
# INSERT and a part more. Empty spans are 40 times their size.
BODY_BYTES_MIN: Final = 16 << 20
OUT_OF_MEMORY: Final = 241
_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libotlp_columns.so")))
_ENDED, _FULL, _MALFORMED = 0, 1, -1


def traces(messages: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Bodies of otlp_traces.sql, each some blocks. Raises Undecodable, EngineBusy."""
    conversion = _LIBRARY.open_traces(secrets.randbits(64))
    if not conversion:
        raise _failure(OUT_OF_MEMORY)
    try:
        yield from _bodies(conversion, messages)
    finally:
        _LIBRARY.close_traces(conversion)


def _bodies(conversion: int, messages: Sequence[bytes]) -> Iterator[list[bytes]]:
    body_bytes_max = max(BODY_BYTES_MIN, sum(map(len, messages)))
    blocks: list[bytes] = []
    size = 0
    for message in messages:
        _LIBRARY.begin_request(conversion, message, len(message))
        while _checked(_LIBRARY.read_request(conversion)) == _FULL:
            blocks.append(_block(conversion))
            size += len(blocks[-1])
            if size >= body_bytes_max:
                yield blocks
                blocks, size = [], 0
    if last := _block(conversion):
        blocks.append(last)
    yield blocks


def _block(conversion: int) -> bytes:
    at = ctypes.c_void_p()
    size = _checked(_LIBRARY.write_block(conversion, ctypes.byref(at)))
    return ctypes.string_at(at, size)


def _checked(result: int) -> int:
    if result < 0:
        raise _failure(0 if result == _MALFORMED else OUT_OF_MEMORY)
    return result


def _failure(code: int) -> Exception:
    if code == OUT_OF_MEMORY:
        return EngineBusy(code, "no memory to make columns of messages")
    return Undecodable(code, "not a message of OTLP, or one with values too deep in each other")


def _declare(name: str, result: type | None, *arguments: type) -> None:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, arguments


_declare("open_traces", ctypes.c_void_p, ctypes.c_uint64)
_declare("close_traces", None, ctypes.c_void_p)
_declare("begin_request", None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
_declare("read_request", ctypes.c_int, ctypes.c_void_p)
_declare("write_block", ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p)
