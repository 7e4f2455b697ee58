"""OTLP log lines of about 300 bytes with a text index: the load, the size, and searches.

3 million lines by HTTP over 4 connections, in requests of 1,000, timed until visible and then
merged: the size is that of lines which are all different. They are sent again until there are 20
million, with other times, request ids and offsets, for the searches alone. Published for
ClickStack and SigNoz: 10 MB/s a core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.bodies import made
from bench.load import load
from bench.program import Trilens, took_ms
from bench.report import Figure
from bench.send import Task

LINES: Final = 3_000_000
LINES_SEARCHED: Final = 20_000_000
MB: Final = 1e6
GOAL_MB_S, GOAL_SHARE = 40.0, 1 / 6
GOAL_WORD_MS, GOAL_COUNT_MS = 150.0, 300.0
PEER_MB_S: Final = 20.0
RARE_WORDS: Final = (
    "SELECT arrayJoin(extractAll(body, '[0-9a-f]{{16}}')) FROM logs "
    "WHERE body LIKE 'request %' LIMIT 5 OFFSET {offset}"
)


def run(scale: float) -> Iterator[Figure]:
    paths = [str(path) for path in made("logs", int(LINES * scale))]
    with Trilens("logs") as program:
        yield _timed(program, paths)
        yield _size(program)
        passes = round(LINES_SEARCHED / LINES) - 1
        task = Task("otlp_http", "logs", program.otlp_port, paths, passes=passes, key=2,
                    seconds_max=900)  # fmt: skip
        load(task, program)
        yield from _searches(program)


def _timed(program: Trilens, paths: list[str]) -> Figure:
    task = Task("otlp_http", "logs", program.otlp_port, paths)
    loaded = load(task, program)
    raw_bytes = _raw_bytes(program)
    return Figure(
        "OTLP HTTP, until visible", raw_bytes / MB / loaded.visible_s, "MB of lines/s", "more",
        GOAL_MB_S, "ClickStack, SigNoz on 2 cores", PEER_MB_S, is_published=True,
        details=loaded.details | {"line_bytes": round(raw_bytes / loaded.sent.records)},
    )  # fmt: skip


def _raw_bytes(program: Trilens) -> int:
    return int(program.sql("SELECT sum(length(body)) FROM logs")[0][0])


def _size(program: Trilens) -> Figure:
    merge_s = program.merge("log_rows")
    raw_bytes, stored_bytes = _raw_bytes(program), program.tables()["log_rows"]
    lines = program.count("logs")
    return Figure(
        "all columns and the text index, of the lines' bytes", stored_bytes / raw_bytes,
        "of raw", "less", GOAL_SHARE,
        details={"lines": lines, "stored_bytes_a_line": round(stored_bytes / lines, 1),
                 "raw_bytes_a_line": round(raw_bytes / lines, 1), "merge_s": round(merge_s, 1)},
    )  # fmt: skip


def _searches(program: Trilens) -> Iterator[Figure]:
    program.merge("log_rows")
    words = program.sql(RARE_WORDS.format(offset=1000))
    rare, lines = iter(words * 2), program.count("logs")

    def rare_word() -> None:
        sql = f"SELECT timestamp, body FROM logs WHERE hasAllTokens(body, '{next(rare)[0]}')"
        assert program.sql(sql), "a line that is there was not found"

    def by_severity() -> None:
        counts = program.sql("SELECT severity, count() FROM logs GROUP BY severity")
        assert sum(int(count) for _, count in counts) == lines

    for what, ask, goal in (
        ("a rare word's lines", rare_word, GOAL_WORD_MS),
        ("count by severity", by_severity, GOAL_COUNT_MS),
    ):
        median, slowest = took_ms(ask)
        yield Figure(
            f"{what}, among {lines / 1e6:.3g} million lines", median, "ms", "less", goal,
            details={"slowest_ms": slowest},
        )  # fmt: skip
