"""Who sends what, by the rows that arrived."""

from __future__ import annotations

from typing import Any

from trilens.query.ask import Bound, Statement
from trilens.query.tables import LOGS, SAMPLES, SERIES, SPANS
from trilens.query.times import TimeRange

SENDERS_MAX = 1000


def senders(within: TimeRange, signal: str) -> Statement:
    """Columns service, node, n, last_ms of one signal: logs, spans or samples."""
    bound = Bound()
    if signal == "samples":
        return bound.statement(
            "SELECT toString(s.service) AS service, toString(s.node) AS node, sum(v.n) AS n, "
            "max(v.last_ms) AS last_ms FROM ("
            "SELECT series_id, count() AS n, "
            "toUnixTimestamp64Milli(max(timestamp)) AS last_ms "
            f"FROM {SAMPLES} WHERE {within.condition(bound)} GROUP BY series_id) AS v "
            f"ANY INNER JOIN (SELECT series_id, service, node FROM {SERIES}) AS s "
            "ON v.series_id = s.series_id GROUP BY service, node "
            f"ORDER BY n DESC, service, node LIMIT {SENDERS_MAX}"
        )
    table = {"logs": LOGS, "spans": SPANS}[signal]
    return bound.statement(
        "SELECT toString(service) AS service, toString(node) AS node, count() AS n, "
        "toUnixTimestamp64Milli(toDateTime64(max(timestamp), 3, 'UTC')) AS last_ms "
        f"FROM {table} WHERE {within.condition(bound)} GROUP BY service, node "
        f"ORDER BY n DESC, service, node LIMIT {SENDERS_MAX}"
    )


def sender(signal: str, row: dict[str, Any], within: TimeRange) -> dict[str, Any]:
    return {
        "signal": signal,
        "service": row["service"],
        "node": row["node"],
        "rows": row["n"],
        "rows_per_s": row["n"] / within.seconds,
        "last_seen_ms": row["last_ms"],
    }


def tables() -> Statement:
    """Columns table, rows, bytes on disk of each stored table of ours."""
    return Statement(
        "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts "
        "WHERE active AND database = 'trilens' GROUP BY table ORDER BY bytes DESC"
    )


def version() -> Statement:
    return Statement("SELECT version() AS version")
