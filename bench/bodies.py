"""Bodies on disk, ready to be sent: made once for each kind, renewed for each pass.

    made("spans", 2_000_000)   -> two files of half the records each, with other seeds
    Bodies(path).renew(n)      -> the same bodies with other ids and later times, in memory

Making them costs 20 us a span and 8 us a line, renewing 1 us. What is renewed is what must not come
twice: ids of traces and spans, times, and in lines the request ids and offsets. The words, users
and addresses of one pass come again in the next, as they would in a real stream.

Spans come in bodies of 1,000 or a few more, as a collector's batches; lines 1,000; samples 2,000,
snappy. Everything lies in yesterday afternoon, so a run does not cross midnight.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bench import generate, generate_metrics
from bench.machine import SCRATCH

Kind = Literal["spans", "logs", "writes"]
HALVES: Final = 2
DAY_S: Final = 86_400
# Ids, name, kind, and both times of one span as the generator writes them.
_SPAN = re.compile(rb"\x0a\x10.{16}\x12\x08.{8}(\x22\x08.{8})?\x2a(.)", re.DOTALL)
_RECORD = re.compile(rb"\x12(?:[\x80-\xff][\x01-\x7f]|[\x00-\x7f])\x09.{8}\x10.\x1a", re.DOTALL)
_REQUEST_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_OFFSET = re.compile(rb"(?<![0-9])1000[0-9]{6}(?![0-9])")
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]


def start_ns() -> int:
    """Where the generated time begins: 12:00 UTC of yesterday."""
    return (int(time.time()) // DAY_S * DAY_S - DAY_S // 2) * 10**9


def made(kind: Kind, count: int) -> list[Path]:
    """Files with `count` records together, made by now. Takes their making if they are new."""
    directory = SCRATCH / "bodies"
    directory.mkdir(parents=True, exist_ok=True)
    # Times of samples are inside compressed bodies and cannot be renewed.
    day = f"-{start_ns() // 10**9}" if kind == "writes" else ""
    halves = 1 if kind == "writes" else HALVES
    paths = [directory / f"{kind}{day}-{count}-{half}.bodies" for half in range(halves)]
    makers = [
        subprocess.Popen([sys.executable, "-m", "bench.bodies", kind, str(count // halves),
                          str(half + 1), str(path)])
        for half, path in enumerate(paths)
        if not path.exists()
    ]  # fmt: skip
    for maker in makers:
        if maker.wait() != 0:
            raise RuntimeError(f"could not make {count} {kind}")
    return paths


class Bodies:
    """One file of bodies. `index` has the offset, size and records of each."""

    def __init__(self, path: Path) -> None:
        self.data: Bytes = np.fromfile(path, np.uint8)
        with np.load(path.with_suffix(".npz")) as places:
            self.index: Places = places["index"]
            self._places = {name: places[name] for name in places.files if name != "index"}
        self.records = int(self.index[:, 2].sum())
        self._view = memoryview(self.data)  # type: ignore[arg-type]
        self._passes = 0

    def __len__(self) -> int:
        return len(self.index)

    def body(self, number: int) -> memoryview:
        offset, size, _ = self.index[number]
        return self._view[offset : offset + size]

    def renew(self, key: int) -> None:
        """Other ids, times that follow those of the pass before; in place."""
        draw = np.random.default_rng(key)
        for name, size in (("trace_ids", 16), ("span_ids", 8)):
            if name in self._places:
                spots = self._places[name][:, None] + np.arange(size)
                self.data[spots] ^= draw.integers(1, 255, size, np.uint8)
        if "hex" in self._places:
            spots = self._places["hex"][:, None] + np.arange(16)
            self.data[spots] = _HEX[draw.integers(0, 16, spots.shape)]
            spots = self._places["digits"][:, None] + np.arange(6)
            self.data[spots] = draw.integers(48, 58, spots.shape, np.uint8)
        if "times" in self._places:
            self._move_times()

    def _move_times(self) -> None:
        spots = self._places["times"][:, None] + np.arange(8)
        times = np.ascontiguousarray(self.data[spots]).view("<u8")
        first, last = int(times.min()), int(np.quantile(times, 0.999))
        step_ns = start_ns() - generate.START_NS if self._passes == 0 else last - first
        self._passes += 1
        self.data[spots] = (times + np.uint64(step_ns)).view(np.uint8)


def _write(kind: Kind, count: int, seed: int, path: Path) -> None:
    index: list[tuple[int, int, int]] = []
    places: dict[str, list[int]] = {}
    offset = 0
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for records, body in _of(kind, count, seed):
            file.write(body)
            index.append((offset, len(body), records))
            for name, spots in _places(kind, body, records).items():
                places.setdefault(name, []).extend(offset + spot for spot in spots)
            offset += len(body)
    columns: dict[str, Any] = {name: np.array(spots, np.int64) for name, spots in places.items()}
    np.savez(path.with_suffix(".npz"), index=np.array(index, np.int64), **columns)
    partial.rename(path)


def _of(kind: Kind, count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    if kind == "logs":
        for number, body in enumerate(generate.logs(count, seed)):
            left = count - number * generate.RECORDS_A_REQUEST
            yield min(left, generate.RECORDS_A_REQUEST), body
    elif kind == "writes":
        size = generate_metrics.SERIES_A_BODY
        start_ms = start_ns() // 10**6
        for body in generate_metrics.bodies(count // size, seed, start_ms):
            yield size, body
    else:
        yield from _batched(generate.spans(count, seed))


def _batched(bodies: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Requests put together, as a collector does: they concatenate freely."""
    held: list[bytes] = []
    records = 0
    for body in bodies:
        held.append(body)
        records += len(_SPAN.findall(body))
        if records >= generate.RECORDS_A_REQUEST:
            yield records, b"".join(held)
            held, records = [], 0
    if held:
        yield records, b"".join(held)


def _places(kind: Kind, body: bytes, records: int) -> dict[str, list[int]]:
    if kind == "writes":
        return {}
    found = _span_places(body) if kind == "spans" else _line_places(body)
    assert len(found["times"]) == 2 * records, "a place was not found, or found twice"
    return found


def _span_places(body: bytes) -> dict[str, list[int]]:
    traces: list[int] = []
    spans: list[int] = []
    times: list[int] = []
    for match in _SPAN.finditer(body):
        traces.append(match.start() + 2)
        spans.append(match.start() + 20)
        if match[1]:
            spans.append(match.start(1) + 2)
        kind = match.end() + match[2][0]
        assert (body[kind], body[kind + 2], body[kind + 11]) == (0x30, 0x39, 0x41)
        times += (kind + 3, kind + 12)
    return {"trace_ids": traces, "span_ids": spans, "times": times}


def _line_places(body: bytes) -> dict[str, list[int]]:
    times: list[int] = []
    for match in _RECORD.finditer(body):
        head = match.start() + 1
        begin = head + 1 + (body[head] > 127)
        size = body[head] & 127 | (body[head + 1] << 7 if body[head] > 127 else 0)
        assert body[begin + size - 9] == 0x59
        times += (begin + 1, begin + size - 8)
    return {
        "times": times,
        "hex": [match.start() for match in _REQUEST_ID.finditer(body)],
        "digits": [match.start() + 4 for match in _OFFSET.finditer(body)],
    }


if __name__ == "__main__":
    _, kind_asked, count_asked, seed_asked, path_asked = sys.argv
    _write(kind_asked, int(count_asked), int(seed_asked), Path(path_asked))  # type: ignore[arg-type]
