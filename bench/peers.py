"""Peers that a Debian package brings, each run beside us on the same bodies.

    apt-get install --no-install-recommends victoria-metrics prometheus

A peer that is not installed is left out and the report says so. They run with their defaults, but
for where they listen and keep data, and that Prometheus takes samples of yesterday. Neither syncs
before it answers.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from typing import Any, Final, Self
from urllib.parse import urlencode

from bench.bodies import DAY_S, Kind, start_ns
from bench.machine import SCRATCH, CpuClock, directory_bytes, until
from bench.program import free_ports

READY_S_MAX: Final = 30.0
STOP_S_MAX: Final = 30.0
MERGE_S_MAX: Final = 120.0
_ADDED = re.compile(r"^vm_rows_added_to_storage_total (\S+)$", re.MULTILINE)

_APPENDED = re.compile(
    r'^prometheus_tsdb_head_samples_appended_total\{type="float"\} (\S+)$', re.MULTILINE
)


def is_installed(command: str) -> bool:
    return shutil.which(command) is not None


def version(package: str) -> str:
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return found.partition("+")[0]


class Peer(ABC):
    """A program on a data directory and a port of its own."""

    command = ""

    def __init__(self) -> None:
        self.data = SCRATCH / "data" / self.command
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        (self.port,) = free_ports(1)

    @abstractmethod
    def flags(self) -> list[str]: ...

    @abstractmethod
    def ready_path(self) -> str: ...

    def __enter__(self) -> Self:
        with self.data.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [self.command, *self.flags()], stdout=log, stderr=log, cwd=self.data
            )
        until(self._is_ready, seconds=READY_S_MAX)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_clock(self) -> CpuClock:
        return CpuClock({"peer": self.pid})

    def get(self, path: str, method: str = "GET") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=MERGE_S_MAX)
        try:
            connection.request(method, path)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        if reply.status >= 400:
            raise RuntimeError(f"{path}: {reply.status}: {body[:300]!r}")
        return body

    def query(self, promql: str, at_s: float) -> list[Any]:
        # VictoriaMetrics would remember what it found a moment ago, when more has come since.
        path = f"/api/v1/query?{urlencode({'query': promql, 'time': at_s, 'nocache': 1})}"
        result: list[Any] = json.loads(self.get(path))["data"]["result"]
        return result

    def found(self, _kind: Kind) -> int:
        """All samples of a day."""
        samples = f'{{__name__=~"shop_.+"}}[{DAY_S}s]'
        found = self.query(f"sum(count_over_time({samples}))", start_ns() // 10**9 + DAY_S / 2)
        return int(found[0]["value"][1]) if found else 0

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.command} ended; see {self.data.with_suffix('.log')}")
        try:
            return bool(self.get(self.ready_path()))
        except (OSError, RuntimeError):
            return False


class VictoriaMetrics(Peer):
    command = "victoria-metrics"

    def flags(self) -> list[str]:
        return [f"-httpListenAddr=127.0.0.1:{self.port}", f"-storageDataPath={self.data / 'data'}"]

    def ready_path(self) -> str:
        return "/health"

    def visible(self, _kind: Kind) -> int:
        """What it has added: a little later queries find it, which they have to prove."""
        match = _ADDED.search(self.get("/metrics").decode())
        return int(float(match[1])) if match else 0

    def merged_bytes(self) -> dict[str, int]:
        """Bytes on disk of samples and of the index, after it has merged all it has."""
        self.get("/internal/force_flush")
        self.get("/internal/force_merge")
        until(self._is_merged, seconds=MERGE_S_MAX, pause_s=0.5)
        return {name: directory_bytes(self.data / "data" / name) for name in ("data", "indexdb")}

    def _is_merged(self) -> bool:
        time.sleep(1.0)  # a merge that was asked for begins a moment later
        text = self.get("/metrics").decode()
        running = re.findall(r"^vm_active_(?:force_)?merges\S* (\S+)$", text, re.MULTILINE)
        return all(float(number) == 0 for number in running)


class Prometheus(Peer):
    """Its samples stay in memory and in the write-ahead log for two hours of their time."""

    command = "prometheus"

    def flags(self) -> list[str]:
        config = self.data / "prometheus.yml"
        config.write_text("storage:\n  tsdb:\n    out_of_order_time_window: 7d\n")
        return [
            f"--config.file={config}", f"--storage.tsdb.path={self.data / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
            "--query.max-samples=500000000",
        ]  # fmt: skip

    def ready_path(self) -> str:
        return "/-/ready"

    def visible(self, _kind: Kind) -> int:
        text = self.get("/metrics").decode()
        match = _APPENDED.search(text)
        return int(float(match[1])) if match else 0
