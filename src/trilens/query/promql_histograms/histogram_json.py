"""A native histogram as the HTTP API answers it.

    {"count": "42", "sum": "34593.34", "buckets": [[3, "-0.25", "0.25", "3"], ...]}

The first of each bucket says which of its bounds belong to it: 0 the upper, 1 the lower, 2 none,
3 both. Buckets without observations are left out, and `buckets` too if there are no others.
"""

from __future__ import annotations

from typing import Any, Final

from trilens.query.promql.number_text import json_number
from trilens.query.promql_histograms.histograms import Histogram, intervals

_UPPER_ONLY: Final = 0
_LOWER_ONLY: Final = 1
_BOTH: Final = 3


def histogram_json(histogram: Histogram) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "count": json_number(histogram.count),
        "sum": json_number(histogram.sum),
    }
    all_of = intervals(histogram)
    rows = zip(all_of.lower.tolist(), all_of.upper.tolist(), all_of.counts.tolist(), strict=True)
    listed = [
        [
            _bounds_rule(histogram, lower, upper),
            json_number(lower),
            json_number(upper),
            json_number(count),
        ]
        for lower, upper, count in rows
    ]
    if listed:
        answer["buckets"] = listed
    return answer


def _bounds_rule(histogram: Histogram, lower: float, upper: float) -> int:
    if histogram.is_custom:
        return _BOTH if lower == float("-inf") else _UPPER_ONLY
    if lower <= 0 <= upper:
        return _BOTH  # the zero bucket
    return _UPPER_ONLY if upper > 0 else _LOWER_ONLY
