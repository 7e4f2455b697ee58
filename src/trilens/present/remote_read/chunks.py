"""Samples as Prometheus's chunks: delta of deltas of times, XOR of values, bit by bit.

    16 bits   how many samples
    first     time as a signed varint, value as its 64 bits
    second    time since the first as a varint, value
    others    change of that time since the sample before (0; 10 and 14 bits; 110 and 17; 1110 and
              20; 1111 and 64), value
    value     XOR with the one before: 0 if nothing changes, else those bits of it that are inside
              a window: 10 and the bits, 11 and the window (5 bits: zeros before it, 6 bits: its
              width) and the bits

A chunk here has one window, which its first change names: wide enough for all its changes. So all
chunks of many series are made at once, with arrays; readers take any window.

A histogram is a chunk of its own, of float histograms: 16 bits of count (1), 8 bits whose upper two
say whether its counter was reset, layout, time, numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_histograms.histograms import Buckets, Histogram, ResetHint
from trilens.query.promql_values.values import Floats, Times

XOR: Final = 1
FLOAT_HISTOGRAM: Final = 3
SAMPLES_MAX: Final = 120
WIDTH_OF_FIRST: Final = 16
_LEADING_MAX: Final = 31
_VARINT_BYTES_MAX: Final = 8
_RESET_FLAGS: Final = {
    ResetHint.UNKNOWN: 0, ResetHint.RESET: 0b10, ResetHint.NOT_RESET: 0b01, ResetHint.GAUGE: 0b11,
}  # fmt: skip
# (prefix, its bits, bits of the number)
_TIME_STEPS: Final = ((0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20), (0b1111, 4, 64))
_NUMBER_STEPS: Final = (
    (0b10, 2, 3), (0b110, 3, 6), (0b1110, 4, 9), (0b11110, 5, 12), (0b111110, 6, 18),
    (0b1111110, 7, 25), (0b11111110, 8, 56), (0b11111111, 8, 64),
)  # fmt: skip
Words: TypeAlias = NDArray[np.uint64]
Counts: TypeAlias = NDArray[np.int64]
Run: TypeAlias = "tuple[Times, Floats]"
Piece: TypeAlias = "tuple[int, int]"  # a number and its bits


@dataclass(frozen=True, slots=True)
class Chunk:
    """The times of its first and its last sample; `kind` is XOR or FLOAT_HISTOGRAM."""

    first_ms: int
    last_ms: int
    kind: int
    data: bytes


def xor_chunks(runs: Sequence[Run]) -> list[list[Chunk]]:
    """The chunks of each run of samples, which are in the order of time and one at least."""
    times_ms = np.concatenate([run[0] for run in runs])
    bits = np.concatenate([run[1] for run in runs]).view(np.uint64)
    lengths = np.array([len(run[0]) for run in runs])
    starts = _chunk_starts(lengths)
    numbers, widths = _pieces(times_ms, bits, starts)
    sizes = np.add.reduceat(widths, starts * 4)
    data = _packed(numbers, widths, starts * 4, sizes)
    lasts = np.append(starts[1:], len(times_ms)) - 1
    ends = np.cumsum((sizes + 7) >> 3).tolist()
    chunks = [
        Chunk(first_ms, last_ms, XOR, data[start:end])
        for first_ms, last_ms, start, end in zip(
            times_ms[starts].tolist(), times_ms[lasts].tolist(), [0, *ends[:-1]], ends, strict=True
        )
    ]
    edges = np.searchsorted(starts, np.cumsum(lengths)).tolist()
    return [chunks[start:end] for start, end in zip([0, *edges[:-1]], edges, strict=True)]


def histogram_chunk(at_ms: int, histogram: Histogram) -> Chunk:
    """One histogram. Its flags say what is known of the counter's reset."""
    pieces: list[Piece] = [(1, 16), (_RESET_FLAGS[histogram.hint] << 6, 8)]
    pieces += _zero_threshold(histogram.zero_threshold)
    pieces += _signed(histogram.schema)
    for side in (histogram.positive, histogram.negative):
        runs = spans(side)
        pieces += _unsigned(len(runs))
        for offset, length in runs:
            pieces += [*_unsigned(length), *_signed(offset)]
    if histogram.is_custom:
        pieces += _unsigned(len(histogram.custom_values))
        for bound in histogram.custom_values:
            pieces += [(0, 1), _float(bound)]
    pieces += _signed(at_ms)
    totals = (histogram.count, histogram.zero_count, histogram.sum)
    counts = (*histogram.positive.counts.tolist(), *histogram.negative.counts.tolist())
    pieces += map(_float, (*totals, *counts))
    numbers = np.array([number for number, _ in pieces], np.uint64)
    widths = np.array([width for _, width in pieces], np.int64)
    data = _packed(numbers, widths, np.zeros(1, np.int64), widths.sum(keepdims=True))
    return Chunk(at_ms, at_ms, FLOAT_HISTOGRAM, data)


