"""Rows of histograms -> what PromQL makes of them. Summaries are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.columns import Column, Ragged, numbers
from trilens.query.promql_histograms.histograms import Histogram, StoredHistogram, from_stored

IS_HISTOGRAM: Final = "kind != 'summary'"
_STALE_SUM: Final = "reinterpretAsUInt64(ifNull(sum, 0.)) = 9218868437227405314"
_COUNTS: Final = ("positive_counts", "negative_counts")
# `value` is the stale marker where the row is one, as its sum then is; else 0.
HISTOGRAM_COLUMNS: Final = (
    f"ifNull(if({_STALE_SUM}, sum, 0.), 0.) AS value, {_STALE_SUM} AS is_stale, "
    "toUInt8(kind) AS kind_number, scale, zero_threshold, reset_hint, bounds, bucket_counts, "
    "ifNull(sum, nan) AS total, "
    "if(is_float, count_float, toFloat64(count)) AS count_f, "
    "if(is_float, zero_count_float, toFloat64(zero_count)) AS zero_f, "
    + ", ".join(
        f"if(is_float, {side}_float, CAST({side}, 'Array(Float64)')) AS {side}_f"
        for side in _COUNTS
    )
    + ", positive_spans.offset AS positive_offsets, positive_spans.length AS positive_lengths, "
    "negative_spans.offset AS negative_offsets, negative_spans.length AS negative_lengths"
)
_KINDS: Final = {1: "histogram", 2: "exponential_histogram", 4: "native_histogram"}


def histograms_of(columns: Mapping[str, Column]) -> list[Histogram | None]:
    """One a row; None for a stale marker."""
    if not columns:
        return []
    spans = {side: _spans(columns, side) for side in ("positive", "negative")}
    arrays = {
        name: _rows(columns, name)
        for name in ("bounds", "bucket_counts", "positive_counts_f", "negative_counts_f")
    }
    plain = {
        name: numbers(columns, name, np.float64).tolist()
        for name in ("kind_number", "scale", "count_f", "total", "zero_threshold", "zero_f",
                     "reset_hint", "is_stale")
    }  # fmt: skip
    return [
        None
        if plain["is_stale"][row]
        else from_stored(
            StoredHistogram(
                _KINDS[plain["kind_number"][row]],
                plain["scale"][row],
                plain["count_f"][row],
                plain["total"][row],
                plain["zero_threshold"][row],
                plain["zero_f"][row],
                spans["positive"][row],
                arrays["positive_counts_f"][row].tolist(),
                spans["negative"][row],
                arrays["negative_counts_f"][row].tolist(),
                arrays["bounds"][row].tolist(),
                arrays["bucket_counts"][row].tolist(),
                plain["reset_hint"][row],
            )
        )
        for row in range(len(plain["scale"]))
    ]


def _rows(columns: Mapping[str, Column], name: str) -> list[NDArray[Any]]:
    column = columns[name]
    assert isinstance(column, Ragged), name
    return column.rows()


def _spans(columns: Mapping[str, Column], side: str) -> list[list[tuple[int, int]]]:
    offsets, lengths = _rows(columns, f"{side}_offsets"), _rows(columns, f"{side}_lengths")
    return [list(_pairs(one, other)) for one, other in zip(offsets, lengths, strict=True)]


def _pairs(offsets: NDArray[Any], lengths: NDArray[Any]) -> Iterator[tuple[int, int]]:
    return zip(offsets.tolist(), lengths.tolist(), strict=True)
