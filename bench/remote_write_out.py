"""Samples sent on by remote write, beside Prometheus: to a receiver that only counts.

Ours wait in the store while the receiver says 503; then it opens, and what is measured is CPU time
until it has counted every sample. Prometheus sends what it gets as it comes, so it takes the same
bodies twice: with a remote_write until all are counted, and without one until all are in; what the
first took longer is called sending. Both take bodies over one connection, in order, and send 2,000
samples a request in at most 10 shards. Times lie ahead of the clock, since Prometheus sends
nothing from before its start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from bench import peers
from bench.generate_metrics import SERIES, SERIES_A_BODY, bodies
from bench.machine import ROOT, SCRATCH, until
from bench.program import Trilens, free_ports
from bench.report import Figure
from bench.send import Sender, Task

SAMPLES: Final = 2_000_000
# Prometheus takes nothing that is more than ten minutes ahead.
SCRAPE_MS: Final = 4_000
AHEAD_S: Final = 20.0
READY_S_MAX: Final = 30.0
SENT_S_MAX: Final = 120.0
MESSAGES: Final = {"1.0": "prometheus.WriteRequest", "2.0": "io.prometheus.write.v2.Request"}


@dataclass(frozen=True, slots=True)
class Load:
    """Bodies on disk, and how many samples they have."""

    path: Path
    samples: int


@dataclass(slots=True)
class SentOn:
    """CPU seconds by process, for all samples together."""

    cpu_s: dict[str, float]
    seconds: float
    counts: dict[str, int]
    details: dict[str, Any] = field(default_factory=dict)

    def cpu_s_a_million(self) -> float:
        return sum(self.cpu_s.values()) / self.counts["samples"] * 1e6


def run(scale: float) -> Iterator[Figure]:
    load = made(int(SAMPLES * scale))
    # First, while the times of the bodies are ahead of its start.
    peer = of_prometheus(load) if peers.is_installed("prometheus") else None
    yield from figures({version: of_trilens(load, version) for version in MESSAGES}, peer)


def figures(ours: dict[str, SentOn], peer: SentOn | None) -> Iterator[Figure]:
    name = f"prometheus {peers.version('prometheus')}" if peer else ""
    for version, sent in ours.items():
        beside = peer if version == "1.0" else None  # which is all that Prometheus 2 knows
        details = {**sent.counts, **sent.details}
        if beside is not None:
            more = {**beside.counts, **beside.details}
            details |= {f"prometheus_{what}": value for what, value in more.items()}
        yield Figure(
            f"{version}: server and engine", sent.cpu_s_a_million(), "CPU s/million", "less",
            peer=name if beside else "", details=details,
            peer_value=None if beside is None else beside.cpu_s_a_million(),
        )  # fmt: skip
        yield Figure(
            f"{version}: what waited, sent", sent.counts["samples"] / sent.seconds, "samples/s",
            "more",
        )  # fmt: skip


def made(samples: int) -> Load:
    """In whole scrapes. Their making takes 8 us a sample."""
    count = max(1, samples // SERIES) * SERIES // SERIES_A_BODY
    directory = SCRATCH / "bodies"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "sent_on.bodies"
    start_ms = int((time.time() + AHEAD_S + 10e-6 * count * SERIES_A_BODY) * 1000)
    index = []
    with path.open("wb") as file:
        for body in bodies(count, start_ms=start_ms, scrape_ms=SCRAPE_MS):
            index.append((file.tell(), len(body), SERIES_A_BODY))
            file.write(body)
    np.savez(path.with_suffix(".npz"), index=np.array(index, np.int64))
    return Load(path, count * SERIES_A_BODY)


def of_trilens(load: Load, version: str) -> SentOn:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        config = _config(SCRATCH / "data" / "sent_on.yml", receiver, MESSAGES[version])
        program = stack.enter_context(Trilens("sent_on", prometheus_config=str(config)))
        _send(load, program.http_port)
        until(lambda: program.visible("writes") >= load.samples, seconds=SENT_S_MAX)
        program.rest()
        clock = program.cpu_clock()
        with clock:
            receiver.open()
            counts = receiver.counted(load.samples)
        return SentOn(dict(clock.used_s), clock.seconds, counts, clock.shares())


def of_prometheus(load: Load) -> SentOn:
    with Receiver() as receiver:
        receiver.open()
        with _SendingPrometheus(receiver) as peer, peer.cpu_clock() as both:
            _send(load, peer.port)
            counts = receiver.counted(load.samples)
    with _SendingPrometheus(None) as peer, peer.cpu_clock() as taking:
        _send(load, peer.port)
        until(lambda: peer.visible("writes") >= load.samples, seconds=SENT_S_MAX)
    shares = {f"taking_{name}": value for name, value in taking.shares().items()}
    shares |= {f"both_{name}": value for name, value in both.shares().items()}
    used_s = both.used_s["peer"] - taking.used_s["peer"]
    return SentOn({"peer": used_s}, both.seconds, counts, shares)


def _send(load: Load, port: int) -> None:
    task = Task("remote_write", "writes", port, [str(load.path)], connections=1)
    with Sender(task) as sender:
        sender.go()
        sent = sender.result()
    if sent.records != load.samples:
        raise RuntimeError(f"{sent.records} of {load.samples} samples were taken")


class Receiver:
    """The process of bench.write_receiver."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.write_receiver", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        until(self._is_ready, seconds=READY_S_MAX)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def open(self) -> None:
        self._ask("POST", "/open")

    def counted(self, samples: int) -> dict[str, int]:
        """When it has so many. Raises RuntimeError when it has more, TimeoutError."""
        until(lambda: self._ask("GET", "/counts")["samples"] >= samples, seconds=SENT_S_MAX)
        counts = self._ask("GET", "/counts")
        if counts["samples"] > samples:
            raise RuntimeError(f"{counts['samples']} samples have come of {samples}")
        return counts

    def _ask(self, method: str, path: str) -> dict[str, int]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=READY_S_MAX)
        try:
            connection.request(method, path)
            answer: dict[str, int] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("the receiver ended")
        try:
            return bool(self._ask("GET", "/counts"))
        except OSError:
            return False


class _SendingPrometheus(peers.Prometheus):
    def __init__(self, receiver: Receiver | None) -> None:
        super().__init__()
        self._config = _config(self.data / "sent_on.yml", receiver, None)

    def flags(self) -> list[str]:
        kept = [one for one in super().flags() if not one.startswith("--config")]
        return [*kept, f"--config.file={self._config}"]


def _config(path: Path, receiver: Receiver | None, message: str | None) -> Path:
    """Without a receiver nothing is sent; 2.42 knows no `protobuf_message`."""
    writes: list[dict[str, Any]] = []
    if receiver is not None:
        one: dict[str, Any] = {
            "url": f"http://127.0.0.1:{receiver.port}/api/v1/write",
            "queue_config": {"max_samples_per_send": 2000, "max_shards": 10, "capacity": 10_000,
                             "max_backoff": "200ms"},
            "metadata_config": {"send": False},
        }  # fmt: skip
        writes.append(one | ({"protobuf_message": message} if message else {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"remote_write": writes}))
    return path
