"""target_info: one series for each resource, 1 while it sends, with its attributes as labels.

It has samples where the resource has any: the first and the last of each minute. They are looked
for in a few of its series, those that were seen last and are oldest; a resource sends all its
series together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trilens.query.ask import Asker, Bound
from trilens.query.columns import numbers
from trilens.query.promql_store.otlp_names import (
    INSTANCE,
    JOB,
    TARGET_INFO,
    target_info_labels,
)
from trilens.query.promql_store.otlp_series import Asked, identity_narrowing
from trilens.query.promql_store.series import in_time, seen_in
from trilens.query.promql_values.values import METRIC_NAME, Labels, RawSeries
from trilens.query.tables import HISTOGRAMS, SAMPLES, SERIES

_SERIES_OF_EACH: Final = 8
_RESOURCES_MAX: Final = 20_000
_NAMED_MAX: Final = 4000
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Target:
    """A resource as PromQL sees it, and some of its series."""

    labels: Labels
    series_ids: list[int]
    metrics: list[str]


def targets(ask: Asker, asked: Asked, within_ms: tuple[int, int]) -> list[Target]:
    """Those that match."""
    if not asked.is_name(TARGET_INFO):
        return []
    bound = Bound()
    where = [
        identity_narrowing(asked, frozenset({JOB, INSTANCE}), bound),
        seen_in(*within_ms, bound),
    ]
    some = (
        "SELECT resource, cityHash64(resource) AS number, series_id, toString(metric) AS metric "
        f"FROM {SERIES} WHERE {' AND '.join(where)} ORDER BY last_seen DESC, first_seen "
        f"LIMIT {_SERIES_OF_EACH} BY number"
    )
    rows = ask.rows(
        bound.statement(
            "SELECT any(resource) AS resource, groupUniqArray(series_id) AS ids, "
            f"groupUniqArray(metric) AS metrics FROM ({some}) GROUP BY number "
            f"LIMIT {_RESOURCES_MAX}"
        )
    )
    found = []
    for row in rows:
        told = target_info_labels(row["resource"])
        if told is not None:
            labels = {**told, METRIC_NAME: TARGET_INFO}
            if asked.is_all(labels):
                ids = [int(one) for one in row["ids"]]
                found.append(Target(tuple(sorted(labels.items())), ids, row["metrics"]))
    return found


def target_info(
    ask: Asker, asked: Asked, within_ms: tuple[int, int], samples_max: int
) -> tuple[list[RawSeries], int]:
    """In the order of labels, and how many samples were made; one more than allowed is too many."""
    found = targets(ask, asked, within_ms)
    place_of = {number: n for n, target in enumerate(found) for number in target.series_ids}
    moments: list[list[int]] = [[] for _ in found]
    count = 0
    for first in range(0, len(found), _NAMED_MAX // _SERIES_OF_EACH):
        part = found[first : first + _NAMED_MAX // _SERIES_OF_EACH]
        for number, at_ms in _moments(ask, part, within_ms, samples_max - count + 1):
            moments[place_of[number]].append(at_ms)
            count += 1
    times_of: dict[Labels, set[int]] = {}
    for target, own in zip(found, moments, strict=True):
        times_of.setdefault(target.labels, set()).update(own)
    series = [
        RawSeries(labels, np.array(sorted(times), np.int64), np.ones(len(times)))
        for labels, times in sorted(times_of.items())
        if times
    ]
    return series, count


def _moments(
    ask: Asker, some: list[Target], within_ms: tuple[int, int], limit: int
) -> list[tuple[int, int]]:
    """(series, ms)."""
    bound = Bound()
    metrics = bound(sorted({name for one in some for name in one.metrics}), "Array(String)")
    ids = bound([number for one in some for number in one.series_ids], "Array(UInt64)")
    where = f"metric IN {metrics} AND series_id IN {ids} AND {in_time(*within_ms, bound)}"
    at_ms = "toUnixTimestamp64Milli(timestamp)"
    each = " UNION ALL ".join(
        f"SELECT series_id AS id, arrayJoin([min({at_ms}), max({at_ms})]) AS time "
        f"FROM {table} WHERE {where} GROUP BY id, intDiv({at_ms}, {_MINUTE_MS})"
        for table in (SAMPLES, HISTOGRAMS)
    )
    read = ask.columns(bound.statement(f"SELECT id, time FROM ({each}) LIMIT {limit}"))
    numbers_of, times = numbers(read, "id", np.uint64), numbers(read, "time", np.int64)
    return list(zip(numbers_of.tolist(), times.tolist(), strict=True))
