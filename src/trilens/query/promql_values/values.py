"""What a PromQL expression is worth, at all steps of a query at once.

A query asks for the moments of a Grid: start, start + step, ... An instant query has one. Every
part of an expression is computed for all of them together:

    Scalar    a number for each step
    Text      one string
    Vector    for each series and step a float, a histogram, or nothing
    Window    range vectors: for each series its raw samples, and for each step which of them count

Labels are sorted pairs, so that equal sets are equal tuples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trilens.query.promql_histograms.histograms import Histogram

Labels: TypeAlias = tuple[tuple[str, str], ...]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Times: TypeAlias = NDArray[np.int64]
Extension: TypeAlias = Literal["", "anchored", "smoothed"]
METRIC_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` moments from `start_ms` on, `step_ms` apart.

    `asked_end_ms` is where the question ends when that is behind the last moment.
    """

    start_ms: int
    step_ms: int
    count: int
    asked_end_ms: int | None = None

    @property
    def end_ms(self) -> int:
        return self.start_ms + (self.count - 1) * self.step_ms

    @property
    def question_end_ms(self) -> int:
        """What end() is."""
        return self.end_ms if self.asked_end_ms is None else self.asked_end_ms

    def times_ms(self) -> Times:
        return self.start_ms + np.arange(self.count, dtype=np.int64) * self.step_ms


@dataclass(slots=True)
class Scalar:
    values: Floats  # [step]


@dataclass(slots=True)
class Text:
    value: str


@dataclass(slots=True)
class Vector:
    """`values[n, k]` counts where `is_there[n, k]`; where `histograms` has one there, that counts.

    `histograms` is None when there are none at all, else an array of objects of the same shape.
    `drops_name` marks series whose __name__ goes when the query is done: until then it is kept, so
    that label functions and aggregations see it (delayed name removal).
    """

    labels: list[Labels]
    values: Floats  # [series, step]
    is_there: Flags  # [series, step]
    histograms: NDArray[np.object_] | None = None
    drops_name: Flags | None = None  # [series]; None: nobody


@dataclass(slots=True)
class RawSeries:
    """Samples of one series in the order of time, stale markers left out by whoever reads them.

    Exactly one of float and histogram counts for each sample: `histograms[i]` is None for a float.
    `starts_ms` are start timestamps, 0 where unknown.
    """

    labels: Labels
    times_ms: Times
    values: Floats
    histograms: list[Histogram | None] | None = None
    starts_ms: Times | None = None


@dataclass(slots=True)
class Window:
    """Range vectors. At step k, of series n, the samples from `first[n][k]` to before `end[n][k]`.

    These are the ones in (at_ms[k] - range_ms, at_ms[k]]: left-open, right-closed. `at_ms` are the
    grid's moments after offset and @; with @ all are the same. An anchored or smoothed selector's
    windows reach further, by the lookback: before the range, and if smoothed also behind it.
    """

    series: list[RawSeries]
    first: list[NDArray[np.int64]]
    end: list[NDArray[np.int64]]
    at_ms: Times
    range_ms: int
    drops_name: Flags | None = None
    extension: Extension = ""


Value: TypeAlias = "Scalar | Text | Vector | Window"
