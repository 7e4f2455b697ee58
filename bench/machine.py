"""What the figures were measured on, and who used its CPUs meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import psutil

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
SCRATCH = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results"


def description() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checked out commit, with a + when files differ from it; empty outside a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it that are still there."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_running(process: psutil.Process) -> bool:
    """Whether it is there and more than its exit code."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def cpu_s(pid: int) -> float:
    """User and system time of a process alone, those it has ended with included."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    """Resident memory of a family. Pages shared within it count more than once."""
    return sum(process.memory_info().rss for process in family(pid))


class MemoryPeak:
    """The most and the mean resident memory of a family while its `with` runs, every 100 ms."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self.mean_bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        total, count = 0, 0
        while not self._over.wait(0.1):
            now = resident_bytes(self._pid)
            total, count = total + now, count + 1
            self.bytes, self.mean_bytes = max(self.bytes, now), total // count


def directory_bytes(path: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def until(look: Callable[[], T], *, seconds: float, pause_s: float = 0.05) -> T:
    """The first true answer. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {seconds:g} s: {look}")
        time.sleep(pause_s)
    return answer


@dataclass
class CpuClock:
    """CPU seconds by name, and of everything else on this machine, while its `with` runs."""

    pids: dict[str, int]

    def __enter__(self) -> Self:
        self._began = (time.monotonic(), _busy_s(), self._used())
        return self

    def __exit__(self, *_: object) -> None:
        began_at, busy, used = self._began
        self.seconds = time.monotonic() - began_at
        self.used_s = {name: now - used[name] for name, now in self._used().items()}
        self._busy_s = _busy_s() - busy

    def shares(self, **ended_s: float) -> dict[str, float]:
        """CPU seconds as they were used; `ended_s` are those of processes that have ended."""
        used = self.used_s | ended_s
        cores = len(os.sched_getaffinity(0))
        other = max(0.0, self._busy_s - sum(used.values())) / (self.seconds * cores)
        return {f"{name}_cpu_s": round(s, 2) for name, s in used.items()} | {
            "other_cpu": round(other, 3)
        }

    def _used(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self.pids.items()}


def _busy_s() -> float:
    """CPU seconds that this machine has spent on anything since its start."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()
