"""Prometheus's API about targets (3.14): /api/v1/targets, /api/v1/scrape_pools and their configs,
the steps of relabelling, /api/v1/targets/relabel_steps, and /api/v1/targets/metadata.

Pure functions of what the pools know; what a target exposes is told from the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from trilens.config_files.masking import masked_values
from trilens.present.prometheus_params import bad
from trilens.query.promql.durations import print_duration
from trilens.scrape.pool import Pool
from trilens.scrape.relabel import (
    DEFAULT_REGEX,
    DEFAULT_REPLACEMENT,
    DEFAULT_SEPARATOR,
    Rule,
    steps,
)
from trilens.scrape.scrape_config import Job
from trilens.scrape.scrape_loop import ScrapeLoop

_STATES: Final = ("active", "dropped", "any", "")
Json = dict[str, Any]


def targets(pools: Sequence[Pool], *, pool: str = "", state: str = "") -> Json:
    """`pool` of this name only; `state` as Prometheus takes it. Raises PromqlError."""
    state = state.lower()
    if state not in _STATES:
        raise bad("state", f"unknown target state: {state!r}")
    chosen = [one for one in sorted(pools, key=_name) if pool in ("", one.job.name)]
    answer: Json = {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}
    if state != "dropped":
        answer["activeTargets"] = [
            active(loop) for one in chosen for loop in sorted(one.loops(), key=_address)
        ]
    if state != "active":
        answer["droppedTargets"] = [
            {"discoveredLabels": dict(dropped.discovered), "scrapePool": one.job.name}
            for one in chosen
            for dropped in one.dropped
        ]
        answer["droppedTargetCounts"] = {one.job.name: one.dropped_count for one in chosen}
    return answer


def active(loop: ScrapeLoop) -> Json:
    target, state = loop.target, loop.state
    return {
        "discoveredLabels": dict(sorted(target.discovered.items())),
        "labels": dict(sorted(target.shown_labels.items())),
        "scrapePool": target.job.name,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": state.last_error,
        "lastScrape": rfc3339(state.last_scrape_ns),
        "lastScrapeDuration": state.last_duration_s,
        "health": state.health,
        "scrapeInterval": print_duration(target.interval_ms),
        "scrapeTimeout": print_duration(target.timeout_ms),
        # Ours: what the screen of targets shows beside it.
        "scrapedSamples": state.scraped,
        "keptSamples": state.kept,
        "bodyBytes": state.body_bytes,
        "scrapes": state.scrapes,
        "failedScrapes": state.failures,
        "missedScrapes": state.missed,
        "lostWrites": state.lost_writes,
    }


def scrape_pools(pools: Sequence[Pool]) -> Json:
    return {"scrapePools": sorted(one.job.name for one in pools)}


def relabel_steps(pools: Sequence[Pool], *, pool: str, labels: str) -> Json:
    """What each rule of a pool makes of `labels`, a JSON object. Raises PromqlError."""
    job = _job(pools, pool)
    if not labels:
        raise bad("labels", "no labels parameter provided")
    try:
        found = orjson.loads(labels)
    except ValueError as error:
        raise bad("labels", str(error)) from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise bad("labels", "not an object of texts")
    return {
        "steps": [
            {"rule": rule_json(step.rule), "output": step.labels or {},
             "keep": step.labels is not None}
            for step in steps(job.relabel, found)
        ]
    }  # fmt: skip


def pool_config(pools: Sequence[Pool], *, pool: str) -> Json:
    """A scrape config as YAML, without secrets: as in its file, and what `global` gives it.

    Raises PromqlError.
    """
    job = _job(pools, pool)
    given = {
        "job_name": job.name,
        "scrape_interval": print_duration(job.interval_ms),
        "scrape_timeout": print_duration(job.timeout_ms),
        "metrics_path": job.metrics_path,
        "scheme": job.scheme,
    }
    return {"yaml": masked_values(given | dict(job.written))}


def _job(pools: Sequence[Pool], pool: str) -> Job:
    if not pool:
        raise bad("scrapePool", "no scrapePool parameter provided")
    job = next((one.job for one in pools if one.job.name == pool), None)
    if job is None:
        raise bad("scrapePool", f"there is no scrape pool {pool!r}")
    return job


def rule_json(rule: Rule) -> Json:
    """As in the file, without what is there by default."""
    defaults = {
        "source_labels": None,
        "separator": DEFAULT_SEPARATOR,
        "regex": DEFAULT_REGEX,
        "modulus": 0,
        "target_label": "",
        "replacement": DEFAULT_REPLACEMENT,
    }
    shown: Json = {
        name: value
        for name, default in defaults.items()
        if (value := getattr(rule, name)) != default
    }
    return shown | {"action": rule.action}


def rfc3339(at_ns: int) -> str:
    """Go's zero time where there was none."""
    if at_ns == 0:
        return "0001-01-01T00:00:00Z"
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{at}.{at_ns % 1_000_000_000:09d}Z"


def _name(pool: Pool) -> str:
    return pool.job.name


def _address(loop: ScrapeLoop) -> tuple[str, str]:
    return loop.target.labels.get("__address__", ""), loop.target.url
