"""Histograms as text: the notation of the test language, and the one of label values.

{{schema:1 count:4 sum:5.5 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 0 2]}}
{count:4, sum:5.5, [-0.001,0.001]:1, (0.5,0.7071067811865476]:1, (1,1.414213562373095]:2}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from trilens.query.promql.number_text import read_number, short_number
from trilens.query.promql_histograms.histograms import (
    Buckets,
    Histogram,
    ResetHint,
    bounds_of,
    buckets_from,
)

_HINTS: Final = {
    "unknown": ResetHint.UNKNOWN,
    "reset": ResetHint.RESET,
    "not_reset": ResetHint.NOT_RESET,
    "gauge": ResetHint.GAUGE,
}
_HINT_NAMES: Final = {hint: name for name, hint in _HINTS.items()}
_ITEM: Final = re.compile(r"\s*([a-z_]+)\s*:\s*(\[[^\]]*\]|[^\s\[\]{}]+)\s*")
_NUMBERS: Final = ("schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset")
_LISTS: Final = ("buckets", "n_buckets", "custom_values")


@dataclass(frozen=True, slots=True)
class ReadHistogram:
    """`has_hint` tells an expected result that says its hint from one that leaves it open."""

    histogram: Histogram
    has_hint: bool


def read_histogram(text: str) -> ReadHistogram:
    """Of `{{...}}`. ValueError says what is wrong with it."""
    text = text.strip()
    if not (text.startswith("{{") and text.endswith("}}")):
        raise ValueError(f"a histogram is written {{{{...}}}}, not {text}")
    numbers: dict[str, float] = {}
    lists: dict[str, list[float]] = {}
    hint: ResetHint | None = None
    position, end = 2, len(text) - 2
    while text[position:end].strip():
        item = _ITEM.match(text, position, end)
        if item is None:
            raise ValueError(f"unexpected {text[position:end].strip()} in a histogram")
        key, value = item.groups()
        position = item.end()
        if key == "counter_reset_hint" and value in _HINTS:
            hint = _HINTS[value]
        elif key in _LISTS and value.startswith("["):
            lists[key] = [_number(word) for word in value[1:-1].split()]
        elif key in _NUMBERS:
            numbers[key] = _number(value)
        else:
            raise ValueError(f"unexpected {key}:{value} in a histogram")
    return ReadHistogram(_of_parts(numbers, lists, hint), hint is not None)


def _number(word: str) -> float:
    value = read_number(word)
    if value is None:
        raise ValueError(f"{word} is no number")
    return value


def _of_parts(
    numbers: dict[str, float], lists: dict[str, list[float]], hint: ResetHint | None
) -> Histogram:
    return Histogram(
        int(numbers.get("schema", 0)),
        numbers.get("count", 0.0),
        numbers.get("sum", 0.0),
        numbers.get("z_bucket_w", 0.0),
        numbers.get("z_bucket", 0.0),
        buckets_from(int(numbers.get("offset", 0)), lists.get("buckets", [])),
        buckets_from(int(numbers.get("n_offset", 0)), lists.get("n_buckets", [])),
        tuple(lists.get("custom_values", ())),
        ResetHint.UNKNOWN if hint is None else hint,
    )


def histogram_notation(histogram: Histogram) -> str:
    """The notation of the test language; what has its default is left out."""
    parts = [
        f"{key}:{short_number(value)}"
        for key, value in (
            ("count", histogram.count),
            ("sum", histogram.sum),
            ("z_bucket", histogram.zero_count),
            ("z_bucket_w", histogram.zero_threshold),
        )
        if value != 0
    ]
    if histogram.schema:
        parts.insert(0, f"schema:{histogram.schema}")
    if histogram.is_custom:
        parts.append(f"custom_values:[{' '.join(map(short_number, histogram.custom_values))}]")
    if histogram.hint:
        parts.append(f"counter_reset_hint:{_HINT_NAMES[histogram.hint]}")
    parts += _side_parts("offset", "buckets", histogram.positive)
    parts += _side_parts("n_offset", "n_buckets", histogram.negative)
    return f"{{{{{' '.join(parts)}}}}}"


def _side_parts(offset_key: str, key: str, side: Buckets) -> list[str]:
    if len(side.indexes) == 0:
        return []
    first = int(side.indexes[0])
    counts = np.zeros(int(side.indexes[-1]) - first + 1)
    counts[side.indexes - first] = side.counts
    listed = f"{key}:[{' '.join(map(short_number, counts.tolist()))}]"
    return [f"{offset_key}:{first}", listed] if first else [listed]


def histogram_string(histogram: Histogram) -> str:
    """What count_values makes a label of: buckets in the order of their values."""
    parts = [f"count:{short_number(histogram.count)}, sum:{short_number(histogram.sum)}"]
    rows = zip(*(array.tolist() for array in bounds_of(histogram, histogram.negative)), strict=True)
    mirrored = list(zip(rows, histogram.negative.counts.tolist(), strict=True))
    for (lower, upper), count in reversed(mirrored):
        parts.append(f"[{_interval(-upper, -lower)}):{short_number(count)}")
    if histogram.zero_count != 0:
        edge = histogram.zero_threshold
        parts.append(f"[{_interval(-edge, edge)}]:{short_number(histogram.zero_count)}")
    bounds = zip(
        *(array.tolist() for array in bounds_of(histogram, histogram.positive)), strict=True
    )
    for (lower, upper), count in zip(bounds, histogram.positive.counts.tolist(), strict=True):
        opening = "[" if lower == -np.inf else "("
        parts.append(f"{opening}{_interval(lower, upper)}]:{short_number(count)}")
    return f"{{{', '.join(parts)}}}"


def _interval(lower: float, upper: float) -> str:
    return f"{short_number(lower)},{short_number(upper)}"
