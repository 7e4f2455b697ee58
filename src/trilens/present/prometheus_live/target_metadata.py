"""Prometheus's /api/v1/targets/metadata (3.14): type, help and unit of what targets expose.

What a target exposes is told from the store, by job and instance, over the last hour; of one metric
there is one text, the one that came last, whichever target said it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trilens.alert.recent_samples import matches
from trilens.present import prometheus_json as encoded
from trilens.present.prometheus_params import bad, selector_of
from trilens.present.prometheus_query import Answer, Question
from trilens.query.promql.ast import Matcher
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store import catalog
from trilens.query.promql_store.catalog import ROWS_MAX, Within
from trilens.scrape.pool import Pool

RECENT_MS: Final = 3_600_000
_PARTS: Final = re.compile(r"_(?:bucket|count|sum|total|created|info|gcount|gsum)$")
Json = dict[str, Any]
Told = Mapping[str, Mapping[str, Any]]


def target_metadata(question: Question) -> Answer:
    """A list of {target, metric, type, help, unit}; `metric` is left out where it was asked for.

    As in Prometheus, a limit ends the list after the target that reaches it. Raises PromqlError.
    """
    form = question.form
    limit, metric = _limit(form.text("limit")), form.text("metric")
    wanted = _matchers(form.text("match_target"))
    told = {row["metric"]: row for row in question.ask.rows(catalog.metadata(metric, ROWS_MAX))}
    within = Within([wanted] if wanted else [], form.now_ms - RECENT_MS, form.now_ms)
    names = [*_with_parts(metric)] if metric else []
    rows = question.ask.rows(catalog.exposed(within, names, ROWS_MAX + 1)) if told else []
    exposed: dict[tuple[str, str], list[str]] = {}
    for row in rows[:ROWS_MAX]:
        exposed.setdefault((row["job"], row["instance"]), []).append(row["metric"])
    found: list[Json] = []
    for labels in _targets(question.live.pools(), wanted):
        if limit is not None and len(found) >= limit:
            break
        names = exposed.get((labels.get("job", ""), labels.get("instance", "")), [])
        found += _rows(labels, _families(names, told), told, is_named=bool(metric))
    warnings = [encoded.TRUNCATED] if len(rows) > ROWS_MAX else []
    return Answer(encoded.json_of(found), warnings)


def _limit(text: str) -> int | None:
    """None for all."""
    if text == "":
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise PromqlError("limit must be a number", error_type="bad_data")
    return int(text) if int(text) >= 0 else None


def _matchers(text: str) -> tuple[Matcher, ...]:
    if not text:
        return ()
    try:
        return selector_of(text).matchers
    except PromqlError as error:
        raise bad("match_target", str(error).partition(": ")[2]) from None


def _with_parts(metric: str) -> Iterable[str]:
    yield metric
    for part in ("bucket", "count", "sum", "total", "created", "info", "gcount", "gsum"):
        yield f"{metric}_{part}"


def _targets(pools: Iterable[Pool], wanted: tuple[Matcher, ...]) -> Iterable[dict[str, str]]:
    for pool in sorted(pools, key=lambda one: one.job.name):
        for loop in sorted(pool.loops(), key=lambda one: one.target.url):
            labels = loop.target.shown_labels
            if matches(wanted, labels):
                yield labels


def _families(names: Iterable[str], told: Told) -> list[str]:
    """Those that metadata is of: parts of a histogram are described together."""
    return sorted({one if one in told else _PARTS.sub("", one) for one in names} & told.keys())


def _rows(
    labels: Mapping[str, str], families: Iterable[str], told: Told, *, is_named: bool
) -> list[Json]:
    return [
        {
            "target": dict(sorted(labels.items())),
            **({} if is_named else {"metric": family}),
            "type": catalog.type_name(told[family]["type"]),
            "help": told[family]["help"],
            "unit": told[family]["unit"],
        }
        for family in families
    ]
