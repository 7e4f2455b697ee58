"""Rules by file and group, and one rule whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

from trilens.alert.comparisons import Comparison, comparisons
from trilens.alert.group import Group, RunningRule
from trilens.present.console_alerts.alerting import rule_of, with_ids
from trilens.present.endpoint import Args, Context
from trilens.query.promql_values.labels import labels_text

Json = dict[str, Any]


def rules(context: Context, args: Args) -> Json:
    """Groups with those of their rules that are wanted, in the order of the files."""
    words = args.text("match").lower().split()
    limit = args.number("limit")
    groups: dict[str, Json] = {}
    total, health = 0, Counter[str]()
    for rule_id, group, running in with_ids(list(context.alerting.live.groups())):
        health[running.health] += 1
        if not _is_wanted(group, running, args, words):
            continue
        total += 1
        if total <= limit:
            shown = groups.setdefault(group.definition.key, group_row(group))
            shown["rules"].append(rule_row(rule_id, running))
    return {
        "groups": list(groups.values()),
        "total": total,
        "health": {name: health[name] for name in ("ok", "err", "unknown")},
    }


def rule(context: Context, args: Args) -> Json:
    rule_id = args.text("rule")
    group, running = rule_of(context.alerting, rule_id)
    compared = comparisons(running.rule.expr) if running.rule.is_alert else []
    return {
        "rule": {
            **rule_row(rule_id, running),
            "annotations": dict(running.rule.annotations),
            "line": running.rule.place.line,
        },
        "group": {**group_row(group), "rules": []},
        "comparisons": [comparison_row(one) for one in compared],
    }


def _is_wanted(group: Group, running: RunningRule, args: Args, words: list[str]) -> bool:
    said = running.rule
    has = {
        "type": "alert" if said.is_alert else "record",
        "health": running.health,
        "state": running.state() if said.is_alert else "",
        "severity": dict(said.labels).get("severity", ""),
        "group": group.definition.name,
    }
    if any(args.text(name) not in ("", value) for name, value in has.items()):
        return False
    if not words:
        return True
    texts = (said.name, said.query, labels_text(said.labels), group.definition.key, running.error)
    text = " ".join(texts).lower()
    return all(word in text for word in words)


def group_row(group: Group) -> Json:
    """Without its rules."""
    return {
        "file": group.definition.file,
        "name": group.definition.name,
        "interval_ms": group.interval_ms,
        "query_offset_ms": group.offset_ms,
        "limit": group.definition.limit,
        "took_ms": group.took_s * 1000,
        "evaluated_at_ms": _ms(group.evaluated_at_ns),
        "missed": group.missed,
        "rules": [],
    }


def rule_row(rule_id: str, running: RunningRule) -> Json:
    said = running.rule
    active = running.states.active() if said.is_alert else []
    return {
        "id": rule_id,
        "name": said.name,
        "type": "alert" if said.is_alert else "record",
        "query": said.query,
        "for_ms": said.for_ms,
        "keep_firing_for_ms": said.keep_firing_for_ms,
        "labels": dict(said.labels),
        "severity": dict(said.labels).get("severity", ""),
        "state": running.state() if said.is_alert else "",
        "health": running.health,
        "error": running.error,
        "took_ms": running.took_s * 1000,
        "evaluated_at_ms": _ms(running.evaluated_at_ns),
        "firing": sum(one.state == "firing" for one in active),
        "pending": sum(one.state == "pending" for one in active),
    }


def comparison_row(one: Comparison) -> Json:
    other = "" if one.threshold_expr is None else str(one.threshold_expr)
    return {
        "expr": str(one.expr),
        "op": one.op,
        "threshold": one.threshold,
        "threshold_expr": other,
    }


def _ms(at_ns: int | None) -> int | None:
    return None if at_ns is None else at_ns // 1_000_000
