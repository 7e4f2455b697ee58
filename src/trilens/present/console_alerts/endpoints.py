"""The rows of the endpoints about alerts."""

from __future__ import annotations

from typing import Final

from trilens.present.console_alerts import listing, past, rules
from trilens.present.endpoint import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    POINTS,
    RANGE,
    TEXT,
    TEXT_MAP,
    Endpoint,
    Parameter,
    array,
    of,
    or_null,
)  # fmt: skip

_DAY_MS: Final = 24 * 3600 * 1000
_RULE: Final = Parameter("rule", "text", "The id of a rule.")
_OF_RULE: Final = Parameter("rule", "text", "The id of a rule.", is_required=True)
_MATCH: Final = Parameter("match", "text", "Words, all of which must be found somewhere.")
_SEVERITY: Final = Parameter("severity", "text", "Only with this label severity.")
_GROUP: Final = Parameter("group", "text", "Only of groups of this name.")
_LABELS: Final = Parameter("labels", "text", "A JSON object of texts.")
_TEXTS: Final = array(TEXT)
_COUNTED: Final = array(of(name=TEXT, count=INTEGER))
_SPANS: Final = array(of(state=TEXT, start_ms=INTEGER, end_ms=INTEGER))

_ALERT: Final = of(
    id=TEXT, rule=TEXT, name=TEXT, state=TEXT, is_kept=BOOLEAN, severity=TEXT, labels=TEXT_MAP,
    told_labels=or_null(TEXT_MAP), annotations=TEXT_MAP, value=or_null(NUMBER),
    active_at_ms=INTEGER, fired_at_ms=or_null(INTEGER), group=TEXT, file=TEXT, suppressed=BOOLEAN,
    silenced_by=_TEXTS,
    inhibited_by=array(of(fingerprint=TEXT, labels=TEXT_MAP)), muted_by=_TEXTS, receivers=_TEXTS,
)  # fmt: skip
_RULE_FIELDS: Final = {
    "id": TEXT, "name": TEXT, "type": TEXT, "query": TEXT, "for_ms": INTEGER,
    "keep_firing_for_ms": INTEGER, "labels": TEXT_MAP, "severity": TEXT, "state": TEXT,
    "health": TEXT, "error": TEXT, "took_ms": NUMBER, "evaluated_at_ms": or_null(INTEGER),
    "firing": INTEGER, "pending": INTEGER,
}  # fmt: skip
_GROUP_ROW: Final = of(
    file=TEXT, name=TEXT, interval_ms=INTEGER, query_offset_ms=INTEGER, limit=INTEGER,
    took_ms=NUMBER, evaluated_at_ms=or_null(INTEGER), missed=INTEGER,
    rules=array(of(**_RULE_FIELDS)),
)  # fmt: skip
_COMPARISON: Final = {
    "expr": TEXT, "op": TEXT, "threshold": or_null(NUMBER), "threshold_expr": TEXT,
}  # fmt: skip
_SERIES: Final = array(of(labels=TEXT_MAP, points=POINTS))

ENDPOINTS: Final = (
    Endpoint(
        "GET", "/alerts", "Alerts that are pending or firing, the gravest first.",
        (Parameter("state", "text", "Only these.", choices=("firing", "pending", "suppressed")),
         _SEVERITY, _GROUP, _RULE, _MATCH,
         Parameter("limit", "integer", "At most so many.", 5000, least=0, most=20_000)),
        of(alerts=array(_ALERT), total=INTEGER,
           counts=of(firing=INTEGER, pending=INTEGER, suppressed=INTEGER),
           severities=_COUNTED, groups=_COUNTED, has_rules=BOOLEAN, has_alertmanager=BOOLEAN),
        listing.alerts,
    ),
    Endpoint(
        "GET", "/alerts/rules", "Rules by file and group, with how they do.",
        (Parameter("type", "text", "Only these.", choices=("alert", "record")),
         Parameter("health", "text", "Only these.", choices=("ok", "err", "unknown")),
         Parameter("state", "text", "Only alerts in this state.",
                   choices=("firing", "pending", "inactive", "unknown")),
         _SEVERITY, _GROUP, _MATCH,
         Parameter("limit", "integer", "At most so many rules.", 5000, least=0, most=100_000)),
        of(groups=array(_GROUP_ROW), total=INTEGER,
           health=of(ok=INTEGER, err=INTEGER, unknown=INTEGER)),
        rules.rules,
    ),
    Endpoint(
        "GET", "/alerts/rules/{rule}", "One rule, its group, and what its expression compares.", (),
        of(rule=of(**_RULE_FIELDS, annotations=TEXT_MAP, line=INTEGER), group=_GROUP_ROW,
           comparisons=array(of(**_COMPARISON))),
        rules.rule,
    ),
    Endpoint(
        "GET", "/alerts/states", "The states of a rule's alerts over time, from ALERTS.",
        (*RANGE, _OF_RULE, _LABELS),
        of(step_ms=INTEGER, alerts=array(of(labels=TEXT_MAP, spans=_SPANS)), total=INTEGER),
        past.states, is_promql=True,
    ),
    Endpoint(
        "GET", "/alerts/values",
        "What an alert's expression compares, over time: of the series that fit `labels`.",
        (*RANGE, _RULE, _LABELS, Parameter("query", "text", "PromQL, where there is no rule.")),
        of(step_ms=INTEGER, comparisons=array(of(
            **_COMPARISON, series=_SERIES, total=INTEGER, threshold_series=_SERIES))),
        past.values, is_promql=True,
    ),
    Endpoint(
        "GET", "/alerts/preview",
        "Which alerts a rule would have raised in the range, by the engine of alerts itself.",
        (*RANGE, Parameter("query", "text", "PromQL; that of `rule` if absent."), _RULE,
         Parameter("for_ms", "integer", "Pending for so long first.", most=366 * _DAY_MS),
         Parameter("keep_firing_for_ms", "integer", "Firing on for so long.", most=366 * _DAY_MS),
         Parameter("interval_ms", "integer", "Between evaluations.", least=100, most=_DAY_MS),
         _LABELS),
        of(interval_ms=INTEGER, evaluations=INTEGER, failures=INTEGER, error=TEXT,
           notifications=INTEGER, notification_moments=INTEGER, fired=INTEGER, flapping=INTEGER,
           longest_ms=INTEGER, total=INTEGER, total_firing=INTEGER,
           alerts=array(of(labels=TEXT_MAP, spans=_SPANS, fired=INTEGER, resolved=INTEGER,
                           flaps=INTEGER, firing_ms=INTEGER, longest_ms=INTEGER))),
        past.would_have_fired, is_promql=True,
    ),
)  # fmt: skip
