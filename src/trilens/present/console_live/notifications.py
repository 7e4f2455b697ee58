"""Endpoints of the notifications screen: what the Alertmanager inside has done, and would do.

Where there is no alertmanager.yml, /notifications says so (`file` is empty) and the others answer
not_found. Times are ms since 1970 UTC, null where there is none yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from trilens.errors import Refused
from trilens.notify.alerts import Alert, InvalidAlert, reported
from trilens.notify.labels import text_of
from trilens.notify.notifier import Notifier
from trilens.notify.routes import Route
from trilens.notify.sent_log import ATTEMPTS_KEPT, Attempt
from trilens.notify.silences import Silence
from trilens.notify.standing import (
    GroupSeen,
    IntegrationHealth,
    Standing,
    Told,
    Way,
    Ways,
    groups,
    receivers,
    ways,
)
from trilens.present.console_live import notification_schemas as schemas
from trilens.present.endpoint import Args, Context, Endpoint, Parameter

GROUPS_MAX: Final = 500
LABELS_CHARS_MAX: Final = 16_384
RESULTS: Final = ("sent", "failed", "unknown", "running", "interrupted")
Json = dict[str, Any]


def _notifier(context: Context) -> Notifier:
    if context.live.notifier is None:
        raise Refused("not_found", "no alertmanager.yml is configured: set alertmanager_config")
    return context.live.notifier


def _overview(context: Context, _args: Args) -> Json:
    notifier = context.live.notifier
    if notifier is None:
        return {"file": "", "receivers": [], "alerts": 0}
    used = {route.receiver for route in notifier.config.route.walk()}
    return {
        "file": context.live.alertmanager_path,
        "receivers": [
            {"name": name, "is_used": name in used, "integrations": [*map(_integration, each)]}
            for name, each in notifier.seen(receivers).items()
        ],
        "alerts": len(notifier.alerts()),
    }  # fmt: skip


def _integration(one: IntegrationHealth) -> Json:
    return {
        "name": one.name,
        "kind": one.kind,
        "send_resolved": one.send_resolved,
        "health": one.health,
        "sent": one.sent,
        "failed": one.failed,
        "failed_in_a_row": one.failed_in_a_row,
        "last_attempt_ms": _ms(one.tried_at_ns),
        "last_sent_ms": _ms(one.sent_at_ns),
        "error": one.error,
        "sending": one.sending,
        "waiting": one.waiting,
    }


def _groups(context: Context, args: Args) -> Json:
    notifier = _notifier(context)
    receiver, words = args.text("receiver"), args.text("match").lower().split()

    def look(standing: Standing) -> tuple[list[GroupSeen], int]:
        return groups(standing, receiver=receiver, words=words, limit=args.number("limit"))

    found, total = notifier.seen(look)
    return {"groups": [_group(notifier, one, context) for one in found], "total": total}


def _group(notifier: Notifier, group: GroupSeen, context: Context) -> Json:
    now_ns = context.clock.now_ns()
    return {
        "key": group.key,
        "route": group.route.index,
        "receiver": group.route.receiver,
        "labels": dict(group.labels),
        "next_flush_ms": _ms(group.next_ns),
        "has_flushed": group.has_flushed,
        "is_sending": group.is_sending,
        "muted_by": list(group.muted_by),
        "firing": group.firing,
        "resolved": group.resolved,
        "alerts": [_alert(notifier, one, now_ns) for one in group.alerts],
        "integrations": [_told(one) for one in group.told],
    }


def _alert(notifier: Notifier, alert: Alert, now_ns: int) -> Json:
    return {
        "fingerprint": alert.fingerprint,
        "labels": alert.labels,
        "status": "resolved" if alert.is_resolved(now_ns) else "firing",
        "starts_at_ms": _ms(alert.starts_at_ns),
        "silenced_by": list(notifier.silenced_by(alert)),
        "inhibited_by": list(notifier.inhibited_by(alert)),
    }


def _told(one: Told) -> Json:
    return {
        "name": one.integration,
        "last_sent_ms": _ms(one.heard_at_ns),
        "repeat_at_ms": _ms(one.repeats_at_ns),
        "retry_at_ms": _ms(one.retries_at_ns),
        "is_sending": one.is_sending,
        "error": one.error,
    }


def _attempts(context: Context, args: Args) -> Json:
    notifier = _notifier(context)
    result, receiver = args.text("result"), args.text("receiver")
    words = args.text("match").lower().split()

    def look(standing: Standing) -> list[tuple[Attempt, int | None]]:
        latest: set[tuple[str, str]] = set()
        rows = []
        for attempt in standing.sent.attempts():
            key = attempt.group_key, attempt.integration
            rows.append((attempt, None if key in latest else standing.next_retry_ns(key)))
            latest.add(key)
        return rows

    every = notifier.seen(look)
    found = [
        (attempt, retry_ns)
        for attempt, retry_ns in every
        if result in ("", attempt.result)
        and receiver in ("", _receiver(attempt))
        and (not words or _is_about(attempt, words))
    ]
    limit = args.number("limit")
    return {
        "attempts": [_attempt(one, retry_ns) for one, retry_ns in found[:limit]],
        "found": len(found),
        "total": len(every),
    }


def _receiver(attempt: Attempt) -> str:
    """Records of older versions have it in the integration's name only."""
    return attempt.receiver or attempt.integration.rsplit("/", 1)[0]


