"""The endpoints of Prometheus's API that tell which series, labels and metrics there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trilens.present import prometheus_json as encoded
from trilens.present.prometheus_params import Form, label_name
from trilens.present.prometheus_query import Answer, Question
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store import catalog
from trilens.query.promql_store.catalog import ROWS_MAX, Within


def series(question: Question) -> Answer:
    if not question.form.every("match[]"):
        raise PromqlError("no match[] parameter provided", error_type="bad_data")
    most = _most(question.form)
    rows = question.ask.rows(catalog.series(_within(question.form), most + 1))
    return _listed([row["shown"] for row in rows], most)


def labels(question: Question) -> Answer:
    most = _most(question.form)
    rows = question.ask.rows(catalog.label_names(_within(question.form), most + 1))
    return _listed([row["name"] for row in rows], most)


def label_values(question: Question) -> Answer:
    """The name of the label is the field `name` that the path has become."""
    most = _most(question.form)
    name = label_name(question.form.text("name"))
    rows = question.ask.rows(catalog.label_values(_within(question.form), name, most + 1))
    return _listed([row["value"] for row in rows], most)


def metadata(question: Question) -> Answer:
    """There is one text for a metric: the one that came last."""
    rows = question.ask.rows(catalog.metadata(question.form.text("metric"), _most(question.form)))
    is_none = question.form.limit("limit_per_metric") < 0
    described = {
        row["metric"]: [
            {"type": catalog.type_name(row["type"]), "help": row["help"], "unit": row["unit"]}
        ]
        for row in rows
        if not is_none
    }
    return Answer(encoded.json_of(described))


def _within(form: Form) -> Within:
    start_ms, end_ms = form.within_ms()
    return Within(form.matcher_sets(), start_ms, end_ms)


def _most(form: Form) -> int:
    return min(form.limit() or ROWS_MAX, ROWS_MAX)


def _listed(found: Sequence[Any], most: int) -> Answer:
    warnings = [encoded.TRUNCATED] if len(found) > most else []
    return Answer(encoded.json_of(list(found[:most])), warnings)
