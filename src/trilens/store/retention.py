"""Rows that leave: by age and by size, whole days where that is enough, while the server runs.

What goes   partitions, which are days (schema/*.sql says how wild times are put into them), the
            oldest first. By age: a day of which every moment is older than the limit. By size:
            the oldest days until the signal fits
Within      a signal's newest day, and today, are never dropped whole. When they alone are over the
a day       limit of size their oldest rows go, a fifth of the limit at a time, and by a limit of
            age that is short its day's older ones, a tenth of the limit at a time: the engine
            writes the parts anew that have such rows
Series      rows of series that had no sample within the limit of `samples`, then the metadata of
            families without any series. Sets of known series are emptied when that happened, or
            when they are large (docs/decisions/0006)
Clock       one that has jumped ahead would make everything old. So nothing goes by age within
            CLOCK_TRUST_S of a jump
Also        looks at merges: parts that pile up slow everything down, and loads fail at 3,000
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from trilens.clock import Clock
from trilens.measures import Measures
from trilens.store.engine import Engine, EngineError
from trilens.store.schema_sql import kept_table, on_cluster, system_table

Signal = Literal["logs", "spans", "samples"]
Reason = Literal["time", "size"]
TABLES: Final[Mapping[Signal, tuple[str, ...]]] = {
    "logs": ("log_rows",),
    "spans": ("span_rows",),
    "samples": ("sample_rows", "histogram_rows", "exemplar_rows"),
}
EVERY_S: Final = 60.0
SERIES_EVERY_S: Final = 3600.0
CLOCK_TRUST_S: Final = 3600.0
CLOCK_STEP_S_MAX: Final = 300.0
# Of 16 to 32 bytes.
SERIES_KNOWN_MAX: Final = 4_000_000
PARTS_MAX: Final = 300
MERGE_S_MAX: Final = 1800.0
FAMILIES_A_STATEMENT: Final = 1000
# So much of a limit goes at a time within a day: less would be written anew all the time.
SIZE_SLICE: Final = 0.2
AGE_SLICE: Final = 0.1
NS: Final = 10**9
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """None: no limit."""

    time_s: int | None = None
    size_bytes_max: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A day of a signal that has to go."""

    day: date
    size_bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Trim:
    """The oldest rows of a day that stays: such a share of them."""

    day: date
    share: float