def spans(side: Buckets) -> list[tuple[int, int]]:
    """(buckets left out since the span before, length) of buckets next to each other."""
    if not len(side.indexes):
        return []
    edges = np.flatnonzero(np.diff(side.indexes) != 1) + 1
    firsts = side.indexes[np.append(0, edges)]
    lengths = np.diff(np.concatenate(([0], edges, [len(side.indexes)])))
    offsets = firsts - np.append(0, (firsts + lengths)[:-1])
    return list(zip(offsets.tolist(), lengths.tolist(), strict=True))


def _chunk_starts(lengths: Counts) -> Counts:
    """Where chunks begin: at each run, and at each SAMPLES_MAX samples of it."""
    counts = -(-lengths // SAMPLES_MAX)
    run_starts = np.cumsum(lengths) - lengths
    chunk_starts = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) - np.repeat(chunk_starts, counts)
    starts: Counts = np.repeat(run_starts, counts) + places * SAMPLES_MAX
    return starts


def _pieces(times_ms: Times, bits: Words, starts: Counts) -> tuple[Words, Counts]:
    """Four numbers a sample, and how many bits each has: two of its time, two of its value."""
    count = len(times_ms)
    numbers = np.zeros((count, 4), np.uint64)
    widths = np.zeros((count, 4), np.int64)
    lengths = np.diff(np.append(starts, count))
    _put_values(numbers, widths, bits, starts, lengths)
    deltas = np.diff(times_ms, prepend=times_ms[:1])
    changes = np.diff(deltas, prepend=deltas[:1])
    _put_changes(numbers, widths, changes)
    seconds = starts[lengths > 1] + 1
    numbers[seconds, 0], widths[seconds, 0] = _varints(deltas[seconds].view(np.uint64))
    widths[seconds, 1] = 0
    numbers[starts, 0], widths[starts, 0] = lengths, WIDTH_OF_FIRST
    first_ms = times_ms[starts]
    numbers[starts, 1], widths[starts, 1] = _varints(
        (first_ms << 1 ^ first_ms >> 63).view(np.uint64)
    )
    return numbers.ravel(), widths.ravel()


def _put_changes(numbers: Words, widths: Counts, changes: Counts) -> None:
    """Delta of deltas, into the first two columns. Of 64 bits unless fewer will do."""
    widths[:, 0] = 1
    rest = changes != 0
    for prefix, prefix_bits, width in _TIME_STEPS:
        most = 1 << (width - 1) if width < 64 else 0
        is_here = rest & (changes > -most) & (changes <= most) if most else rest
        mask = np.uint64((1 << width) - 1)
        numbers[is_here, 0], widths[is_here, 0] = prefix, prefix_bits
        numbers[is_here, 1] = changes[is_here].view(np.uint64) & mask
        widths[is_here, 1] = width
        rest &= ~is_here


def _put_values(
    numbers: Words, widths: Counts, bits: Words, starts: Counts, lengths: Counts
) -> None:
    """Into the last two columns."""
    changes = np.append(np.uint64(0), bits[1:] ^ bits[:-1])
    changes[starts] = 0
    every = np.bitwise_or.reduceat(changes, starts)
    leading = np.minimum(_zeros_before(every), _LEADING_MAX)
    trailing = np.where(
        every == 0, 0, np.bitwise_count((every & (~every + np.uint64(1))) - np.uint64(1))
    )
    window = 64 - leading - trailing
    chunk_of = np.repeat(np.arange(len(starts)), lengths)
    is_changed = changes != 0
    changed = np.flatnonzero(is_changed)
    numbers[changed, 2], widths[:, 2] = 0b10, 1 + is_changed
    numbers[changed, 3] = changes[changed] >> trailing[chunk_of[changed]].astype(np.uint64)
    widths[changed, 3] = window[chunk_of[changed]]
    named, first_places = np.unique(chunk_of[changed], return_index=True)
    firsts = changed[first_places]
    numbers[firsts, 2] = 0b11 << 11 | leading[named] << 6 | window[named] & 63
    widths[firsts, 2] = 13
    numbers[starts, 3] = bits[starts]
    widths[starts, 2], widths[starts, 3] = 0, 64


