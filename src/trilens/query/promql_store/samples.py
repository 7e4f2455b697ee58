"""Rows of samples and histograms as series.

Identities with equal labels are one series. Of several samples of a series at one time one counts,
whatever the order of rows on disk: the histogram, then the greatest value, as in grids.py; what is
no number (NaN, stale markers) is greater than all that are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.columns import Column, numbers
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_store.histograms import histograms_of
from trilens.query.promql_values.values import Floats, Labels, RawSeries, Times

IS_BITS: Final = 127  # such an exponent says that the mantissa has the bits of the value


@dataclass(slots=True)
class Found:
    """Identities in ascending order; `place` says which of `labels` each has."""

    labels: list[Labels]
    ids: NDArray[np.uint64]
    place: NDArray[np.int64]
    metrics: list[str]
    has_histograms: bool


def sample_values(mantissas: NDArray[np.int64], exponents: NDArray[np.int8]) -> Floats:
    """What trilens_sample_value makes of them, bit for bit."""
    is_bits = exponents == IS_BITS
    scaled = mantissas / np.power(10.0, np.where(is_bits, 0, exponents))
    return np.where(is_bits, mantissas.view(np.float64), scaled)


@dataclass(slots=True)
class _Run:
    """Samples of one identity, by time. `histograms` are None for floats and stale markers."""

    times_ms: Times
    values: Floats
    starts_ms: Times
    histograms: list[Histogram | None] | None

    def is_ascending(self) -> bool:
        return bool((self.times_ms[1:] > self.times_ms[:-1]).all())


def cut(found: Found, *tables: Mapping[str, Column]) -> list[RawSeries]:
    """Series with samples, in the order of their labels."""
    runs: dict[int, list[_Run]] = {}
    has_starts = False
    for columns in tables:
        has_starts |= bool(numbers(columns, "start", np.int64).any())
        for place, run in _runs(found, columns):
            runs.setdefault(place, []).append(run)
    return [
        _series(found.labels[place], runs[place], has_starts=has_starts) for place in sorted(runs)
    ]


def _runs(found: Found, columns: Mapping[str, Column]) -> Iterator[tuple[int, _Run]]:
    """Each identity's rows with its place. Without a condition on them there may be newer ones."""
    ids = numbers(columns, "id", np.uint64)
    if not len(ids):
        return
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(ids)]
    at = np.minimum(np.searchsorted(found.ids, ids[edges[:-1]]), len(found.ids) - 1)
    is_known = (found.ids[at] == ids[edges[:-1]]).tolist()
    places = found.place[at].tolist()
    histograms = histograms_of(columns) if "scale" in columns else None
    times_ms = numbers(columns, "time", np.int64)
    values = numbers(columns, "value", np.float64)
    starts_ms = numbers(columns, "start", np.int64)
    for n, place in enumerate(places):
        if is_known[n]:
            part = slice(edges[n], edges[n + 1])
            own = None if histograms is None else histograms[part]
            yield place, _Run(times_ms[part], values[part], starts_ms[part], own)


def _series(labels: Labels, runs: list[_Run], *, has_starts: bool) -> RawSeries:
    run = runs[0] if len(runs) == 1 else _joined(runs)
    if not run.is_ascending():
        run = _once_a_time(run)
    starts_ms = run.starts_ms if has_starts else None
    return RawSeries(labels, run.times_ms, run.values, run.histograms, starts_ms)


def _joined(runs: list[_Run]) -> _Run:
    histograms: list[Histogram | None] = []
    for run in runs:
        histograms += run.histograms or [None] * len(run.times_ms)
    return _Run(
        np.concatenate([run.times_ms for run in runs]),
        np.concatenate([run.values for run in runs]),
        np.concatenate([run.starts_ms for run in runs]),
        histograms if any(one is not None for one in histograms) else None,
    )


def _ranks(values: Floats) -> NDArray[np.int64]:
    """In the order of values, with what is no number at both ends."""
    bits = values.view(np.int64)
    ranks: NDArray[np.int64] = bits ^ ((bits >> 63) & np.int64(2**63 - 1))
    return ranks


def _once_a_time(run: _Run) -> _Run:
    is_histogram = np.zeros(len(run.times_ms), np.bool_)
    if run.histograms is not None:
        is_histogram[:] = [one is not None for one in run.histograms]
    order = np.lexsort((_ranks(run.values), is_histogram, run.times_ms))
    times_ms = run.times_ms[order]
    kept = order[np.append(times_ms[1:] != times_ms[:-1], True)]
    histograms = run.histograms and [run.histograms[row] for row in kept.tolist()]
    return _Run(run.times_ms[kept], run.values[kept], run.starts_ms[kept], histograms)
