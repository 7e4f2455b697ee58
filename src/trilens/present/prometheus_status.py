"""The endpoints below /status of Prometheus's API, as far as they are true of us."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import Final

from trilens import __version__
from trilens.config_files.masking import masked
from trilens.present import prometheus_json as encoded
from trilens.present.program import Program
from trilens.present.prometheus_params import bad
from trilens.present.prometheus_query import Answer, Question
from trilens.present.threads import PROMQL_THREADS
from trilens.query.promql.durations import print_duration
from trilens.query.promql_store import catalog
from trilens.query.promql_store.otlp_catalog import counted

# Clients choose by it what they ask for: it is the Prometheus whose API this is.
API_VERSION: Final = "3.14.0"
_ROWS_DEFAULT: Final = 10
_ROWS_MAX: Final = 10_000


def buildinfo(_question: Question) -> Answer:
    return Answer(
        encoded.json_of(
            {
                "version": API_VERSION,
                "revision": f"trilens-{__version__}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )
    )


def flags(question: Question) -> Answer:
    limits = question.limits
    return Answer(
        encoded.json_of(
            {
                "query.lookback-delta": print_duration(limits.lookback_ms),
                "query.max-concurrency": str(PROMQL_THREADS),
                "query.max-samples": str(limits.samples),
                "query.timeout": print_duration(int(limits.seconds * 1000)),
            }
        )
    )


def config(question: Question) -> Answer:
    """The prometheus.yml, without what is secret; empty where there is none."""
    return Answer(encoded.json_of({"yaml": masked(question.live.prometheus_text)}))


def runtimeinfo(question: Question) -> Answer:
    program = question.program
    started_at = _rfc3339(program.started_at_ns)
    reloads = question.live.reloads
    return Answer(
        encoded.json_of(
            {
                "startTime": started_at,
                "CWD": "",
                "hostname": platform.node(),
                "serverTime": _rfc3339(question.form.now_ms * 1_000_000),
                "reloadConfigSuccess": reloads.is_well,
                "lastConfigTime": _rfc3339(reloads.at_ns) if reloads.at_ns else started_at,
                "corruptionCount": 0,
                "goroutineCount": 0,
                "GOMAXPROCS": 0,
                "GOMEMLIMIT": 0,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": _retention(program),
            }
        )
    )


def tsdb(question: Question) -> Answer:
    ask, form = question.ask, question.form
    limit = form.limit() or _ROWS_DEFAULT
    if limit > _ROWS_MAX:
        raise bad("limit", f"limit must not exceed {_ROWS_MAX}")
    (totals,) = ask.rows(catalog.totals())
    return Answer(
        encoded.json_of(
            {
                "headStats": {
                    "numSeries": totals["series"],
                    "numLabelPairs": totals["label_pairs"],
                    "chunkCount": 0,
                    "minTime": totals["first_ms"],
                    "maxTime": totals["last_ms"],
                },
                "seriesCountByMetricName": counted(ask, ask.rows(catalog.largest_metrics(limit))),
                "labelValueCountByLabelName": ask.rows(catalog.largest_labels(limit)),
                "memoryInBytesByLabelName": ask.rows(catalog.longest_labels(limit)),
                "seriesCountByLabelValuePair": ask.rows(catalog.largest_pairs(limit)),
            }
        )
    )


def _retention(program: Program) -> str:
    kept = {one.signal: one for one in program.retention()}
    metrics = kept.get("metrics")
    if metrics is None or metrics.time_s is None:
        return ""
    return print_duration(metrics.time_s * 1000)


def _rfc3339(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns % 10**9:09}Z"
