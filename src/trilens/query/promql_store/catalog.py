"""What there is to ask for: series, names and values of labels, metadata, exemplars, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trilens.query.ask import Bound, Statement
from trilens.query.promql.ast import Matcher
from trilens.query.promql_store.otlp_series import IS_OTLP
from trilens.query.promql_store.series import (
    LABELS,
    SORTED_LABELS,
    in_time,
    label_value,
    series_condition,
)
from trilens.query.promql_values.values import METRIC_NAME
from trilens.query.tables import EXEMPLARS, METADATA, SAMPLE_VALUE, SERIES

# Rows that one answer may have, where the caller sets no limit.
ROWS_MAX: Final = 100_000
_TYPES: Final = {"sum": "counter", "exponential_histogram": "histogram"}


@dataclass(frozen=True, slots=True)
class Within:
    """Series that match one of the sets of matchers (all, where there is none), in a time."""

    matcher_sets: Sequence[tuple[Matcher, ...]]
    start_ms: int
    end_ms: int

    def condition(self, bound: Bound) -> str:
        sets = self.matcher_sets or [()]
        each = (series_condition(one, self.start_ms, self.end_ms, bound) for one in sets)
        return " OR ".join(f"({one})" for one in each)


def series(within: Within, limit: int) -> Statement:
    """Column shown: all labels, sorted by name."""
    bound = Bound()
    return bound.statement(
        f"SELECT DISTINCT {SORTED_LABELS} AS shown FROM {SERIES} "
        f"WHERE {within.condition(bound)} ORDER BY toString(shown) LIMIT {bound(limit, 'UInt64')}"
    )


def label_names(within: Within, limit: int) -> Statement:
    """Column name."""
    bound = Bound()
    return bound.statement(
        f"SELECT DISTINCT arrayJoin(mapKeys({SORTED_LABELS})) AS name FROM {SERIES} "
        f"WHERE {within.condition(bound)} ORDER BY name LIMIT {bound(limit, 'UInt64')}"
    )


def label_values(within: Within, name: str, limit: int) -> Statement:
    """Column value."""
    bound = Bound()
    return bound.statement(
        f"SELECT DISTINCT toString({label_value(name, bound)}) AS value FROM {SERIES} "
        f"WHERE ({within.condition(bound)}) AND value != '' "
        f"ORDER BY value LIMIT {bound(limit, 'UInt64')}"
    )


def metadata(metric: str, limit: int) -> Statement:
    """Columns metric, type, unit, help; of one metric where it is named."""
    bound = Bound()
    named = f"WHERE metric = {bound(metric, 'String')} " if metric else ""
    return bound.statement(
        f"SELECT metric, type, unit, help FROM {METADATA} {named}"
        f"ORDER BY metric LIMIT {bound(limit, 'UInt64')}"
    )


def exposed(within: Within, metrics: Sequence[str], limit: int) -> Statement:
    """Columns job, instance, metric: which metrics there are of what was scraped; all if none is
    named.
    """
    bound = Bound()
    of_metrics = f" AND metric IN {bound(list(metrics), 'Array(String)')}" if metrics else ""
    return bound.statement(
        "SELECT DISTINCT toString(labels['job']) AS job, toString(labels['instance']) AS instance, "
        f"metric FROM {SERIES} WHERE ({within.condition(bound)}){of_metrics} "
        f"ORDER BY job, instance, metric LIMIT {bound(limit, 'UInt64')}"
    )


def type_name(kind: str) -> str:
    """Prometheus's word for the type of a metric."""
    return _TYPES.get(kind, kind) or "unknown"


