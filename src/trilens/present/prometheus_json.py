"""Results of PromQL as the JSON of Prometheus's HTTP API.

Times are seconds, with no decimals or three. Values are texts: the shortest that reads back to the
same float. A series has `values`, or `histograms`, or both. The text of a matrix is put together
from columns: orjson writes all numbers of a series at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from trilens.query.promql.number_text import json_number
from trilens.query.promql_histograms.histogram_json import histogram_json
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.values import (
    Floats,
    Grid,
    Labels,
    Scalar,
    Text,
    Times,
    Value,
    Vector,
    Window,
)

_Items = TypeVar("_Items", list[Any], list[int], list[bytes], NDArray[np.int64])
NOTES_MAX: Final = 10
TRUNCATED: Final = "results truncated due to limit"


def success(data: bytes, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """`data` is JSON."""
    notes = "".join(
        f',"{name}":{json_of(limited(texts)).decode()}'
        for name, texts in (("warnings", warnings), ("infos", infos))
        if texts
    )
    return b"".join([b'{"status":"success","data":', data, notes.encode(), b"}"])


def failure(kind: str, message: str) -> bytes:
    return json_of({"status": "error", "errorType": kind, "error": message})


def limited(texts: Sequence[str]) -> list[str]:
    """The first ones, and how many there are beyond."""
    if len(texts) <= NOTES_MAX:
        return list(texts)
    kind = "warning" if texts[0].startswith("PromQL warning") else "info"
    more = len(texts) - NOTES_MAX
    return [*texts[:NOTES_MAX], f"{more} more {kind} annotations omitted"]


def json_of(value: Any) -> bytes:
    """Text that is no Unicode (bytes of a label) has its foreign parts replaced."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_readable(value))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_readable(key): _readable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    return value


def query_data(kind: str, result: bytes, stats: dict[str, Any] | None = None) -> bytes:
    more = b"" if stats is None else b',"stats":' + json_of(stats)
    return b"".join([b'{"resultType":"', kind.encode(), b'","result":', result, more, b"}"])


def instant_result(value: Value, at_ms: int, limit: int) -> tuple[str, bytes, bool]:
    """(resultType, result, whether the limit took some series away)."""
    at = time_text(at_ms)
    if isinstance(value, Scalar):
        return "scalar", f'[{at},"{json_number(float(value.values[0]))}"]'.encode(), False
    if isinstance(value, Text):
        return "string", b"".join([b"[", at.encode(), b",", json_of(value.value), b"]"]), False
    if isinstance(value, Window):
        series = [one for one in map(_raw_series, *_window_parts(value)) if one]
        return "matrix", _list(_cut(series, limit)), 0 < limit < len(series)
    rows = np.flatnonzero(value.is_there[:, 0])
    samples = _samples(value, _cut(rows, limit), at)
    return "vector", samples, 0 < limit < len(rows)


def range_result(value: Value, grid: Grid, limit: int) -> tuple[bytes, bool]:
    """A matrix; (result, whether the limit took some series away)."""
    times = times_text(grid.times_ms())
    if isinstance(value, Scalar):
        return _list([_series((), times, value_texts(value.values))]), False
    assert isinstance(value, Vector)
    rows = np.flatnonzero(value.is_there.any(axis=1)).tolist()
    rows.sort(key=lambda row: value.labels[row])
    series = [_row(value, row, times) for row in _cut(rows, limit)]
    return _list(series), 0 < limit < len(rows)


def _row(vector: Vector, row: int, times: Sequence[bytes]) -> bytes:
    there = vector.is_there[row]
    histograms = None if vector.histograms is None else vector.histograms[row]
    if histograms is None or not any(one is not None for one in histograms):
        if there.all():
            return _series(vector.labels[row], times, value_texts(vector.values[row]))
        return _series(
            vector.labels[row],
            [times[step] for step in np.flatnonzero(there).tolist()],
            value_texts(vector.values[row][there]),
        )
    steps = np.flatnonzero(there).tolist()
    return _mixed_series(
        vector.labels[row],
        [times[step] for step in steps],
        vector.values[row][there],
        [histograms[step] for step in steps],
    )


