"""What is rare, one by one: native histograms, exemplars, and samples that stand among them.

Bodies of both versions of remote write, of points in the order in which they are given; those of
one series that stand together are one TimeSeries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, Literal

import numpy as np

from trilens.protobuf_wire import FIXED64, block, double, number, tag, text, varint
from trilens.query.columns import Column, Ragged, numbers
from trilens.query.promql_histograms.histograms import Histogram
from trilens.remote_write_out.write_requests import KINDS, About, Labels, labels_fields

STALE_BITS: Final = 0x7FF0000000000002
Kind = Literal["samples", "histograms", "exemplars"]
_FIELDS_V1: Final[dict[Kind, int]] = {"samples": 2, "exemplars": 3, "histograms": 4}
_FIELDS_V2: Final[dict[Kind, int]] = {"samples": 2, "histograms": 3, "exemplars": 4}
# Of native histograms; with `id`, `time` and `start`.
NATIVE_COLUMNS: Final = (
    "is_float, count, count_float, ifNull(sum, nan) AS total, scale, zero_threshold, zero_count, "
    "zero_count_float, reset_hint, bounds, "
    + ", ".join(
        f"{side}_spans.offset AS {side}_offsets, {side}_spans.length AS {side}_lengths, "
        f"{side}_counts AS {side}_whole, {side}_counts_float AS {side}_floats"
        for side in ("negative", "positive")
    )
)


@dataclass(frozen=True, slots=True)
class Point:
    """`body` is the message of a sample or a histogram, and what follows the labels of an exemplar;
    these are `own`.
    """

    labels: Labels
    about: About
    time_ms: int
    kind: Kind
    body: bytes
    own: Labels = ()


def sample_body(time_ms: int, value_bits: int, start_ms: int = 0) -> bytes:
    bits = value_bits.to_bytes(8, "little")
    return tag(1, FIXED64) + bits + number(2, time_ms) + (number(3, start_ms) if start_ms else b"")


def exemplar_body(time_ms: int, value_bits: int) -> bytes:
    return tag(2, FIXED64) + value_bits.to_bytes(8, "little") + number(3, time_ms)


def body_v1(points: Iterable[Point]) -> bytes:
    """prometheus.WriteRequest."""
    parts = []
    for labels, own in groupby(points, key=lambda point: point.labels):
        series = [labels_fields(labels)]
        for point in own:
            head = labels_fields(point.own) if point.own else b""
            series.append(block(_FIELDS_V1[point.kind], head + point.body))
        parts.append(block(1, b"".join(series)))
    return b"".join(parts)


def body_v2(points: Iterable[Point]) -> bytes:
    """io.prometheus.write.v2.Request."""
    symbols: dict[str, int] = {"": 0}

    def refs(labels: Labels) -> bytes:
        every = (value for pair in labels for value in pair)
        return b"".join(varint(symbols.setdefault(one, len(symbols))) for one in every)

    parts = []
    for labels, own in groupby(points, key=lambda point: point.labels):
        series, about = [block(1, refs(labels))], None
        for point in own:
            about = point.about
            head = block(1, refs(point.own)) if point.own else b""
            series.append(block(_FIELDS_V2[point.kind], head + point.body))
        assert about is not None
        kind = number(1, KINDS.get(about.kind, 0))
        help_ref = symbols.setdefault(about.help, len(symbols))
        unit_ref = symbols.setdefault(about.unit, len(symbols))
        series.append(block(5, kind + number(3, help_ref) + number(4, unit_ref)))
        parts.append(block(5, b"".join(series)))
    return b"".join([*(text(4, symbol) for symbol in symbols), *parts])


def metadata_body(families: Iterable[Mapping[str, str]]) -> bytes:
    """prometheus.WriteRequest of MetricMetadata: `metric`, `type`, `help`, `unit` of each."""
    return b"".join(
        block(
            3,
            number(1, KINDS.get(one["type"], 0))
            + text(2, one["metric"]) + text(4, one["help"]) + text(5, one["unit"]),
        )
        for one in families
    )  # fmt: skip


def native_bodies(columns: Mapping[str, Column], *, has_starts: bool) -> list[bytes]:
    """Of rows with NATIVE_COLUMNS, the message Histogram of each. Whole numbers stay whole."""
    plain: dict[str, list[Any]] = {}
    ragged: dict[str, list[list[Any]]] = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            ragged[name] = [one.tolist() for one in column.rows()]
        else:
            plain[name] = column.tolist()
    # A NaN keeps its bits only as a number of bits.
    sums = numbers(columns, "total", np.float64).view(np.uint64).tolist()
    return [
        _native({name: values[row] for name, values in plain.items()}
                | {name: values[row] for name, values in ragged.items()}
                | {"total": sums[row]}, has_starts=has_starts)
        for row in range(len(sums))
    ]  # fmt: skip


def _native(row: dict[str, Any], *, has_starts: bool) -> bytes:
    is_float = bool(row["is_float"])
    if is_float:
        count, zero = _double(2, row["count_float"]), _double(7, row["zero_count_float"])
    else:
        count, zero = number(1, row["count"]), number(6, row["zero_count"])
    parts = [
        count,
        tag(3, FIXED64) + row["total"].to_bytes(8, "little"),
        number(4, _zigzag(row["scale"])),
        _double(5, row["zero_threshold"]),
        zero,
        *_side(row, "negative", 8, is_float=is_float),
        *_side(row, "positive", 11, is_float=is_float),
        number(14, row["reset_hint"]),
        number(15, row["time"]),
    ]
    if row["bounds"]:
        parts.append(block(16, b"".join(map(double, row["bounds"]))))
    if has_starts and row["start"]:
        parts.append(number(17, row["start"]))
    return b"".join(parts)


def _side(row: dict[str, Any], side: str, field: int, *, is_float: bool) -> Iterable[bytes]:
    """Fields of spans, and the next but one (deltas) or two (counts) after them."""
    for offset, length in zip(row[f"{side}_offsets"], row[f"{side}_lengths"], strict=True):
        yield block(field, number(1, _zigzag(offset)) + number(2, length))
    if is_float and row[f"{side}_floats"]:
        yield block(field + 2, b"".join(map(double, row[f"{side}_floats"])))
    elif row[f"{side}_whole"]:
        counts = row[f"{side}_whole"]
        deltas = [now - before for before, now in pairwise([0, *counts])]
        yield block(field + 1, b"".join(varint(_zigzag(delta)) for delta in deltas))


def histogram_body(one: Histogram, time_ms: int, start_ms: int = 0) -> bytes:
    """Of a histogram as queries see it: its counts are floats."""
    parts = [
        _double(2, one.count),
        _double(3, one.sum),
        number(4, _zigzag(one.schema)),
        _double(5, one.zero_threshold),
        _double(7, one.zero_count),
    ]
    for field, side in ((8, one.negative), (11, one.positive)):
        position = 0
        edges = np.flatnonzero(np.diff(side.indexes) != 1) + 1
        for run in np.split(side.indexes, edges) if len(side.indexes) else []:
            offset = number(1, _zigzag(int(run[0]) - position))
            parts.append(block(field, offset + number(2, len(run))))
            position = int(run[0]) + len(run)
        if len(side.indexes):
            parts.append(block(field + 2, side.counts.astype("<f8").tobytes()))
    parts += [number(14, int(one.hint)), number(15, time_ms)]
    if one.custom_values:
        parts.append(block(16, b"".join(map(double, one.custom_values))))
    if start_ms:
        parts.append(number(17, start_ms))
    return b"".join(parts)


def stale_histogram_body(time_ms: int) -> bytes:
    """Where a series of histograms ends."""
    return (
        tag(2, FIXED64)
        + double(0.0)
        + tag(3, FIXED64)
        + STALE_BITS.to_bytes(8, "little")
        + number(15, time_ms)
    )


def _double(field: int, value: float) -> bytes:
    return tag(field, FIXED64) + double(value)


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1
