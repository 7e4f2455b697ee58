"""How soon a server with 5 GB of data is ready, and what it holds in memory when idle.

Spans are loaded by the front door and then multiplied inside the engine by attaching their parts
again, which costs seconds instead of minutes. The copies share blocks of the disk until they are
merged, but the engine has as many parts, marks and indexes to open as if they had been loaded.
The server is stopped, and killed, and started again. Files are in the page cache, as after a
restart of the program, not of the machine.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Final

from bench.bodies import made
from bench.load import load
from bench.machine import directory_bytes, resident_bytes, until
from bench.program import Trilens
from bench.report import Details, Figure
from bench.send import Task

DATA_BYTES: Final = 5_000_000_000
SPANS_MADE: Final = 2_000_000
SPAN_BYTES: Final = 75
GOAL_READY_S, GOAL_IDLE_MB = 3.0, 450.0
IDLE_S, STARTS, FILL_S_MAX = 10.0, 3, 300.0
MB: Final = 1e6
PARTITIONS: Final = (
    "SELECT DISTINCT partition_id FROM system.parts "
    "WHERE active AND database = 'trilens' AND table = 'span_rows'"
)
# Merging the copies would take minutes, and is not what is asked here.
UNMERGED: Final = (
    "ALTER TABLE trilens.span_rows MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1"
)
MERGES: Final = "SELECT 1 FROM system.merges"
PARTS: Final = "SELECT count() FROM system.parts WHERE active AND database = 'trilens'"
DOUBLED: Final = "ALTER TABLE trilens.span_rows ATTACH PARTITION ID '{id}' FROM trilens.span_rows"


def run(scale: float) -> Iterator[Figure]:
    with Trilens("startup-empty") as program:
        yield _idle(program, "without data")
    program = Trilens("startup")
    program.start()
    try:
        details = _fill(program, int(DATA_BYTES * scale))
        for how, sign in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL)):
            ready_s = sorted(_restarted_s(program, sign) for _ in range(STARTS))
            size = directory_bytes(program.data) / 1e9
            yield Figure(
                f"ready with {size:.1f} GB of data, after it was {how}", ready_s[-1], "s", "less",
                GOAL_READY_S, details=details | {"median_s": round(ready_s[STARTS // 2], 2)},
            )  # fmt: skip
        yield _idle(program, f"with {size:.1f} GB of data")
    finally:
        program.stop()


def _fill(program: Trilens, size_bytes: int) -> Details:
    paths = [str(path) for path in made("spans", min(SPANS_MADE, size_bytes // SPAN_BYTES))]
    task = Task("otlp_http", "spans", program.otlp_port, paths)
    load(task, program)
    engine = program.engine()
    engine.command(UNMERGED)
    until(lambda: not engine.rows(MERGES).rows, seconds=FILL_S_MAX, pause_s=1.0)
    while program.tables()["span_rows"] < size_bytes * 0.75:
        for (partition,) in engine.rows(PARTITIONS).rows:
            engine.command(DOUBLED.format(id=partition), timeout_s=FILL_S_MAX)
    (parts,) = engine.rows(PARTS).rows[0]
    engine.close()
    return {"spans": program.count("spans"), "parts": int(parts)}


def _restarted_s(program: Trilens, sign: signal.Signals) -> float:
    if sign == signal.SIGKILL:
        program.kill()
    else:
        program.stop()
    return program.start()


def _idle(program: Trilens, how: str) -> Figure:
    """Memory after some seconds in which nobody asked for anything."""
    time.sleep(IDLE_S)
    of_engine, whole = resident_bytes(program.engine_pid), resident_bytes(program.pid)
    return Figure(
        f"resident memory of all processes, idle, {how}", whole / MB, "MB", "less", GOAL_IDLE_MB,
        details={"engine_mb": round(of_engine / MB), "server_mb": round((whole - of_engine) / MB)},
    )  # fmt: skip
