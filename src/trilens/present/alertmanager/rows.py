"""Alertmanager's API v2 as JSON: what is read from bodies, what is written into answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from trilens.notify.alerts import Alert, InvalidAlert, reported
from trilens.notify.groups import Group
from trilens.notify.instants import parse_instant, print_instant_ms
from trilens.notify.notifier import Notifier
from trilens.notify.silences import InvalidSilence, Silence, read_matcher

ALERTS_MAX: Final = 50_000


class Malformed(ValueError):
    """`status` 400 for what is not JSON, 422 for what is not of the form."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.status = status


def alerts_of(
    body: bytes, *, now_ns: int, resolve_timeout_ns: int
) -> tuple[list[Alert], list[str]]:
    """The valid ones, and what is wrong with the others. Raises Malformed."""
    rows = _json(body)
    if not isinstance(rows, list):
        raise Malformed("alerts in body must be a list")
    if len(rows) > ALERTS_MAX:
        raise Malformed(f"more than {ALERTS_MAX} alerts in one request", 413)
    alerts: list[Alert] = []
    faults: list[str] = []
    for number, row in enumerate(rows):
        where = str(number)
        if not isinstance(row, dict):
            raise Malformed(f"{where} in body must be an object")
        try:
            alerts.append(reported(
                _texts(row, "labels", where, is_required=True),
                _texts(row, "annotations", where, is_required=False),
                starts_at_ns=_instant(row, "startsAt", where),
                ends_at_ns=_instant(row, "endsAt", where),
                generator_url=_text(row, "generatorURL", where),
                now_ns=now_ns,
                resolve_timeout_ns=resolve_timeout_ns,
            ))  # fmt: skip
        except InvalidAlert as fault:
            faults.append(str(fault))
    return alerts, faults


def silence_of(body: bytes) -> Silence:
    """Raises Malformed, InvalidSilence."""
    row = _json(body)
    if not isinstance(row, dict):
        raise Malformed("silence in body must be an object")
    matchers = row.get("matchers")
    if not isinstance(matchers, list) or not all(isinstance(one, dict) for one in matchers):
        raise Malformed("matchers in body is required")
    if not matchers:
        raise Malformed("matchers in body should have at least 1 items")
    for name in ("startsAt", "endsAt", "createdBy", "comment"):
        if row.get(name) is None:
            raise Malformed(f"{name} in body is required")
    return Silence(
        id=_text(row, "id", "silence"),
        matchers=tuple(read_matcher(one) for one in matchers),
        starts_at_ns=_instant(row, "startsAt", "silence"),
        ends_at_ns=_instant(row, "endsAt", "silence"),
        updated_at_ns=0,
        created_by=_text(row, "createdBy", "silence"),
        comment=_text(row, "comment", "silence"),
        annotations=_texts(row, "annotations", "silence", is_required=False),
    )


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise Malformed(f'parsing body body from "" failed, because {error}', 400) from None


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{where}.{name} in body must be of type string")
    return value


def _instant(row: Mapping[str, Any], name: str, where: str) -> int:
    text = _text(row, name, where)
    try:
        return parse_instant(text) if text else 0
    except ValueError as error:
        raise Malformed(f"{where}.{name} in body: {error}", 400) from None


def _texts(row: Mapping[str, Any], name: str, where: str, *, is_required: bool) -> dict[str, str]:
    value = row.get(name)
    if value is None:
        if is_required:
            raise Malformed(f"{where}.{name} in body is required")
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Malformed(f"{where}.{name} in body must be an object of strings")
    return value


def alert_row(
    notifier: Notifier, alert: Alert, receivers: list[str], muted_by: tuple[str, ...] = ()
) -> dict[str, Any]:
    silenced_by, inhibited_by = notifier.silenced_by(alert), notifier.inhibited_by(alert)
    is_suppressed = silenced_by or inhibited_by or muted_by
    return {
        "annotations": alert.annotations,
        "endsAt": print_instant_ms(alert.ends_at_ns),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in receivers],
        "startsAt": print_instant_ms(alert.starts_at_ns),
        "status": {
            "inhibitedBy": inhibited_by,
            "mutedBy": muted_by,
            "silencedBy": silenced_by,
            "state": "suppressed" if is_suppressed else "active",
        },
        "updatedAt": print_instant_ms(alert.updated_at_ns),
        "generatorURL": alert.generator_url,
        "labels": alert.labels,
    }


def group_row(notifier: Notifier, group: Group, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "alerts": alerts,
        "labels": group.labels,
        "receiver": {"name": group.route.receiver},
        "routeLabels": notifier.route_labels(group),
    }


def silence_row(silence: Silence, now_ns: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": silence.id,
        "status": {"state": silence.state(now_ns)},
        "updatedAt": print_instant_ms(silence.updated_at_ns),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": print_instant_ms(silence.ends_at_ns),
        "matchers": [
            {
                "isEqual": matcher.operator in {"=", "=~"},
                "isRegex": matcher.operator in {"=~", "!~"},
                "name": matcher.name,
                "value": matcher.value,
            }
            for matcher in silence.matchers
        ],
        "startsAt": print_instant_ms(silence.starts_at_ns),
    }
    return row | {"annotations": silence.annotations} if silence.annotations else row


__all__ = [
    "InvalidSilence", "Malformed", "alert_row", "alerts_of", "group_row", "silence_of",
    "silence_row",
]  # fmt: skip
