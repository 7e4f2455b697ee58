"""The content of a unit as requests: which shard sends what, in which order, cut how.

Rows of a series belong to one shard, by their key, and stay in order. A shard sends its rows, then
its points; each request has `samples_max` of them, the last of each kind what is left. In 2.0 the
points of a series stay together, since exemplars may not come without a sample. So the cuts follow
from the rows and the number of shards alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import cramjam
import numpy as np

from trilens.remote_write_out.rare_points import Point, body_v1, body_v2
from trilens.remote_write_out.reading import Content
from trilens.remote_write_out.write_requests import Rows, SeriesTable


@dataclass(frozen=True, slots=True)
class Request:
    """`counts` are by kind: samples, histograms, exemplars, metadata."""

    body: bytes
    counts: dict[str, int]

    @property
    def size(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Shard:
    rows: Rows
    points: list[list[Point]]  # of each request
    samples_max: int
    table: SeriesTable = field(repr=False)
    is_v2: bool

    def __len__(self) -> int:
        """How many requests there are."""
        return self._of_rows + len(self.points)

    @property
    def _of_rows(self) -> int:
        return -(-len(self.rows) // self.samples_max)

    def request(self, nth: int) -> Request:
        """Written and packed: takes about a millisecond."""
        if nth < self._of_rows:
            first = nth * self.samples_max
            rows = self.rows.taken(slice(first, first + self.samples_max))
            return Request(packed(self.table.encode(rows)), {"samples": len(rows)})
        points = self.points[nth - self._of_rows]
        body = body_v2(points) if self.is_v2 else body_v1(points)
        return Request(packed(body), dict(Counter(point.kind for point in points)))


def packed(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def shards_of(
    content: Content, count: int, samples_max: int, table: SeriesTable, *, is_v2: bool
) -> list[Shard]:
    of_rows = content.row_keys % np.uint64(count)
    points: list[list[Point]] = [[] for _ in range(count)]
    for point, key in zip(content.points, content.point_keys, strict=True):
        points[key % count].append(point)
    return [
        Shard(
            content.rows if count == 1 else content.rows.taken(of_rows == shard),
            list(_cut(points[shard], samples_max, is_whole=is_v2)),
            samples_max,
            table,
            is_v2,
        )
        for shard in range(count)
    ]


def _cut(points: list[Point], size: int, *, is_whole: bool) -> Iterator[list[Point]]:
    """`is_whole`: a series is in one request."""
    first = 0
    while first < len(points):
        end = min(first + size, len(points))
        while is_whole and end < len(points) and points[end].labels == points[end - 1].labels:
            end += 1
        yield points[first:end]
        first = end
