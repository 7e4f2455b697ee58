"""The fields of a remote-write request, found without making a Python object of any.

    message   0A <size> <TimeSeries>  0A <size> <TimeSeries>  ...  1A <size> <MetricMetadata>
    fields    one row of FIELD each: where it is, and of a TimeSeries that ends with one plain
              sample the sample, and a hash of what is before it

The loop over them is machine code (write_fields.zig, compiled by `make setup`): 25 ns a series
instead of 300 by way of Python's objects. It checks the framing, not what is in the fields.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.errors import Refused
from trilens.receive.protobuf_check import FIELDS_MAX

UNKNOWN: Final = 0  # no field of a WriteRequest
MESSAGE: Final = 1
SAMPLE: Final = 2  # a TimeSeries that ends with one sample of 1971 to 2109
FOREIGN: Final = 3  # a field that is ours: how samples are kept, not what a sender may send
FIELD: Final = np.dtype(
    [
        ("start", "u4"), ("end", "u4"), ("head_start", "u4"), ("head_end", "u4"),
        ("hash", "u8"), ("time_ms", "u8"), ("value", "f8"), ("kind", "u4"), ("unused", "u4"),
    ]
)  # fmt: skip
Fields = NDArray[np.void]

_ROOM: Final = 8192
_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libwrite_fields.so")))
_find: Final = _LIBRARY.write_fields
_find.restype = ctypes.c_ssize_t
_find.argtypes = (
    ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t), ctypes.c_uint64,
    ctypes.c_void_p, ctypes.c_size_t,
)  # fmt: skip


def fields(message: bytes, seed: int) -> Iterator[Fields]:
    """All fields in order, some thousands at a time; `seed` is that of the hash.

    Raises Refused: malformed, or too_large for more than FIELDS_MAX.
    """
    position = ctypes.c_size_t()
    for _ in range(0, FIELDS_MAX, _ROOM):
        if position.value == len(message):
            return
        found = np.empty(_ROOM, FIELD)
        place = ctypes.byref(position)
        count = _find(message, len(message), place, seed, found.ctypes.data, len(found))
        if count < 0:
            raise Refused("malformed", f"no protobuf field at byte {position.value} of the request")
        yield found[:count]
    raise Refused("too_large", f"more than {FIELDS_MAX} fields")
