"""A series' native histograms as one table, where all of them have the same layout.

That is nearly always so, and then what is done to windows of them is done to rows of numbers, for
all steps at once; only results become histograms again. The columns are the totals (count, sum,
zero count) and then whatever buckets any of the histograms has.

`with_tables` decides which series go this way; the others are done window by window, by what
range_histograms.py has for that. Results and notes are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_histograms.histograms import Buckets, Histogram, Indexes, ResetHint
from trilens.query.promql_ranges.range_calls import Histograms, Outcome, RangeCall
from trilens.query.promql_ranges.range_histograms import MetricNotes
from trilens.query.promql_ranges.range_rates import ends, extrapolation, last_two
from trilens.query.promql_ranges.range_resets import starts_anew
from trilens.query.promql_ranges.range_sums import window_counts, window_means, window_sums
from trilens.query.promql_ranges.windows import Samples
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.values import Flags, Floats, Times

OfHistograms: TypeAlias = Callable[[RangeCall, Samples], Outcome]
OfTable: TypeAlias = "Callable[[Tabled], Rows]"

_TOTALS = 3
_SUM_COLUMN = 1
_WINDOWS_MIN = 8  # with fewer, a table costs more than it saves
_VALUE_MAX = 1e300  # of larger ones sums may overflow, and then the order matters


@dataclass(frozen=True, slots=True)
class Table:
    rows: Floats  # [sample, column]
    positive: Indexes
    negative: Indexes
    layout: Histogram  # any of them: schema, zero threshold and custom bounds are the same

    @classmethod
    def of(cls, histograms: Histograms) -> Table | None:
        """None where the layouts differ, or where numbers are extreme."""
        layout = histograms[0]
        if any(not _is_alike(one, layout) for one in histograms):
            return None
        totals = np.array([(one.count, one.sum, one.zero_count) for one in histograms])
        positive, positive_counts = _columns([one.positive for one in histograms])
        negative, negative_counts = _columns([one.negative for one in histograms])
        rows = np.concatenate((totals, positive_counts, negative_counts), axis=1)
        return None if (np.abs(rows) > _VALUE_MAX).any() else cls(rows, positive, negative, layout)

    def histograms(self, rows: Floats, hints: Iterable[int]) -> list[Histogram]:
        """One for each row."""
        end = _TOTALS + len(self.positive)
        layout = self.layout
        totals = rows[:, :_TOTALS].tolist()
        positive = _populated(self.positive, rows[:, _TOTALS:end])
        negative = _populated(self.negative, rows[:, end:])
        return [
            Histogram(
                layout.schema,
                count,
                total,
                layout.zero_threshold,
                zero_count,
                above,
                below,
                layout.custom_values,
                ResetHint(hint),
            )
            for (count, total, zero_count), above, below, hint in zip(
                totals, positive, negative, hints, strict=True
            )
        ]


def _is_alike(one: Histogram, other: Histogram) -> bool:
    return (
        one.schema == other.schema
        and one.zero_threshold == other.zero_threshold
        and one.custom_values == other.custom_values
    )


def _columns(sides: list[Buckets]) -> tuple[Indexes, Floats]:
    """The buckets that any side has, and all counts [sample, bucket]."""
    given = np.concatenate([side.indexes for side in sides])
    indexes = np.unique(given)
    counts = np.zeros((len(sides), len(indexes)))
    rows = np.repeat(np.arange(len(sides)), [len(side.indexes) for side in sides])
    counts[rows, np.searchsorted(indexes, given)] = np.concatenate([side.counts for side in sides])
    return indexes, counts


def _populated(indexes: Indexes, counts: Floats) -> list[Buckets]:
    """For each row the buckets that are not empty."""
    is_populated = counts != 0
    is_full = is_populated.all(axis=1)
    return [
        Buckets(indexes, row) if full else Buckets(indexes[those], row[those])
        for row, those, full in zip(counts, is_populated, is_full.tolist(), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Rows:
    """Results at each step, where `is_there`."""

    rows: Floats  # [step, column]
    is_there: Flags  # [step]
    hints: NDArray[np.int64]  # [step]: ResetHints


@dataclass(frozen=True, slots=True)
class Tabled:
    """One series with its table. `first` and `end` [step] are places in it."""

    call: RangeCall
    samples: Samples
    table: Table
    hints: NDArray[np.int64]  # [sample]: ResetHints

    @property
    def first(self) -> Times:
        first: Times = self.samples.first[0]
        return first

    @property
    def end(self) -> Times:
        end: Times = self.samples.end[0]
        return end

    @property
    def counts(self) -> Times:
        return self.end - self.first

    def how_many(self, hint: ResetHint) -> Times:
        """[step]: histograms of a window that say so."""
        return window_counts(self.hints == hint, self.first, self.end)

    def resets(self) -> Flags:
        """[sample]: a counter was set back before it."""
        rows = np.delete(self.table.rows, _SUM_COLUMN, axis=1)
        flags = np.zeros(len(rows), dtype=np.bool_)
        flags[1:] = (rows[1:] < rows[:-1]).any(axis=1)
        flags &= self.hints != ResetHint.NOT_RESET
        flags |= self.hints == ResetHint.RESET
        return flags | starts_anew(self.samples)

    def warn(self, text: Callable[[str], str], where: Flags) -> None:
        if where.any():
            labels = self.samples.series[0].labels
            MetricNotes.about(self.call.notes, self.call.span, labels).warn(text)


def with_tables(of_table: OfTable, of_histograms: OfHistograms) -> OfHistograms:
    """The same as `of_histograms`, by way of tables where that is possible."""

    def of(call: RangeCall, samples: Samples) -> Outcome:
        tabled = list(_tabled(call, samples))
        rest = replace(samples, first=samples.first.copy())
        for row, _ in tabled:
            rest.first[row] = rest.end[row]
        outcome = of_histograms(call, rest)
        assert outcome.histograms is not None
        for row, one in tabled:
            call.check()
            with np.errstate(all="ignore"):
                result = of_table(one)
            steps = np.flatnonzero(result.is_there)
            made = one.table.histograms(result.rows[steps], result.hints[steps].tolist())
            outcome.is_there[row] = result.is_there
            outcome.histograms[row, steps] = made
        return outcome

    return of


def _tabled(call: RangeCall, samples: Samples) -> Iterator[tuple[int, Tabled]]:
    for row in np.flatnonzero((samples.counts > 0).sum(axis=1) >= _WINDOWS_MIN).tolist():
        call.check()
        alone = samples.alone(row)
        assert alone.histograms is not None
        table = Table.of(alone.histograms)
        if table is not None:
            hints = np.array([int(one.hint) for one in alone.histograms], dtype=np.int64)
            yield row, Tabled(call, alone, table, hints)


def table_totals(one: Tabled) -> Rows:
    return _combined(one, window_sums)


def table_means(one: Tabled) -> Rows:
    return _combined(one, window_means)


def _combined(one: Tabled, combine: Callable[[Floats, Times, Times, Times], Floats]) -> Rows:
    """Each column is to `combine` a series of its own."""
    samples, columns = one.table.rows.shape
    begins = np.arange(columns + 1) * samples
    first = begins[:-1, np.newaxis] + one.first
    end = begins[:-1, np.newaxis] + one.end
    rows = combine(one.table.rows.T.ravel(), begins, first, end).T
    resets, others = one.how_many(ResetHint.RESET), one.how_many(ResetHint.NOT_RESET)
    if ((resets > 0) & (others > 0)).any():
        one.call.notes.warn(texts.counter_reset_collision("aggregation"), one.call.span)
    hints = np.full(len(one.first), int(ResetHint.UNKNOWN), dtype=np.int64)
    hints[resets == one.counts] = ResetHint.RESET
    hints[others == one.counts] = ResetHint.NOT_RESET
    hints[one.how_many(ResetHint.GAUGE) > 0] = ResetHint.GAUGE
    return Rows(rows, one.counts > 0, hints)


def table_steps(one: Tabled, *, per_second: bool) -> Rows:
    """The same as histogram_steps."""
    before, newest, is_there = (each[0] for each in last_two(one.samples))
    gauges = (one.hints[before] == ResetHint.GAUGE).astype(np.int64)
    gauges += one.hints[newest] == ResetHint.GAUGE
    rows = one.table.rows[newest] - one.table.rows[before]
    if per_second:
        one.warn(texts.not_a_counter, is_there & (gauges > 0))
        is_reset = one.resets()[newest]
        rows[is_reset] = one.table.rows[newest[is_reset]]
        times_ms = one.samples.times_ms
        rows /= ((times_ms[newest] - times_ms[before]) / 1000)[:, np.newaxis]
    else:
        one.warn(texts.not_a_gauge, is_there & (gauges < 2))
    return Rows(rows, is_there, np.full(len(newest), int(ResetHint.GAUGE), dtype=np.int64))


def table_rises(one: Tabled, *, is_counter: bool, per_s: float) -> Rows:
    """The same as histogram_rises."""
    first, last = (each[0] for each in ends(one.samples))
    rows = one.table.rows[last] - one.table.rows[first]
    if is_counter:
        one.warn(texts.not_a_counter, (one.counts > 1) & (one.how_many(ResetHint.GAUGE) > 0))
        _put_back_lost(one, rows, last)
    else:
        gauges = (one.hints[first] == ResetHint.GAUGE) & (one.hints[last] == ResetHint.GAUGE)
        one.warn(texts.not_a_gauge, (one.counts > 1) & ~gauges)
    begun = one.table.rows[first]
    way = extrapolation(
        one.call.window,
        one.samples,
        begun[np.newaxis, :, 0],
        rows[np.newaxis, :, 0],
        is_counter=is_counter,
    )
    rows[way.from_zero[0]] += begun[way.from_zero[0]]
    rows *= way.factors[0, :, np.newaxis] / per_s
    hints = np.where(one.counts == 1, one.hints[first], int(ResetHint.GAUGE))
    return Rows(rows, way.is_there[0], hints)


def _put_back_lost(one: Tabled, rows: Floats, last: Times) -> None:
    """Add to each rise what the counter had reached when it was set back."""
    resets = np.flatnonzero(one.resets())
    from_reset = np.searchsorted(resets, one.first + 1)
    to_reset = np.searchsorted(resets, one.end)
    for step in np.flatnonzero(to_reset > from_reset):
        inside = resets[from_reset[step] : to_reset[step]]
        if inside[0] == one.first[step] + 1:  # the first histogram is lost: begin with nothing
            rows[step] = one.table.rows[last[step]]
            inside = inside[1:]
        rows[step] += one.table.rows[inside - 1].sum(axis=0)