def exemplars(within: Within, limit: int) -> Statement:
    """Columns shown (labels of the series), own (labels of the exemplar), value, at_ms."""
    bound = Bound()
    where = within.condition(bound)
    found = (
        f"SELECT metric, series_id, any({SORTED_LABELS}) AS shown FROM {SERIES} "
        f"WHERE {where} GROUP BY metric, series_id"
    )
    own = (
        "mapSort(mapFilter((name, value) -> value != '', mapUpdate(attributes, CAST(map("
        "'trace_id', trace_id, 'span_id', span_id), 'Map(LowCardinality(String), String)'))))"
    )
    return bound.statement(
        f"SELECT DISTINCT series.shown AS shown, {own} AS own, "
        f"{SAMPLE_VALUE} AS value, toUnixTimestamp64Milli(timestamp) AS at_ms "
        f"FROM {EXEMPLARS} AS exemplar INNER JOIN ({found}) AS series "
        "ON exemplar.metric = series.metric AND exemplar.series_id = series.series_id "
        f"WHERE exemplar.metric IN (SELECT metric FROM {SERIES} WHERE {where}) "
        f"AND {in_time(within.start_ms - 1, within.end_ms, bound)} "
        f"ORDER BY toString(shown), at_ms LIMIT {bound(limit, 'UInt64')}"
    )


def totals() -> Statement:
    """One row: series, label_pairs, first_ms, last_ms."""
    return Statement(
        "SELECT uniqExact(series_id) AS series, "
        f"uniqExactArray(arrayZip(mapKeys({LABELS}), mapValues({LABELS}))) AS label_pairs, "
        "toUnixTimestamp64Milli(min(first_seen)) AS first_ms, "
        f"toUnixTimestamp64Milli(max(last_seen)) AS last_ms FROM {SERIES}"
    )


def largest_metrics(limit: int) -> Statement:
    """Columns name, value: how many series a metric has."""
    return _largest("toString(metric)", "uniqExact(series_id)", "", limit)


def largest_labels(limit: int) -> Statement:
    """Columns name, value: how many values a label has."""
    return _largest("pair.1", "uniqExact(pair.2)", _PAIRS, limit)


def longest_labels(limit: int) -> Statement:
    """Columns name, value: how many bytes the values of a label are."""
    return _largest("pair.1", "sum(length(pair.2))", f"SELECT DISTINCT pair FROM ({_PAIRS})", limit)


def largest_pairs(limit: int) -> Statement:
    """Columns name (label=value), value: how many series have a label."""
    rows = (
        f"SELECT series_id, pair FROM ({_PAIRS}) WHERE NOT (is_otlp AND pair.1 = '{METRIC_NAME}')"
    )
    return _largest("concat(pair.1, '=', pair.2)", "uniqExact(series_id)", rows, limit)


# As otlp_names.label_name.
_LABEL_NAME: Final = (
    "multiIf(match(cleaned, '^_*$'), '', match(cleaned, '^[0-9]'), concat('key_', cleaned), "
    "match(cleaned, '^_[^_]'), concat('key', cleaned), cleaned)"
)
_CLEANED: Final = (
    f"arrayMap(name -> replaceRegexpAll(name, '[^a-zA-Z0-9_]', '_'), mapKeys({LABELS}))"
)
_NAMES: Final = f"if({IS_OTLP}, arrayMap(cleaned -> {_LABEL_NAME}, {_CLEANED}), mapKeys({LABELS}))"
# The metrics of OTLP have other names in PromQL: their own are counted, but not told.
_PAIRS: Final = (
    "SELECT series_id, is_otlp, pair FROM ("
    f"SELECT series_id, {IS_OTLP} AS is_otlp, arrayJoin(arrayConcat(arrayZip({_NAMES}, "
    f"mapValues({LABELS})), [('{METRIC_NAME}', toString(metric))])) AS pair FROM {SERIES}"
    ") WHERE pair.1 != ''"
)


def _largest(name: str, value: str, rows: str, limit: int) -> Statement:
    bound = Bound()
    source = f"({rows})" if rows else SERIES
    return bound.statement(
        f"SELECT {name} AS name, {value} AS value FROM {source} "
        f"GROUP BY name ORDER BY value DESC, name LIMIT {bound(limit, 'UInt64')}"
    )
