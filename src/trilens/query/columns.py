"""ClickHouse's Native format as NumPy columns: numbers, and arrays of numbers.

A block is: how many columns, how many rows, and for each column its name, its type, and its
values one after the other. An array column has the end of each row among the values of all rows,
then these values. An answer is a row of such blocks, at its end none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def read_columns(answer: bytes) -> Mapping[str, Column]:
    """All rows, by the names of the columns. Empty when the answer has no block."""
    blocks = list(_Reader(answer).blocks())
    if not blocks:
        return {}
    return {name: _joined([block[name] for block in blocks]) for name in blocks[0]}


def numbers(columns: Mapping[str, Column], name: str, kind: type[Any]) -> NDArray[Any]:
    """A column of numbers; without rows an empty one of `kind`."""
    column = columns.get(name)
    if column is None:
        return np.empty(0, kind)
    assert not isinstance(column, Ragged), name
    return column


class _Reader:
    def __init__(self, answer: bytes) -> None:
        self._bytes = answer
        self._at = 0

    def blocks(self) -> Iterator[dict[str, Column]]:
        while self._at < len(self._bytes):
            columns, rows = self._varint(), self._varint()
            block = {}
            for _ in range(columns):
                name, kind = self._text(), self._text()
                if rows:
                    block[name] = self._column(kind, rows)
            if rows:
                yield block

    def _column(self, kind: str, rows: int) -> Column:
        if not kind.startswith(_ARRAY):
            return self._values(kind, rows)
        ends = self._values("UInt64", rows)
        return Ragged(ends, self._values(kind[len(_ARRAY) : -1], int(ends[-1])))

    def _values(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self._bytes, _TYPES[kind], count, self._at)
        self._at += values.nbytes
        return values

    def _text(self) -> str:
        length = self._varint()
        self._at += length
        return self._bytes[self._at - length : self._at].decode()

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._bytes[self._at]
            self._at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7


def _joined(parts: list[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Ragged):
        ragged = [part for part in parts if isinstance(part, Ragged)]
        lengths = [np.diff(part.ends, prepend=np.uint64(0)) for part in ragged]
        ends = np.cumsum(np.concatenate(lengths), dtype=np.uint64)
        return Ragged(ends, np.concatenate([part.values for part in ragged]))
    return np.concatenate([part for part in parts if not isinstance(part, Ragged)])
