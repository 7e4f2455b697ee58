"""PromQL beside Prometheus and VictoriaMetrics: the same samples, the same questions, one machine.

20,000 series every 15 s for six hours, 28.8 million samples at scale 1: of 1,000 pods requests and
buckets of durations, memory, and who runs where. All three are sent the same bodies, 24 samples a
series in each, since loading is measured elsewhere. Then each is asked alone, while the others
wait: each question once when nobody has asked it before (cold), then again after three seconds
(warm, the median). A dashboard is 30 panels of one hour, all asked at the same time.

Goals: half of Prometheus's time where many series are read, 1.2 times it where one is.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import cramjam
import numpy as np

from bench import peers
from bench.bodies import start_ns
from bench.generate_metrics import SCRAPE_MS, varint
from bench.machine import CpuClock, MemoryPeak, directory_bytes, until
from bench.program import Trilens
from bench.report import Details, Figure

PODS: Final = 1_000
SERIES: Final = 20_000
SAMPLES: Final = 1_440  # of a series, in six hours
ROUTES: Final = 10
BOUNDS: Final = ("0.01", "0.05", "0.1", "0.25", "0.5", "1", "5", "+Inf")
SERIES_A_BODY: Final = 200
SAMPLES_A_BODY: Final = 24
WARM, WARM_LIGHT = 5, 101  # a millisecond differs more from one to the next
# A dashboard asks again after seconds; what we fetch into memory meanwhile takes one.
WARM_AFTER_S: Final = 3.0
PANELS: Final = 30
PANEL_S: Final = 3_600
GOAL_HEAVY, GOAL_LIGHT = 0.5, 1.2
GOAL_PANEL_MS: Final = 300.0
LOAD_S_MAX: Final = 900.0
ANSWER_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class Question:
    what: str
    query: str
    step_s: int | None = 60  # over all the time; None: at its end
    is_light: bool = False


QUESTIONS: Final = (
    Question(
        "rate by a label, 10,000 series, 6 h", "sum by (route) (rate(shop_requests_total[5m]))"
    ),
    Question(
        "p99 by route of 8,000 buckets, 6 h",
        "histogram_quantile(0.99, sum by (route, le) (rate(shop_duration_seconds_bucket[5m])))",
    ),
    Question("topk(10) of 10,000 rates, now", "topk(10, rate(shop_requests_total[5m]))", None),
    Question(
        "topk(5) of sums by pod, 6 h", "topk(5, sum by (pod) (rate(shop_requests_total[5m])))"
    ),
    Question(
        "join with group_left, by node, 6 h",
        "sum by (node) (sum by (pod) (rate(shop_requests_total[5m]))"
        " * on (pod) group_left (node) shop_pod_info)",
    ),
    Question("count by pod, 1,000 of them, 6 h", "count by (pod) (shop_requests_total)"),
    Question("rate of all 10,000, now", "rate(shop_requests_total[5m])", None),
    Question(
        "one series, 6 h",
        'rate(shop_requests_total{pod="pod-0007",route="/api/7"}[5m])',
        is_light=True,
    ),
    Question("one series, now", 'shop_memory_bytes{pod="pod-0007"}', None, is_light=True),
)
_PANELS: Final = (
    "sum by (route) (rate(shop_requests_total[5m]))",
    'sum(rate(shop_requests_total{{node="node-{n}"}}[5m]))',
    'shop_memory_bytes{{pod="pod-{n:04d}"}}',
    'sum by (le) (rate(shop_duration_seconds_bucket{{route="/api/{n}"}}[5m]))',
    'avg by (node) (shop_memory_bytes{{node=~"node-[{n}5]"}})',
)  # fmt: skip


def run(scale: float) -> Iterator[Figure]:
    span_ms = max(SAMPLES_A_BODY, int(SAMPLES * scale) // SAMPLES_A_BODY * SAMPLES_A_BODY)
    span_ms *= SCRAPE_MS
    first_ms = start_ns() // 10**6
    with ExitStack() as stack:
        program = stack.enter_context(Trilens("promql"))
        targets = {"trilens": _Target(program.http_port, program.cpu_clock)}
        beside: dict[str, peers.Peer] = {}
        for command, kind in (
            ("prometheus", peers.Prometheus),
            ("victoria-metrics", peers.VictoriaMetrics),
        ):
            if peers.is_installed(command):
                peer = stack.enter_context(kind())
                targets[command] = _Target(peer.port, peer.cpu_clock)
                beside[command] = peer
        pids = {"trilens": program.pid} | {name: peer.pid for name, peer in beside.items()}
        peaks = {name: stack.enter_context(MemoryPeak(pid)) for name, pid in pids.items()}
        count = _load(targets.values(), first_ms, span_ms)
        until(lambda: program.count("samples") == count, seconds=LOAD_S_MAX, pause_s=0.5)
        program.rest()
        for one in QUESTIONS:
            yield _asked(one, targets, first_ms, first_ms + span_ms)
        yield _dashboard(targets, first_ms + span_ms)
        yield _memory({name: peak.bytes for name, peak in peaks.items()})
        yield _sizes(program, beside, count)


# --- samples


@dataclass(frozen=True, slots=True)
class _Series:
    labels: bytes
    step: float  # a counter's mean rise; 0: a gauge


def _all_series() -> list[_Series]:
    found = []
    for pod in range(PODS):
        own = {"namespace": f"team-{pod % 17}", "node": f"node-{pod % 10}", "pod": f"pod-{pod:04d}"}
        for route in range(ROUTES):
            named = {"code": "200", "method": "GET", "route": f"/api/{route}"}
            labels = {"__name__": "shop_requests_total", **own, **named}
            found.append(_Series(_labels(labels), 5.0 + route))
        for number, bound in enumerate(BOUNDS):
            named = {"le": bound, "route": f"/api/{pod % ROUTES}"}
            labels = {"__name__": "shop_duration_seconds_bucket", **own, **named}
            found.append(_Series(_labels(labels), 3.0 * (number + 1)))
        found.append(_Series(_labels({"__name__": "shop_memory_bytes", **own}), 0.0))
        found.append(_Series(_labels({"__name__": "shop_pod_info", **own, "zone": "a"}), 0.0))
    assert len(found) == SERIES
    return found


def _labels(labels: dict[str, str]) -> bytes:
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, text.encode()))
        for name, text in sorted(labels.items())
    )


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _bodies(first_ms: int, span_ms: int) -> Iterator[bytes]:
    """In the order of time. Samples are 18 bytes: message, value, time."""
    draw = np.random.default_rng(1)
    series = _all_series()
    totals = draw.integers(0, 10**6, len(series)).astype(np.float64)
    # Never at a step: windows of Prometheus before 3.0 have samples at both of their ends.
    offsets_ms = 7 + np.arange(len(series)) // SERIES_A_BODY * 37
    for block_ms in range(first_ms, first_ms + span_ms, SAMPLES_A_BODY * SCRAPE_MS):
        for start in range(0, len(series), SERIES_A_BODY):
            part = slice(start, start + SERIES_A_BODY)
            steps = np.array([one.step for one in series[part]])[:, np.newaxis]
            size = len(steps), SAMPLES_A_BODY
            rises = np.where(steps > 0, draw.poisson(steps, size), 0)
            values = totals[part][:, np.newaxis] + np.cumsum(rises, axis=1)
            totals[part] = values[:, -1]
            times_ms = block_ms + np.arange(SAMPLES_A_BODY) * SCRAPE_MS
            samples = _samples(values, offsets_ms[part][:, np.newaxis] + times_ms)
            body = b"".join(
                _field(1, one.labels + own.tobytes())
                for one, own in zip(series[part], samples, strict=True)
            )
            yield bytes(cramjam.snappy.compress_raw(body))


def _samples(values: Any, times_ms: Any) -> Any:
    """[series, sample, byte]."""
    out = np.zeros((*values.shape, 18), np.uint8)
    out[..., 0], out[..., 1], out[..., 2], out[..., 11] = 0x12, 16, 0x09, 0x10
    out[..., 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, 8)
    for place in range(6):
        more = 0x80 if place < 5 else 0
        out[..., 12 + place] = (times_ms >> (7 * place) & 127) | more
    return out


def _load(targets: Any, first_ms: int, span_ms: int) -> int:
    """Returns how many samples there are."""
    connections = [http.client.HTTPConnection("127.0.0.1", one.port) for one in targets]
    sent = 0
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    for body in _bodies(first_ms, span_ms):
        for connection in connections:
            _post(connection, body, headers)
        sent += SERIES_A_BODY * SAMPLES_A_BODY
    return sent


def _post(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + ANSWER_S_MAX
    while True:
        connection.request("POST", "/api/v1/write", body, headers)
        reply = connection.getresponse()
        text = reply.read()
        if reply.status < 300:
            return
        if reply.status not in {429, 503} or time.monotonic() > deadline:
            raise RuntimeError(f"{reply.status}: {text[:300]!r}")
        time.sleep(0.1)


# --- questions


@dataclass(frozen=True, slots=True)
class _Target:
    port: int
    cpu_clock: Callable[[], CpuClock]

    def ask(self, query: str, start_s: float, end_s: float, step_s: int | None) -> _Answer:
        asked: dict[str, object] = {"query": query, "nocache": 1}
        if step_s is None:
            path, asked = "query", asked | {"time": end_s}
        else:
            path, asked = "query_range", asked | {"start": start_s, "end": end_s, "step": step_s}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S_MAX)
        began_at = time.perf_counter()
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(asked)}")
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            raise RuntimeError(f"{query}: {reply.status}: {body[:300]!r}")
        return _Answer((time.perf_counter() - began_at) * 1e3, body)


@dataclass(frozen=True, slots=True)
class _Answer:
    ms: float
    body: bytes

    def points(self) -> dict[str, list[tuple[float, float]]]:
        """By the labels of their series."""
        found = {}
        for one in json.loads(self.body)["data"]["result"]:
            points = one["values"] if "values" in one else [one["value"]]
            key = json.dumps(one["metric"], sort_keys=True)
            found[key] = [(float(at), float(value)) for at, value in points]
        return found


def _asked(question: Question, targets: dict[str, _Target], first_ms: int, end_ms: int) -> Figure:
    at = first_ms / 1000, (end_ms - SCRAPE_MS) / 1000, question.step_s
    medians: dict[str, float] = {}
    details: Details = {}
    answers: dict[str, _Answer] = {}
    count = WARM_LIGHT if question.is_light else WARM
    for name, target in targets.items():
        with target.cpu_clock() as clock:
            cold = target.ask(question.query, *at)
            time.sleep(WARM_AFTER_S)
            warm = sorted(target.ask(question.query, *at).ms for _ in range(count))
        medians[name], answers[name] = warm[count // 2], cold
        cpu_ms = sum(clock.used_s.values()) / (count + 1) * 1e3
        details |= {
            f"{name}_cold_ms": round(cold.ms, 1),
            f"{name}_cpu_ms": round(cpu_ms, 1),
            f"{name}_other_cpu": clock.shares()["other_cpu"],
        }
    if "prometheus" in answers:
        is_choice = question.query.startswith("topk")
        same = _as_many_points if is_choice else _same_points
        details["points"] = same(answers["trilens"], answers["prometheus"])
    goal = _share(medians, GOAL_LIGHT if question.is_light else GOAL_HEAVY)
    return _figure(question.what, medians, "ms", goal, details)


def _same_points(ours: _Answer, peers: _Answer) -> int:
    """How many there are. Raises AssertionError unless both have the same."""
    found, expected = ours.points(), peers.points()
    assert found.keys() == expected.keys(), f"{len(found)} series, not {len(expected)}"
    for key, points in found.items():
        np.testing.assert_allclose(points, expected[key], rtol=1e-9, err_msg=key)
    return sum(map(len, found.values()))


def _as_many_points(ours: _Answer, peers: _Answer) -> int:
    """What is chosen of equal values may differ."""
    found, expected = (sum(map(len, each.points().values())) for each in (ours, peers))
    assert found == expected, f"{found} points, not {expected}"
    return found


def _dashboard(targets: dict[str, _Target], end_ms: int) -> Figure:
    queries = [_PANELS[n % len(_PANELS)].format(n=n // len(_PANELS)) for n in range(PANELS)]
    end_s = (end_ms - SCRAPE_MS) / 1000
    slow: dict[str, float] = {}
    details: Details = {}
    for name, target in targets.items():

        def panel(query: str, target: _Target = target) -> float:
            return target.ask(query, end_s - PANEL_S, end_s, 15).ms

        runs = []
        for _ in range(3):
            with ThreadPoolExecutor(PANELS) as pool:
                runs.append(sorted(pool.map(panel, queries)))
        middle = sorted(runs, key=lambda run: run[PANELS * 95 // 100])[1]
        slow[name] = middle[PANELS * 95 // 100]
        details |= {f"{name}_p50_ms": round(middle[PANELS // 2], 1)}
    return _figure(f"{PANELS} panels at once, p95 of a panel", slow, "ms", GOAL_PANEL_MS, details)


def _memory(peaks_bytes: dict[str, int]) -> Figure:
    found = {name: size / 1e6 for name, size in peaks_bytes.items()}
    return _figure("most resident memory", found, "MB", _share(found, 1.0))


def _sizes(program: Trilens, beside: dict[str, peers.Peer], count: int) -> Figure:
    """Ours and VictoriaMetrics's merged; Prometheus's as it is, most of it still a log."""
    program.merge("sample_rows", "series_rows")
    tables = program.tables()
    found = {"trilens": (tables["sample_rows"] + tables["series_rows"]) / count}
    for name, peer in beside.items():
        if isinstance(peer, peers.VictoriaMetrics):
            found[name] = sum(peer.merged_bytes().values()) / count
        else:
            found[name] = directory_bytes(peer.data / "data") / count
    return _figure("on disk, series included", found, "bytes/sample", None)


def _share(found: dict[str, float], share: float) -> float | None:
    """Of what Prometheus has, where it is there."""
    return share * found["prometheus"] if "prometheus" in found else None


def _figure(
    what: str,
    found: dict[str, float],
    unit: str,
    goal: float | None,
    details: Details | None = None,
) -> Figure:
    others = {f"{name}_{unit}": round(value, 2) for name, value in found.items()}
    name = "prometheus" if "prometheus" in found else ""
    return Figure(
        what, found["trilens"], unit, "less", goal,
        name and f"{name} {peers.version(name)}", found.get(name), details=others | (details or {}),
    )  # fmt: skip
