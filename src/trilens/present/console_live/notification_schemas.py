"""What the endpoints of the notifications screen answer."""

from __future__ import annotations

from typing import Final

from trilens.present.endpoint import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TEXT_MAP,
    array,
    of,
    or_null,
)

_TEXTS: Final = array(TEXT)
_AT_MS: Final = or_null(INTEGER)
_INTEGRATION: Final = of(
    name=TEXT, kind=TEXT, send_resolved=BOOLEAN, health=TEXT, sent=INTEGER, failed=INTEGER,
    failed_in_a_row=INTEGER, last_attempt_ms=_AT_MS, last_sent_ms=_AT_MS, error=TEXT,
    sending=INTEGER, waiting=INTEGER,
)  # fmt: skip
OVERVIEW: Final = of(
    file=TEXT,
    receivers=array(of(name=TEXT, is_used=BOOLEAN, integrations=array(_INTEGRATION))),
    alerts=INTEGER,
)
_ALERT: Final = of(
    fingerprint=TEXT, labels=TEXT_MAP, status=TEXT, starts_at_ms=_AT_MS, silenced_by=_TEXTS,
    inhibited_by=_TEXTS,
)  # fmt: skip
_TOLD: Final = of(
    name=TEXT, last_sent_ms=_AT_MS, repeat_at_ms=_AT_MS, retry_at_ms=_AT_MS, is_sending=BOOLEAN,
    error=TEXT,
)  # fmt: skip
GROUPS: Final = of(
    groups=array(of(
        key=TEXT, route=TEXT, receiver=TEXT, labels=TEXT_MAP, next_flush_ms=_AT_MS,
        has_flushed=BOOLEAN, is_sending=BOOLEAN, muted_by=_TEXTS, firing=INTEGER,
        resolved=INTEGER, alerts=array(_ALERT), integrations=array(_TOLD),
    )),
    total=INTEGER,
)  # fmt: skip
ATTEMPTS: Final = of(
    attempts=array(of(
        id=TEXT, group_key=TEXT, receiver=TEXT, integration=TEXT, group_labels=TEXT_MAP,
        number=INTEGER, reason=TEXT, result=TEXT, status=or_null(INTEGER), error=TEXT,
        began_at_ms=_AT_MS, duration_ms=or_null(NUMBER), retry_at_ms=_AT_MS, alert_count=INTEGER,
        alerts=array(of(status=TEXT, labels=TEXT_MAP)),
    )),
    found=INTEGER,
    total=INTEGER,
)  # fmt: skip
ROUTES: Final = of(
    routes=array(of(
        id=TEXT, depth=INTEGER, receiver=TEXT, matchers=_TEXTS, group_by=_TEXTS,
        group_wait_ms=INTEGER, group_interval_ms=INTEGER, repeat_interval_ms=INTEGER,
        does_continue=BOOLEAN, mute_times=_TEXTS, active_times=_TEXTS, labels=TEXT_MAP,
        groups=INTEGER, muted_by=_TEXTS,
    )),
)  # fmt: skip
WHERE: Final = of(
    labels=TEXT,
    passed=_TEXTS,
    ways=array(of(
        route=TEXT, receiver=TEXT, integrations=_TEXTS, group_key=TEXT, group_labels=TEXT_MAP,
        muted_by=_TEXTS, group_next_flush_ms=_AT_MS,
    )),
    silences=array(of(
        id=TEXT, matchers=_TEXTS, created_by=TEXT, comment=TEXT, ends_at_ms=_AT_MS,
    )),
    inhibited_by=or_null(of(
        rule=of(name=TEXT, source_matchers=_TEXTS, target_matchers=_TEXTS, equal=_TEXTS),
        fingerprint=TEXT, labels=TEXT_MAP,
    )),
)  # fmt: skip
