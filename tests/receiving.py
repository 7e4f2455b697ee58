"""What the tests of the receivers share: an append that remembers, and listeners in a thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Self

import uvloop
from starlette.applications import Starlette
from xxhash import xxh3_64_intdigest

from trilens.clock import SystemClock
from trilens.envelope import Envelope, unpack
from trilens.measures import Measures
from trilens.process_memory import keep_freed_memory
from trilens.receive import KnownSeries, Limits, receivers
from trilens.receive.admission import Admission
from trilens.receive.listener import Intake, endpoints, routes
from trilens.receive.listener_grpc import GrpcListener
from trilens.receive.listener_http import HttpListener
from trilens.receive.otlp import SIGNALS
from trilens.receive.prometheus_schema import V1, V1_KEPT

MESSAGES = {name: signal.request for name, signal in SIGNALS.items()}
MESSAGES["prometheus_write"] = V1["WriteRequest"]


class Kept:
    """An append whose bytes are safe at once; `failure` makes it fail instead."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.failure: Exception | None = None

    def __call__(self, envelope: Envelope) -> Future[None]:
        future: Future[None] = Future()
        if self.failure is None:
            self.envelopes.append(envelope)
            future.set_result(None)
        else:
            future.set_exception(self.failure)
        return future

    def messages(self, wire_format: str) -> list:
        """What was sent: samples that are kept without their labels have them again."""
        labels: dict[int, list] = {}
        return [
            _with_known(unpack(e.encoding, e.payload), labels)
            if wire_format == "prometheus_write"
            else MESSAGES[e.format].FromString(unpack(e.encoding, e.payload))
            for e in self.envelopes
            if e.format == wire_format
        ]


def _with_known(payload: bytes, labels: dict[int, list]):
    """One WriteRequest; `labels` are those of all series so far, by their id."""
    message = V1["WriteRequest"].FromString(payload)
    message.DiscardUnknownFields()
    for series in message.timeseries:
        kept = sorted((one for one in series.labels if one.value), key=lambda one: one.name)
        whole = V1["TimeSeries"](labels=kept)
        labels[xxh3_64_intdigest(whole.SerializeToString())] = list(whole.labels)
    for group in V1_KEPT["WriteRequest"].FromString(payload).known:
        for series_id, at_ms, value in zip(
            group.series_ids, group.timestamps, group.values, strict=True
        ):
            sample = {"timestamp": at_ms, "value": value}
            message.timeseries.add(labels=labels[series_id], samples=[sample])
            assert group.metric in {one.value for one in labels[series_id]}
    return message


def an_intake(kept: Kept, *, limits: Limits | None = None, **admission: object) -> Intake:
    return Intake(
        kept,
        receivers=receivers(KnownSeries()),
        limits=limits or Limits(),
        measures=Measures(),
        clock=SystemClock(),
        admission=Admission(**admission),
    )


class Running:
    """Both listeners on free ports, on an event loop of their own, until the `with` ends."""

    def __init__(self, *, limits: Limits | None = None, **admission: object) -> None:
        self.kept = Kept()
        self._settings = (limits, admission)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        limits, admission = self._settings
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.intake = an_intake(self.kept, limits=limits, **admission)
        self.measures = self.intake._measures
        app = Starlette(routes=routes(self.intake))
        http = HttpListener(app, host="127.0.0.1", port=0, endpoints=endpoints(self.intake))
        grpc = GrpcListener(self.intake, host="127.0.0.1", port=0)
        await http.start()
        await grpc.start()
        self.http_port, self.grpc_port = http.port, grpc.port
        self.url = f"http://127.0.0.1:{http.port}"
        self.http = http
        self._ready.set()
        await self._stop.wait()
        await grpc.stop(grace_s=1)
        await http.stop(grace_s=1)
        self.intake.close()


class Elsewhere:
    """Both listeners, or another `program`, in a process whose memory can be seen."""

    def __init__(self, program: str = __file__) -> None:
        self._program = program

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.http_port, self.grpc_port = map(int, self._process.stdout.readline().split())
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._idle_mib = self._peak_mib()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)

    def grown_mib(self) -> int:
        """The most memory that it ever had beyond what it had idle."""
        return self._peak_mib() - self._idle_mib

    def _peak_mib(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    keep_freed_memory(288 << 20)  # as the program does
    with Running() as running:
        print(running.http_port, running.grpc_port, flush=True)
        sys.stdin.read()
