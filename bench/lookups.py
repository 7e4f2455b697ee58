"""Reading spans back, among 10 million of 11 attributes each: one trace, and any attribute.

Asked as the console asks and as SQL: right after they were loaded, while more come in, and merged.
Each question is asked for other ids and values, so that no answer comes from a cache of answers.
Published for Jaeger on ClickHouse: 101 ms, 1,769 ms.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from bench.bodies import DAY_S, made, start_ns
from bench.load import load
from bench.program import Trilens, took_ms
from bench.report import Figure
from bench.send import Sender, Task

SPANS_MADE, PASSES = 2_000_000, 5
GOAL_TRACE_MS, GOAL_ATTRIBUTE_MS = 50.0, 400.0
PEER, PEER_TRACE_MS, PEER_ATTRIBUTE_MS = "Jaeger on ClickHouse, 4 cores", 101.0, 1769.0
ASKED: Final = 9
COMING_PER_S: Final = 20_000
COMING_S: Final = 3.0  # until it is asked
Searches = list[tuple[str, Callable[[], object]]]


def run(scale: float) -> Iterator[Figure]:
    paths = [str(path) for path in made("spans", int(SPANS_MADE * scale))]
    with Trilens("lookups") as program:
        task = Task("otlp_http", "spans", program.otlp_port, paths, passes=PASSES, seconds_max=900)
        load(task, program)
        unmerged = _trace_ms(program)
        searches = _searches(program)
        yield from _searched(searches, ", right after loading")
        coming = Task("otlp_http", "spans", program.otlp_port, paths, key=PASSES + 1,
                      records_per_s=COMING_PER_S)  # fmt: skip
        with Sender(coming) as sender:
            sender.go()
            time.sleep(COMING_S)
            yield from _searched(searches, f", while {COMING_PER_S:,} spans/s come in")
            assert sender.is_running(), "it was asked for longer than spans came in"
        program.merge("span_rows")
        spans = program.count("spans")
        median, slowest = _trace_ms(program)
        yield Figure(
            f"a trace by its id, among {spans / 1e6:.1f} million spans", median, "ms", "less",
            GOAL_TRACE_MS, PEER, PEER_TRACE_MS, is_published=True,
            details={"slowest_ms": slowest, "before_merging_ms": unmerged[0]},
        )  # fmt: skip
        yield from _searched(searches, "")


def _searched(searches: Searches, when: str) -> Iterator[Figure]:
    for what, ask in searches:
        median, slowest = took_ms(ask, ASKED)
        yield Figure(
            what + when, median, "ms", "less", GOAL_ATTRIBUTE_MS, PEER, PEER_ATTRIBUTE_MS,
            is_published=True, details={"slowest_ms": slowest},
        )  # fmt: skip


def _trace_ms(program: Trilens) -> tuple[float, float]:
    share = program.count("spans") // 5_000
    sql = f"SELECT DISTINCT trace_id FROM spans WHERE cityHash64(span_id) % {share} = 0 LIMIT 40"
    ids = iter(program.sql(sql))

    def one_trace() -> None:
        assert program.console(f"/traces/{next(ids)[0]}")["spans"]

    return took_ms(one_trace, ASKED)


def _searches(program: Trilens) -> Searches:
    """Values from rare to frequent; by the console, and counted by SQL."""
    first_ms = start_ns() // 10**6
    within = {"from_ms": first_ms, "to_ms": first_ms + DAY_S * 500}
    users = iter(range(0, 800, 10))
    ports = cycle((8080, 5432, 9092))

    def newest(key: str, value: object) -> None:
        condition = {"field": f"attributes.{key}", "op": "=", "value": str(value)}
        found = program.console("/traces", **within, filter=json.dumps([condition]))
        assert found["traces"], f"no trace has {key} = {value}"

    def counted(key: str, value: object) -> None:
        sql = f"SELECT count() FROM spans WHERE has(attribute_pairs, '{key}={value}')"
        assert int(program.sql(sql)[0][0])

    return [
        ("the newest traces with an attribute (user.id)",
         lambda: newest("user.id", f"user-{next(users)}")),
        ("the newest traces with an attribute a third of the spans have",
         lambda: newest("server.port", next(ports))),
        ("a count of all spans with an attribute (user.id), SQL",
         lambda: counted("user.id", f"user-{next(users)}")),
    ]  # fmt: skip
