"""The program under test, started as a user starts it, and asked as a user asks."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from bench.bodies import Kind
from bench.machine import SCRATCH, CpuClock, family, is_running, until
from trilens.store.engine import Engine, EngineBusy
from trilens.store.engine_http import socket_address

READY_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
ANSWER_S_MAX: Final = 120.0
MERGE_S_MAX: Final = 600.0
REST_S: Final = 5.0
FORMATS: Final[dict[Kind, str]] = {
    "spans": "otlp_traces", "logs": "otlp_logs", "writes": "prometheus_write",
}  # fmt: skip
VIEWS: Final[dict[Kind, str]] = {"spans": "spans", "logs": "logs", "writes": "samples"}


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


class Trilens:
    """`trilens serve` on a data directory of its own and on free ports.

    The directory is new unless `is_kept` says that an earlier run's is wanted. What the server
    says goes to <name>.log beside it.
    """

    def __init__(self, name: str, *, is_kept: bool = False, **settings: str) -> None:
        self.data = SCRATCH / "data" / name
        if not is_kept:
            shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port, self.otlp_port = free_ports(3)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Seconds from the command until /-/ready says so."""
        flags = {
            "data-dir": str(self.data),
            "http": f"127.0.0.1:{self.http_port}",
            "otlp-grpc": f"127.0.0.1:{self.grpc_port}",
            "otlp-http": f"127.0.0.1:{self.otlp_port}",
        } | {name.replace("_", "-"): value for name, value in self._settings.items()}
        command = [str(Path(sys.executable).with_name("trilens")), "serve"]
        command += [f"--{name}={value}" for name, value in flags.items()]
        began_at = time.monotonic()
        with self.data.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log)
        until(self.is_ready, seconds=READY_S_MAX, pause_s=0.01)
        return time.monotonic() - began_at

    def is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"trilens ended; see {self.data.with_suffix('.log')}")
        try:
            return self._ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """kill -9, its engine with it."""
        process, self._process = self._process, None
        assert process is not None
        members = family(process.pid)
        for member in members:
            member.kill()
        process.wait()
        until(lambda: not any(map(is_running, members)), seconds=STOP_S_MAX)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def engine_pid(self) -> int:
        return int(family(self.pid)[1].pid)

    def cpu_clock(self) -> CpuClock:
        return CpuClock({"server": self.pid, "engine": self.engine_pid})

    def sql(self, query: str) -> list[list[Any]]:
        """Rows of one query, by the public API."""
        status, body = self._ask("POST", "/api/sql?format=JSONCompact", query.encode())
        if status != 200:
            raise RuntimeError(f"{status}: {body[:500]!r}")
        rows: list[list[Any]] = json.loads(body)["data"]
        return rows

    def visible(self, kind: Kind) -> int:
        """Rows loaded since the start, as the program counts them: when they can be queried."""
        text = self._ask("GET", "/metrics")[1].decode()
        counter = rf'^trilens_load_rows_total{{format="{FORMATS[kind]}"}} (\S+)$'
        match = re.search(counter, text, re.MULTILINE)
        return int(float(match[1])) if match else 0

    def found(self, kind: Kind) -> int:
        return self.count(VIEWS[kind])

    def count(self, view: str) -> int:
        return int(self.sql(f"SELECT count() FROM {view}")[0][0])

    def console(self, path: str, **parameters: object) -> Any:
        """The answer of the console's API, and nothing about how long it took."""
        status, body = self._ask("GET", f"/api/console{path}?{urlencode(parameters)}")
        if status != 200:
            raise RuntimeError(f"{status}: {body[:500]!r}")
        return json.loads(body)

    def tables(self) -> dict[str, int]:
        """Bytes on disk of each stored table, marks and indexes included."""
        tables = self.console("/sources")["engine"]["tables"]
        return {table["table"]: table["bytes"] for table in tables}

    def spool_frames(self) -> int:
        return sum(each["spool_frames"] for each in self.console("/sources")["formats"])

    def merge(self, *tables: str) -> float:
        """Merge each table to one part a day, as time would; seconds it took."""
        began_at = time.monotonic()
        engine = self.engine()
        for table in tables:
            until(partial(_merged, engine, table), seconds=MERGE_S_MAX)
        engine.close()
        return time.monotonic() - began_at

    def rest(self) -> None:
        """Return when the engine has merged all that it wants to."""
        engine = self.engine()
        until(partial(_rests, engine), seconds=MERGE_S_MAX)
        engine.close()

    def engine(self) -> Engine:
        """The engine behind the server's back: for what a user cannot ask."""
        return Engine(socket_address(self.data / "engine" / "engine.sock"))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ANSWER_S_MAX)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


def _merged(engine: Engine, table: str) -> bool:
    """False while others have the memory that it takes: all parts at once need much."""
    if not _rests(engine):
        return False
    try:
        engine.command(f"OPTIMIZE TABLE trilens.{table} FINAL", timeout_s=MERGE_S_MAX)
    except EngineBusy:
        return False
    return True


def _rests(engine: Engine) -> bool:
    """No merge began or ran for REST_S."""
    rest_until = time.monotonic() + REST_S
    while time.monotonic() < rest_until:
        if engine.rows("SELECT 1 FROM system.merges LIMIT 1").rows:
            return False
        time.sleep(0.2)
    return True


def took_ms(ask: Callable[[], object], times: int = 5) -> tuple[float, float]:
    """Median and slowest of `times` calls, each on a connection of its own, in milliseconds."""
    took = []
    for _ in range(times):
        began_at = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began_at) * 1e3)
    return round(sorted(took)[times // 2], 1), round(max(took), 1)
