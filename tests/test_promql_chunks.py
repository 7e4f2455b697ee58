"""Samples packed into chunks are read again as they were."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from querying import T0_MS
from test_promql_pushdown import bits
from trilens.query.promql_cache.chunks import Rows, merge, pack, read

EARLY_MS, LATE_MS = -(2**62), 2**62


values = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: (n, 0)),
    st.integers(-(10**6), 10**6).map(lambda n: (n, 2)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from((0, 3, 9, 18))),
    st.floats(allow_nan=True).map(lambda value: (bits(value), 127)),
)


@st.composite
def rows_of_series(draw) -> list[tuple[int, int, int, int]]:
    """(series, time, mantissa, exponent), some regular, some with wild times."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        start = draw(st.integers(-(10**12), 10**13))
        step = draw(st.sampled_from((1, 15_000, 40_000, 10**10)))
        length = draw(st.sampled_from((1, 2, 20, 256, 257, 600)))
        jitter = draw(st.sampled_from((0, 3, 300, 10**6)))
        some = draw(st.lists(values, min_size=1, max_size=12))
        random = np.random.default_rng(number)
        for place in range(length):
            at_ms = start + place * step + int(random.integers(-jitter, jitter + 1))
            found.append((number, at_ms, *some[int(random.integers(0, len(some)))]))
    return found


def packed(rows, ids):
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    numbers, times_ms, mantissas, exponents = (list(column) for column in columns)
    return pack(
        Rows(
            ids[numbers] if numbers else np.empty(0, np.uint64),
            np.array(times_ms, np.int64),
            np.array(mantissas, np.int64),
            np.array(exponents, np.int8),
        ),
        np.sort(ids),
        np.argsort(ids).astype(np.uint32),
        len(ids),
    )


def value_bits(mantissa: int, exponent: int) -> int:
    return mantissa if exponent == 127 else bits(float(mantissa) / 10.0**exponent)


def rank(of_bits: int) -> int:
    return of_bits if of_bits >= 0 else of_bits ^ (2**63 - 1)


def expected(rows, number: int, after_ms: int, until_ms: int) -> dict[int, int]:
    """Bits by time: of several those of the greatest value."""
    found: dict[int, int] = {}
    for own, at_ms, mantissa, exponent in rows:
        if own == number and after_ms < at_ms <= until_ms:
            before, value = found.get(at_ms), value_bits(mantissa, exponent)
            found[at_ms] = value if before is None else max(before, value, key=rank)
    return dict(sorted(found.items()))


@given(rows=rows_of_series(), cuts=st.lists(st.floats(0, 1), max_size=3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_packed_is_read_again(rows, cuts, seed):
    """In any order, in several segments, those merged, and any part of it."""
    random = np.random.default_rng(seed)
    ids = random.permutation(np.arange(7, 12, dtype=np.uint64) * 2**60)
    shuffled = [rows[place] for place in random.permutation(len(rows))] if seed % 2 else rows
    edges = sorted({0, len(rows), *(int(cut * len(rows)) for cut in cuts)})
    segments = [packed(shuffled[a:b], ids) for a, b in pairwise(edges)]
    times_ms = sorted(at_ms for _, at_ms, _, _ in rows)
    after_ms, until_ms = times_ms[len(times_ms) // 3], times_ms[-1 - len(times_ms) // 4]
    places = np.array([0, 1, 2, 3, 4], np.uint32)
    for parts, low in ((segments, EARLY_MS), ([merge(segments, 5, after_ms)], after_ms)):
        for span in ((low, LATE_MS), (max(low, after_ms), until_ms), (max(low, until_ms), LATE_MS)):
            got = read(parts, places, *span, samples_max=10**6)
            assert got is not None
            starts = [0, *got.ends.tolist()[:-1]]
            for number, (start, end) in enumerate(zip(starts, got.ends.tolist(), strict=True)):
                found = dict(
                    zip(
                        got.times_ms[start:end].tolist(),
                        got.values[start:end].view(np.int64).tolist(),
                        strict=True,
                    )
                )
                assert found == expected(rows, number, *span)
                assert len(found) == end - start


def test_regular_samples_take_little():
    times_ms = T0_MS + np.arange(5_000) * 15_000
    totals = np.cumsum(np.random.default_rng(1).integers(0, 100, 5_000))
    rows = [(0, int(at_ms), int(total), 0) for at_ms, total in zip(times_ms, totals, strict=True)]
    segment = packed(rows, np.array([5], np.uint64))
    assert segment.size_bytes / len(rows) < 1.3


def test_an_exponent_that_is_none():
    for exponent in (-1, 19, 126):
        with pytest.raises(ValueError, match="none"):
            packed([(0, 1, 1, exponent)], np.array([5], np.uint64))
