"""Samples of known series, from many write requests to one block of columns, as machine code.

    messages  WriteRequests as they are kept (receive/prometheus_split.py): each begins with its
              KnownSamples, one for each metric, and goes on with all else
    block     one block of ClickHouse's Native format: metric, series_id, timestamp, mantissa,
              exponent, sorted like the table, so that the engine neither parses nor computes nor
              sorts. A load takes less than half of the CPU time that it takes with a message a
              request
    rests     what else the messages hold

known_samples.zig, compiled by `make setup`, takes 50 ns a sample.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from trilens.store.engine_answer import Undecodable

_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libknown_samples.so")))
_GROUP_BYTES: Final = 48
_SAMPLE_BYTES: Final = 24
# Columns of 8 bytes, the number of the metric, and the exponent.
_ROW_BYTES: Final = 3 * 8 + 4 + 1
# The names and types of the columns, and what says how long each is.
_HEADER_BYTES: Final = 256
_NAME_BYTES: Final = 10


# Of what is sent at once: it is copied on the way, and should stay in the cache.
_PIECE_BYTES: Final = 256 << 10


class _Totals(ctypes.Structure):
    _fields_ = (
        ("groups", ctypes.c_size_t), ("samples", ctypes.c_size_t), ("name_bytes", ctypes.c_size_t),
        ("samples_of_metric", ctypes.c_size_t),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    pieces: Sequence[memoryview]
    samples: int


def block_of_known_samples(messages: Sequence[bytes]) -> tuple[Block, list[bytes]]:
    """The block, empty where no series is known, and the rests that are not empty.

    Raises Undecodable when a message is damaged.
    """
    pointers = (ctypes.c_char_p * len(messages))(*messages)
    sizes = np.fromiter(map(len, messages), np.uint64, len(messages))
    rests = np.empty(len(messages), np.uint64)
    totals = _Totals()
    arguments = pointers, sizes.ctypes.data, len(messages)
    sound = _LIBRARY.measure(*arguments, rests.ctypes.data, ctypes.byref(totals))
    if sound < len(messages):
        raise Undecodable(0, f"message {sound} of {len(messages)} is no WriteRequest as it is kept")
    left = [m[start:] for m, start in zip(messages, rests.tolist(), strict=True) if start < len(m)]
    if not totals.samples:
        return Block([], 0), left
    groups = np.empty(_GROUP_BYTES * totals.groups, np.uint8)
    _LIBRARY.sort_groups(*arguments, groups.ctypes.data, ctypes.byref(totals))
    samples = np.empty(_SAMPLE_BYTES * totals.samples_of_metric, np.uint8)
    names_bytes = totals.name_bytes + _NAME_BYTES * totals.groups
    out = np.empty(_HEADER_BYTES + names_bytes + _ROW_BYTES * totals.samples, np.uint8)
    size = _LIBRARY.write_block(
        groups.ctypes.data, samples.ctypes.data, ctypes.byref(totals), out.ctypes.data, len(out)
    )
    written = out.data[:size]
    pieces = [written[start : start + _PIECE_BYTES] for start in range(0, size, _PIECE_BYTES)]
    return Block(pieces, totals.samples), left


_SIZE, _ARRAY, _TOTALS = ctypes.c_size_t, ctypes.c_void_p, ctypes.POINTER(_Totals)
_MESSAGES = ctypes.POINTER(ctypes.c_char_p), _ARRAY, _SIZE
_LIBRARY.measure.restype = _LIBRARY.write_block.restype = _SIZE
_LIBRARY.sort_groups.restype = None
_LIBRARY.measure.argtypes = *_MESSAGES, _ARRAY, _TOTALS
_LIBRARY.sort_groups.argtypes = *_MESSAGES, _ARRAY, _TOTALS
_LIBRARY.write_block.argtypes = _ARRAY, _ARRAY, _TOTALS, _ARRAY, _SIZE
