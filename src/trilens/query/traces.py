"""Traces: which ones have a span that fits, what each is in short, and one whole.

All conditions of a search hold for one and the same span of a trace. A summary looks for the
trace's other spans an hour around the range that was asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.filters import SPAN_FIELDS, Condition, conditions_sql
from trilens.query.tables import SPANS
from trilens.query.times import NS, TimeRange, rfc3339

Order = Literal["newest", "slowest"]
PAGE_TRACES_MAX = 500
OFFSET_MAX = 10_000
SPANS_MAX = 20_000
_AROUND_NS = 3600 * NS
_TRACE_ID = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class TraceQuestion:
    """Which spans a trace must have one of."""

    within: TimeRange
    service: str = ""
    operation: str = ""
    status: str = ""
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    conditions: list[Condition] = field(default_factory=list)

    def where(self, bound: Bound) -> str:
        parts = [self.within.condition(bound)]
        if self.min_duration_ns is not None:
            parts.append(f"duration_ns >= {bound(self.min_duration_ns, 'UInt64')}")
        if self.max_duration_ns is not None:
            parts.append(f"duration_ns <= {bound(self.max_duration_ns, 'UInt64')}")
        named = [("service", self.service), ("name", self.operation), ("status", self.status)]
        conditions = [Condition(name, "=", value) for name, value in named if value]
        return " AND ".join(
            parts + conditions_sql([*conditions, *self.conditions], SPAN_FIELDS, bound)
        )


def page(
    asker: Asker, question: TraceQuestion, *, limit: int, order: Order, offset: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Summaries of traces in order, and the offset of the next page, if there is one."""
    if offset > OFFSET_MAX:
        raise Refused("limit_exceeded", f"no more than {OFFSET_MAX} traces can be paged through")
    wanted = offset + limit + 1
    search = newest if order == "newest" else slowest
    ids = [row["trace_id"] for row in asker.rows(search(question, wanted))]
    summaries = _summaries(asker, question.within, ids[offset : offset + limit])
    if order == "newest":
        # Their newest spans say which they are. A page is read by the starts that it shows.
        summaries.sort(key=lambda one: one["start"], reverse=True)
    return summaries, offset + limit if len(ids) > offset + limit else None


def newest(question: TraceQuestion, wanted: int) -> Statement:
    """Traces in the order of their newest span that fits.

    The order begins with the sort key, so parts are read from their end, the newest first, until
    there are enough traces. The setting lets the engine choose the part to go on with after every
    block, instead of reading ahead in each while blocks without a span that fits go by.
    """
    bound = Bound()
    return bound.statement(
        f"SELECT trace_id FROM {SPANS} WHERE {question.where(bound)} AND trace_id != '' "
        "ORDER BY toStartOfSecond(timestamp) DESC, timestamp DESC, trace_id "
        f"LIMIT 1 BY trace_id LIMIT {bound(wanted, 'UInt64')} "
        "SETTINGS read_in_order_use_virtual_row_per_block = 1"
    )


def slowest(question: TraceQuestion, wanted: int) -> Statement:
    """Traces in the order of their slowest span that fits."""
    bound = Bound()
    return bound.statement(
        f"SELECT trace_id FROM {SPANS} WHERE {question.where(bound)} AND trace_id != '' "
        "GROUP BY trace_id ORDER BY max(duration_ns) DESC, trace_id "
        f"LIMIT {bound(wanted, 'UInt64')}"
    )


def _summaries(asker: Asker, within: TimeRange, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    bound = Bound()
    around = TimeRange(max(0, within.from_ns - _AROUND_NS), within.to_ns + _AROUND_NS)
    statement = bound.statement(
        "SELECT trace_id, toString(min(timestamp)) AS start, "
        "max(toUnixTimestamp64Nano(timestamp) + duration_ns) "
        "- min(toUnixTimestamp64Nano(timestamp)) AS length_ns, "
        "argMin((service, name, toString(status)), (parent_span_id != '', timestamp)) AS root, "
        "count() AS span_count, countIf(status = 'ERROR') AS error_count, "
        "sumMap(map(toString(service), toUInt64(1))) AS services "
        f"FROM {SPANS} WHERE {around.condition(bound)} "
        f"AND trace_id IN {bound(ids, 'Array(String)')} GROUP BY trace_id"
    )
    found = {row["trace_id"]: _summary(row) for row in asker.rows(statement)}
    return [found[trace_id] for trace_id in ids if trace_id in found]


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    service, name, status = row["root"]
    counts = sorted(row["services"].items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "trace_id": row["trace_id"],
        "start": rfc3339(row["start"]),
        "duration_ns": row["length_ns"],
        "root_service": service,
        "root_name": name,
        "root_status": status,
        "span_count": row["span_count"],
        "error_count": row["error_count"],
        "services": [{"service": name, "span_count": count} for name, count in counts],
    }


SPAN_COLUMNS = (
    "toString(timestamp) AS at, duration_ns, trace_id, span_id, parent_span_id, trace_state, "
    "name, toString(kind) AS kind, toString(status) AS status, status_message, attributes, "
    "arrayMap(type -> toString(type), attribute_types) AS attribute_types, "
    "events, links, resource, scope_name, scope_version, flags, dropped_attributes_count, "
    "dropped_events_count, dropped_links_count, cluster, node, namespace, workload, pod, "
    "container, service"
)


def trace(asker: Asker, trace_id: str) -> dict[str, Any]:
    """All spans of one trace in order of time. Raises Refused: malformed, not_found."""
    wanted = trace_id.lower()
    if not _TRACE_ID.fullmatch(wanted):
        raise Refused("malformed", f"a trace id is hexadecimal, not {trace_id!r}")
    bound = Bound()
    rows = asker.rows(
        bound.statement(
            f"SELECT {SPAN_COLUMNS} FROM {SPANS} WHERE trace_id = {bound(wanted, 'String')} "
            f"ORDER BY timestamp, span_id LIMIT {SPANS_MAX + 1}"
        )
    )
    if not rows:
        raise Refused("not_found", f"no trace with the id {wanted!r}")
    spans = [_span(row) for row in rows[:SPANS_MAX]]
    return {"trace_id": wanted, "spans": spans, "truncated": len(rows) > SPANS_MAX}


def _span(row: dict[str, Any]) -> dict[str, Any]:
    span = dict(row)
    span["timestamp"] = rfc3339(span.pop("at"))
    for event in span["events"]:
        event["timestamp"] = rfc3339(event["timestamp"])
    return span


def services(within: TimeRange) -> Statement:
    """Columns service, span_count, operations (the most frequent names)."""
    bound = Bound()
    return bound.statement(
        "SELECT service, sum(n) AS span_count, "
        "arraySort(groupArray(200)(name)) AS operations FROM ("
        f"SELECT service, name, count() AS n FROM {SPANS} WHERE {within.condition(bound)} "
        "GROUP BY service, name ORDER BY n DESC LIMIT 200 BY service) "
        "GROUP BY service ORDER BY span_count DESC, service LIMIT 1000"
    )
