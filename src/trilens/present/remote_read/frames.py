"""Samples as a stream of chunks: frames around prometheus.ChunkedReadResponse.

    frame                length as a varint, CRC-32C in big-endian order, message
    ChunkedReadResponse  1 chunked_series: ChunkedSeries, 2 query_index
    ChunkedSeries        1 labels: Label, 2 chunks: Chunk
    Chunk                1 min_time_ms, 2 max_time_ms, 3 type, 4 data

A frame has one series or a part of it. Queries come one after the other, series in order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import cramjam

from trilens.present.remote_read.chunks import Chunk, Run, histogram_chunk, runs_of, xor_chunks
from trilens.present.remote_read.samples import labels_fields
from trilens.protobuf_wire import block, number, varint
from trilens.query.promql_values.values import RawSeries

MEDIA_TYPE: Final = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
FRAME_BYTES_MAX: Final = 1 << 20
# Below what one framed snappy block holds: the checksum of that much is made by it (_crc32c).
FRAME_BYTES: Final = 60_000
SAMPLES_AT_ONCE: Final = 50_000
SERIES_AT_ONCE: Final = 1000
_BLOCK_BYTES_MAX: Final = 65_536
_MASK_DELTA: Final = 0xA282EAD8
_CASTAGNOLI: Final = 0x82F63B78


def stream(results: list[list[RawSeries]]) -> Iterator[bytes]:
    """Frames, many in a piece. Takes the series out of `results` as they are written."""
    for place, result in enumerate(results):
        result.reverse()
        while result:
            some: list[RawSeries] = []
            count = 0
            while result and count < SAMPLES_AT_ONCE and len(some) < SERIES_AT_ONCE:
                some.append(result.pop())
                count += len(some[-1].times_ms)
            yield b"".join(_frames(some, place))


def _frames(some: list[RawSeries], query_index: int) -> Iterator[bytes]:
    for series, chunks in zip(some, _chunks(some), strict=True):
        labels = labels_fields(series.labels)
        fields = [block(2, _chunk(one)) for one in chunks]
        # Each frame has the labels: where they are long, frames are few.
        most = FRAME_BYTES if len(labels) < FRAME_BYTES // 2 else FRAME_BYTES_MAX
        start = 0
        while start < len(fields):
            end, size = start, len(labels)
            while end < len(fields) and (end == start or size + len(fields[end]) <= most):
                size += len(fields[end])
                end += 1
            message = block(1, b"".join([labels, *fields[start:end]]))
            if query_index:
                message += number(2, query_index)
            yield varint(len(message)) + struct.pack(">I", _crc32c(message)) + message
            start = end


def _chunks(some: list[RawSeries]) -> Iterator[list[Chunk]]:
    """Of each series, in the order of time."""
    parts = [_parts(series) for series in some]
    floats = [part for own in parts for part in own if not isinstance(part, Chunk)]
    packed = iter(xor_chunks(floats) if floats else [])
    for own in parts:
        yield [
            chunk for part in own for chunk in ([part] if isinstance(part, Chunk) else next(packed))
        ]


def _parts(series: RawSeries) -> list[Run | Chunk]:
    """Runs of floats, and the histograms between them."""
    if series.histograms is None:
        return [(series.times_ms, series.values)]
    parts: list[Run | Chunk] = []
    for part, is_histogram in runs_of(
        series.times_ms, (one is not None for one in series.histograms)
    ):
        times_ms = series.times_ms[part]
        if is_histogram:
            parts += [
                histogram_chunk(at_ms, one)
                for at_ms, one in zip(times_ms.tolist(), series.histograms[part], strict=True)
                if one is not None
            ]
        else:
            parts.append((times_ms, series.values[part]))
    return parts


def _chunk(chunk: Chunk) -> bytes:
    return b"".join(
        [
            number(1, chunk.first_ms),
            number(2, chunk.last_ms),
            number(3, chunk.kind),
            block(4, chunk.data),
        ]
    )


def _crc32c(message: bytes) -> int:
    """The framed form of snappy has it in front of each block, rotated and shifted by a constant.

    A hundred times as fast as a loop; only a series whose labels fill a block needs that.
    """
    if not 0 < len(message) <= _BLOCK_BYTES_MAX:
        return _crc32c_in_steps(message)
    framed = bytes(cramjam.snappy.compress(message))
    masked = int.from_bytes(framed[14:18], "little")
    rotated = (masked - _MASK_DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def _crc32c_in_steps(message: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in message:
        crc = crc >> 8 ^ _STEPS[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _step(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_STEPS: Final = tuple(map(_step, range(256)))
