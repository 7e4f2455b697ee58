"""Which series match: label matchers as SQL over the rows of series that Prometheus has sent.

Their labels are those that were sent. What OTLP has sent has other names in PromQL than in the
engine: otlp_series.py finds it. A label that is absent is equal to the empty text, in every kind of
matcher.
"""

from __future__ import annotations

from typing import Final

from trilens.query.ask import Bound
from trilens.query.promql.ast import Matcher
from trilens.query.promql_values.values import METRIC_NAME

DAY_MS: Final = 86_400_000
# What a DateTime64(3) can be: the years 1900 to 2299.
TIME_MS_MIN: Final = -2_208_988_800_000
TIME_MS_MAX: Final = 10_413_791_999_999

# All labels but the name of the metric.
LABELS: Final = "labels"
# All labels, in the order of their names.
SORTED_LABELS: Final = (
    f"mapSort(if(metric = '', {LABELS}, mapUpdate({LABELS}, "
    f"CAST(map('{METRIC_NAME}', toString(metric)), 'Map(LowCardinality(String), String)'))))"
)


def label_value(name: str, bound: Bound) -> str:
    """The value of one label, '' where a series does not have it."""
    if name == METRIC_NAME:
        return "metric"
    return f"labels[{bound(name, 'String')}]"


def matches(matcher: Matcher, bound: Bound) -> str:
    """Regular expressions match the whole value, and their dot any character."""
    value = label_value(matcher.name, bound)
    operand = bound(matcher.value, "String")
    if matcher.op in ("=", "!="):
        return f"{value} {matcher.op} {operand}"
    found = f"match({value}, concat('^(?s:', {operand}, ')$'))"
    # `a)|(b` is an expression only with parentheses around it: it must be one without.
    is_valid = f"match('', concat('(?s)', {operand})) IN (0, 1)"
    return f"{'NOT ' if matcher.op == '!~' else ''}{found} AND {is_valid}"


def metric_is(matchers: tuple[Matcher, ...]) -> str | None:
    """The one metric that can match, if the matchers name it."""
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.op == "=":
            return matcher.value
    return None


def series_condition(
    matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, bound: Bound
) -> str:
    """For rows of SERIES: those that match and may have samples in the time."""
    parts = ["source = 'prometheus'", seen_in(start_ms, end_ms, bound)]
    return " AND ".join([*(matches(matcher, bound) for matcher in matchers), *parts])


def seen_in(start_ms: int, end_ms: int, bound: Bound) -> str:
    """For rows of SERIES: when one was last seen is written once a day."""
    return (
        f"last_seen >= {moment(start_ms - DAY_MS, bound)} "
        f"AND first_seen <= {moment(end_ms + DAY_MS, bound)}"
    )


def moment(at_ms: int, bound: Bound) -> str:
    """A constant DateTime64(3): compared with a column it is, its index is used."""
    kept_ms = min(max(at_ms, TIME_MS_MIN), TIME_MS_MAX)
    return f"fromUnixTimestamp64Milli({bound(kept_ms, 'Int64')}, 'UTC')"


def in_time(start_ms: int, end_ms: int, bound: Bound) -> str:
    """Left-open, right-closed."""
    return f"timestamp > {moment(start_ms, bound)} AND timestamp <= {moment(end_ms, bound)}"
