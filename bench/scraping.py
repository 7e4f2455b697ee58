"""Scraping beside Prometheus: the same targets, one scraper after the other, for the same time.

500 targets of 2,000 series every 15 s: 66,667 samples/s. The targets note when each of them was
asked, so both scrapers are judged from outside: a scrape is late when it comes more than a second
after the interval is over, and missed when it does not come. What is stored is counted by a query,
and must be all that was exposed.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

from bench import peers
from bench.machine import ROOT, SCRATCH, CpuClock, MemoryPeak, until
from bench.program import Trilens, free_ports
from bench.report import Better, Figure
from bench.scrape_targets import SERIES, host, metrics

TARGETS: Final = 500
INTERVAL_S: Final = 15.0
WARM_S: Final = 45.0  # three scrapes of every target: all series are known then
MEASURED_S: Final = 105.0
LATE_S: Final = 1.0
GOAL_SERVER: Final = 0.6  # of one core
STORED_S_MAX: Final = 60.0
READY_S_MAX: Final = 60.0
PROMETHEUS_SAMPLES_MAX: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Load:
    targets: int = TARGETS
    interval_s: float = INTERVAL_S
    warm_s: float = WARM_S
    measured_s: float = MEASURED_S


@dataclass(slots=True)
class Scraped:
    """What one scraper did. Shares are of one core; bytes are of all its processes."""

    cpu: dict[str, float]
    peak_bytes: int
    mean_bytes: int
    due: int
    done: int
    late: int
    exposed: int  # samples
    stored: int
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def missed(self) -> int:
        return max(0, self.due - self.done)

    def as_details(self, prefix: str) -> dict[str, Any]:
        found = {
            "peak_bytes": self.peak_bytes, "mean_bytes": self.mean_bytes, "due": self.due,
            "done": self.done, "late": self.late, "missed": self.missed,
            "exposed_samples": self.exposed, "stored_samples": self.stored, **self.details,
        }  # fmt: skip
        return {f"{prefix}_{name}": value for name, value in found.items()}


def run(scale: float) -> Iterator[Figure]:
    load = Load(targets=max(1, int(TARGETS * scale)))
    ours = of_trilens(load)
    yield from figures(ours, of_prometheus(load) if peers.is_installed("prometheus") else None)


def figures(ours: Scraped, peer: Scraped | None) -> Iterator[Figure]:
    name = f"prometheus {peers.version('prometheus')}" if peer else ""
    details = ours.as_details("trilens") | (peer.as_details("prometheus") if peer else {})

    def figure(
        what: str, of: Callable[[Scraped], float], unit: str, *,
        better: Better = "less", goal: float | None = None,
    ) -> Figure:  # fmt: skip
        beside = None if peer is None else of(peer)
        return Figure(what, of(ours), unit, better, goal, peer=name, peer_value=beside)

    yield Figure(
        "server, without the engine", ours.cpu["server"], "cores", "less", GOAL_SERVER,
        details=details,
    )  # fmt: skip
    yield figure("server and engine", lambda one: sum(one.cpu.values()), "cores")
    yield figure("most resident memory", lambda one: one.peak_bytes / 1e6, "MB")
    yield figure("mean resident memory", lambda one: one.mean_bytes / 1e6, "MB")
    yield figure("scrapes late or missed", lambda one: one.late + one.missed, "scrapes", goal=0)
    yield figure(
        "samples stored, of those exposed", lambda one: one.stored / max(1, one.exposed), "of 1",
        better="more", goal=1,
    )  # fmt: skip


def of_trilens(load: Load) -> Scraped:
    with ExitStack() as stack:
        targets = stack.enter_context(Targets(load.targets))
        config = _config(SCRATCH / "data" / "scraping.yml", targets, load)
        program = stack.enter_context(Trilens("scraping", prometheus_config=str(config)))

        def stored(start_ns: int, end_ns: int) -> int:
            asked = (
                f"SELECT count() FROM samples WHERE metric IN {tuple(metrics())}"
                f" AND timestamp > fromUnixTimestamp64Nano({start_ns})"
                f" AND timestamp <= fromUnixTimestamp64Nano({end_ns})"
            )
            return int(program.sql(asked)[0][0])

        return _measured(load, targets, program.pid, program.cpu_clock(), stored)


def of_prometheus(load: Load) -> Scraped:
    with ExitStack() as stack:
        targets = stack.enter_context(Targets(load.targets))
        peer = stack.enter_context(_ScrapingPrometheus(targets, load))

        def stored(start_ns: int, end_ns: int) -> int:
            # Its ranges have both ends in 2.42, and the left one is open in 3.
            span_ms = (end_ns - start_ns) // 10**6 - 1
            asked = (f"sum(count_over_time({name}[{span_ms}ms]))" for name in metrics())
            found = (peer.query(one, end_ns / 1e9) for one in asked)
            return sum(int(result[0]["value"][1]) for result in found if result)

        return _measured(load, targets, peer.pid, peer.cpu_clock(), stored)


def _measured(
    load: Load, targets: Targets, pid: int, clock: CpuClock, stored: Callable[[int, int], int]
) -> Scraped:
    time.sleep(load.warm_s)
    with MemoryPeak(pid) as memory, clock:
        began_ns = time.time_ns()
        time.sleep(load.measured_s)
        ended_ns = time.time_ns()
    time.sleep(2.0)  # for the gap behind the end, and for what is on its way
    arrivals = targets.arrivals()
    start_ns, end_ns = (_gap(arrivals, near) for near in (began_ns, ended_ns))
    within = [(target, at) for target, at in arrivals if start_ns < at <= end_ns]
    exposed = len(within) * SERIES
    found = _settled(lambda: stored(start_ns, end_ns), exposed)
    shares = clock.shares()
    return Scraped(
        cpu={name: used / clock.seconds for name, used in clock.used_s.items()},
        peak_bytes=memory.bytes,
        mean_bytes=memory.mean_bytes,
        due=round(load.targets * (end_ns - start_ns) / 1e9 / load.interval_s),
        done=len(within),
        late=_late(arrivals, start_ns, end_ns, load.interval_s),
        exposed=exposed,
        stored=found,
        details=shares | {"measured_s": round(clock.seconds, 1)},
    )


def _settled(count: Callable[[], int], wanted: int) -> int:
    deadline = time.monotonic() + STORED_S_MAX
    while (found := count()) < wanted and time.monotonic() < deadline:
        time.sleep(1.0)
    return found


def _gap(arrivals: list[tuple[int, int]], near_ns: int) -> int:
    """The middle of the longest time without a scrape, within a second of a moment.

    A scraper's time of a scrape is some milliseconds before the target's; so none is cut here.
    """
    around = sorted(at for _, at in arrivals if abs(at - near_ns) < 10**9)
    pairs = list(itertools.pairwise([near_ns - 10**9, *around, near_ns + 10**9]))
    before, after = max(pairs, key=lambda pair: pair[1] - pair[0])
    return (before + after) // 2


def _late(arrivals: list[tuple[int, int]], start_ns: int, end_ns: int, interval_s: float) -> int:
    last: dict[int, int] = {}
    late = 0
    for target, at in arrivals:
        apart_s = (at - last.get(target, at)) / 1e9
        if start_ns < at <= end_ns and apart_s > interval_s + LATE_S:
            late += 1
        last[target] = at
    return late


class Targets:
    """The process of bench.scrape_targets."""

    def __init__(self, count: int) -> None:
        (self.port,) = free_ports(1)
        self.count = count

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.scrape_targets", str(self.port), str(self.count)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        until(self._is_ready, seconds=READY_S_MAX)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def addresses(self) -> list[str]:
        return [f"{host(number)}:{self.port}" for number in range(self.count)]

    def arrivals(self) -> list[tuple[int, int]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=READY_S_MAX)
        try:
            connection.request("GET", "/arrivals")
            return [(target, at) for target, at in json.loads(connection.getresponse().read())]
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("the targets ended")
        try:
            self.arrivals()
        except OSError:
            return False
        return True


class _ScrapingPrometheus(peers.Prometheus):
    def __init__(self, targets: Targets, load: Load) -> None:
        super().__init__()
        self._config = _config(self.data / "scraping.yml", targets, load)

    def flags(self) -> list[str]:
        kept = [one for one in super().flags() if not one.startswith(("--config", "--query"))]
        return [*kept, f"--config.file={self._config}",
                f"--query.max-samples={PROMETHEUS_SAMPLES_MAX}"]  # fmt: skip


def _config(path: Path, targets: Targets, load: Load) -> Path:
    interval = f"{int(load.interval_s * 1000)}ms"
    scrape = {
        "job_name": "nodes",
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "static_configs": [{"targets": targets.addresses(), "labels": {"cluster": "bench"}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"scrape_configs": [scrape]}))
    return path