class Retention:
    """One thread; start() and stop() once each. run_once() is what it does each minute."""

    def __init__(
        self,
        engine: Engine,
        limits: Mapping[Signal, Limit],
        measures: Measures,
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        self.limits = {signal: limits.get(signal, Limit()) for signal in TABLES}
        self._engine = engine
        self._measures = measures
        self._clock = clock
        self._log = log
        self._steadiness = _Steadiness(clock)
        self._series_looked_at_ns: int | None = None
        self._warned: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        self._stopping.set()
        self._thread.join(within_s)

    def run_once(self) -> None:
        """Raises EngineError."""
        now = datetime.fromtimestamp(self._clock.now_ns() / NS, UTC)
        is_steady = self._steadiness.look()
        self._note("clock", is_steady, "the clock has jumped: nothing is dropped by age for now")
        for signal, limit in self.limits.items():
            days = self._days(signal)
            for drop in drops(days, limit, now, is_clock_steady=is_steady):
                self._drop(signal, drop)
            if trim := excess(days, limit, now):
                self._trim_by_size(signal, trim, days[trim.day])
            elif limit.time_s is not None and is_steady:
                self._trim_by_age(signal, now - timedelta(seconds=limit.time_s), limit.time_s, days)
        self._look_at_series(now, is_steady)
        self._look_at_merges()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.run_once()
            except EngineError as error:
                self._log.warning("retention failed", extra={"reason": error.message})
            except Exception:  # noqa: BLE001 - the next minute is another try
                self._log.exception("retention failed")

    def _days(self, signal: Signal) -> dict[date, int]:
        """Bytes on disk by day, of one replica of each shard."""
        cluster = self._engine.cluster
        shard = "_shard" if cluster else ""
        found = self._engine.rows(
            "SELECT partition, sum(bytes_on_disk) "
            f"FROM {system_table('parts', cluster)} "
            "WHERE active AND database = 'trilens' AND table IN {tables:Array(String)} "
            "GROUP BY partition",
            params={"tables": [name + shard for name in TABLES[signal]]},
        ).rows
        return {date.fromisoformat(day): int(size) for day, size in found}

    def _drop(self, signal: Signal, drop: Drop) -> None:
        for name in TABLES[signal]:
            self._engine.command(
                f"ALTER TABLE {kept_table(name, self._engine.cluster)} "
                f"{on_cluster(self._engine.cluster)} DROP PARTITION '{drop.day}'"
            )
        self._measures.count(
            "trilens_retention_dropped_bytes_total", signal, drop.reason, by=drop.size_bytes
        )
        self._log.info(
            "a day has been dropped",
            extra={"signal": signal, "day": str(drop.day), "bytes": drop.size_bytes,
                   "reason": drop.reason},
        )  # fmt: skip

    def _trim_by_size(self, signal: Signal, trim: Trim, size_bytes: int) -> None:
        times = self._times(signal, trim.day)
        before_ms = self._scalar(f"SELECT quantile({trim.share:.4f})(time_ms) FROM ({times})")
        self._trim(signal, trim.day, int(before_ms), "size", int(trim.share * size_bytes))

    def _trim_by_age(
        self, signal: Signal, before: datetime, time_s: int, days: Mapping[date, int]
    ) -> None:
        day, slice_s = before.date(), time_s * AGE_SLICE
        if day not in days or slice_s >= DAY.total_seconds():
            return
        before_ms = int(before.timestamp() * 1000)
        # From what the engine knows of its parts: all times of a day are not read every minute.
        oldest = " UNION ALL ".join(
            f"SELECT toUnixTimestamp64Milli(min(timestamp)) AS oldest_ms FROM trilens.{name} "
            f"WHERE {_of_day(day)} HAVING count() > 0"
            for name in TABLES[signal]
        )
        oldest_ms = self._scalar(f"SELECT min(oldest_ms) FROM ({oldest})")
        if not 0 < oldest_ms < before_ms - slice_s * 1000:
            return
        share = self._scalar(f"SELECT avg(time_ms < {before_ms}) FROM ({self._times(signal, day)})")
        self._trim(signal, day, before_ms, "time", int(days[day] * share))

    def _times(self, signal: Signal, day: date) -> str:
        return " UNION ALL ".join(
            f"SELECT toUnixTimestamp64Milli(timestamp) AS time_ms FROM trilens.{name} "
            f"WHERE {_of_day(day)}"
            for name in TABLES[signal]
        )

    def _trim(
        self, signal: Signal, day: date, before_ms: int, reason: Reason, size_bytes: int
    ) -> None:
        """Begin to delete rows, unless what was begun before still goes on."""
        cluster = self._engine.cluster
        tables = [kept_table(name, cluster) for name in TABLES[signal]]
        if self._scalar(
            f"SELECT count() FROM {system_table('mutations', cluster)} WHERE NOT is_done "
            "AND database || '.' || table IN {tables:Array(String)}",
            {"tables": tables},
        ):
            return
        for table in tables:
            self._engine.command(
                f"ALTER TABLE {table} {on_cluster(cluster)} DELETE IN PARTITION '{day}' "
                f"WHERE timestamp < fromUnixTimestamp64Milli({before_ms})",
                settings={"mutations_sync": "0"},
            )
        self._measures.count("trilens_retention_dropped_bytes_total", signal, reason, by=size_bytes)
        self._log.info(
            "the oldest rows of a day are being dropped",
            extra={"signal": signal, "day": str(day), "bytes": size_bytes, "reason": reason},
        )

    def _look_at_series(self, now: datetime, is_steady: bool) -> None:
        known = self._scalar(
            "SELECT total_rows FROM system.tables "
            "WHERE database = 'trilens' AND name = 'series_known'"
        )
        if known > SERIES_KNOWN_MAX:
            self._empty_known()
        time_s = self.limits["samples"].time_s
        looked_at_ns, at_ns = self._series_looked_at_ns, self._clock.monotonic_ns()
        is_early = looked_at_ns is not None and at_ns - looked_at_ns < SERIES_EVERY_S * NS
        if time_s is None or is_early or not is_steady:
            return
        # A series writes one row a day, with the first time of that day.
        self._drop_series(now - timedelta(seconds=time_s) - DAY)
        self._series_looked_at_ns = at_ns

    def _drop_series(self, before: datetime) -> None:
        condition = "last_seen < fromUnixTimestamp64Milli({before_ms:Int64})"
        params = {"before_ms": int(before.timestamp() * 1000)}
        count = self._scalar(f"SELECT count() FROM trilens.series_rows WHERE {condition}", params)
        if not count:
            return
        self._delete("series_rows", condition, params)
        self._empty_known()
        families = self._engine.rows(
            "SELECT DISTINCT metric FROM trilens.metadata_rows WHERE metric NOT IN ("
            "SELECT arrayJoin([metric, replaceRegexpOne(toString(metric), "
            "'_(bucket|count|sum|total|info)$', '')]) FROM trilens.series_rows)"
        ).rows
        names = [name for (name,) in families]
        for start in range(0, len(names), FAMILIES_A_STATEMENT):
            some = names[start : start + FAMILIES_A_STATEMENT]
            self._delete("metadata_rows", "metric IN {names:Array(String)}", {"names": some})
        self._log.info("old series dropped", extra={"rows": count, "families": len(names)})

    def _delete(self, table: str, condition: str, params: Mapping[str, object]) -> None:
        cluster = self._engine.cluster
        self._engine.command(
            f"DELETE FROM {kept_table(table, cluster)} {on_cluster(cluster)} WHERE {condition}",
            params=params,
        )

    def _empty_known(self) -> None:
        cluster = on_cluster(self._engine.cluster)
        self._engine.command(f"TRUNCATE TABLE trilens.series_known {cluster}")

    def _look_at_merges(self) -> None:
        cluster = self._engine.cluster
        fullest = self._engine.rows(
            "SELECT table, max(parts) FROM (SELECT table, partition_id, count() AS parts "
            f"FROM {system_table('parts', cluster)} WHERE active AND database = 'trilens' "
            "GROUP BY hostName(), table, partition_id) GROUP BY table"
        ).rows
        for table, parts in fullest:
            self._measures.set("trilens_engine_parts", str(table), to=int(parts))
            self._note(
                f"{table} parts", parts <= PARTS_MAX, "merges do not keep up",
                table=table, parts=parts,
            )  # fmt: skip
        seconds = self._scalar(f"SELECT max(elapsed) FROM {system_table('merges', cluster)}")
        self._measures.set("trilens_engine_merge_seconds", to=seconds)
        self._note("merges", seconds <= MERGE_S_MAX, "a merge does not end", seconds=seconds)

    def _scalar(self, sql: str, params: Mapping[str, object] | None = None) -> float:
        rows = self._engine.rows(sql, params=params).rows
        return float(rows[0][0] or 0) if rows else 0.0

    def _note(self, what: str, is_well: bool, message: str, **facts: object) -> None:
        """Warn once, until it has been well again."""
        if is_well:
            self._warned.discard(what)
        elif what not in self._warned:
            self._warned.add(what)
            self._log.warning(message, extra=facts)


def drops(
    days: Mapping[date, int], limit: Limit, now: datetime, *, is_clock_steady: bool = True
) -> list[Drop]:
    """The days that have to go, the oldest first."""
    found: list[Drop] = []
    left = sum(days.values())
    for day in sorted(days):
        if day >= _kept_from(days, now):
            break
        if is_clock_steady and limit.time_s is not None and _age_s(day, now) >= limit.time_s:
            reason: Reason = "time"
        elif limit.size_bytes_max is not None and left > limit.size_bytes_max:
            reason = "size"
        else:
            break
        found.append(Drop(day, days[day], reason))
        left -= days[day]
    return found


def excess(days: Mapping[date, int], limit: Limit, now: datetime) -> Trim | None:
    """What has to go of the days that stay, for the limit of size."""
    kept = {day: size for day, size in days.items() if day >= _kept_from(days, now)}
    size_bytes = sum(kept.values())
    if limit.size_bytes_max is None or size_bytes <= limit.size_bytes_max:
        return None
    first = min(kept)
    over_bytes = size_bytes - limit.size_bytes_max * (1 - SIZE_SLICE)
    return Trim(first, min(1.0, over_bytes / kept[first]))


def _of_day(day: date) -> str:
    return f"_partition_id = '{day:%Y%m%d}'"


def _kept_from(days: Mapping[date, int], now: datetime) -> date:
    """The first of the days that stay, of some. A record from tomorrow must not make today the
    oldest.
    """
    return min(max(days), now.date())


def _age_s(day: date, now: datetime) -> float:
    """Of the day's last moment."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
    return (now - end).total_seconds()


class _Steadiness:
    """Whether the wall clock has run as evenly as the monotonic one for CLOCK_TRUST_S."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns = clock.now_ns() - clock.monotonic_ns()
        self._jumped_at_ns: int | None = None

    def look(self) -> bool:
        monotonic_ns = self._clock.monotonic_ns()
        offset_ns = self._clock.now_ns() - monotonic_ns
        if abs(offset_ns - self._offset_ns) > CLOCK_STEP_S_MAX * NS:
            self._jumped_at_ns = monotonic_ns
        self._offset_ns = offset_ns
        if self._jumped_at_ns is None:
            return True
        return monotonic_ns - self._jumped_at_ns >= CLOCK_TRUST_S * NS
