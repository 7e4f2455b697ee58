"""PagerDuty: Events API v2 with a routing key, v1 with a service key."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

import orjson

from trilens.config_files.http_config import Secret
from trilens.http_out.door import Answer
from trilens.notify.channels.outcome import Outcome, verdict
from trilens.notify.channels.posting import Poster
from trilens.notify.channels.texts import shortened, without_empty
from trilens.notify.channels.webhook import filled_in
from trilens.notify.go_text import go_json
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

EVENT_BYTES_MAX: Final = 512_000
SUMMARY_CHARS_MAX: Final = 1024
URL_V1: Final = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
_TOO_LARGE: Final = (
    "Custom details have been removed because the original event exceeds the maximum size of 512kB"
)
_log = logging.getLogger("trilens.notify")


class PagerDuty:
    # The key of the group is the incident's: a second event is the first again.
    is_repeatable = True

    def __init__(self, integration: Integration, url_v1: str = URL_V1) -> None:
        self._options = integration.options
        self._poster = Poster(integration.http, integration.options["timeout_ns"])
        self._is_v1 = bool(integration.options["service_key"])
        self._url = url_v1 if self._is_v1 else integration.options["url"]

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (self._url, self._body(notification)), timeout_s,
            # It says 429 when there are too many events; to v1 it said 403.
            lambda answer: verdict(_explained(answer), also_retry=(403,) if self._is_v1 else ()),
        )  # fmt: skip

    def _body(self, notification: Notification) -> bytes:
        if self._is_v1:
            return _fitting(self._v1(notification), "details")
        return _fitting(self._v2(notification), "custom_details")

    def _key(self, secret: Secret, notification: Notification) -> str:
        key = notification.text(secret.read())
        if not key:
            raise ValueError("the key is empty after templating")
        return key

    def _details(self, notification: Notification) -> dict[str, Any]:
        try:
            found = filled_in(self._options["details"], notification.text)
        except TemplateFault as fault:
            if fault.is_too_large:
                return {"error": _TOO_LARGE}
            raise
        assert isinstance(found, dict)
        return found

    def _v1(self, notification: Notification) -> dict[str, Any]:
        text, options = notification.text, self._options
        is_firing = notification.data.status == "firing"
        return without_empty({
            "service_key": self._key(options["service_key"], notification),
            "incident_key": notification.hashed_key,
            "event_type": "trigger" if is_firing else "resolve",
            "description": shortened(text(options["description"]), SUMMARY_CHARS_MAX),
        }) | {"event_action": "", "payload": None} | without_empty({
            "client": text(options["client"]) if is_firing else "",
            "client_url": text(options["client_url"]) if is_firing else "",
            "details": self._details(notification),
        })  # fmt: skip

    def _v2(self, notification: Notification) -> dict[str, Any]:
        text, options = notification.text, self._options
        payload = {
            "summary": shortened(text(options["description"]), SUMMARY_CHARS_MAX),
            "source": text(options["source"]),
            "severity": text(options["severity"] or "error"),
        } | without_empty({
            "class": text(options["class"]),
            "component": text(options["component"]),
            "group": text(options["group"]),
            "custom_details": self._details(notification),
        })  # fmt: skip
        event = {
            "routing_key": self._key(options["routing_key"], notification),
            "dedup_key": notification.hashed_key,
            "event_action": "trigger" if notification.data.status == "firing" else "resolve",
            "payload": payload,
        }
        return event | without_empty({
            "client": text(options["client"]),
            "client_url": text(options["client_url"]),
            "images": self._rows("images", "src", notification),
            "links": self._rows("links", "href", notification),
        })  # fmt: skip

    def _rows(self, name: str, needed: str, notification: Notification) -> list[dict[str, str]]:
        rows = [
            {key: notification.text(value) for key, value in row.items()}
            for row in self._options[name]
        ]
        return [row for row in rows if row[needed]]


def _fitting(event: dict[str, Any], details: str) -> bytes:
    body = go_json(event) + b"\n"
    if len(body) <= EVENT_BYTES_MAX:
        return body
    _log.warning("an event for PagerDuty loses its details", extra={"size_bytes": len(body)})
    holder = event if details == "details" else event["payload"]
    holder[details] = {"error": _TOO_LARGE}
    return go_json(event) + b"\n"


def _explained(answer: Answer) -> Answer:
    """What a 400 says is in fields of its JSON."""
    if answer.status != 400:
        return answer
    try:
        found = orjson.loads(answer.body)
        text = f"{found['message']}: {','.join(map(str, found.get('errors') or []))}"
    except (ValueError, KeyError, TypeError):
        return answer
    return replace(answer, body=text.encode(), content_type="text/plain")
