"""Endpoints of the targets screen.

The list has what a table shows of every target; discovered labels, of which Kubernetes gives
dozens each, are told of one target at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from xxhash import xxh64_hexdigest

from trilens.errors import Refused
from trilens.present.endpoint import (
    INTEGER,
    NUMBER,
    TEXT,
    TEXT_MAP,
    Args,
    Context,
    Endpoint,
    Parameter,
    array,
    of,
    or_null,
)
from trilens.present.prometheus_live.targets import rule_json
from trilens.scrape.discovery import named
from trilens.scrape.pool import Pool
from trilens.scrape.relabel import Step, steps
from trilens.scrape.scrape_config import Job
from trilens.scrape.scrape_loop import ScrapeLoop
from trilens.scrape.target import Dropped

TARGETS_MAX: Final = 20_000
DROPPED_MAX: Final = 1000
ERRORS_MAX: Final = 50
Json = dict[str, Any]


def _targets(context: Context, args: Args) -> Json:
    pools = sorted(context.live.pools(), key=_name)
    name = args.text("pool")
    chosen = [loop for one in pools if name in ("", one.job.name) for loop in one.loops()]
    return {
        "file": context.live.prometheus_path,
        "pools": [_pool(one) for one in pools],
        "targets": [_row(loop) for loop in sorted(chosen, key=_url)[:TARGETS_MAX]],
        "total": len(chosen),
    }


def _pool(pool: Pool) -> Json:
    health = {"up": 0, "down": 0, "unknown": 0}
    for loop in pool.loops():
        health[loop.state.health] += 1
    failing = dict(pool.discovery_errors)
    errors = [{"source": name, "error": why} for name, why in failing.items()]
    errors += [{"source": "", "error": why} for why in pool.errors]
    job = pool.job
    return {
        "name": job.name,
        **health,
        "dropped": pool.dropped_count,
        "interval_ms": job.interval_ms,
        "timeout_ms": job.timeout_ms,
        "discoveries": [named(one) for one in job.discoveries],
        "errors": errors[:ERRORS_MAX],
        "error_count": len(errors),
    }


def _row(loop: ScrapeLoop) -> Json:
    target, state = loop.target, loop.state
    return {
        "id": _id(loop),
        "pool": target.job.name,
        "url": target.url,
        "labels": dict(sorted(target.shown_labels.items())),
        "health": state.health,
        "error": state.last_error,
        "last_scrape_ms": state.last_scrape_ns // 1_000_000 or None,
        "duration_ms": state.last_duration_s * 1000,
        "interval_ms": target.interval_ms,
        "timeout_ms": target.timeout_ms,
        "samples_scraped": state.scraped,
        "samples_kept": state.kept,
        "body_bytes": state.body_bytes,
        "scrapes": state.scrapes,
        "failures": state.failures,
        "missed": state.missed,
        "lost_writes": state.lost_writes,
    }


def _dropped(context: Context, args: Args) -> Json:
    name, words = args.text("pool"), args.text("match").lower().split()
    pools = [one for one in sorted(context.live.pools(), key=_name) if name in ("", one.job.name)]
    found = [
        dropped
        for one in pools
        for dropped in one.dropped
        if not words or _holds(dropped.discovered, words)
    ]
    # What was found twice is dropped twice, and shown once.
    shown = {(one.job.name, dropped_id(one)): one for one in found[: args.number("limit")]}
    return {
        "targets": [
            {
                "id": key,
                "pool": pool,
                "address": one.discovered.get("__address__", ""),
                "labels": dict(sorted(one.discovered.items())),
            }
            for (pool, key), one in shown.items()
        ],
        "found": len(found),
        "kept": sum(len(one.dropped) for one in pools),
        "total": sum(one.dropped_count for one in pools),
    }


def _holds(labels: Mapping[str, str], words: Sequence[str]) -> bool:
    text = "\n".join(f"{name}={value}" for name, value in labels.items()).lower()
    return all(word in text for word in words)


def _details(context: Context, args: Args) -> Json:
    pool = next((one for one in context.live.pools() if one.job.name == args.text("pool")), None)
    if pool is None:
        raise Refused("not_found", f"there is no scrape pool {args.text('pool')!r}")
    wanted = args.text("id")
    loop = next((one for one in pool.loops() if _id(one) == wanted), None)
    if loop is not None:
        target = loop.target
        shown = _story(target.job, target.discovered)
        return {"target": _row(loop), "labels": dict(sorted(target.labels.items())), **shown}
    dropped = next((one for one in pool.dropped if dropped_id(one) == wanted), None)
    if dropped is None:
        raise Refused("not_found", f"scrape pool {pool.job.name!r} has no such target any more")
    return {"target": None, "labels": {}, **_story(dropped.job, dropped.discovered)}


def _story(job: Job, discovered: Mapping[str, str]) -> Json:
    return {
        "discovered": dict(sorted(discovered.items())),
        "steps": [_step(one) for one in steps(job.relabel, discovered)],
        "metric_rules": [rule_json(one) for one in job.metric_relabel],
    }


def _step(step: Step) -> Json:
    labels = None if step.labels is None else dict(sorted(step.labels.items()))
    return {"rule": rule_json(step.rule), "labels": labels}


def _id(loop: ScrapeLoop) -> str:
    return f"{loop.target.hash:016x}"


def dropped_id(dropped: Dropped) -> str:
    """Of what was discovered: nothing else tells two of them apart."""
    parts = (part for pair in sorted(dropped.discovered.items()) for part in pair)
    return "dropped-" + xxh64_hexdigest("\xff".join(parts).encode("utf-8", "replace"))


def _name(pool: Pool) -> str:
    return pool.job.name


def _url(loop: ScrapeLoop) -> tuple[str, str]:
    return loop.target.job.name, loop.target.url


POOL: Final = Parameter("pool", "text", "Of this scrape pool (job) only.", "")
_RULE: Final = of(
    "action", action=TEXT, source_labels=array(TEXT), separator=TEXT, regex=TEXT, modulus=INTEGER,
    target_label=TEXT, replacement=TEXT,
)  # fmt: skip
_TARGET: Final = of(
    id=TEXT, pool=TEXT, url=TEXT, labels=TEXT_MAP, health=TEXT, error=TEXT,
    last_scrape_ms=or_null(INTEGER), duration_ms=NUMBER, interval_ms=INTEGER, timeout_ms=INTEGER,
    samples_scraped=INTEGER, samples_kept=INTEGER, body_bytes=INTEGER, scrapes=INTEGER,
    failures=INTEGER, missed=INTEGER, lost_writes=INTEGER,
)  # fmt: skip
_POOL: Final = of(
    name=TEXT, up=INTEGER, down=INTEGER, unknown=INTEGER, dropped=INTEGER, interval_ms=INTEGER,
    timeout_ms=INTEGER, discoveries=array(TEXT), errors=array(of(source=TEXT, error=TEXT)),
    error_count=INTEGER,
)  # fmt: skip
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/targets", "Scrape pools and their targets, with how the last scrape went.",
        (POOL,),
        of(file=TEXT, pools=array(_POOL), targets=array(_TARGET), total=INTEGER),
        _targets,
    ),
    Endpoint(
        "GET", "/targets/dropped", "Targets that relabelling leaves out; `total` counts those too "
        "that are not kept to be shown.",
        (
            POOL,
            Parameter("match", "text", "Words, all of which must be in labels, as name=value.", ""),
            Parameter("limit", "integer", "At most so many.", DROPPED_MAX, least=1,
                      most=DROPPED_MAX),
        ),
        of(
            targets=array(of(id=TEXT, pool=TEXT, address=TEXT, labels=TEXT_MAP)),
            found=INTEGER, kept=INTEGER, total=INTEGER,
        ),
        _dropped,
    ),
    Endpoint(
        "GET", "/targets/details", "One target: what was discovered, and what each rule made of "
        "it; `labels` of a step is null from where the target is dropped.",
        (
            Parameter("pool", "text", "Its scrape pool.", is_required=True),
            Parameter("id", "text", "Its id.", is_required=True),
        ),
        of(
            target={**_TARGET, "type": ["object", "null"]}, labels=TEXT_MAP, discovered=TEXT_MAP,
            steps=array(of(rule=_RULE, labels=or_null(TEXT_MAP))), metric_rules=array(_RULE),
        ),
        _details,
    ),
)  # fmt: skip
