"""Rules and alerts in Prometheus's HTTP API (3.14): GET /rules and GET /alerts.

Pure functions of the groups as they are at the moment. Lists are in the order of files and groups;
a page ends with a token that names the group at which the next one begins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trilens.alert.alert_states import Alert
from trilens.alert.group import Group, RunningRule
from trilens.alert.recent_samples import matches
from trilens.present.prometheus_params import Form, bad
from trilens.query.promql.ast import Matcher

_KINDS: Final = {"": (True, True), "alert": (True, False), "record": (False, True)}
_TRUTHS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_NEVER: Final = "0001-01-01T00:00:00Z"
_STATES: Final = {"firing": 0, "pending": 1, "inactive": 2, "unknown": 3}
_LIMIT_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a call of /rules asks for; empty sets want all."""

    names: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    matchers: list[tuple[Matcher, ...]]
    alerting: bool
    recording: bool
    has_alerts: bool
    limit: int  # 0: all
    token: str

    @classmethod
    def of(cls, form: Form) -> _Wanted:
        """Raises PromqlError."""
        kind = form.text("type").lower()
        if kind not in _KINDS:
            raise bad("type", f'not supported value "{kind}"')
        alerting, recording = _KINDS[kind]
        return cls(
            names=frozenset(form.every("rule_name[]")),
            groups=frozenset(form.every("rule_group[]")),
            files=frozenset(form.every("file[]")),
            matchers=form.matcher_sets(),
            alerting=alerting,
            recording=recording,
            has_alerts=not _excludes_alerts(form),
            limit=_limit(form),
            token=form.text("group_next_token"),
        )

    def takes(self, group: Group) -> bool:
        definition = group.definition
        return (not self.groups or definition.name in self.groups) and (
            not self.files or definition.file in self.files
        )

    def takes_rule(self, running: RunningRule) -> bool:
        rule = running.rule
        if self.names and rule.name not in self.names:
            return False
        if not (self.alerting if rule.is_alert else self.recording):
            return False
        return not self.matchers or any(matches(one, dict(rule.labels)) for one in self.matchers)


def _excludes_alerts(form: Form) -> bool:
    text = form.text("exclude_alerts").lower()
    if text and text not in _TRUTHS:
        raise bad(
            "exclude_alerts",
            f'error converting exclude_alerts: strconv.ParseBool: parsing "{text}": invalid syntax',
        )
    return _TRUTHS.get(text, False)


def _limit(form: Form) -> int:
    text = form.text("group_limit")
    if not text:
        if form.text("group_next_token"):
            raise bad(
                "group_next_token",
                "group_limit needs to be present in order to paginate over the groups",
            )
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        why = "invalid syntax"
    elif abs(int(text)) > _LIMIT_MAX:
        why = "value out of range"
    elif int(text) <= 0:
        raise bad("group_limit", "group_limit needs to be greater than 0")
    else:
        return int(text)
    raise bad(
        "group_limit",
        f'group_limit needs to be a valid number: strconv.ParseInt: parsing "{text}": {why}',
    )


def rules(form: Form, groups: Sequence[Group]) -> dict[str, Any]:
    """The data of /rules. Raises PromqlError."""
    wanted = _Wanted.of(form)
    if wanted.token:
        groups = _from_token(wanted.token, groups)
    listed: list[dict[str, Any]] = []
    for group in groups:
        shown = _group(group, wanted) if wanted.takes(group) else None
        if shown is None:
            continue
        if wanted.limit and len(listed) == wanted.limit:
            return {"groups": listed, "groupNextToken": _token(group)}
        listed.append(shown)
    return {"groups": listed}


def alerts(groups: Sequence[Group]) -> dict[str, Any]:
    """The data of /alerts: of each group first the rules that fire."""
    return {"alerts": [_alert(alert) for group in groups for alert in _active(group)]}


def _active(group: Group) -> Iterator[Alert]:
    alerting = [one for one in group.rules if one.rule.is_alert]
    for running in sorted(alerting, key=lambda one: (_STATES[one.state()], one.rule.name)):
        yield from running.states.active()


def _token(group: Group) -> str:
    return hashlib.sha256(group.definition.key.encode()).hexdigest()


def _from_token(token: str, groups: Sequence[Group]) -> Sequence[Group]:
    for place, group in enumerate(groups):
        if _token(group) == token:
            return groups[place:]
    raise bad("group_next_token", f"invalid group_next_token '{token}'. were rule groups changed?")


def _group(group: Group, wanted: _Wanted) -> dict[str, Any] | None:
    """None where no rule is wanted."""
    shown = [_rule(one, wanted) for one in group.rules if wanted.takes_rule(one)]
    if not shown:
        return None
    return {
        "name": group.definition.name,
        "file": group.definition.file,
        "rules": shown,
        "interval": _seconds(group.interval_ms / 1000),
        "limit": group.definition.limit,
        "evaluationTime": _seconds(group.took_s),
        "lastEvaluation": _time(group.evaluated_at_ns),
    }


def _rule(running: RunningRule, wanted: _Wanted) -> dict[str, Any]:
    rule = running.rule
    common = {
        "health": running.health,
        **({"lastError": running.error} if running.error else {}),
        "evaluationTime": _seconds(running.took_s),
        "lastEvaluation": _time(running.evaluated_at_ns),
    }
    if not rule.is_alert:
        named = {"name": rule.name, "query": rule.query, "labels": dict(rule.labels)}
        return {**named, **common, "type": "recording"}
    return {
        "state": running.state(),
        "name": rule.name,
        "query": rule.query,
        "duration": _seconds(rule.for_ms / 1000),
        "keepFiringFor": _seconds(rule.keep_firing_for_ms / 1000),
        "labels": dict(rule.labels),
        "annotations": dict(rule.annotations),
        "alerts": [_alert(one) for one in running.states.active()] if wanted.has_alerts else None,
        **common,
        "type": "alerting",
    }


def _alert(alert: Alert) -> dict[str, Any]:
    since_ms = alert.keep_firing_since_ms
    kept = {} if since_ms is None else {"keepFiringSince": _time(since_ms * 1_000_000)}
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": _time(alert.active_at_ms * 1_000_000),
        **kept,
        "value": exponent_text(alert.value),
    }


def _seconds(value: float) -> float | int:
    """Whole ones without decimals, as Go writes them: clients may want an integer there."""
    return int(value) if value.is_integer() else value


def exponent_text(value: float) -> str:
    """As Go's 'e' with the fewest digits: 1e+00, 1.5e-03, +Inf."""
    if value != value:  # noqa: PLR0124 (NaN)
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    texts = (f"{value:.{count}e}" for count in range(18))
    return next(text for text in texts if float(text) == value)


def _time(ns: int | None) -> str:
    """RFC 3339 with as many decimals as there are."""
    if ns is None:
        return _NEVER
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 1_000_000_000)
    fraction = f".{ns % 1_000_000_000:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
