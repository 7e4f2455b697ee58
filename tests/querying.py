"""What the tests of queries and of the API share: an engine with the real schema, and rows."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import orjson

import trilens.store
from trilens.query.ask import Asker, AskLimits
from trilens.query.times import TimeRange
from trilens.store.engine import Engine
from trilens.store.engine_embedded import EmbeddedEngine

MEMORY_BYTES_MAX = 1_200_000_000
SCHEMA = Path(trilens.store.__file__).parent / "schema"
# 2026-03-01T12:00:00Z: in the middle of a day, so that no test crosses a partition by accident.
T0_NS = 1_772_366_400 * 10**9
T0_MS = T0_NS // 10**6
S = 10**9
HOUR = TimeRange(T0_NS - 1800 * S, T0_NS + 1800 * S)


@cache
def engine() -> Engine:
    """One engine for the whole run, with the schema as it is for a single server."""
    directory = Path(tempfile.mkdtemp(prefix="trilens-query-"))
    embedded = EmbeddedEngine(directory, MEMORY_BYTES_MAX)
    embedded.start()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(embedded.stop)
    for path in sorted(SCHEMA.glob("*.sql")):
        for statement in re.split(r"^;$", _expanded(path.read_text()), flags=re.MULTILINE):
            if re.sub(r"--[^\n]*", "", statement).strip():
                embedded.engine.command(statement)
    return embedded.engine


def _expanded(text: str) -> str:
    text = text.replace("{{on_cluster}}", "").replace("{{shard}}", "")
    return re.sub(r"\{\{(\w+(?:\([^)]*\))?)\}\}", r"\1", text)


def asker(**limits) -> Asker:
    return Asker(engine(), AskLimits(**limits))


def clear() -> None:
    for table in ("log_rows", "span_rows", "sample_rows", "series_rows", "histogram_rows",
                  "metadata_rows"):  # fmt: skip
        engine().command(f"TRUNCATE TABLE trilens.{table}")


def insert(table: str, rows: list[dict]) -> None:
    columns = ", ".join(sorted({name for row in rows for name in row}))
    body = b"\n".join(orjson.dumps(row) for row in rows)
    engine().insert(f"INSERT INTO trilens.{table} ({columns}) FORMAT JSONEachRow", body)


def at(ns: int) -> str:
    """An instant as an input of DateTime64(9)."""
    return f"{ns // S}.{ns % S:09d}"


SEVERITIES = {"": 0, "TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def log(offset_ns: int, body: str, *, severity: str = "INFO", **columns) -> dict:
    return {
        "timestamp": at(T0_NS + offset_ns),
        "severity": severity,
        "severity_number": SEVERITIES[severity],
        "severity_text": severity.lower(),
        "body": body,
        "service": "checkout",
        **columns,
    }


def span(offset_ns: int, trace_id: str, span_id: str, **columns) -> dict:
    return {
        "timestamp": at(T0_NS + offset_ns),
        "trace_id": trace_id,
        "span_id": span_id,
        "duration_ns": 1_000_000,
        "name": "GET /",
        "service": "checkout",
        "kind": "SERVER",
        "status": "UNSET",
        **columns,
    }


def series(series_id: int, metric: str, labels: dict, **columns) -> dict:
    return {
        "series_id": series_id,
        "metric": metric,
        "labels": labels,
        "source": "prometheus",
        "first_seen": (T0_NS - 3600 * S) / S,
        "last_seen": (T0_NS + 3600 * S) / S,
        **columns,
    }


def sample(series_id: int, metric: str, offset_s: float, value: float) -> dict:
    return {
        "metric": metric,
        "series_id": series_id,
        "timestamp": T0_NS / S + offset_s,
        "mantissa": round(value * 1000),
        "exponent": 3,
    }
