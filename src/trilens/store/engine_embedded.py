r"""The engine beside this process: started, watched, started again.

    absent --start--> starting --its word--> ready --exit or stall--> waiting --> starting
                          \--exit on the first start--> start() raises

One thread owns the child: it starts it (the kernel ties the child's life to the thread that
started it), pings it, kills it when a ping stays unanswered for `stall_s`, and starts it again
after a pause that doubles from RESTART_PAUSE_S to RESTART_PAUSE_S_MAX. While there is no engine
calls raise EngineBusy.
"""

from __future__ import annotations

import logging
import select
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trilens.errors import Broken
from trilens.measures import Measures
from trilens.process_memory import resident_bytes
from trilens.store.engine import Engine
from trilens.store.engine_http import socket_address

READY_S_MAX = 60.0
READY_LINE = b"ready\n"  # engine_front.READY_LINE; importing it would load uvloop here
PING_PAUSE_S = 0.5
STALL_S = 20.0
RESTART_PAUSE_S = 0.1
RESTART_PAUSE_S_MAX = 10.0
# An engine that ran this long had no trouble with its start: the next pause is short again.
SETTLED_S = 30.0
STOP_S_MAX = 8.0
STDERR_LINES_MAX = 40
STDERR_LINE_BYTES_MAX = 2000


@dataclass(frozen=True, slots=True)
class EngineState:
    """`reason` is why the engine last went away, '' if it never did."""

    is_ready: bool
    pid: int | None
    restarts: int
    memory_bytes: int
    reason: str


class EmbeddedEngine:
    """chDB in a process of its own, over the files in `data_dir`.

    `memory_bytes_max` bounds the resident memory of the child (engine_config says how).
    start() and stop() are called once each, from any thread.
    """

    def __init__(
        self,
        data_dir: Path,
        memory_bytes_max: int,
        *,
        measures: Measures | None = None,
        log: logging.Logger | None = None,
        stall_s: float = STALL_S,
        lock_wait_s: float = 10.0,
    ) -> None:
        self._directory = data_dir.resolve()
        self._socket = self._directory / "engine.sock"
        self._memory_bytes_max = memory_bytes_max
        self._measures = measures
        self._log = log or logging.getLogger("trilens.engine")
        self._stall_s = stall_s
        self._lock_wait_s = lock_wait_s
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES_MAX)
        self._restarts = 0
        self._reason = ""
        self._killed_because = ""
        self._ready = threading.Event()
        self._is_first_try_over = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="engine-watch", daemon=True)
        self.engine = Engine(socket_address(self._socket))

    def start(self) -> None:
        """Returns when the engine answers. Raises Broken with the reason when it cannot start."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._measures is not None:
            self._measures.refresh_with(self._measure)
        self._thread.start()
        self._is_first_try_over.wait()
        if not self._ready.is_set():
            self.stop()
            raise Broken(f"the engine did not start: {self._reason}")

    def state(self) -> EngineState:
        process = self._process
        pid = process.pid if process is not None and process.poll() is None else None
        return EngineState(
            is_ready=self._ready.is_set() and pid is not None,
            pid=pid,
            restarts=self._restarts,
            memory_bytes=resident_bytes(pid) if pid is not None else 0,
            reason=self._reason,
        )

    def stop(self) -> None:
        """Close the engine: it ends what it is doing within STOP_S_MAX or is killed."""
        self._stopping.set()
        self._ready.clear()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()
        self.engine.close()

    def _watch(self) -> None:
        pause_s = RESTART_PAUSE_S
        while not self._stopping.is_set():
            started_at = time.monotonic()
            process = self._spawn()
            if self._await_ready(process):
                self._ready.set()
                self._is_first_try_over.set()
                self._ping_until_gone(process)
            self._bury(process)
            if not self._is_first_try_over.is_set():
                self._is_first_try_over.set()
                return
            if self._stopping.is_set():
                return
            if time.monotonic() - started_at > SETTLED_S:
                pause_s = RESTART_PAUSE_S
            self._count_restart(pause_s)
            self._stopping.wait(pause_s)
            pause_s = min(pause_s * 2, RESTART_PAUSE_S_MAX)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._stderr.clear()
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable, "-m", "trilens.store.engine_front",
                "--data-dir", str(self._directory), "--socket", str(self._socket),
                "--memory-bytes-max", str(self._memory_bytes_max),
                "--lock-wait-s", str(self._lock_wait_s),
            ],
            start_new_session=True,  # Ctrl-C in a terminal is for us to pass on
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        reader = threading.Thread(
            target=_keep_lines, args=(process.stderr, self._stderr), daemon=True
        )
        reader.start()
        self._process = process
        if self._stopping.is_set():  # stop() may have looked just before
            process.kill()
        return process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the child's own word: on the socket another engine might answer."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_S_MAX)
        if not readable:
            self._killed_because = f"not ready within {READY_S_MAX:.0f} s"
            process.kill()
            return False
        return process.stdout.readline() == READY_LINE

    def _ping_until_gone(self, process: subprocess.Popen[bytes]) -> None:
        answered_at = time.monotonic()
        while not self._stopping.is_set():
            try:
                process.wait(PING_PAUSE_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
            left_s = self._stall_s - (time.monotonic() - answered_at)
            if self.engine.ping(timeout_s=max(left_s, PING_PAUSE_S)):
                answered_at = time.monotonic()
            elif time.monotonic() - answered_at > self._stall_s:
                self._killed_because = f"no answer for {self._stall_s:g} s, killed"
                process.kill()
                return

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end and say why, once."""
        code = process.wait()
        self._ready.clear()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        if self._stopping.is_set():
            return
        last = " | ".join(self._stderr) or "nothing on stderr"
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        self._reason, self._killed_because = f"{self._killed_because or how}: {last}", ""
        self._log.error("engine gone", extra={"reason": self._reason, "exit_code": code})

    def _count_restart(self, pause_s: float) -> None:
        self._restarts += 1
        if self._measures is not None:
            self._measures.count("trilens_engine_restarts_total")
        self._log.warning("engine starts again", extra={"pause_s": pause_s, "n": self._restarts})

    def _measure(self) -> None:
        assert self._measures is not None
        self._measures.set("trilens_engine_memory_bytes", to=self.state().memory_bytes)


def _keep_lines(pipe: IO[bytes], lines: deque[str]) -> None:
    try:
        while line := pipe.readline(STDERR_LINE_BYTES_MAX):
            if not line.startswith(b"Logging "):  # chDB says on every start where it logs
                lines.append(line.decode("utf-8", "replace").rstrip())
    except ValueError:  # closed while we read
        return
