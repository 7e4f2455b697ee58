"""Log rows, page by page.

Order is (timestamp, observed_at, hash of the row), so pages and ids are stable although the store
has no row numbers. A page is read in two steps: first only timestamps, newest piece of the range
first, until enough are found; then whole rows of the short range that they span.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.filters import LOG_FIELDS, Condition, conditions_sql
from trilens.query.log_search import Search
from trilens.query.log_search_sql import search_sql
from trilens.query.tables import LOGS
from trilens.query.times import LAST_NS, TimeRange, rfc3339, windows

Order = Literal["desc", "asc"]
PAGE_ROWS_MAX = 1000
_CURSOR = re.compile(r"(\d{1,19})\.(\d{1,9})")

ROW_HASH = (
    "cityHash64(body, severity_text, trace_id, span_id, service, node, namespace, pod, "
    "container, attributes, resource)"
)
COLUMNS = (
    "toString(timestamp) AS at, toString(observed_at) AS observed, severity, severity_number, "
    "severity_text, body, trace_id, span_id, attributes, attribute_types, resource, cluster, node, "
    "namespace, workload, pod, container, service, scope_name, event_name, "
    f"{ROW_HASH} AS row_hash, toUnixTimestamp64Nano(timestamp) AS at_ns"
)


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which rows: a range of time, the free text, conditions on fields."""

    within: TimeRange
    search: Search | None = None
    conditions: list[Condition] = field(default_factory=list)

    def where(self, bound: Bound) -> str:
        parts = [self.within.condition(bound)]
        if self.search is not None:
            parts.append(search_sql(self.search, bound))
        return " AND ".join(parts + conditions_sql(self.conditions, LOG_FIELDS, bound))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: at `at_ns`, after `skip` rows of exactly that time."""

    at_ns: int
    skip: int

    def __str__(self) -> str:
        return f"{self.at_ns}.{self.skip}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        match = _CURSOR.fullmatch(text)
        if match is None or int(match[1]) > LAST_NS:
            raise Refused("malformed", f"not a cursor of ours: {text!r}")
        return cls(int(match[1]), int(match[2]))


def page(
    asker: Asker, question: LogQuestion, *, limit: int, order: Order, cursor: Cursor | None
) -> tuple[list[dict[str, Any]], Cursor | None]:
    """Rows in order, and where the next page begins, if there is one."""
    is_desc = order == "desc"
    skip = cursor.skip if cursor else 0
    question = _from_cursor(question, cursor, is_desc)
    if question.within.from_ns >= question.within.to_ns:
        return [], None
    edge_ns = _edge(asker, question, rows=skip + limit + 1, is_desc=is_desc)
    if edge_ns is None:
        return [], None
    within = question.within
    within = TimeRange(edge_ns, within.to_ns) if is_desc else TimeRange(within.from_ns, edge_ns + 1)
    statement = _rows(replace(question, within=within), limit + 1, skip=skip, order=order)
    rows = asker.rows(statement)
    has_more = len(rows) > limit
    rows = rows[:limit]
    return numbered([log_row(row) for row in rows]), (
        _next_cursor(rows, cursor) if has_more else None
    )


def _from_cursor(question: LogQuestion, cursor: Cursor | None, is_desc: bool) -> LogQuestion:
    if cursor is None:
        return question
    within = question.within
    if is_desc:
        return replace(
            question, within=TimeRange(within.from_ns, min(within.to_ns, cursor.at_ns + 1))
        )
    return replace(question, within=TimeRange(max(within.from_ns, cursor.at_ns), within.to_ns))


def _next_cursor(rows: list[dict[str, Any]], before: Cursor | None) -> Cursor:
    last_ns = rows[-1]["at_ns"]
    at_last = sum(1 for row in rows if row["at_ns"] == last_ns)
    if before is not None and before.at_ns == last_ns:
        at_last += before.skip
    return Cursor(last_ns, at_last)


def _edge(asker: Asker, question: LogQuestion, *, rows: int, is_desc: bool) -> int | None:
    """The time of the last of the first `rows` rows, or of the last row there is."""
    edge_ns = None
    for window in windows(question.within, is_newest_first=is_desc):
        statement = _times(replace(question, within=window), rows, is_desc=is_desc)
        (found,) = asker.rows(statement)
        if found["n"]:
            edge_ns = found["edge_ns"]
            rows -= found["n"]
        if rows <= 0:
            break
    return edge_ns


def _times(question: LogQuestion, limit: int, *, is_desc: bool) -> Statement:
    bound = Bound()
    direction = "DESC" if is_desc else "ASC"
    edge = "min" if is_desc else "max"
    return bound.statement(
        f"SELECT count() AS n, toUnixTimestamp64Nano({edge}(timestamp)) AS edge_ns FROM ("
        f"SELECT timestamp FROM {LOGS} WHERE {question.where(bound)} "
        f"ORDER BY timestamp {direction} LIMIT {bound(limit, 'UInt64')})"
    )


def _rows(question: LogQuestion, limit: int, *, skip: int, order: Order) -> Statement:
    bound = Bound()
    direction = "DESC" if order == "desc" else "ASC"
    keys = ", ".join(f"{key} {direction}" for key in ("timestamp", "observed_at", "row_hash"))
    return bound.statement(
        f"SELECT {COLUMNS} FROM {LOGS} WHERE {question.where(bound)} ORDER BY {keys} "
        f"LIMIT {bound(limit, 'UInt64')} OFFSET {bound(skip, 'UInt64')}"
    )


def log_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of COLUMNS as the API shows it."""
    shown = dict(row)
    shown["id"] = f"{shown.pop('at_ns'):x}-{shown.pop('row_hash'):016x}"
    shown["timestamp"] = rfc3339(shown.pop("at"))
    shown["observed_at"] = rfc3339(shown.pop("observed"))
    return shown


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that are equal in everything get ids that are not."""
    seen: dict[str, int] = {}
    for row in rows:
        n = seen[row["id"]] = seen.get(row["id"], 0) + 1
        if n > 1:
            row["id"] = f"{row['id']}.{n}"
    return rows
