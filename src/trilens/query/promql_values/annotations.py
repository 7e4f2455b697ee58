"""What a PromQL query wants to say beside its result: warnings and infos, in Prometheus's words.

The functions below have the words; callers hand them to an Annotations together with the place in
the query. The Annotations puts `PromQL warning: ` or `PromQL info: ` before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trilens.query.promql.ast import Span
from trilens.query.promql.errors import line_and_column
from trilens.query.promql.number_text import short_number
from trilens.query.promql_values.labels import quoted

Combining: TypeAlias = Literal["aggregation", "addition", "subtraction"]
_WARNING = "PromQL warning: "
_INFO = "PromQL info: "
_QUANTILE_PAGE = (
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"
)

SORT_IN_RANGE_QUERY = (
    "sort is ineffective for range queries since results are always ordered by labels"
)
MIXED_AGGREGATION = "encountered a mix of histograms and floats for aggregation"


@dataclass(slots=True)
class Annotations:
    """Collected in the order they came up, each text at a place once."""

    _warnings: dict[tuple[str, Span], None] = field(default_factory=dict)
    _infos: dict[tuple[str, Span], None] = field(default_factory=dict)

    def warn(self, text: str, span: Span) -> None:
        self._warnings[_WARNING + text, span] = None

    def info(self, text: str, span: Span) -> None:
        self._infos[_INFO + text, span] = None

    def warnings(self, query: str) -> list[str]:
        """Each with ` (line:column)` behind; `query` is the text that the spans count in."""
        return [f"{text} ({line_and_column(query, span)})" for text, span in self._warnings]

    def infos(self, query: str) -> list[str]:
        return [f"{text} ({line_and_column(query, span)})" for text, span in self._infos]


def invalid_quantile(quantile: float) -> str:
    said = short_number(quantile)
    return f"quantile value should be between 0 and 1, got {said}"


def invalid_ratio(ratio: float, capped_to: float) -> str:
    return (
        f"ratio value should be between -1 and 1, got {short_number(ratio)},"
        f" capping to {short_number(capped_to)}"
    )


def bad_bucket_label(label: str, metric: str) -> str:
    return (
        f'bucket label "le" is missing or has a malformed value of {quoted(label)}'
        f"{_for_metric(metric)}"
    )


def mixed_floats_histograms(metric: str) -> str:
    return f"encountered a mix of histograms and floats for metric name {quoted(metric)}"


def mixed_classic_native(metric: str) -> str:
    return f"vector contains a mix of classic and native histograms{_for_metric(metric)}"


def mixed_exponential_custom(metric: str) -> str:
    return (
        f"vector contains a mix of histograms with exponential and custom buckets"
        f" schemas for metric name {quoted(metric)}"
    )


def not_a_counter(metric: str) -> str:
    return f"this native histogram metric is not a counter: {quoted(metric)}"


def not_a_gauge(metric: str) -> str:
    return f"this native histogram metric is not a gauge: {quoted(metric)}"


def incompatible_bucket_layout(operator: str) -> str:
    return f"incompatible bucket layout encountered for binary operator {operator}"


def counter_reset_collision(combining: Combining) -> str:
    return f"conflicting counter resets during histogram {combining}"


def start_time_overlap(metric: str) -> str:
    return (
        f"sample has start time that overlaps with previous sample timestamp for"
        f" metric {quoted(metric)}"
    )


def possible_non_counter(metric: str) -> str:
    return (
        f"metric might not be a counter, name does not end in"
        f" _total/_sum/_count/_bucket: {quoted(metric)}"
    )


def forced_monotonicity(metric: str) -> str:
    return (
        f"input to histogram_quantile needed to be fixed for monotonicity"
        f" (see {_QUANTILE_PAGE}){_for_metric(metric)}"
    )


def incompatible_types(operator: str, left: str, right: str) -> str:
    """`left` and `right` are `float` or `histogram`."""
    return (
        f"incompatible sample types encountered for binary operator {quoted(operator)}:"
        f" {left} {operator} {right}"
    )


def ignored_in_aggregation(operator: str) -> str:
    return f"ignored histogram in {operator} aggregation"


def ignored_in_mixed_range(metric: str) -> str:
    return (
        f"ignored histograms in a range containing both floats and histograms"
        f" for metric name {quoted(metric)}"
    )


def quantile_is_nan(metric: str) -> str:
    return f"input to histogram_quantile has NaN observations, result is NaN{_for_metric(metric)}"


def quantile_is_skewed(metric: str) -> str:
    return (
        f"input to histogram_quantile has NaN observations, result is skewed higher"
        f"{_for_metric(metric)}"
    )


def fraction_excludes_nan(metric: str) -> str:
    return (
        f"input to histogram_fraction has NaN observations, which are excluded from all"
        f" fractions{_for_metric(metric)}"
    )


def reconciled_custom_buckets(combining: Combining) -> str:
    return f"mismatched custom buckets were reconciled during {combining}"


def _for_metric(metric: str) -> str:
    return f" for metric name {quoted(metric)}" if metric else ""
