"""Operations: rate, errors and latency of each (service, name, kind)."""

from __future__ import annotations

from typing import Any, Literal

from trilens.query.ask import Bound, Statement
from trilens.query.tables import SPANS
from trilens.query.times import TimeRange

OPERATIONS_MAX = 1000
Order = Literal["p95", "count"]


def operations(
    within: TimeRange, *, service: str = "", limit: int = 200, order: Order = "count"
) -> Statement:
    """Percentiles are exact to 8,192 spans an operation, then from a sample of that size."""
    bound = Bound()
    of_service = f"AND service = {bound(service, 'String')} " if service else ""
    by = "percentiles[3]" if order == "p95" else "n"
    return bound.statement(
        "SELECT service, name, toString(kind) AS kind, count() AS n, "
        "countIf(status = 'ERROR') AS errors, "
        "quantiles(0.5, 0.9, 0.95, 0.99)(duration_ns) AS percentiles "
        f"FROM {SPANS} WHERE {within.condition(bound)} {of_service}"
        f"GROUP BY service, name, kind ORDER BY {by} DESC, service, name, kind "
        f"LIMIT {bound(limit, 'UInt64')}"
    )


def operation(row: dict[str, Any], within: TimeRange) -> dict[str, Any]:
    p50_ns, p90_ns, p95_ns, p99_ns = (round(value) for value in row["percentiles"])
    return {
        "service": row["service"],
        "name": row["name"],
        "kind": row["kind"],
        "count": row["n"],
        "rate_per_s": row["n"] / within.seconds,
        "error_count": row["errors"],
        "error_ratio": row["errors"] / row["n"],
        "p50_ns": p50_ns,
        "p90_ns": p90_ns,
        "p95_ns": p95_ns,
        "p99_ns": p99_ns,
    }
