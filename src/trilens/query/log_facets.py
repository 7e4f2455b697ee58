"""Log rows counted: over time by severity, and by the values of their fields."""

from __future__ import annotations

from typing import Any

from trilens.query.ask import Bound, Statement
from trilens.query.logs import LogQuestion
from trilens.query.tables import LOGS
from trilens.query.times import TimeRange

FACET_FIELDS = ("severity", "service", "node", "namespace", "workload", "pod", "container",
                "scope_name")  # fmt: skip
FACET_VALUES_MAX = 20
FACET_ATTRIBUTES_MAX = 20
# Facets describe what is typical: this many of the newest rows are enough, and bound the cost.
FACET_ROWS_MAX = 200_000


def histogram(question: LogQuestion, *, step_ms: int) -> Statement:
    """Counts by severity for each step that has rows: columns t_ms, severity, n."""
    bound = Bound()
    step_ns = bound(step_ms * 1_000_000, "Int64")
    return bound.statement(
        f"SELECT intDiv(toUnixTimestamp64Nano(timestamp), {step_ns}) * "
        f"{bound(step_ms, 'Int64')} AS t_ms, severity, count() AS n "
        f"FROM {LOGS} WHERE {question.where(bound)} GROUP BY t_ms, severity"
    )


def buckets(rows: list[dict[str, Any]], within: TimeRange, step_ms: int) -> list[dict[str, Any]]:
    """All buckets of the range, empty ones too; a row's severity '' counts as UNSET."""
    first = within.from_ns // 1_000_000 // step_ms
    last = (within.to_ns - 1) // 1_000_000 // step_ms
    filled = [{"t_ms": at * step_ms, "counts": dict[str, int]()} for at in range(first, last + 1)]
    for row in rows:
        counts: Any = filled[row["t_ms"] // step_ms - first]["counts"]
        counts[row["severity"] or "UNSET"] = row["n"]
    return filled


def facets(question: LogQuestion) -> Statement:
    """Values of the fixed fields and attributes: columns field, value, n, distinct_values."""
    bound = Bound()
    fixed = ", ".join(f"('{name}', toString({name}))" for name in FACET_FIELDS)
    return bound.statement(
        "SELECT field, value, n, distinct_values FROM ("
        "SELECT field, value, count() AS n, "
        "count() OVER (PARTITION BY field) AS distinct_values, "
        "row_number() OVER (PARTITION BY field ORDER BY n DESC, value) AS place, "
        "sum(n) OVER (PARTITION BY field) AS in_rows FROM ("
        f"SELECT arrayJoin(arrayConcat([{fixed}], arrayMap((k, v) -> "
        "(concat('attributes.', k), substringUTF8(v, 1, 200)), "
        "mapKeys(attributes), mapValues(attributes)))) AS pair, "
        "pair.1 AS field, pair.2 AS value FROM ("
        f"SELECT * FROM {LOGS} WHERE {question.where(bound)} "
        f"LIMIT {bound(FACET_ROWS_MAX, 'UInt64')})"
        ") WHERE value != '' GROUP BY field, value"
        f") WHERE place <= {bound(FACET_VALUES_MAX, 'UInt64')} "
        "ORDER BY in_rows DESC, field, n DESC, value LIMIT 20000"
    )


def facet_list(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fixed fields in their order, then the attributes that most rows have."""
    by_field: dict[str, dict[str, Any]] = {}
    for row in rows:
        facet = by_field.setdefault(
            row["field"],
            {"field": row["field"], "values": [], "distinct": row["distinct_values"]},
        )
        facet["values"].append({"value": row["value"], "count": row["n"]})
    fixed = [by_field.pop(name) for name in FACET_FIELDS if name in by_field]
    return [*fixed, *list(by_field.values())[:FACET_ATTRIBUTES_MAX]]
