"""Quantiles and fractions of classic histograms: cumulative counts of series with a label `le`.

All histograms with the same bounds are computed together. A cell is one of them at one step; a
bucket may be missing in some cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trilens.query.promql_histograms.histograms import is_near
from trilens.query.promql_values.values import Flags, Floats

_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class ClassicBuckets:
    bounds: Floats  # [bucket], ascending, each once
    counts: Floats  # [bucket, cell]
    is_there: Flags  # [bucket, cell]

    @property
    def has_end(self) -> Flags:
        """[cell]. Without a bucket up to +Inf, a histogram tells nothing."""
        is_infinite = len(self.bounds) > 0 and self.bounds[-1] == np.inf
        has_end: Flags = self.is_there[-1] & is_infinite
        return has_end


def merge_same_bounds(buckets: ClassicBuckets) -> ClassicBuckets:
    """`bounds` ascend, but one may be written in several ways: such buckets are summed."""
    is_first = np.ones(len(buckets.bounds), dtype=np.bool_)
    is_first[1:] = buckets.bounds[1:] != buckets.bounds[:-1]
    if is_first.all():
        return buckets
    starts = np.flatnonzero(is_first)
    return ClassicBuckets(
        buckets.bounds[starts],
        np.add.reduceat(np.where(buckets.is_there, buckets.counts, 0.0), starts, axis=0),
        np.logical_or.reduceat(buckets.is_there, starts, axis=0),
    )


@dataclass(frozen=True, slots=True)
class Repairs:
    """[cell]: where counts went down, which they cannot; between which bounds and how far."""

    is_forced: Flags
    bound_min: Floats
    bound_max: Floats
    decrease_max: Floats


def make_monotonic(buckets: ClassicBuckets) -> tuple[ClassicBuckets, Repairs]:
    """No count is less than the one before; a missing bucket has that one's, NaN at the begin.

    Differences that rounding makes are removed too, in both directions, but are no repairs.
    """
    cells = buckets.counts.shape[1]
    fixed = np.full(buckets.counts.shape, np.nan)
    before = np.full(cells, np.nan)
    is_seen = np.zeros(cells, dtype=np.bool_)
    is_forced = np.zeros(cells, dtype=np.bool_)
    bound_min, bound_max = np.full(cells, np.inf), np.full(cells, -np.inf)
    decrease_max = np.zeros(cells)
    for row, (bound, counts, is_there) in enumerate(
        zip(buckets.bounds, buckets.counts, buckets.is_there, strict=True)
    ):
        is_changed = is_there
        # That counts go up by more than rounding, or not at all, is cheap to see and the rule.
        is_plain = (counts == before) | (counts > before + np.abs(before) * (3 * _ROUNDING))
        if not (is_plain | ~is_seen | ~is_there).all():
            is_changed = is_there & ~(is_seen & is_near(before, counts, _ROUNDING))
        is_less = is_changed & is_seen & (counts < before)
        if is_less.any():
            is_forced |= is_less
            bound_min[is_less] = np.minimum(bound_min[is_less], bound)
            bound_max[is_less] = np.maximum(bound_max[is_less], bound)
            decrease = np.where(is_less, before - counts, 0.0)
            decrease_max = np.maximum(decrease_max, decrease)
        before = np.where(is_changed & ~is_less, counts, before)
        is_seen |= is_there
        fixed[row] = before
    repairs = Repairs(is_forced, bound_min, bound_max, decrease_max)
    return ClassicBuckets(buckets.bounds, fixed, buckets.is_there), repairs


def classic_quantile(buckets: ClassicBuckets, quantiles: Floats) -> Floats:
    """[cell], of monotonic buckets. The first one begins at zero, if its bound is positive."""
    values = np.full(len(quantiles), np.nan)
    if len(buckets.bounds) > 1:
        observed = buckets.counts[-1]
        is_usable = buckets.has_end & (buckets.is_there.sum(axis=0) > 1) & (observed != 0)
        with np.errstate(all="ignore"):
            values = np.where(is_usable, _at_rank(buckets, quantiles * observed), np.nan)
    values = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, values))
    return np.where(np.isnan(quantiles), np.nan, values)


def _at_rank(buckets: ClassicBuckets, ranks: Floats) -> Floats:
    """[cell]: where that many observations are below; in the last bucket, where it begins."""
    bounds, counts = buckets.bounds, buckets.counts
    cells = np.arange(counts.shape[1])
    present = np.where(buckets.is_there, np.arange(len(bounds))[:, np.newaxis], -1)
    latest = np.maximum.accumulate(present, axis=0)  # the last bucket there is, up to each
    is_reached = counts[:-1] >= ranks
    at = is_reached.argmax(axis=0)
    before = np.where(at > 0, latest[at - 1, cells], -1)
    is_first = before < 0
    begin = np.where(is_first, 0.0, bounds[before])
    below = np.where(is_first, 0.0, counts[before, cells])
    share = (ranks - below) / (counts[at, cells] - below)
    inside = np.where(
        is_first & (bounds[at] <= 0), bounds[at], begin + (bounds[at] - begin) * share
    )
    values: Floats = np.where(is_reached.any(axis=0), inside, bounds[latest[-2]])
    return values


def classic_fraction(buckets: ClassicBuckets, lower: Floats, upper: Floats) -> Floats:
    """[cell]: the share of observations between two values."""
    observed = buckets.counts[-1]
    with np.errstate(all="ignore"):
        below, above = (_rank(buckets, values) for values in (lower, upper))
        fractions = np.where(lower >= upper, 0.0, (above - below) / observed)
    is_nan = ~buckets.has_end | (observed == 0) | np.isnan(lower) | np.isnan(upper)
    return np.where(is_nan, np.nan, fractions)


def _rank(buckets: ClassicBuckets, values: Floats) -> Floats:
    """[cell]: how many observations are below a value. In a bucket without end, they are all."""
    ranks = buckets.counts[-1].copy()
    is_found = np.zeros(len(values), dtype=np.bool_)
    is_seen = np.zeros(len(values), dtype=np.bool_)
    before, begin = np.zeros(len(values)), np.zeros(len(values))
    for bound, counts, is_there in zip(
        buckets.bounds, buckets.counts, buckets.is_there, strict=True
    ):
        begin = np.where(is_seen, begin, 0.0 if bound > 0 else -np.inf)
        is_here = is_there & ~is_found & ((begin >= values) | (bound > values))
        inside = before + (counts - before) * (values - begin) / (bound - begin)
        inside = np.where(np.isneginf(begin), counts, inside)
        ranks = np.where(is_here, np.where(begin >= values, before, inside), ranks)
        is_found |= is_here
        is_seen |= is_there
        before = np.where(is_there, counts, before)
        begin = np.where(is_there, bound, begin)
    capped: Floats = np.minimum(ranks, buckets.counts[-1])
    return capped
