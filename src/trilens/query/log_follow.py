"""New log rows as they arrive, in order of arrival.

Rows become visible some time after the moment their load began, which is their ingested_at, and
loads end in any order. So every look goes back OVERLAP_S further than the last one and leaves out
what was delivered: a row is missed only when its load took longer than that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from trilens.query.ask import Asker, Bound
from trilens.query.filters import LOG_FIELDS, Condition, conditions_sql
from trilens.query.log_search import Search
from trilens.query.log_search_sql import search_sql
from trilens.query.logs import COLUMNS, ROW_HASH, log_row
from trilens.query.tables import LOGS
from trilens.query.times import NS, instant

OVERLAP_S = 10
# Of one look: more is skipped, and said to be.
ROWS_MAX = 1000
KEYS_MAX = 50_000

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """`skipped` rows arrived too, but are not shown: the newest ROWS_MAX are."""

    rows: list[dict[str, Any]]
    skipped: int


@dataclass(slots=True)
class Follower:
    """Follows one search from `since_ns` on, by the engine's clock of arrival."""

    search: Search | None
    conditions: list[Condition]
    since_ns: int
    _delivered: Counter[Key] = field(default_factory=Counter)

    def check(self) -> None:
        """Raises Refused when the question is not understood."""
        self._where(Bound())

    def look(self, asker: Asker, now_ns: int) -> Look:
        """What arrived since the last look. Blocks; raises SqlFailed."""
        arrived = self._keys(asker)
        fresh = arrived - self._delivered
        self._delivered = arrived
        self.since_ns = max(self.since_ns, now_ns - OVERLAP_S * NS)
        shown = sorted(fresh.elements())[-ROWS_MAX:]
        if not shown:
            return Look([], 0)
        return Look(self._rows(asker, Counter(shown)), fresh.total() - len(shown))

    def _where(self, bound: Bound) -> str:
        parts = [f"ingested_at >= {instant(bound, self.since_ns)}"]
        if self.search is not None:
            parts.append(search_sql(self.search, bound))
        return " AND ".join(parts + conditions_sql(self.conditions, LOG_FIELDS, bound))

    def _keys(self, asker: Asker) -> Counter[Key]:
        bound = Bound()
        statement = bound.statement(
            f"SELECT toUnixTimestamp64Nano(timestamp) AS at_ns, {ROW_HASH} AS row_hash, "
            f"count() AS n FROM {LOGS} WHERE {self._where(bound)} GROUP BY at_ns, row_hash "
            f"ORDER BY at_ns DESC LIMIT {KEYS_MAX}"
        )
        return Counter({(row["at_ns"], row["row_hash"]): row["n"] for row in asker.rows(statement)})

    def _rows(self, asker: Asker, wanted: Counter[Key]) -> list[dict[str, Any]]:
        bound = Bound()
        hashes = bound([row_hash for _, row_hash in wanted], "Array(UInt64)")
        first_ns = min(at_ns for at_ns, _ in wanted)
        statement = bound.statement(
            f"SELECT {COLUMNS} FROM {LOGS} WHERE {self._where(bound)} "
            f"AND timestamp >= {instant(bound, first_ns)} AND row_hash IN {hashes} "
            f"ORDER BY timestamp, observed_at, row_hash LIMIT {2 * ROWS_MAX}"
        )
        rows = []
        for row in asker.rows(statement):
            key = (row["at_ns"], row["row_hash"])
            if wanted[key] > 0:
                wanted[key] -= 1
                rows.append(log_row(row))
        return rows
