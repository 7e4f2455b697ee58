"""Alerts that are pending or firing, with what holds them back.

What rules of this server raise comes from their groups; what others told the Alertmanager inside
comes from there. A firing alert is known in both by the labels under which it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from trilens.alert.alert_states import ALERT_NAME, Alert
from trilens.alert.group import Group, RunningRule
from trilens.notify.alerts import Alert as ToldAlert
from trilens.notify.labels import fingerprint
from trilens.notify.notifier import Notifier
from trilens.present.console_alerts.alerting import Alerting, alert_id, with_ids
from trilens.present.endpoint import Args, Context

Json = dict[str, Any]
_NOT_HELD: Final[Json] = {"silenced_by": (), "inhibited_by": (), "muted_by": (), "receivers": ()}
# What people call their severities, gravest first; a word that is not here is among the last.
_RANKS: Final = {
    "emergency": 0, "critical": 0, "page": 0, "fatal": 0, "p1": 0,
    "error": 1, "high": 1, "major": 1, "p2": 1,
    "warning": 2, "warn": 2, "medium": 2, "minor": 2, "ticket": 2, "p3": 2,
    "low": 3, "info": 4, "notice": 4, "p4": 4, "none": 6,
}  # fmt: skip
_RANK_UNKNOWN: Final = 3


def rank(severity: str) -> int:
    """0 is the gravest."""
    return _RANKS.get(severity.lower(), _RANK_UNKNOWN)


def alerts(context: Context, args: Args) -> Json:
    alerting = context.alerting
    rows = list(_rows(alerting))
    wanted = _Wanted.of(args)
    found = sorted((row for row in rows if wanted.takes(row)), key=_order)
    limit = args.number("limit")
    return {
        "alerts": found[:limit],
        "total": len(found),
        "counts": _counts(rows),
        "severities": _counted(row["severity"] for row in rows),
        "groups": _counted(row["group"] for row in rows),
        "has_rules": any(group.rules for group in alerting.live.groups()),
        "has_alertmanager": alerting.live.notifier is not None,
    }


def _order(row: Json) -> tuple[bool, bool, int, str, int]:
    is_pending = row["state"] != "firing"
    return is_pending, row["suppressed"], rank(row["severity"]), row["name"], row["active_at_ms"]


def _counts(rows: list[Json]) -> Json:
    return {
        "firing": sum(row["state"] == "firing" and not row["suppressed"] for row in rows),
        "pending": sum(row["state"] == "pending" for row in rows),
        "suppressed": sum(row["suppressed"] for row in rows),
    }


def _counted(names: Iterable[str]) -> list[Json]:
    return [{"name": name, "count": count} for name, count in sorted(Counter(names).items())]


@dataclass(frozen=True, slots=True)
class _Wanted:
    state: str
    severity: str
    group: str
    rule: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, args: Args) -> _Wanted:
        words = tuple(args.text("match").lower().split())
        return cls(
            args.text("state"), args.text("severity"), args.text("group"), args.text("rule"), words
        )

    def takes(self, row: Json) -> bool:
        state = "suppressed" if row["suppressed"] else row["state"]
        if self.state not in ("", state) or self.severity not in ("", row["severity"]):
            return False
        if self.group not in ("", row["group"]) or self.rule not in ("", row["rule"]):
            return False
        return not self.words or self._has_words(row)

    def _has_words(self, row: Json) -> bool:
        """Those that Alertmanagers know it by too, since their links come with them."""
        labels = {*row["labels"].items(), *(row["told_labels"] or {}).items()}
        texts = [f"{name}={value}" for name, value in labels]
        texts += [f"receiver={name}" for name in row["receivers"]]
        text = " ".join([*texts, *row["annotations"].values(), row["file"]]).lower()
        return all(word in text for word in self.words)


def _rows(alerting: Alerting) -> Iterator[Json]:
    live = alerting.live
    told = _Told.by(live.notifier)
    for rule_id, group, running in with_ids(list(live.groups())):
        if running.rule.is_alert:
            for alert in running.states.active():
                sent = live.sent_labels(group, alert.labels)
                held = told.take(sent, alert)
                yield _row(rule_id, group, running, alert, held) | {"told_labels": sent}
    for one in told.left():
        yield _outside_row(one, told.held(one))


@dataclass(slots=True)
class _Told:
    """What the Alertmanager inside knows, by fingerprint. Who is taken is not left."""

    notifier: Notifier | None
    alerts: dict[str, ToldAlert] = field(default_factory=dict)
    muted_by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, notifier: Notifier | None) -> _Told:
        found = cls(notifier)
        if notifier is None:
            return found
        found.alerts = {one.fingerprint: one for one in notifier.alerts()}
        for group, alerts_of_group in notifier.groups():
            muted_by = notifier.muted_by(group)
            for one in alerts_of_group:
                # Heard of by one group is heard of.
                before = found.muted_by.get(one.fingerprint, muted_by)
                found.muted_by[one.fingerprint] = before and muted_by
        return found

    def take(self, labels: dict[str, str] | None, alert: Alert) -> Json:
        if labels is None or alert.state != "firing":
            return _NOT_HELD
        known = self.alerts.get(fingerprint({k: v for k, v in labels.items() if v}))
        if known is None:
            return _NOT_HELD
        self.taken.add(known.fingerprint)
        return self.held(known)

    def held(self, one: ToldAlert) -> Json:
        assert self.notifier is not None
        return {
            "silenced_by": self.notifier.silenced_by(one),
            "inhibited_by": [self._named(key) for key in self.notifier.inhibited_by(one)],
            "muted_by": self.muted_by.get(one.fingerprint, ()),
            "receivers": self.notifier.receivers_of(one),
        }

    def _named(self, key: str) -> Json:
        """Which alert it is that inhibits; it may have ended a moment ago."""
        known = self.alerts.get(key)
        return {"fingerprint": key, "labels": {} if known is None else known.labels}

    def left(self) -> list[ToldAlert]:
        return [one for key, one in self.alerts.items() if key not in self.taken]


def _row(rule_id: str, group: Group, running: RunningRule, alert: Alert, held: Json) -> Json:
    labels = dict(alert.labels)
    return {
        "id": alert_id(rule_id, alert.labels),
        "rule": rule_id,
        "name": running.rule.name,
        "state": alert.state,
        "is_kept": alert.keep_firing_since_ms is not None,
        "severity": labels.get("severity", ""),
        "labels": labels,
        "annotations": dict(alert.annotations),
        "value": alert.value,
        "active_at_ms": alert.active_at_ms,
        "fired_at_ms": alert.fired_at_ms,
        "group": group.definition.name,
        "file": group.definition.file,
        "suppressed": _is_held(held),
        **held,
    }


def _outside_row(one: ToldAlert, held: Json) -> Json:
    """Of an alert that another program told the Alertmanager inside."""
    at_ms = one.starts_at_ns // 1_000_000
    return {
        "id": f"told-{one.fingerprint}",
        "rule": "",
        "name": one.labels.get(ALERT_NAME, ""),
        "state": "firing",
        "is_kept": False,
        "severity": one.labels.get("severity", ""),
        "labels": one.labels,
        "told_labels": one.labels,
        "annotations": one.annotations,
        "value": None,
        "active_at_ms": at_ms,
        "fired_at_ms": at_ms,
        "group": "",
        "file": "",
        "suppressed": _is_held(held),
        **held,
    }


def _is_held(held: Json) -> bool:
    return bool(held["silenced_by"] or held["inhibited_by"] or held["muted_by"])
