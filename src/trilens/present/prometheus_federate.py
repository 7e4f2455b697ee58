"""Federation: GET /federate?match[]=..., the newest sample of each series that matches.

Answered    text 0.0.4, all types untyped, each sample with its time. Names that the format cannot
            write have `_` for each foreign character; to a scraper that takes them
            (escaping=allow-utf-8) text 1.0.0, in which they stand in quotes
Series      those with a sample within the lookback, by name; ended ones (stale) are left out.
            Histograms with custom buckets come as classic ones; exponential ones cannot be
            written as text. A series without the label `instance` gets an empty one, so that the
            scraper does not put its own there
Refused     text, as Prometheus does it
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.present.answers import HTTP_STATUS, broken
from trilens.present.health import EXPOSITION
from trilens.present.prometheus_params import Form
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.threads import Threads
from trilens.query.ask import Asker
from trilens.query.promql.ast import Selector
from trilens.query.promql.errors import ParseError, PromqlError
from trilens.query.promql.number_text import short_number
from trilens.query.promql.parser import parse_selector
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_ranges.windows import STALE_MARKER_BITS
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.query.promql_values.values import METRIC_NAME, Labels, RawSeries
from trilens.store.engine import Engine

PATH: Final = "/federate"
TEXT_1: Final = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
_STATUS: Final = {"bad_data": 400, "execution": 422, "timeout": 503, "canceled": 499}
_PLAIN_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FOREIGN_IN_METRIC: Final = re.compile(r"^[0-9]|[^a-zA-Z0-9_:]")
_FOREIGN_IN_LABEL: Final = re.compile(r"^[0-9]|[^a-zA-Z0-9_]")
_NAME: Final = "federate"


@dataclass(frozen=True, slots=True)
class _Newest:
    """`histogram` counts where there is one."""

    labels: Labels
    at_ms: int
    value: float
    histogram: Histogram | None


@dataclass(frozen=True, slots=True)
class Federation:
    engine: Engine
    measures: Measures
    clock: Clock
    limits: PromqlLimits
    threads: Threads

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        started_at_ns = self.clock.monotonic_ns()
        try:
            now_ms = self.clock.now_ns() // 1_000_000
            form = Form.of(request.scope["query_string"], b"", now_ms)
            selectors = [parse_selector(text) for text in form.every("match[]")]
            ask = Asker(self.engine, self.limits.ask())
            reply = await self.threads.run_while_connected(
                self.threads.promql,
                request.receive,
                ask.stop,
                self._reply,
                ask,
                selectors,
                now_ms,
                request.headers.get("accept", ""),
                "gzip" in request.headers.get("accept-encoding", ""),
            )
        except ParseError as error:
            reply = self._failure("bad_data", str(error), 400)
        except PromqlError as error:
            reply = self._failure(error.error_type, str(error), _STATUS.get(error.error_type, 500))
        except Refused as refused:
            reply = self._failure(refused.code, refused.message, HTTP_STATUS[refused.code])
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
            self.measures.count("trilens_query_errors_total", _NAME, "broken")
            reply = broken()
        took_s = (self.clock.monotonic_ns() - started_at_ns) / 1e9
        self.measures.observe("trilens_query_seconds", _NAME, seconds=took_s)
        return reply

    def _reply(
        self, ask: Asker, selectors: list[Selector], now_ms: int, accept: str, is_packed: bool
    ) -> Response:
        """In a thread. Raises PromqlError."""
        within = SelectLimits(self.limits.series, self.limits.samples)
        source = EngineSource(ask, within, light_samples_max=0)
        found: dict[Labels, _Newest] = {}
        for selector in selectors:
            for series in source.select(selector, now_ms - self.limits.lookback_ms - 1, now_ms):
                found[series.labels] = _newest(series)
        takes_any_name = "escaping=allow-utf-8" in accept.replace(" ", "")
        text = exposition(found, takes_any_name=takes_any_name).encode()
        headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
        if is_packed:
            headers["Content-Encoding"] = "gzip"
            text = gzip.compress(text, 1, mtime=0)
        return Response(text, 200, headers, TEXT_1 if takes_any_name else EXPOSITION)

    def _failure(self, kind: str, message: str, status: int) -> Response:
        self.measures.count("trilens_query_errors_total", _NAME, kind)
        headers = {"Cache-Control": "no-store"} | ({"Retry-After": "1"} if status == 503 else {})
        return PlainTextResponse(f"{message}\n", status, headers)


def exposition(found: dict[Labels, _Newest], *, takes_any_name: bool) -> str:
    """Families by name; one whose series are floats and histograms comes twice."""
    written = sorted(
        (dict(labels)[METRIC_NAME], one.histogram is not None, labels, one)
        for labels, one in found.items()
        if _is_writable(one)
    )
    lines: list[str] = []
    for (metric, is_histogram), family in groupby(written, key=lambda row: row[:2]):
        name = _quoted(metric) if takes_any_name else _FOREIGN_IN_METRIC.sub("_", metric)
        kind = "histogram" if is_histogram else "untyped"
        lines.append(f"# TYPE {name} {kind}")
        for *_, one in family:
            lines += _lines(name, one, takes_any_name=takes_any_name)
    return "".join(f"{line}\n" for line in lines)


def _newest(series: RawSeries) -> _Newest:
    histogram = None if series.histograms is None else series.histograms[-1]
    return _Newest(series.labels, int(series.times_ms[-1]), float(series.values[-1]), histogram)


def _is_writable(one: _Newest) -> bool:
    if METRIC_NAME not in dict(one.labels):
        return False
    if one.histogram is not None:
        return one.histogram.is_custom
    return struct.pack("<d", one.value) != struct.pack("<Q", STALE_MARKER_BITS)


def _lines(name: str, one: _Newest, *, takes_any_name: bool) -> Iterator[str]:
    pairs = _pairs(one.labels, takes_any_name=takes_any_name)
    if one.histogram is None:
        yield _line(name, "", pairs, one.value, one.at_ms)
        return
    histogram = one.histogram
    counts = dict(
        zip(histogram.positive.indexes.tolist(), histogram.positive.counts.tolist(), strict=True)
    )
    running = 0.0
    for place, bound in enumerate((*histogram.custom_values, float("inf"))):
        running += counts.get(place, 0.0)
        count = histogram.count if bound == float("inf") else running
        edge = f'le="{short_number(bound)}"'
        yield _line(name, "_bucket", [*pairs, edge], count, one.at_ms)
    yield _line(name, "_sum", pairs, histogram.sum, one.at_ms)
    yield _line(name, "_count", pairs, histogram.count, one.at_ms)


def _pairs(labels: Labels, *, takes_any_name: bool) -> list[str]:
    """Of two names that become the same the first counts."""
    named: dict[str, str] = {}
    for label, value in (*labels, ("instance", "")):
        if label != METRIC_NAME:
            named.setdefault(_label_name(label, takes_any_name=takes_any_name), value)
    return [f'{name}="{_escaped(value)}"' for name, value in named.items()]


def _label_name(label: str, *, takes_any_name: bool) -> str:
    if takes_any_name:
        return label if _PLAIN_LABEL.fullmatch(label) else f'"{_escaped(label)}"'
    return _FOREIGN_IN_LABEL.sub("_", label)


def _line(name: str, suffix: str, pairs: list[str], value: float, at_ms: int) -> str:
    if name.startswith('"'):
        pairs, metric = [f'{name[:-1]}{suffix}"', *pairs], ""
    else:
        metric = name + suffix
    return f"{metric}{{{','.join(pairs)}}} {short_number(value)} {at_ms}"


def _quoted(name: str) -> str:
    return name if _PLAIN_METRIC.fullmatch(name) else f'"{_escaped(name)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