def _window_parts(window: Window) -> tuple[Any, Any, Any]:
    return window.series, window.first, window.end


def _raw_series(series: Any, first: Any, end: Any) -> bytes:
    """The samples of a range vector at its one moment; nothing where there are none."""
    part = slice(int(first[0]), int(end[0]))
    times = times_text(series.times_ms[part])
    if not times:
        return b""
    histograms = None if series.histograms is None else series.histograms[part]
    if histograms is None:
        return _series(series.labels, times, value_texts(series.values[part]))
    return _mixed_series(series.labels, times, series.values[part], histograms)


def _samples(vector: Vector, rows: NDArray[np.int64], at: str) -> bytes:
    """The rows of an instant vector, written at once."""
    written_at = orjson.Fragment(at)
    texts = value_texts(vector.values[rows, 0])
    samples: list[dict[str, Any]] = [
        {"metric": dict(vector.labels[row]), "value": [written_at, text.decode()]}
        for row, text in zip(rows.tolist(), texts, strict=True)
    ]
    if vector.histograms is not None:
        for sample, histogram in zip(samples, vector.histograms[rows, 0], strict=True):
            if histogram is not None:
                del sample["value"]
                sample["histogram"] = [written_at, histogram_json(histogram)]
    return json_of(samples)


def _series(labels: Labels, times: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    points = b'"],['.join(map(b',"'.join, zip(times, values, strict=True)))
    return b"".join([b'{"metric":', _metric(labels), b',"values":[[', points, b'"]]}'])


def _mixed_series(
    labels: Labels,
    times: Sequence[bytes],
    values: Floats,
    histograms: Sequence[Histogram | None],
) -> bytes:
    texts = value_texts(values)
    floats = [
        b"".join([b"[", at, b',"', text, b'"]'])
        for at, text, histogram in zip(times, texts, histograms, strict=True)
        if histogram is None
    ]
    others = [
        b"".join([b"[", at, b",", json_of(histogram_json(histogram)), b"]"])
        for at, histogram in zip(times, histograms, strict=True)
        if histogram is not None
    ]
    parts = [b'{"metric":', _metric(labels)]
    if floats:
        parts += [b',"values":', _list(floats)]
    if others:
        parts += [b',"histograms":', _list(others)]
    return b"".join([*parts, b"}"])


def _metric(labels: Labels) -> bytes:
    return json_of(dict(labels))


def _list(items: Iterable[bytes]) -> bytes:
    return b"".join([b"[", b",".join(items), b"]"])


def _cut(items: _Items, limit: int) -> _Items:
    return items[:limit] if limit else items


def time_text(at_ms: int) -> str:
    """1435781430.781, 1435781430: three decimals or none."""
    sign = "-" if at_ms < 0 else ""
    seconds, rest_ms = divmod(abs(at_ms), 1000)
    return f"{sign}{seconds}.{rest_ms:03}" if rest_ms else f"{sign}{seconds}"


def times_text(times_ms: Times) -> list[bytes]:
    if len(times_ms) and not (times_ms % 1000).any():
        seconds = np.ascontiguousarray(times_ms // 1000)
        return orjson.dumps(seconds, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    return [time_text(at_ms).encode() for at_ms in times_ms.tolist()]


def value_texts(values: Floats) -> list[bytes]:
    """As json_number writes each. orjson writes the same digits, but for those with exponents."""
    if not len(values):
        return []
    packed = np.ascontiguousarray(values, np.float64)
    written = orjson.dumps(packed, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b","
    texts = written.replace(b".0,", b",")[:-1].split(b",")
    magnitudes = np.abs(packed)
    with np.errstate(invalid="ignore"):
        is_plain = (magnitudes >= 1e-3) & (magnitudes < 1e15) | (packed == 0)
    for place in np.flatnonzero(~is_plain).tolist():
        texts[place] = json_number(float(packed[place])).encode()
    return texts
