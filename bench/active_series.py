"""A million active series, some of which end while others begin: memory, and ready after a restart.

Every series has one sample a minute, 5 % are replaced every ten minutes; twenty minutes are sent
as fast as they are taken. Memory is that of all processes, looked at all the time.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bench.bodies import start_ns
from bench.generate_metrics import SERIES_A_BODY, churning
from bench.load import load
from bench.machine import SCRATCH, MemoryPeak
from bench.program import Trilens
from bench.report import Figure
from bench.send import Task

ACTIVE: Final = 1_000_000
SCRAPES: Final = 20
CHURN: Final = 0.05
GOAL_MB, GOAL_READY_S = 3_000.0, 5.0
MB: Final = 1e6


def run(scale: float) -> Iterator[Figure]:
    active = max(1, int(ACTIVE * scale) // SERIES_A_BODY) * SERIES_A_BODY
    path = _made(active)
    program = Trilens("active_series")
    program.start()
    try:
        with MemoryPeak(program.pid) as peak:
            task = Task("remote_write", "writes", program.http_port, [str(path)], seconds_max=900)
            loaded = load(task, program)
        (series,) = program.sql("SELECT count() FROM series")[0]
        yield Figure(
            f"most resident memory of all processes, {active:,} active series",
            peak.bytes / MB, "MB", "less", GOAL_MB,
            details={"series": int(series), "samples_per_s": round(loaded.records_per_s)}
            | loaded.details,
        )  # fmt: skip
        for how, sign in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL)):
            if sign == signal.SIGKILL:
                program.kill()
            else:
                program.stop()
            ready_s = program.start()
            yield Figure(
                f"ready with {active:,} active series, after it was {how}", ready_s, "s", "less",
                GOAL_READY_S, details={"samples": program.count("samples")},
            )  # fmt: skip
    finally:
        program.stop()


def _made(active: int) -> Path:
    """The file of bodies, made by now. Takes two minutes if it is new."""
    path = SCRATCH / "bodies" / f"active-{active}-{start_ns() // 10**9}.bodies"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    index = []
    with partial.open("wb") as file:
        for body in churning(active, SCRAPES, CHURN, start_ns() // 10**6):
            index.append((file.tell(), len(body), SERIES_A_BODY))
            file.write(body)
    np.savez(path.with_suffix(".npz"), index=np.array(index, np.int64))
    partial.rename(path)
    return path