def _zeros_before(numbers: Words) -> Counts:
    """Zeros before the highest bit."""
    filled = numbers.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(shift)
    zeros: Counts = 64 - np.bitwise_count(filled).astype(np.int64)
    return zeros


def _varints(values: Words) -> tuple[Words, Counts]:
    """Varints of up to eight bytes, as numbers of so many bits."""
    width = np.maximum((64 - _zeros_before(values) + 6) // 7, 1)
    numbers = np.zeros(len(values), np.uint64)
    for place in range(_VARINT_BYTES_MAX):
        part = (values >> np.uint64(7 * place) & np.uint64(127)) | np.where(
            place + 1 < width, np.uint64(128), np.uint64(0)
        )
        numbers = np.where(place < width, numbers << np.uint64(8) | part, numbers)
    return numbers, width * 8


def _packed(numbers: Words, widths: Counts, starts: Counts, sizes: Counts) -> bytes:
    """The bits of all numbers one after the other; those from each of `starts` on whole bytes.

    `sizes` are the bits from there to the next start. A number lies in one word of 64 bits or in
    two; what falls into the same word stands side by side.
    """
    bytes_of = (sizes + 7) >> 3
    total = int(bytes_of.sum())
    shifts = (np.cumsum(bytes_of) - bytes_of) * 8 - (np.cumsum(sizes) - sizes)
    counts = np.diff(np.append(starts, len(widths)))
    ends = np.cumsum(widths) + np.repeat(shifts, counts)
    begins = ends - widths
    is_there = widths > 0
    numbers, ends, begins = numbers[is_there], ends[is_there], begins[is_there]
    words = np.stack((begins >> 6, (ends - 1) >> 6), axis=1)
    left = 64 - (ends - (words[:, 0] << 6))  # bits left in the first word; below 0: in the second
    in_first = np.where(
        left >= 0,
        numbers << np.maximum(left, 0).astype(np.uint64),
        numbers >> np.maximum(-left, 0).astype(np.uint64),
    )
    in_second = np.where(
        left >= 0, np.uint64(0), numbers << np.maximum(64 + left, 0).astype(np.uint64)
    )
    places = words.ravel()
    edges = np.flatnonzero(np.diff(places, prepend=-1))
    packed = np.zeros((total + 7) // 8, np.uint64)
    packed[places[edges]] = np.bitwise_or.reduceat(
        np.stack((in_first, in_second), 1).ravel(), edges
    )
    return packed.astype(">u8").tobytes()[:total]


def _zero_threshold(threshold: float) -> list[Piece]:
    """One byte for 0 and for powers of two, else the number behind a byte."""
    if threshold == 0:
        return [(0, 8)]
    fraction, exponent = math.frexp(threshold)
    if fraction == 0.5 and -242 <= exponent <= 11:
        return [(exponent + 243, 8)]
    return [(255, 8), _float(threshold)]


def _signed(number: int) -> list[Piece]:
    if number == 0:
        return [(0, 1)]
    for prefix, prefix_bits, width in _NUMBER_STEPS:
        if -(1 << (width - 1)) < number <= 1 << (width - 1):
            return [(prefix, prefix_bits), (number & (1 << width) - 1, width)]
    raise OverflowError(number)


def _unsigned(number: int) -> list[Piece]:
    if number == 0:
        return [(0, 1)]
    for prefix, prefix_bits, width in _NUMBER_STEPS:
        if number < 1 << width:
            return [(prefix, prefix_bits), (number, width)]
    raise OverflowError(number)


def _float(value: float) -> Piece:
    return int(np.float64(value).view(np.uint64)), 64


def runs_of(times_ms: Times, is_histogram: Iterable[bool]) -> list[tuple[slice, bool]]:
    """Samples of one kind next to each other, and whether they are histograms."""
    kinds = np.fromiter(is_histogram, np.bool_, len(times_ms))
    edges = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist(), len(kinds)]
    return [(slice(start, end), bool(kinds[start])) for start, end in pairwise(edges)]