def _is_about(attempt: Attempt, words: Sequence[str]) -> bool:
    texts = [attempt.group_key, attempt.integration, attempt.error, attempt.reason]
    texts += [f"{name}={value}" for one in attempt.told for name, value in one["labels"].items()]
    text = "\n".join(texts).lower()
    return all(word in text for word in words)


def _attempt(attempt: Attempt, retry_ns: int | None) -> Json:
    is_over = bool(attempt.ended_at_ns)
    return {
        "id": f"{attempt.began_at_ns}/{attempt.integration}/{attempt.group_key}",
        "group_key": attempt.group_key,
        "receiver": _receiver(attempt),
        "integration": attempt.integration.rsplit("/", 1)[-1],
        "group_labels": attempt.group_labels,
        "number": attempt.number,
        "reason": attempt.reason,
        "result": attempt.result,
        "status": attempt.status or None,
        "error": attempt.error,
        "began_at_ms": _ms(attempt.began_at_ns),
        "duration_ms": (attempt.ended_at_ns - attempt.began_at_ns) / 1e6 if is_over else None,
        "retry_at_ms": _ms(retry_ns or 0),
        "alert_count": attempt.alerts,
        "alerts": attempt.told,
    }


def _routes(context: Context, _args: Args) -> Json:
    notifier = _notifier(context)

    def look(standing: Standing) -> list[Json]:
        setup = standing.setup
        counts: dict[str, int] = {}
        for group in setup.groups:
            counts[group.route.index] = counts.get(group.route.index, 0) + 1
        return [
            _route(route, depth)
            | {
                "groups": counts.get(route.index, 0),
                "muted_by": list(setup.muted_by(route, standing.now_ns)),
            }
            for route, depth in _by_depth(setup.config.route, 0)
        ]

    return {"routes": notifier.seen(look)}


def _by_depth(route: Route, depth: int) -> list[tuple[Route, int]]:
    """As they stand in the file; a route before those below it."""
    below = [pair for child in route.routes for pair in _by_depth(child, depth + 1)]
    return [(route, depth), *below]


def _route(route: Route, depth: int) -> Json:
    return {
        "id": route.index,
        "depth": depth,
        "receiver": route.receiver,
        "matchers": [str(one) for one in route.matchers],
        "group_by": ["..."] if route.group_by is None else list(route.group_by),
        "group_wait_ms": route.group_wait_ns // 1_000_000,
        "group_interval_ms": route.group_interval_ns // 1_000_000,
        "repeat_interval_ms": route.repeat_interval_ns // 1_000_000,
        "does_continue": route.does_continue,
        "mute_times": list(route.mute_times),
        "active_times": list(route.active_times),
        "labels": route.labels,
    }


