"""The endpoint of the first screen: is everything all right?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

from trilens.present.console_logs import ROW
from trilens.present.console_sources import lag_ms
from trilens.present.console_traces import OPERATION
from trilens.present.endpoint import (
    INTEGER,
    NUMBER,
    POINTS,
    RANGE,
    TEXT,
    Args,
    Context,
    Endpoint,
    array,
    map_of,
    of,
    or_null,
)  # fmt: skip
from trilens.query import log_facets, logs, operations, overview, problems
from trilens.query.filters import Condition
from trilens.query.times import TimeRange

BARS = 60
OPERATIONS_SHOWN = 10
ERRORS_SHOWN = 10


def _overview(context: Context, args: Args) -> dict[str, Any]:
    within, ask = args.within(), context.ask
    hosts = overview.hosts(
        ask.rows(overview.gauges(within)), ask.rows(overview.cpu(within)), within
    )
    slowest = [
        operations.operation(row, within)
        for row in ask.rows(operations.operations(within, limit=100, order="p95"))
    ]
    step_ms = within.step_ms(BARS)
    volume = ask.rows(log_facets.histogram(logs.LogQuestion(within), step_ms=step_ms))
    errors = logs.LogQuestion(within, conditions=[Condition("severity", ">=", "ERROR")])
    recent, _ = logs.page(ask, errors, limit=ERRORS_SHOWN, order="desc", cursor=None)
    return {
        "hosts": hosts,
        "log_volume": {
            "step_ms": step_ms,
            "buckets": log_facets.buckets(volume, within, step_ms),
        },
        "slowest_operations": slowest[:OPERATIONS_SHOWN],
        "arriving": [_arriving(context, within, signal, step_ms) for signal in overview.SIGNALS],
        "problems": _problems(context, within, hosts, slowest),
        "recent_errors": recent,
    }


def _arriving(context: Context, within: TimeRange, signal: str, step_ms: int) -> dict[str, Any]:
    rows = context.ask.rows(overview.arriving(within, signal, step_ms))
    return overview.arrival(signal, rows, within, step_ms)


def _problems(
    context: Context,
    within: TimeRange,
    hosts: list[dict[str, Any]],
    slowest: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    now_ns = context.clock.now_ns()
    program = context.program
    spool, engine = program.spool(), program.engine()
    # Who is silent now is a question about now, whatever range is looked at.
    is_current = now_ns - within.to_ns < 60 * 10**9
    found: Iterable[problems.Problem] = chain(
        problems.of_engine(engine.is_ready, engine.restarts),
        problems.of_spool(
            sum(status.bytes for status in spool),
            program.spool_bytes_max,
            max((lag_ms(status, now_ns) for status in spool), default=0),
        ),
        problems.of_dead_letters(sum(program.dead_letters.totals().values())),
        problems.of_hosts(hosts, now_ns // 10**6 if is_current else 0),
        problems.of_operations(slowest),
    )
    shown = [problem.shown() for problem in islice(found, problems.PROBLEMS_MAX)]
    return sorted(shown, key=lambda problem: str(problem["severity"]))


ENDPOINTS = (
    Endpoint(
        "GET", "/overview",
        "Hosts, volume of logs, slow operations, what arrives, what is wrong.", RANGE,
        of(hosts=array(of(
            node=TEXT, cpu_used_ratio=or_null(NUMBER), memory_used_ratio=or_null(NUMBER),
            memory_total_bytes=or_null(NUMBER), load1=or_null(NUMBER),
            disk_used_ratio_max=or_null(NUMBER), disk_fullest_mount=TEXT,
            last_seen_ms=or_null(INTEGER), cpu_points=POINTS)),
           log_volume=of(step_ms=INTEGER,
                         buckets=array(of(t_ms=INTEGER, counts=map_of(INTEGER)))),
           slowest_operations=array(OPERATION),
           arriving=array(of(signal=TEXT, points=POINTS, rate_per_s=NUMBER, total=INTEGER)),
           problems=array(of(severity=TEXT, code=TEXT, message=TEXT, args={"type": "object"})),
           recent_errors=array(ROW)), _overview,
    ),
)  # fmt: skip
