"""Metrics: which there are, which labels they have, their values over time.

A range is evaluated at steps aligned to the epoch. `value` is the last sample of at most
STALE_MS before the step; `rate` is per second over a window of at least RATE_WINDOW_MS, counter
resets accounted for, extrapolated as Prometheus 3 does; `increase` is that times the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.filters import SERIES_FIELDS, Condition, conditions_sql
from trilens.query.tables import (
    IS_NOT_STALE_MARK,
    IS_STALE_MARK,
    METADATA,
    SAMPLE_VALUE,
    SAMPLES,
    SERIES,
)
from trilens.query.times import NS, STEPS_MS, TimeRange, instant

Function = Literal["value", "rate", "increase"]
Aggregation = Literal["none", "sum", "avg", "min", "max", "count"]
POINTS_MAX = 2_000
SERIES_SHOWN_MAX = 200
SERIES_READ_MAX = 50_000
LABELS_MAX = 10
NAMES_MAX = 5_000
LABEL_VALUES_MAX = 200
STALE_MS = 300_000
RATE_WINDOW_MS = 120_000
# When a series was last seen is written only now and then.
_SEEN_SLACK_NS = 24 * 3600 * NS


def names(within: TimeRange, *, match: str, limit: int) -> Statement:
    """Columns metric, type, unit, help, series, kind, temporality, is_monotonic.

    `match` is a part of a name.
    """
    bound = Bound()
    like = f"AND positionCaseInsensitive(metric, {bound(match, 'String')}) > 0" if match else ""
    family = "replaceRegexpOne(s.metric, '_(bucket|count|sum|total|info)$', '')"
    described = f"(SELECT metric, type, unit, help FROM {METADATA})"
    return bound.statement(
        "SELECT s.metric AS metric, "
        "multiIf(s.kind != '', s.kind, own.type != '', own.type, family.type) AS type, "
        "multiIf(s.unit != '', s.unit, own.unit != '', own.unit, family.unit) AS unit, "
        "if(own.help != '', own.help, family.help) AS help, s.series AS series, "
        "type AS kind, s.temporality AS temporality, s.is_monotonic AS is_monotonic FROM ("
        "SELECT toString(metric) AS metric, toString(any(kind)) AS kind, "
        "toString(any(temporality)) AS temporality, toString(any(unit)) AS unit, "
        "any(is_monotonic) AS is_monotonic, "
        f"uniqExact(series_id) AS series FROM {SERIES} "
        f"WHERE {_seen(within, bound)} {like} GROUP BY metric "
        f"ORDER BY metric LIMIT {bound(limit, 'UInt64')}) AS s "
        f"LEFT ANY JOIN {described} AS own ON s.metric = own.metric "
        f"LEFT ANY JOIN {described} AS family ON {family} = family.metric ORDER BY metric"
    )


def churn(within: TimeRange, *, limit: int) -> Statement:
    """Columns metric, fresh, series, fresh_total, series_total; most fresh series first.

    Fresh are the series whose first sample of all lies in the range. `series` are those that began
    before its end; when one ended is not known to the day.
    """
    bound = Bound()
    since, until = instant(bound, within.from_ns), instant(bound, within.to_ns)
    return bound.statement(
        "SELECT metric, fresh, series, sum(fresh) OVER () AS fresh_total, "
        "sum(series) OVER () AS series_total FROM ("
        f"SELECT toString(metric) AS metric, countIf(first >= {since}) AS fresh, "
        "count() AS series FROM ("
        f"SELECT metric, series_id, min(first_seen) AS first FROM {SERIES} "
        f"GROUP BY metric, series_id HAVING first < {until}) GROUP BY metric) "
        f"ORDER BY fresh DESC, metric LIMIT {bound(limit, 'UInt64')}"
    )


def labels(within: TimeRange, metric: str, conditions: list[Condition]) -> Statement:
    """Columns label, distinct_values, value, n: the most frequent values of each label."""
    bound = Bound()
    where = _series_where(within, metric, conditions, bound)
    return bound.statement(
        "SELECT label, value, n, count() OVER (PARTITION BY label) AS distinct_values FROM ("
        "SELECT pair.1 AS label, pair.2 AS value, uniqExact(series_id) AS n FROM ("
        "SELECT series_id, arrayJoin(arrayZip(mapKeys(labels), mapValues(labels))) AS pair "
        f"FROM {SERIES} WHERE {where}) GROUP BY label, value) "
        f"ORDER BY label, n DESC, value LIMIT {LABEL_VALUES_MAX} BY label LIMIT 20000"
    )


def label_list(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_label: dict[str, dict[str, Any]] = {}
    for row in rows:
        label = by_label.setdefault(
            row["label"],
            {"label": row["label"], "distinct": row["distinct_values"], "values": []},
        )
        label["values"].append({"value": row["value"], "series": row["n"]})
    return list(by_label.values())


@dataclass(frozen=True, slots=True)
class RangeQuestion:
    within: TimeRange
    metric: str
    step_ms: int
    function: Function = "value"
    aggregation: Aggregation = "none"
    by: tuple[str, ...] = ()
    conditions: list[Condition] = field(default_factory=list)

    @property
    def grid_ms(self) -> tuple[int, int]:
        """First and last step inside the range."""
        step_ms = self.step_ms
        first = -(-self.within.from_ns // (step_ms * 1_000_000)) * step_ms
        last = (self.within.to_ns - 1) // (step_ms * 1_000_000) * step_ms
        return first, max(first, last)


def fitting_step_ms(within: TimeRange, asked_ms: int | None) -> int:
    """The step that was asked for, or the first round one with at most POINTS_MAX points."""
    least_ms = within.step_ms(POINTS_MAX)
    if asked_ms is None:
        return max(within.step_ms(300), STEPS_MS[3])
    return (
        asked_ms if asked_ms * POINTS_MAX * 1_000_000 >= within.to_ns - within.from_ns else least_ms
    )


def points(asker: Asker, question: RangeQuestion) -> dict[str, Any]:
    """The `series` part of the answer. Raises SqlFailed, Refused (limit_exceeded)."""
    if len(question.by) > LABELS_MAX:
        raise Refused("too_large", f"more than {LABELS_MAX} labels to group by")
    bound = Bound()
    where = _series_where(question.within, question.metric, question.conditions, bound)
    counted = bound.statement(f"SELECT uniqExact(series_id) AS n FROM {SERIES} WHERE {where}")
    ((total),) = (row["n"] for row in asker.rows(counted))
    if total > SERIES_READ_MAX:
        raise Refused(
            "limit_exceeded",
            f"{question.metric} has {total} series here; at most {SERIES_READ_MAX} are read, "
            "filter by labels",
        )
    rows = asker.rows(_grid(question))
    first_ms, _ = question.grid_ms
    return {
        "step_ms": question.step_ms,
        "series": [
            {
                "labels": row["shown"],
                "points": [
                    [first_ms + at * question.step_ms, value]
                    for at, value in enumerate(row["points"])
                ],
            }
            for row in rows[:SERIES_SHOWN_MAX]
        ],
        "truncated": len(rows) > SERIES_SHOWN_MAX,
        "series_total": total,
    }


def _grid(question: RangeQuestion) -> Statement:
    """Columns shown (the labels of a line) and points (a value or NULL for each step)."""
    bound = Bound()
    where = _series_where(question.within, question.metric, question.conditions, bound)
    first_ms, last_ms = question.grid_ms
    window_ms = STALE_MS if question.function == "value" else max(question.step_ms, RATE_WINDOW_MS)
    reach = TimeRange(max(0, (first_ms - window_ms) * 1_000_000), (last_ms + 1) * 1_000_000)
    series = (
        f"SELECT series_id, any(labels) AS some_labels FROM {SERIES} "
        f"WHERE {where} GROUP BY series_id"
    )
    ids = f"SELECT series_id FROM {SERIES} WHERE {where}"
    # An infinite sample would spoil a rate long after it has left the window, and no rate is
    # taken over the end of a series; a last value is not looked for beyond it.
    is_value = question.function == "value"
    usable = "" if is_value else f"AND {IS_NOT_STALE_MARK} AND isFinite({SAMPLE_VALUE}) "
    grid = (
        f"SELECT series_id, {_grid_function(question, first_ms, last_ms, window_ms)} AS grid "
        f"FROM {SAMPLES} WHERE metric = {bound(question.metric, 'String')} "
        f"AND {reach.condition(bound)} AND series_id IN ({ids}) {usable}GROUP BY series_id"
    )
    joined = f"({grid}) AS g ANY INNER JOIN ({series}) AS s ON g.series_id = s.series_id"
    labels, points, grouped = "s.some_labels", "g.grid", ""
    if question.aggregation != "none":
        keys = bound(list(question.by), "Array(String)")
        labels = f"mapFilter((k, v) -> has({keys}, k), s.some_labels)"
        points, grouped = _aggregate(question.aggregation), "GROUP BY shown "
    return bound.statement(
        f"SELECT CAST({labels}, 'Map(String, String)') AS shown, {points} AS points "
        f"FROM {joined} {grouped}ORDER BY toString(shown) LIMIT {SERIES_SHOWN_MAX + 1}"
    )


def _grid_function(question: RangeQuestion, first_ms: int, last_ms: int, window_ms: int) -> str:
    """Parameters of an aggregate function cannot be bound; these are numbers of ours."""
    name = "Last" if question.function == "value" else "Rate"
    grid = (
        f"timeSeries{name}ToGrid({first_ms / 1000:.3f}, {last_ms / 1000:.3f}, "
        f"{question.step_ms / 1000:.3f}, {window_ms / 1000:.3f})(timestamp, {SAMPLE_VALUE})"
    )
    if question.function == "value":
        return f"arrayMap(v -> if({IS_STALE_MARK.format('v')}, NULL, v), {grid})"
    if question.function == "increase":
        return f"arrayMap(v -> v * {question.step_ms / 1000:.3f}, {grid})"
    return grid


def _aggregate(aggregation: Aggregation) -> str:
    if aggregation == "count":
        return "arrayMap(n -> if(n = 0, NULL, toFloat64(n)), countForEach(g.grid))"
    values = f"{aggregation}ForEach(g.grid)"
    return f"arrayMap((v, n) -> if(n = 0, NULL, v), {values}, countForEach(g.grid))"


def _series_where(within: TimeRange, metric: str, conditions: list[Condition], bound: Bound) -> str:
    parts = [f"metric = {bound(metric, 'String')}", _seen(within, bound)]
    return " AND ".join(parts + conditions_sql(conditions, SERIES_FIELDS, bound))


def _seen(within: TimeRange, bound: Bound) -> str:
    return (
        f"last_seen >= {instant(bound, max(0, within.from_ns - _SEEN_SLACK_NS))} "
        f"AND first_seen < {instant(bound, within.to_ns + _SEEN_SLACK_NS)}"
    )
