"""Selectors -> series of OTLP with their samples, in the names of PromQL.

    matchers      otlp_series   which identities, and their labels     (JSON)
    identities    otlp_points   their points as samples                (columns)
    equal labels  otlp_tracks   deltas summed up, one series for each  (NumPy)
    target_info   otlp_target   made of resources

A query that asks for nothing of OTLP costs one question for what metrics there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound
from trilens.query.columns import Column, Ragged, numbers
from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.otlp_names import Kind
from trilens.query.promql_store.otlp_points import (
    CLASSIC_COLUMNS,
    NATIVE_COLUMNS,
    TOTAL_COLUMNS,
    VALUE_COLUMNS,
    Points,
)
from trilens.query.promql_store.otlp_series import (
    Asked,
    Families,
    Identity,
    identities,
    identity_condition,
)
from trilens.query.promql_store.otlp_target import target_info
from trilens.query.promql_store.otlp_tracks import merged, raw_series
from trilens.query.promql_store.refusals import TOO_MANY_SAMPLES, from_refused
from trilens.query.promql_store.series import in_time
from trilens.query.promql_values.values import RawSeries
from trilens.query.tables import HISTOGRAMS, SAMPLES, SERIES

# So many identities are named one by one; more are asked for by what they are found by.
NAMED_IDS_MAX: Final = 500
# Identities that may be looked at for each that may match.
_LOOKED_AT: Final = 4
_CLASSIC: Final[frozenset[Kind]] = frozenset({"histogram", "summary"})
_NATIVE: Final[frozenset[Kind]] = frozenset({"exponential_histogram"})
_NUMBERS: Final[frozenset[Kind]] = frozenset({"", "gauge", "sum"})


class SeriesLimits(Protocol):
    @property
    def series(self) -> int: ...


class Budget(Protocol):
    """Whoever counts what one query reads."""

    samples_left: int
    series_left: int

    @property
    def ask(self) -> Asker: ...

    @property
    def limits(self) -> SeriesLimits: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    asked: Asked
    selector: Selector
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class OtlpSource:
    budget: Budget
    families: Families = field(init=False)

    def __post_init__(self) -> None:
        self.families = Families(self.budget.ask)

    def is_asked(self, matchers: tuple[Matcher, ...]) -> bool:
        """Might these select anything of OTLP? Raises PromqlError."""
        try:
            return self.families.has(Asked(matchers))
        except Refused as refused:
            stopped = self.budget.ask.is_stopped
            raise from_refused(refused, None, is_stopped=stopped) from refused

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        """Series in the order of their labels. Raises PromqlError."""
        if not self.is_asked(selector.matchers):
            return []
        asked = Asked(selector.matchers)
        wanted = _Wanted(asked, selector, start_ms, end_ms)
        ask = self.budget.ask
        try:
            points = self._points(wanted)
            infos, read = target_info(ask, asked, (start_ms, end_ms), self.budget.samples_left)
        except Refused as refused:
            raise from_refused(refused, selector.span, is_stopped=ask.is_stopped) from refused
        self._take(wanted, read)
        found = [raw_series(labels, tracks) for labels, tracks in sorted(points.tracks.items())]
        return merged(found, infos)

    def _points(self, wanted: _Wanted) -> Points:
        points = Points(wanted.asked)
        found = self._identities(wanted)
        known = {one.series_id: one for one in found}
        own = self._of_kind(found, _NUMBERS)
        if own:
            points.add_values(self._read(wanted, own, SAMPLES, VALUE_COLUMNS), known)
        own = self._of_kind(found, _CLASSIC)
        if own:
            parts = {part for one in own for part, _ in wanted.asked.parts(one.family)}
            columns = CLASSIC_COLUMNS if parts & {"bucket", "quantile"} else TOTAL_COLUMNS
            points.add_classic(self._read(wanted, own, HISTOGRAMS, columns), known)
        own = self._of_kind(found, _NATIVE)
        if own:
            points.add_native(self._read(wanted, own, HISTOGRAMS, NATIVE_COLUMNS), known)
        if len(points.tracks) > self.budget.limits.series:
            raise self._too_many_series(wanted)
        return points

    def _identities(self, wanted: _Wanted) -> list[Identity]:
        families = self.families.wanted(wanted.asked)
        limit = self.budget.limits.series * _LOOKED_AT
        within_ms = (wanted.start_ms, wanted.end_ms)
        found = identities(self.budget.ask, wanted.asked, families, within_ms, limit)
        if len(found) > self.budget.series_left:
            raise self._too_many_series(wanted)
        self.budget.series_left -= len(found)
        return found

    def _of_kind(self, found: Sequence[Identity], kinds: frozenset[Kind]) -> list[Identity]:
        return [one for one in found if one.family.kind in kinds]

    def _read(
        self, wanted: _Wanted, own: Sequence[Identity], table: str, columns: str
    ) -> Mapping[str, Column]:
        """Columns id, time, start and those asked for, by id and time. Takes from what is left."""
        bound = Bound()
        metrics = bound(sorted({one.family.metric for one in own}), "Array(String)")
        where = [
            f"metric IN {metrics}",
            self._ids_condition(wanted, own, bound),
            in_time(wanted.start_ms, wanted.end_ms, bound),
        ]
        statement = bound.statement(
            "SELECT series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, "
            f"toUnixTimestamp64Milli(start_timestamp) AS start, {columns} FROM {table} "
            f"WHERE {' AND '.join(where)} ORDER BY metric, series_id, timestamp "
            f"LIMIT {bound(self.budget.samples_left + 1, 'UInt64')}"
        )
        read = self.budget.ask.columns(statement)
        arrays = ("bucket_counts", "quantile_values") if columns is CLASSIC_COLUMNS else ()
        inside = (read[name] for name in arrays if name in read)
        more = sum(len(one.values) for one in inside if isinstance(one, Ragged))
        self._take(wanted, len(numbers(read, "time", np.int64)) + more)
        return read

    def _ids_condition(self, wanted: _Wanted, own: Sequence[Identity], bound: Bound) -> str:
        if len(own) <= NAMED_IDS_MAX:
            return f"series_id IN {bound([one.series_id for one in own], 'Array(UInt64)')}"
        families = {one.family for one in own}
        within_ms = (wanted.start_ms, wanted.end_ms)
        where = identity_condition(wanted.asked, families, within_ms, bound)
        return f"series_id IN (SELECT series_id FROM {SERIES} WHERE {where})"

    def _take(self, wanted: _Wanted, count: int) -> None:
        if count > self.budget.samples_left:
            raise PromqlError(TOO_MANY_SAMPLES, wanted.selector.span)
        self.budget.samples_left -= count

    def _too_many_series(self, wanted: _Wanted) -> PromqlError:
        message = f"the query selects more than {self.budget.limits.series} series"
        return PromqlError(message, wanted.selector.span)
