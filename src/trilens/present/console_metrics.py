"""Endpoints of the metrics screen."""

from __future__ import annotations

from typing import Any, cast, get_args

from trilens.present.console_logs import cost
from trilens.present.endpoint import (
    BOOLEAN,
    COST,
    FILTER,
    INTEGER,
    POINTS,
    RANGE,
    TEXT,
    TEXT_MAP,
    Args,
    Context,
    Endpoint,
    Parameter,
    array,
    of,
)  # fmt: skip
from trilens.query import metrics
from trilens.query.filters import parse_filter

_METRIC = Parameter("metric", "text", "The name of the metric.", is_required=True)
_WEEK_MS = 7 * 24 * 3600 * 1000


def _names(context: Context, args: Args) -> dict[str, Any]:
    statement = metrics.names(args.within(), match=args.text("match"), limit=args.number("limit"))
    return {"metrics": context.ask.rows(statement)}


def _churn(context: Context, args: Args) -> dict[str, Any]:
    rows = context.ask.rows(metrics.churn(args.within(), limit=args.number("limit")))
    totals = {name: rows[0][name] if rows else 0 for name in ("fresh_total", "series_total")}
    return {
        "metrics": [{name: row[name] for name in ("metric", "fresh", "series")} for row in rows],
        **totals,
    }


def _labels(context: Context, args: Args) -> dict[str, Any]:
    conditions = parse_filter(args.text("filter"))
    statement = metrics.labels(args.within(), args.text("metric"), conditions)
    return {"labels": metrics.label_list(context.ask.rows(statement))}


def _range(context: Context, args: Args) -> dict[str, Any]:
    within = args.within()
    question = metrics.RangeQuestion(
        within,
        args.text("metric"),
        metrics.fitting_step_ms(within, args.number_or_none("step_ms")),
        function=cast(metrics.Function, args.text("fn")),
        aggregation=cast(metrics.Aggregation, args.text("agg")),
        by=tuple(name for name in args.text("by").split(",") if name),
        conditions=parse_filter(args.text("filter")),
    )
    return metrics.points(context.ask, question) | cost(context)


ENDPOINTS = (
    Endpoint(
        "GET", "/metrics/names", "Metrics that have samples in the range.",
        (*RANGE,
         Parameter("match", "text", "A part of the name."),
         Parameter("limit", "integer", "At most so many.", 500, least=1,
                   most=metrics.NAMES_MAX)),
        of(metrics=array(of(metric=TEXT, type=TEXT, unit=TEXT, help=TEXT, series=INTEGER,
                            kind=TEXT, temporality=TEXT, is_monotonic=BOOLEAN))), _names,
    ),
    Endpoint(
        "GET", "/metrics/churn", "Metrics by how many of their series began in the range.",
        (*RANGE,
         Parameter("limit", "integer", "At most so many.", 20, least=1, most=1000)),
        of(metrics=array(of(metric=TEXT, fresh=INTEGER, series=INTEGER)),
           fresh_total=INTEGER, series_total=INTEGER), _churn,
    ),
    Endpoint(
        "GET", "/metrics/labels", "Labels of a metric and their most frequent values.",
        (*RANGE, _METRIC, FILTER),
        of(labels=array(of(label=TEXT, distinct=INTEGER,
                           values=array(of(value=TEXT, series=INTEGER))))), _labels,
    ),
    Endpoint(
        "GET", "/metrics/range",
        f"A metric over time: at most {metrics.SERIES_SHOWN_MAX} lines of "
        f"{metrics.POINTS_MAX} points.",
        (*RANGE, _METRIC, FILTER,
         Parameter("fn", "text", "What a point shows.", "value",
                   choices=get_args(metrics.Function)),
         Parameter("agg", "text", "How series become one line.", "none",
                   choices=get_args(metrics.Aggregation)),
         Parameter("by", "text", "Labels, with commas, that keep lines apart."),
         Parameter("step_ms", "integer", "Between points; widened to the limit of points.",
                   least=100, most=_WEEK_MS)),
        of(step_ms=INTEGER, series=array(of(labels=TEXT_MAP, points=POINTS)),
           truncated=BOOLEAN, series_total=INTEGER, **COST), _range,
    ),
)  # fmt: skip
