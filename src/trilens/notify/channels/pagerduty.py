"""PagerDuty: Events API v2 with a routing key, v1 with a service key."""

from __future__ import annotations

import logging
from typing import Any, Final

import orjson

from trilens.config_files.http_config import Secret
from trilens.http_out.door import Answer, Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
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
        self._door = HttpDoor(integration.http, user_agent=USER_AGENT)
        self._url_v1 = url_v1

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        is_v1 = bool(self._options["service_key"])
        try:
            event = self._v1(notification) if is_v1 else self._v2(notification)
            body = _fitting(event, "details" if is_v1 else "custom_details")
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        url = self._url_v1 if is_v1 else self._options["url"]
        if self._options["timeout_ns"]:
            timeout_s = min(timeout_s, self._options["timeout_ns"] / 1e9)
        try:
            answer = self._door.post(url, body, timeout_s)
        except Failed as error:
            return outcome_of(error)
        # Rate limits: v1 says 403, v2 says 429.
        return verdict(_explained(answer), also_retry=(403,) if is_v1 else (429,))

    def _key(self, secret: Secret, notification: Notification) -> str:
        key = notification.text(secret.read())
        if not key:
            raise ValueError("the key is empty after templating")
        return key

    def _details(self, notification: Notification) -> dict[str, Any]:
        found = filled_in(self._options["details"], notification.text)
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
    return Answer(answer.status, text.encode(), "text/plain")
