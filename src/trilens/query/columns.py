"""ClickHouse's Native format as NumPy columns: numbers, and arrays of numbers.

A block is: how many columns, how many rows, and for each column its name, its type, and its
values one after the other. An array column has the end of each row among the values of all rows,
then these values. An answer is a row of such blocks, at its end none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

_TYPES: Final = {
    "UInt8": np.uint8, "UInt32": np.uint32, "UInt64": np.uint64, "Int8": np.int8,
    "Int32": np.int32, "Int64": np.int64, "Float64": np.float64, "Bool": np.uint8,
}  # fmt: skip
_ARRAY: Final = "Array("


@dataclass(frozen=True, slots=True)
class Ragged:
    """Row n has `values[ends[n - 1]:ends[n]]`."""

    ends: NDArray[np.uint64]  # [row]
    values: NDArray[Any]

    def rows(self) -> list[NDArray[Any]]:
        return np.split(self.values, self.ends[:-1].astype(np.int64)) if len(self.ends) else []


Column: TypeAlias = "NDArray[Any] | Ragged"


def read_columns(answer: Iterable[bytes]) -> Mapping[str, Column]:
    """All rows, by the names of the columns, of an answer in pieces. Empty if it has no rows.

    Holds no more than the columns, and one of them twice.
    """
    blocks: dict[str, list[Column]] = {}
    held = bytearray()
    wanted = 1
    for piece in answer:
        held += piece
        while len(held) >= wanted:
            try:
                block, end = _read_block(held)
            except _NotWholeError as short:
                wanted = short.wanted
            else:
                wanted = 1
                del held[:end]
                for name, column in block.items():
                    blocks.setdefault(name, []).append(column)
    assert not held, "an answer that ends within a block"
    return {name: _joined(blocks.pop(name)) for name in list(blocks)}


def numbers(columns: Mapping[str, Column], name: str, kind: type[Any]) -> NDArray[Any]:
    """A column of numbers; without rows an empty one of `kind`."""
    column = columns.get(name)
    if column is None:
        return np.empty(0, kind)
    assert not isinstance(column, Ragged), name
    return column


def _read_block(held: bytearray) -> tuple[dict[str, Column], int]:
    """The block at the beginning, and where it ends. Raises _NotWholeError."""
    reader = _Reader(held)
    columns, rows = reader.varint(), reader.varint()
    block = {reader.text(): reader.column(reader.text(), rows) for _ in range(columns)}
    return block if rows else {}, reader.at


class _NotWholeError(Exception):
    """The rest is still on its way: `wanted` bytes at least."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted


class _Reader:
    def __init__(self, held: bytearray) -> None:
        self._held = held
        self.at = 0

    def column(self, kind: str, rows: int) -> Column:
        if not kind.startswith(_ARRAY):
            return self._values(kind, rows)
        ends = self._values("UInt64", rows)
        count = int(ends[-1]) if rows else 0
        return Ragged(ends, self._values(kind[len(_ARRAY) : -1], count))

    def text(self) -> str:
        start = self._pass(self.varint())
        return self._held[start : self.at].decode()

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._held[self._pass(1)]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    def _values(self, kind: str, count: int) -> NDArray[Any]:
        dtype = np.dtype(_TYPES[kind])
        start = self._pass(count * dtype.itemsize)
        return np.frombuffer(self._held, dtype, count, start).copy()

    def _pass(self, count: int) -> int:
        """Go on by so many bytes; returns where they begin."""
        start = self.at
        self.at += count
        if self.at > len(self._held):
            raise _NotWholeError(self.at)
        return start


def _joined(parts: list[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Ragged):
        ragged = [part for part in parts if isinstance(part, Ragged)]
        lengths = [np.diff(part.ends, prepend=np.uint64(0)) for part in ragged]
        ends = np.cumsum(np.concatenate(lengths), dtype=np.uint64)
        return Ragged(ends, np.concatenate([part.values for part in ragged]))
    return np.concatenate([part for part in parts if not isinstance(part, Ragged)])
