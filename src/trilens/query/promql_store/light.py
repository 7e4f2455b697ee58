"""Selectors that find few samples: these are read as they lie, and no grid is asked for.

    matchers   series_rows   which identities, and their labels    (JSON; remembered)
    ids        sample_rows   floats                                (columns)

Planning a statement takes the engine longer than reading a few series: so what matchers find is
remembered, of all times. Whether that still holds, the statement for the samples tells: with the
same version there is no series more, no histogram and nothing new of OTLP (RawStream). If it does
not, the matchers are asked again, and the samples only if there are other series now.

Only a selector that names its metric is light, if OTLP and histograms have nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trilens.query.ask import Bound, Statement
from trilens.query.columns import Column, numbers
from trilens.query.promql_store.known_series import Known, KnownFamilies, KnownSeries, Matchers
from trilens.query.promql_store.otlp_source import Budget, OtlpSource
from trilens.query.promql_store.samples import Found, cut, sample_values
from trilens.query.promql_store.series import LABELS, in_time, matches, metric_is
from trilens.query.promql_values.values import METRIC_NAME, RawSeries
from trilens.query.tables import HISTOGRAMS, SAMPLES, SERIES

SERIES_MAX: Final = 100
# As many as are expected; more are there where they come more often than usual.
SAMPLES_MAX: Final = 20_000
READ_MAX: Final = 500_000
_USUAL_INTERVAL_MS: Final = 15_000


class OutgrownError(Exception):
    """What was taken for light is not any more: evaluate the query again, with the same source."""


@dataclass(slots=True)
class Light:
    """Of one query. Raises Refused and PromqlError."""

    budget: Budget
    otlp: OtlpSource
    known: KnownSeries
    samples_max: int = SAMPLES_MAX
    _fresh: dict[Matchers, Found | None] = field(default_factory=dict)  # asked by this query

    def is_light(self, matchers: Matchers, start_ms: int, end_ms: int) -> bool:
        if not self.samples_max:
            return False
        known = self.known.get(matchers)
        found = known.found if known is not None else self._asked(matchers)
        return self._fits(found, start_ms, end_ms) is not None

    def select(self, matchers: Matchers, start_ms: int, end_ms: int) -> list[RawSeries] | None:
        """As EngineSource.select(); None for what is not light. Raises OutgrownError."""
        if not self.samples_max:
            return None
        known = None if matchers in self._fresh else self.known.get(matchers)
        found = self._fits(
            self._asked(matchers) if known is None else known.found, start_ms, end_ms
        )
        if found is None:
            return None
        read = self._read(found, start_ms, end_ms)
        if known is not None and self.budget.ask.series_version != known.version:
            now = self._fits(self._asked(matchers), start_ms, end_ms)
            if now is None:
                raise OutgrownError
            if not np.array_equal(now.ids, found.ids):
                read = self._read(now, start_ms, end_ms)
            found = now
        if read is None:
            return None
        self.budget.series_left -= len(found.ids)
        self.budget.samples_left -= len(numbers(read, "time", np.int64))
        return cut(found, read)

    def _fits(self, found: Found | None, start_ms: int, end_ms: int) -> Found | None:
        if found is None or len(found.ids) > self.budget.series_left:
            return None
        samples = len(found.ids) * (1 + (end_ms - start_ms) // _USUAL_INTERVAL_MS)
        return found if samples <= self.samples_max else None

    def _asked(self, matchers: Matchers) -> Found | None:
        """What they find now, or None where that is not light."""
        if matchers not in self._fresh:
            self._fresh[matchers] = self._ask(matchers)
        return self._fresh[matchers]

    def _ask(self, matchers: Matchers) -> Found | None:
        metric = metric_is(matchers)
        if not metric or self.known.is_heavy(matchers):
            return None
        ask = self.budget.ask
        rows = ask.rows(_series_statement(metric, matchers))
        version = ask.series_version
        has_histograms = bool(rows and rows[0]["has_histograms"])
        if len(rows) > SERIES_MAX or has_histograms or self._is_of_otlp(matchers, version):
            self.known.put_heavy(matchers)
            return None
        rows.sort(key=lambda row: int(row["id"]))
        every = [tuple(sorted({**row["shown"], METRIC_NAME: metric}.items())) for row in rows]
        labels = sorted(set(every))
        found = Found(
            labels,
            np.array([row["id"] for row in rows], np.uint64),
            np.array([labels.index(one) for one in every], np.int64),
            [metric],
            has_histograms=False,
        )
        if rows and version and self.known.families.version == version:
            self.known.put(matchers, Known(version, found))
        return found

    def _is_of_otlp(self, matchers: Matchers, version: str) -> bool:
        known, families = self.known.families, self.otlp.families
        if version and known.version == version:
            families.take(known.families)
        elif not families.is_known:
            every = families.all()
            self.known.families = KnownFamilies(self.budget.ask.series_version, every)
        return self.otlp.is_asked(matchers)

    def _read(self, found: Found, start_ms: int, end_ms: int) -> Mapping[str, Column] | None:
        """Columns id, time, start, value, by id and time; None where they are too many."""
        if not len(found.ids):
            return {}
        most = min(self.budget.samples_left, READ_MAX)
        bound = Bound()
        read = self.budget.ask.columns(
            bound.statement(
                "SELECT series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, "
                "toUnixTimestamp64Milli(start_timestamp) AS start, mantissa, exponent "
                f"FROM {SAMPLES} PREWHERE metric = {bound(found.metrics[0], 'String')} "
                f"AND series_id IN {bound(found.ids.tolist(), 'Array(UInt64)')} "
                f"AND {in_time(start_ms, end_ms, bound)} LIMIT {bound(most + 1, 'UInt64')}"
            )
        )
        ids, times_ms = numbers(read, "id", np.uint64), numbers(read, "time", np.int64)
        if len(ids) > most:
            return None
        values = sample_values(
            numbers(read, "mantissa", np.int64), numbers(read, "exponent", np.int8)
        )
        starts_ms = numbers(read, "start", np.int64)
        order = np.lexsort((times_ms, ids))
        columns = {"id": ids, "time": times_ms, "start": starts_ms, "value": values}
        return {name: column[order] for name, column in columns.items()}


def _series_statement(metric: str, matchers: Matchers) -> Statement:
    """Columns id, shown (labels without the name), has_histograms (any); of all times."""
    bound = Bound()
    where = " AND ".join(matches(matcher, bound) for matcher in matchers)
    any_histogram = (
        f"SELECT count() > 0 FROM (SELECT 1 FROM {HISTOGRAMS} "
        f"WHERE metric = {bound(metric, 'String')} LIMIT 1)"
    )
    return bound.statement(
        f"SELECT series_id AS id, {LABELS} AS shown, ({any_histogram}) AS has_histograms "
        f"FROM {SERIES} WHERE {where} AND source = 'prometheus' "
        f"LIMIT 1 BY series_id LIMIT {SERIES_MAX + 1}"
    )
