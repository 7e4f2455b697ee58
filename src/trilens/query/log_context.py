"""A log row found again by its id, and its neighbours from the same source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.logs import COLUMNS, log_row, numbered
from trilens.query.tables import LOGS
from trilens.query.times import LAST_NS, NS, TimeRange, instant, windows

CONTEXT_REACH_NS = 24 * 3600 * NS
_ID = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{16})(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class RowId:
    at_ns: int
    row_hash: int

    @classmethod
    def parse(cls, text: str) -> RowId:
        match = _ID.fullmatch(text)
        if match is None or int(match[1], 16) > LAST_NS:
            raise Refused("malformed", f"not an id of a log row: {text!r}")
        return cls(int(match[1], 16), int(match[2], 16))


# What makes a stream: rows that one source wrote one after the other.
_STREAM = ("cluster", "node", "namespace", "pod", "container", "service")
_STREAM_ATTRIBUTES = ("log.file.path", "log.iostream", "systemd.unit")


def context(asker: Asker, row_id: RowId, *, before: int, after: int) -> dict[str, Any]:
    """A row and its neighbours in its stream, all in order of time. Raises Refused not_found."""
    bound = Bound()
    found = asker.rows(
        bound.statement(
            f"SELECT {COLUMNS} FROM {LOGS} WHERE "
            f"timestamp = {instant(bound, row_id.at_ns)} "
            f"AND row_hash = {bound(row_id.row_hash, 'UInt64')} LIMIT 1"
        )
    )
    if not found:
        raise Refused("not_found", "this log row is not there any more")
    earlier = _neighbours(asker, found[0], before, is_before=True)
    later = _neighbours(asker, found[0], after, is_before=False)
    rows = numbered([log_row(row) for row in [*reversed(earlier), found[0], *later]])
    at = len(earlier)
    return {"before": rows[:at], "row": rows[at], "after": rows[at + 1 :]}


def _neighbours(
    asker: Asker, row: dict[str, Any], count: int, *, is_before: bool
) -> list[dict[str, Any]]:
    at_ns = row["at_ns"]
    reach = (
        TimeRange(max(at_ns - CONTEXT_REACH_NS, 0), at_ns + 1)
        if is_before
        else TimeRange(at_ns, at_ns + CONTEXT_REACH_NS)
    )
    rows: list[dict[str, Any]] = []
    for window in windows(reach, is_newest_first=is_before):
        if len(rows) >= count:
            break
        rows += asker.rows(_beside(row, window, count - len(rows), is_before=is_before))
    return rows


def _beside(row: dict[str, Any], within: TimeRange, limit: int, *, is_before: bool) -> Statement:
    bound = Bound()
    parts = [within.condition(bound), *_same_stream(row, bound)]
    sign, direction = ("<", "DESC") if is_before else (">", "ASC")
    place = (
        f"({instant(bound, row['at_ns'])}, "
        f"toDateTime64({bound(row['observed'], 'String')}, 9, 'UTC'), "
        f"{bound(row['row_hash'], 'UInt64')})"
    )
    parts.append(f"(timestamp, observed_at, row_hash) {sign} {place}")
    keys = ", ".join(f"{key} {direction}" for key in ("timestamp", "observed_at", "row_hash"))
    return bound.statement(
        f"SELECT {COLUMNS} FROM {LOGS} WHERE {' AND '.join(parts)} ORDER BY {keys} "
        f"LIMIT {bound(limit, 'UInt64')}"
    )


def _same_stream(row: dict[str, Any], bound: Bound) -> Iterator[str]:
    for name in _STREAM:
        yield f"{name} = {bound(row[name], 'String')}"
    for key in _STREAM_ATTRIBUTES:
        value = row["attributes"].get(key, "")
        yield f"attributes[{bound(key, 'String')}] = {bound(value, 'String')}"
