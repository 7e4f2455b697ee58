"""The past of alerts: their states, the values of their expression, and what would have been."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final, cast

import orjson

from trilens.alert.alert_text import template_problem
from trilens.alert.comparisons import Comparison, comparisons
from trilens.alert.group import Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.preview import (
    Preview,
    PreviewedAlert,
    PreviewQuestion,
    StateSpan,
    preview,
)
from trilens.alert.rule_files import Rule, RuleGroup
from trilens.alert.schedule import slot_ms
from trilens.alert.state_history import history
from trilens.errors import Refused
from trilens.present.console_alerts.alerting import refused_as_console, rule_of
from trilens.present.console_alerts.rules import comparison_row
from trilens.present.endpoint import Args, Context
from trilens.query.promql.ast import Expr
from trilens.query.promql.parser import parse
from trilens.query.promql_values.labels import is_label_name, set_labels
from trilens.query.promql_values.values import METRIC_NAME, Grid, Labels, Scalar, Vector

ALERTS_SHOWN_MAX: Final = 500
SPANS_SHOWN_MAX: Final = 20_000
SERIES_SHOWN_MAX: Final = 20
POINTS: Final = 300
LABELS_MAX: Final = 100
Json = dict[str, Any]


def states(context: Context, args: Args) -> Json:
    """As ALERTS tells it; of one alert, or of all of a rule."""
    group, running = rule_of(context.alerting, args.text("rule"))
    rule, within = running.rule, args.within()
    labels = _labels(args) or tuple(pair for pair in rule.labels if "{{" not in pair[1])
    query = context.alerting.query(context.ask)
    with refused_as_console():
        found = history(
            query, rule.name, labels,
            start_ms=within.from_ns // 1_000_000, end_ms=within.to_ns // 1_000_000,
            interval_ms=group.interval_ms,
        )  # fmt: skip
    shown = _within_spans([(one.labels, one.spans) for one in found.alerts])
    return {
        "step_ms": found.step_ms,
        "alerts": [{"labels": dict(labels), "spans": spans} for labels, spans in shown],
        "total": len(found.alerts),
    }


def values(context: Context, args: Args) -> Json:
    """What each side of an alert's comparisons was worth, of the series that fit an alert."""
    within = args.within()
    step_ms = within.step_ms(POINTS)
    start_ms = -(-(within.from_ns // 1_000_000) // step_ms) * step_ms
    end_ms = within.to_ns // 1_000_000
    grid = Grid(start_ms, step_ms, max(1, (end_ms - start_ms) // step_ms + 1))
    query = context.alerting.query(context.ask)
    rule, labels = None, _labels(args)
    if args.text("rule"):
        rule = rule_of(context.alerting, args.text("rule"))[1].rule
    own = {name for name, _ in rule.labels} if rule is not None else set()
    alert = {name: value for name, value in labels if name not in own and name != "alertname"}
    with refused_as_console():
        expr = rule.expr if rule is not None else parse(args.text("query"))
        found = [_compared(query, grid, one, alert) for one in comparisons(expr)]
    return {"step_ms": step_ms, "comparisons": found}


def _compared(query: InstantQuery, grid: Grid, one: Comparison, alert: dict[str, str]) -> Json:
    threshold: list[Json] = []
    if one.threshold_expr is not None:
        threshold, _ = _series(query, grid, one.threshold_expr, alert, one.op)
    series, total = _series(query, grid, one.expr, alert, one.op)
    return {
        **comparison_row(one),
        "series": series,
        "total": total,
        "threshold_series": threshold,
    }


def _series(
    query: InstantQuery, grid: Grid, expr: Expr, alert: dict[str, str], op: str
) -> tuple[list[Json], int]:
    """Those nearest to firing first, and how many there are."""
    value = query.over(expr, grid)
    times = grid.times_ms().tolist()
    if isinstance(value, Scalar):
        return [{"labels": {}, "points": _points(times, value.values.tolist())}], 1
    if not isinstance(value, Vector):
        raise Refused("malformed", "the expression is no vector or scalar")
    found = []
    for row, series in enumerate(value.labels):
        if all(alert.get(name, text) == text for name, text in series if name != METRIC_NAME):
            there = value.is_there[row]
            known = value.values[row][there]
            if value.histograms is None and len(known):
                extreme = float(known.min() if op.startswith("<") else -known.max())
                found.append((extreme if extreme == extreme else math.inf, series, row))  # noqa: PLR0124 (NaN)
    found.sort(key=lambda one: one[:2])
    shown = []
    for _, series, row in found[:SERIES_SHOWN_MAX]:
        points = [
            [at, number if is_there else None]
            for at, number, is_there in zip(
                times, value.values[row].tolist(), value.is_there[row].tolist(), strict=True
            )
        ]
        shown.append({"labels": dict(series), "points": _finite(points)})
    return shown, len(found)


def _points(times: list[int], numbers: list[float]) -> list[list[Any]]:
    return _finite([[at, number] for at, number in zip(times, numbers, strict=True)])


def _finite(points: list[list[Any]]) -> list[list[Any]]:
    """JSON has no NaN and no infinity: there is nothing to draw."""
    return [
        [at, number if number is not None and math.isfinite(number) else None]
        for at, number in points
    ]


def would_have_fired(context: Context, args: Args) -> Json:
    with refused_as_console():
        question = _question(context, args)
        found = preview(question, context.alerting.query(context.ask), context.clock)
    return _preview_row(found)


def _question(context: Context, args: Args) -> PreviewQuestion:
    """Of a rule of a file everything that is not said otherwise. Raises Refused, ParseError."""
    within = args.within()
    start_ms, end_ms = within.from_ns // 1_000_000, within.to_ns // 1_000_000
    group, options, rule = None, Options(), None
    if args.text("rule"):
        group, running = rule_of(context.alerting, args.text("rule"))
        options, rule = group.options, running.rule
        if not rule.is_alert:
            raise Refused("malformed", "a recording rule fires nothing")
    interval_ms = args.number_or_none("interval_ms") or (
        options.interval_ms if group is None else group.interval_ms
    )
    definition = RuleGroup("", "") if group is None else group.definition
    definition = replace(definition, rules=(_rule(args, rule),), interval_ms=interval_ms)
    # A rule of a file at its own moments, anything else at whole ones.
    last_ms = (
        start_ms // interval_ms * interval_ms
        if group is None
        else slot_ms(definition.key, interval_ms, start_ms)
    )
    first_ms = last_ms if last_ms == start_ms else last_ms + interval_ms
    return PreviewQuestion(definition, options, interval_ms, first_ms, end_ms)


def _rule(args: Args, of_file: Rule | None) -> Rule:
    text = args.text("query")
    if not text.strip() and of_file is None:
        raise Refused("malformed", "an expression, or a rule, has to be given", position=0)
    name = "Preview" if of_file is None else of_file.name
    for_ms, keep_ms = args.number_or_none("for_ms"), args.number_or_none("keep_firing_for_ms")
    asked = of_file if of_file is not None else Rule(name, True, parse(text))
    if text.strip():
        asked = replace(asked, expr=parse(text))
    if for_ms is not None:
        asked = replace(asked, for_ms=for_ms)
    if keep_ms is not None:
        asked = replace(asked, keep_firing_for_ms=keep_ms)
    if args.text("labels"):
        asked = replace(asked, labels=_checked(name, _labels(args)))
    return asked


def _checked(alert: str, labels: Labels) -> Labels:
    for name, value in labels:
        if not is_label_name(name) or name == METRIC_NAME:
            raise Refused("malformed", f"invalid label name: {name}")
        problem = template_problem(alert, value)
        if problem is not None:
            raise Refused("malformed", f'label "{name}": {problem}')
    return labels


def _labels(args: Args) -> Labels:
    """Of a JSON object of texts. Raises Refused (malformed)."""
    text = args.text("labels")
    if not text:
        return ()
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused("malformed", f"labels are no JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise Refused("malformed", "labels are no object of texts")
    if len(found) > LABELS_MAX:
        raise Refused("too_large", f"more than {LABELS_MAX} labels")
    return set_labels((), cast("dict[str, str]", found))


def _preview_row(found: Preview) -> Json:
    asked = found.question
    shown = _within_spans([(one.labels, one.spans) for one in found.alerts])
    return {
        "interval_ms": asked.interval_ms,
        "evaluations": asked.moments,
        "failures": found.failures,
        "error": found.error,
        "notifications": found.notices,
        "notification_moments": found.news,
        "fired": sum(one.fired for one in found.alerts),
        "flapping": sum(one.flaps > 0 for one in found.alerts),
        "longest_ms": max((one.longest_ms for one in found.alerts), default=0),
        "total": len(found.alerts),
        "total_firing": sum(one.firing_ms > 0 for one in found.alerts),
        "alerts": [
            _alert_row(one, spans)
            for one, (_, spans) in zip(found.alerts, shown, strict=False)
        ],
    }  # fmt: skip


def _alert_row(one: PreviewedAlert, spans: list[Json]) -> Json:
    return {
        "labels": dict(one.labels),
        "spans": spans,
        "fired": one.fired,
        "resolved": one.resolved,
        "flaps": one.flaps,
        "firing_ms": one.firing_ms,
        "longest_ms": one.longest_ms,
    }


def _within_spans(
    found: list[tuple[Labels, list[StateSpan]]],
) -> list[tuple[Labels, list[Json]]]:
    """As many of the first as may be shown."""
    shown = found[:ALERTS_SHOWN_MAX]
    sums = accumulate(len(spans) for _, spans in shown)
    return [
        (
            labels,
            [{"state": s.state, "start_ms": s.start_ms, "end_ms": s.end_ms} for s in spans],
        )
        for (labels, spans), so_far in zip(shown, sums, strict=True)
        if so_far <= SPANS_SHOWN_MAX
    ]
