"""What there is to ask for of OTLP: series, labels, metadata and exemplars in the names of PromQL.

As catalog.py, which tells of Prometheus's series. Here rows are translated before they are an
answer, so these functions ask the engine themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trilens.query.ask import Asker, Bound
from trilens.query.promql_store.catalog import ROWS_MAX, Within
from trilens.query.promql_store.otlp_labels import Condition, label_names_of, label_values_of
from trilens.query.promql_store.otlp_names import (
    LE,
    QUANTILE,
    TARGET_INFO,
    Family,
    Part,
    bound_text,
    metric_name,
    part_names,
    unit_name,
)
from trilens.query.promql_store.otlp_series import (
    POINT_LABELS,
    Asked,
    Families,
    Identity,
    identities,
    identity_condition,
)
from trilens.query.promql_store.otlp_target import targets
from trilens.query.promql_store.series import in_time
from trilens.query.promql_values.values import METRIC_NAME, Labels
from trilens.query.tables import EXEMPLARS, HISTOGRAMS, METADATA, SAMPLE_VALUE, SERIES

_POINT_LABEL: Final[dict[Part, str]] = {"bucket": LE, "quantile": QUANTILE}
_TARGET_METADATA: Final = {"type": "gauge", "help": "Target metadata", "unit": ""}
_INFINITE: Final = float("inf")


@dataclass(frozen=True, slots=True)
class OtlpCatalog:
    ask: Asker
    within: Within
    families: Families

    @classmethod
    def of(cls, ask: Asker, within: Within) -> OtlpCatalog:
        return cls(ask, within, Families(ask))

    def series(self) -> Iterator[Labels]:
        """All labels of each, in no order; some may come twice."""
        for asked in self._asked():
            yield from (target.labels for target in targets(self.ask, asked, self._times_ms()))
            found = self._identities(asked)
            bounds = self._bounds(asked, found)
            for identity in found:
                for part, name in asked.parts(identity.family):
                    yield from _of_part(asked, identity, part, name, bounds)

    def label_names(self) -> set[str]:
        if not self._asks_names_only():
            return {name for labels in self.series() for name, _ in labels}
        names: set[str] = set()
        for asked, families in self._asked_families():
            found = label_names_of(self.ask, self._condition(asked, families))
            parts = {part for family in families for part, _ in asked.parts(family)}
            names |= found | {label for part, label in _POINT_LABEL.items() if part in parts}
            names.add(METRIC_NAME)
        return names.union(*(dict(labels) for labels in self._targets()))

    def label_values(self, name: str) -> set[str]:
        if name in POINT_LABELS or not self._asks_names_only():
            return {value for labels in self.series() for own, value in labels if own == name}
        if name == METRIC_NAME:
            return self._metric_names()
        values: set[str] = set()
        for asked, families in self._asked_families():
            values |= label_values_of(self.ask, self._condition(asked, families), name)
        return values | {
            value for labels in self._targets() for own, value in labels if own == name
        }

    def _asks_names_only(self) -> bool:
        every = [matcher for one in self.within.matcher_sets for matcher in one]
        return all(matcher.name == METRIC_NAME for matcher in every)

    def _asked_families(self) -> Iterator[tuple[Asked, list[Family]]]:
        for asked in self._asked():
            families = self.families.wanted(asked)
            if families:
                yield asked, families

    def _targets(self) -> list[Labels]:
        return [
            target.labels
            for asked in self._asked()
            for target in targets(self.ask, asked, self._times_ms())
        ]

    def _condition(self, asked: Asked, families: Sequence[Family]) -> Condition:
        return lambda bound: identity_condition(asked, families, self._times_ms(), bound)

    def _metric_names(self) -> set[str]:
        seen = self.families.seen_in(*self._times_ms())
        names = {TARGET_INFO for _ in self._targets()}
        for asked in self._asked():
            names |= {name for family in seen for _, name in asked.parts(family)}
        return names

    def _asked(self) -> Iterator[Asked]:
        """None where there is nothing of OTLP."""
        if self.families.all():
            yield from (Asked(one) for one in self.within.matcher_sets or [()])

    def _times_ms(self) -> tuple[int, int]:
        return self.within.start_ms - 1, self.within.end_ms

    def _identities(self, asked: Asked) -> list[Identity]:
        wanted = self.families.wanted(asked)
        return identities(self.ask, asked, wanted, self._times_ms(), ROWS_MAX)

    def _bounds(self, asked: Asked, found: Sequence[Identity]) -> Mapping[int, list[float]]:
        """Of the points of series that are told apart by them, in the time."""
        own = {
            one.family
            for one in found
            if any(part in _POINT_LABEL for part, _ in asked.parts(one.family))
        }
        if not own:
            return {}
        bound = Bound()
        metrics = bound(sorted({family.metric for family in own}), "Array(String)")
        where = identity_condition(asked, own, self._times_ms(), bound)
        statement = bound.statement(
            f"SELECT series_id AS id, groupUniqArrayArray(bounds) AS bounds FROM {HISTOGRAMS} "
            f"WHERE metric IN {metrics} "
            f"AND series_id IN (SELECT series_id FROM {SERIES} WHERE {where}) "
            f"AND {in_time(*self._times_ms(), bound)} GROUP BY series_id LIMIT {ROWS_MAX}"
        )
        return {int(row["id"]): row["bounds"] for row in self.ask.rows(statement)}

    def exemplars(self, limit: int) -> list[dict[str, Any]]:
        """Rows as catalog.exemplars has them: shown, own, value, at_ms."""
        rows = []
        for asked in self._asked():
            found = {one.series_id: one for one in self._identities(asked)}
            for row in self._exemplar_rows(asked, found.values(), limit):
                identity = found.get(int(row["id"]))
                if identity is not None:
                    labels = _exemplar_labels(asked, identity, row)
                    rows += [{**row, "shown": dict(one)} for one in labels]
        return sorted(rows, key=lambda row: (tuple(row["shown"].items()), row["at_ms"]))

    def _exemplar_rows(
        self, asked: Asked, found: Iterable[Identity], limit: int
    ) -> list[dict[str, Any]]:
        families = {one.family for one in found}
        if not families:
            return []
        bound = Bound()
        metrics = bound(sorted({family.metric for family in families}), "Array(String)")
        where = identity_condition(asked, families, self._times_ms(), bound)
        ids = f"series_id IN (SELECT series_id FROM {SERIES} WHERE {where})"
        times = in_time(*self._times_ms(), bound)
        own = (
            "mapSort(mapFilter((name, value) -> value != '', mapUpdate(attributes, CAST(map("
            "'trace_id', trace_id, 'span_id', span_id), 'Map(LowCardinality(String), String)'))))"
        )
        bounds = (
            f"SELECT series_id, argMax(bounds, timestamp) AS bounds FROM {HISTOGRAMS} "
            f"WHERE metric IN {metrics} AND {ids} AND {times} GROUP BY series_id"
        )
        return self.ask.rows(
            bound.statement(
                f"SELECT DISTINCT exemplar.series_id AS id, {own} AS own, "
                f"{SAMPLE_VALUE} AS value, toUnixTimestamp64Milli(timestamp) AS at_ms, "
                f"limits.bounds AS bounds FROM {EXEMPLARS} AS exemplar "
                f"LEFT ANY JOIN ({bounds}) AS limits ON exemplar.series_id = limits.series_id "
                f"WHERE metric IN {metrics} AND exemplar.{ids} AND {times} "
                f"ORDER BY id, at_ms LIMIT {bound(limit, 'UInt64')}"
            )
        )


def _of_part(
    asked: Asked, identity: Identity, part: Part, name: str, bounds: Mapping[int, list[float]]
) -> Iterator[Labels]:
    label = _POINT_LABEL.get(part)
    if label is None:
        labels = identity.with_name(name)
        if asked.is_all(dict(labels)):
            yield labels
        return
    own = bounds.get(identity.series_id)
    if own is None:
        return
    for each in {*own, _INFINITE} if part == "bucket" else own:
        labels = identity.with_name(name, {label: bound_text(each)})
        if asked.is_all(dict(labels)):
            yield labels


def _exemplar_labels(asked: Asked, identity: Identity, row: Mapping[str, Any]) -> Iterator[Labels]:
    """Of a histogram they belong to the least bucket that they are in."""
    for part, name in asked.parts(identity.family):
        labels = None
        if part in ("value", "native"):
            labels = identity.with_name(name)
        elif part == "bucket":
            bounds = [*sorted(row["bounds"]), _INFINITE]
            least = next(
                each for each in bounds if each == _INFINITE or float(row["value"]) <= each
            )
            labels = identity.with_name(name, {LE: bound_text(least)})
        if labels is not None and asked.is_all(dict(labels)):
            yield labels


def described(ask: Asker, metric: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metadata by name; `rows` are those of catalog.metadata, under the names that were sent.

    `metric` limits it to one, if it is given.
    """
    of_metric: dict[str, list[Family]] = {}
    for family in Families(ask).all():
        if not metric or metric in {metric_name(family), *(name for _, name in part_names(family))}:
            of_metric.setdefault(family.metric, []).append(family)
    if not of_metric:
        return {}
    sent = {row["metric"]: row for row in rows}
    missing = sorted(of_metric.keys() - sent.keys())
    if missing:
        bound = Bound()
        statement = bound.statement(
            f"SELECT metric, type, unit, help FROM {METADATA} "
            f"WHERE metric IN {bound(missing, 'Array(String)')} LIMIT {ROWS_MAX}"
        )
        sent |= {row["metric"]: row for row in ask.rows(statement)}
    told: dict[str, Any] = {} if metric and metric != TARGET_INFO else {
        TARGET_INFO: _TARGET_METADATA
    }  # fmt: skip
    for name, families in of_metric.items():
        help_text = sent.get(name, {}).get("help", "")
        for family in families:
            told[metric_name(family)] = {
                "type": _type(family), "help": help_text, "unit": unit_name(family.unit),
            }  # fmt: skip
    told.pop("", None)
    return told


def _type(family: Family) -> str:
    if family.kind == "sum":
        return "counter" if family.is_monotonic else "gauge"
    return "histogram" if family.kind == "exponential_histogram" else family.kind or "unknown"


def otlp_only(ask: Asker, metrics: Sequence[str]) -> set[str]:
    """Those of the metrics that OTLP has sent, and Prometheus has not."""
    own = {family.metric for family in Families(ask).all()} & set(metrics)
    if not own:
        return set()
    bound = Bound()
    rows = ask.rows(
        bound.statement(
            f"SELECT DISTINCT toString(metric) AS metric FROM {SERIES} "
            f"WHERE metric IN {bound(sorted(own), 'Array(String)')} AND source = 'prometheus'"
        )
    )
    return own - {row["metric"] for row in rows}


def counted(ask: Asker, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of catalog.largest_metrics, each under the first name that a query finds it by."""
    renamed = otlp_only(ask, [row["name"] for row in rows])
    names = {
        family.metric: name
        for family in Families(ask).all()
        if family.metric in renamed
        for _, name in part_names(family)[:1]
    }
    return [{**row, "name": names.get(row["name"], row["name"])} for row in rows]
