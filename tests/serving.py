"""What end-to-end tests share: the program itself, as a user starts it, on free ports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import httpx

READY_S_MAX = 30.0


class Trilens:
    """`trilens serve` (or `up`) over `data_dir`, in a process group of its own."""

    def __init__(self, data_dir: Path, *flags: str, verb: str = "serve", **environ: str) -> None:
        self.data_dir = data_dir
        self.command = [
            sys.executable, "-m", "trilens.cli", verb, "--data-dir", str(data_dir),
            "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0",
            "--memory-bytes-max", "1536MiB", *flags,
        ]  # fmt: skip
        # Those of browsing.py are no settings.
        own = {"TRILENS_SCREENSHOTS", "TRILENS_TEST_UI"}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        self._environ = inherited | environ
        self.said: list[str] = []
        self.logged: list[str] = []
        self.process: subprocess.Popen | None = None

    def start(self, *, is_waited_for: bool = True) -> Self:
        self.process = subprocess.Popen(
            self.command, env=self._environ, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.logged = []
        threading.Thread(target=self._keep_log, args=(self.process,), daemon=True).start()
        block = []
        for line in self.process.stdout:
            block.append(line.rstrip())
            if line.startswith("  data "):
                break
        self.said = block
        if not any("console" in line for line in block):
            self.process.wait(10)
            raise AssertionError(f"it did not start: {' | '.join(self.logged[-10:])}")
        self.url = self._address(r"console +(http://\S+)")
        self.otlp_grpc = self._address(r"OTLP gRPC +([^\s,]+)")
        self.otlp_http = "http://" + self._address(r"OTLP HTTP +([^\s,]+)")
        if is_waited_for:
            self.wait_ready()
        return self

    def wait_ready(self, timeout_s: float = READY_S_MAX) -> float:
        """Seconds until /-/ready says so."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.logged[-10:]}")
            try:
                if httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready within {timeout_s} s: {self.logged[-10:]}")

    def sql(self, query: str, timeout_s: float = 60) -> list[list]:
        reply = httpx.post(
            f"{self.url}/api/sql?format=JSONCompact", content=query, timeout=timeout_s,
            trust_env=False,
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def count(self, view: str, where: str = "1") -> int:
        return int(self.sql(f"SELECT count() FROM {view} WHERE {where}")[0][0])

    def wait_count(self, view: str, count: int, where: str = "1", timeout_s: float = 30) -> int:
        """The count once it is `count`, else what it is when the time is over."""
        deadline = time.monotonic() + timeout_s
        found = self.count(view, where)
        while found != count and time.monotonic() < deadline:
            time.sleep(0.1)
            found = self.count(view, where)
        return found

    def kill(self) -> None:
        """As a machine would: at once, with everything that belongs to it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, timeout_s: float = 30) -> int:
        """Ask it to stop; returns the exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _address(self, pattern: str) -> str:
        return re.search(pattern, "\n".join(self.said))[1]

    def _keep_log(self, process: subprocess.Popen) -> None:
        for line in process.stderr:
            self.logged.append(line.rstrip())