def _where(context: Context, args: Args) -> Json:
    notifier = _notifier(context)
    labels = _labels(args.text("labels"), context.clock.now_ns())

    def look(standing: Standing) -> Ways:
        return ways(standing, labels)

    found = notifier.seen(look)
    inhibited = None
    if found.inhibited_by is not None:
        rule, source = found.inhibited_by
        inhibited = {"rule": _rule(rule.name, rule.sources, rule.targets, rule.equal),
                     "fingerprint": source.fingerprint, "labels": source.labels}  # fmt: skip
    return {
        "labels": text_of(labels),
        "passed": list(found.passed),
        "ways": [_way(one) for one in found.ways],
        "silences": [_silence(one) for one in found.silences],
        "inhibited_by": inhibited,
    }


def _labels(text: str, now_ns: int) -> dict[str, str]:
    """Those of an alert, by what the API takes. Raises Refused."""
    if len(text) > LABELS_CHARS_MAX:
        raise Refused("too_large", f"labels have more than {LABELS_CHARS_MAX} characters")
    try:
        labels = orjson.loads(text)
    except ValueError as error:
        raise Refused("malformed", f"labels: not JSON: {error}") from None
    if not isinstance(labels, dict) or not all(isinstance(one, str) for one in labels.values()):
        raise Refused("malformed", "labels: must be an object of texts")
    try:
        alert = reported(labels, {}, starts_at_ns=0, ends_at_ns=0, generator_url="",
                         now_ns=now_ns, resolve_timeout_ns=1)  # fmt: skip
    except InvalidAlert as fault:
        raise Refused("malformed", f"labels: {fault}") from None
    return alert.labels


def _rule(name: str, sources: tuple[Any, ...], targets: tuple[Any, ...],
          equal: tuple[str, ...]) -> Json:  # fmt: skip
    return {
        "name": name,
        "source_matchers": [str(one) for one in sources],
        "target_matchers": [str(one) for one in targets],
        "equal": list(equal),
    }


def _way(way: Way) -> Json:
    return {
        "route": way.route.index,
        "receiver": way.route.receiver,
        "integrations": [one.rsplit("/", 1)[-1] for one in way.integrations],
        "group_key": way.group_key,
        "group_labels": dict(way.group_labels),
        "muted_by": list(way.muted_by),
        "group_next_flush_ms": _ms(way.group_next_ns),
    }


def _silence(silence: Silence) -> Json:
    return {
        "id": silence.id,
        "matchers": [str(one) for one in silence.matchers],
        "created_by": silence.created_by,
        "comment": silence.comment,
        "ends_at_ms": _ms(silence.ends_at_ns),
    }


def _ms(at_ns: int) -> int | None:
    return at_ns // 1_000_000 if at_ns else None


RECEIVER: Final = Parameter("receiver", "text", "Of this receiver only.", "")
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/notifications", "Receivers and their health by the attempts on record; `file` "
        "is empty where no alertmanager.yml is configured.",
        (), schemas.OVERVIEW, _overview,
    ),
    Endpoint(
        "GET", "/notifications/groups", "Groups of alerts as they stand, those that are due "
        "first first.",
        (
            RECEIVER,
            Parameter("match", "text", "Words, all of which must be in labels, as name=value.", ""),
            Parameter("limit", "integer", "At most so many.", 200, least=1, most=GROUPS_MAX),
        ),
        schemas.GROUPS, _groups,
    ),
    Endpoint(
        "GET", "/notifications/attempts", "Attempts to notify that are on record, newest first; "
        "`alerts` are the first ones of `alert_count`.",
        (
            RECEIVER,
            Parameter("result", "text", "With this result only.", "", choices=("", *RESULTS)),
            Parameter("match", "text", "Words, all of them in labels, error or reason.", ""),
            Parameter("limit", "integer", "At most so many.", ATTEMPTS_KEPT, least=1,
                      most=ATTEMPTS_KEPT),
        ),
        schemas.ATTEMPTS, _attempts,
    ),
    Endpoint(
        "GET", "/notifications/routes", "The tree of routes, each before those below it.",
        (), schemas.ROUTES, _routes,
    ),
    Endpoint(
        "GET", "/notifications/where", "Where an alert with these labels would go, and what "
        "would hold it back now.",
        (Parameter("labels", "text", "Labels: a JSON object of texts.", is_required=True),),
        schemas.WHERE, _where,
    ),
)  # fmt: skip
