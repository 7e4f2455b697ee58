"""The endpoints of Prometheus's API that tell which series, labels and metrics there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from trilens.present import prometheus_json as encoded
from trilens.present.prometheus_params import Form, label_name
from trilens.present.prometheus_query import Answer, Question
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store import catalog
from trilens.query.promql_store.catalog import ROWS_MAX, Within
from trilens.query.promql_store.otlp_catalog import OtlpCatalog, described, otlp_only
from trilens.query.promql_values.values import Labels

_Sortable = TypeVar("_Sortable", str, Labels)


def series(question: Question) -> Answer:
    if not question.form.every("match[]"):
        raise PromqlError("no match[] parameter provided", error_type="bad_data")
    most = _most(question.form)
    within = _within(question.form)
    rows = question.ask.rows(catalog.series(within, most + 1))
    more = OtlpCatalog.of(question.ask, within).series()
    found = _united([tuple(row["shown"].items()) for row in rows], more)
    return _listed([dict(one) for one in found], most)


def labels(question: Question) -> Answer:
    most = _most(question.form)
    within = _within(question.form)
    rows = question.ask.rows(catalog.label_names(within, most + 1))
    more = OtlpCatalog.of(question.ask, within).label_names()
    return _listed(_united([row["name"] for row in rows], more), most)


def label_values(question: Question) -> Answer:
    """The name of the label is the field `name` that the path has become."""
    most = _most(question.form)
    name = label_name(question.form.text("name"))
    within = _within(question.form)
    rows = question.ask.rows(catalog.label_values(within, name, most + 1))
    more = OtlpCatalog.of(question.ask, within).label_values(name)
    return _listed(_united([row["value"] for row in rows], more), most)


def metadata(question: Question) -> Answer:
    """There is one text for a metric: the one that came last."""
    metric, most = question.form.text("metric"), _most(question.form)
    if question.form.limit("limit_per_metric") < 0:
        return Answer(encoded.json_of({}))
    rows = question.ask.rows(catalog.metadata(metric, most))
    renamed = otlp_only(question.ask, [row["metric"] for row in rows])
    told = described(question.ask, metric, rows)
    for row in rows:
        if row["metric"] not in renamed:
            kind = catalog.type_name(row["type"])
            told[row["metric"]] = {"type": kind, "help": row["help"], "unit": row["unit"]}
    return Answer(encoded.json_of({name: [told[name]] for name in sorted(told)[:most]}))


def _within(form: Form) -> Within:
    start_ms, end_ms = form.within_ms()
    return Within(form.matcher_sets(), start_ms, end_ms)


def _united(sent: list[_Sortable], more: Iterable[_Sortable]) -> list[_Sortable]:
    """What Prometheus has sent is in order already."""
    found = set(more)
    return sorted(found.union(sent)) if found else sent


def _most(form: Form) -> int:
    return min(form.limit() or ROWS_MAX, ROWS_MAX)


def _listed(found: Sequence[Any], most: int) -> Answer:
    warnings = [encoded.TRUNCATED] if len(found) > most else []
    return Answer(encoded.json_of(list(found[:most])), warnings)
