"""What a range function is given, what it gives, and the notes that many of them take.

A range function goes over the blocks of its window (windows.Samples) and computes an Outcome for
each; `over_blocks` puts these together to a Vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Span
from trilens.query.promql_ranges.windows import Samples, blocks
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import unbounded
from trilens.query.promql_values.labels import label_value
from trilens.query.promql_values.values import (
    METRIC_NAME,
    Flags,
    Floats,
    Grid,
    Labels,
    Vector,
    Window,
)

Histograms: TypeAlias = NDArray[np.object_]  # of Histogram or None


@dataclass(frozen=True, slots=True)
class RangeCall:
    """One call of a range function, at all steps.

    `scalars` are the other arguments in their order, each [step]. `span` is that of the first
    argument, where notes point to. `absent_labels` are those that absent_over_time gives. `check`
    raises when the query's time is over.
    """

    name: str
    window: Window
    scalars: list[Floats]
    grid: Grid
    notes: Annotations
    span: Span
    absent_labels: Labels = ()
    check: Callable[[], None] = unbounded

    def cells(self, wanted: Flags) -> Iterator[tuple[int, int]]:
        """Row and step of each that is set, with a check before each."""
        for row, step in np.argwhere(wanted).tolist():
            self.check()
            yield row, step


@dataclass(slots=True)
class Outcome:
    """Results for the series of one block. Where `histograms` has one, that counts."""

    values: Floats  # [series, step]
    is_there: Flags  # [series, step]
    histograms: Histograms | None = None  # [series, step]


def over_blocks(
    call: RangeCall, compute: Callable[[Samples], Outcome], *, keeps_name: bool = False
) -> Vector:
    """The outcomes of all blocks as one vector, without the series that have no result at all."""
    labels: list[Labels] = []
    outcomes: list[Outcome] = []
    kept: list[Flags] = []
    for part, samples in blocks(call.window):
        call.check()
        outcome = compute(samples)
        keep: Flags = np.asarray(outcome.is_there.any(axis=1))
        labels += [call.window.series[part.start + row].labels for row in np.flatnonzero(keep)]
        outcomes.append(_rows(outcome, keep))
        kept.append(keep)
    nothing = 0, call.grid.count
    return Vector(
        labels=labels,
        values=np.concatenate([np.empty(nothing), *(one.values for one in outcomes)]),
        is_there=np.concatenate(
            [np.empty(nothing, dtype=np.bool_), *(one.is_there for one in outcomes)]
        ),
        histograms=_stacked_histograms(outcomes),
        drops_name=_drops_name(call.window, kept, keeps_name=keeps_name),
    )


def has_histogram(histograms: Histograms) -> Flags:
    """[...]: of the same shape."""
    flags = [one is not None for one in histograms.flat]
    return np.array(flags, dtype=np.bool_).reshape(histograms.shape)


def names_where(samples: Samples, is_so: Flags) -> list[str]:
    """The metric names of the series with `is_so` [series, step] at any step, each once."""
    rows = np.flatnonzero(is_so.any(axis=1))
    return list(dict.fromkeys(label_value(samples.series[row].labels, METRIC_NAME) for row in rows))


def joined(floats: Outcome, histograms: Outcome) -> Outcome:
    """Both results, which must not be there at the same time."""
    is_there = floats.is_there | histograms.is_there
    return Outcome(floats.values, is_there, histograms.histograms)


def warn_mixed(call: RangeCall, samples: Samples, floats: Samples) -> None:
    """For functions that cannot do with floats and histograms in one window."""
    is_mixed = (floats.counts > 0) & (samples.counts > floats.counts)
    for name in names_where(samples, is_mixed):
        call.notes.warn(texts.mixed_floats_histograms(name), call.span)


def note_ignored_histograms(call: RangeCall, samples: Samples, floats: Samples) -> None:
    """For functions of floats alone: say so where a window had histograms beside them."""
    if samples.histograms is not None:
        is_mixed = (floats.counts > 0) & (samples.counts > floats.counts)
        for name in names_where(samples, is_mixed):
            call.notes.info(texts.ignored_in_mixed_range(name), call.span)


def _rows(outcome: Outcome, keep: Flags) -> Outcome:
    if keep.all():
        return outcome
    histograms = None if outcome.histograms is None else outcome.histograms[keep]
    return Outcome(outcome.values[keep], outcome.is_there[keep], histograms)


def _stacked_histograms(outcomes: list[Outcome]) -> Histograms | None:
    if all(one.histograms is None for one in outcomes):
        return None
    return np.concatenate(
        [
            np.full(one.values.shape, None, dtype=np.object_)
            if one.histograms is None
            else one.histograms
            for one in outcomes
        ]
    )


def _drops_name(window: Window, kept: list[Flags], *, keeps_name: bool) -> Flags | None:
    keep = np.concatenate([np.empty(0, dtype=np.bool_), *kept])
    if not keeps_name:
        return np.ones(int(keep.sum()), dtype=np.bool_)
    return None if window.drops_name is None else window.drops_name[keep]
