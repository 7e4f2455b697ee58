"""Any HTTP server that takes JSON: Alertmanager's webhook, version "4"."""

from __future__ import annotations

from typing import Any, Final

from trilens.config_files.yaml_nodes import plain_value
from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.go_text import go_json
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault
from trilens.notify.templates.values import plain_json

VERSION: Final = "4"


class Webhook:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._door = HttpDoor(integration.http, user_agent=USER_AGENT)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            body = self._body(notification)
            url = notification.text(self._options["url"].read())
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        if not url:
            return failed("the URL is empty after templating")
        if self._options["timeout_ns"]:
            timeout_s = min(timeout_s, self._options["timeout_ns"] / 1e9)
        try:
            return verdict(self._door.post(url, body, timeout_s))
        except Failed as error:
            return outcome_of(error)

    def _body(self, notification: Notification) -> bytes:
        most = self._options["max_alerts"] or len(notification.alerts)
        shown = notification.alerts[:most]
        data = notification.data_of(shown)
        if self._options["payload"] is not None:
            filled = filled_in(self._options["payload"], lambda text: notification.text(text, data))
            return go_json(filled) + b"\n"
        message = data.as_json() | {
            "version": VERSION,
            "groupKey": notification.group_key,
            "truncatedAlerts": len(notification.alerts) - len(shown),
        }
        return go_json(plain_json_ordered(message)) + b"\n"


def plain_json_ordered(message: dict[str, Any]) -> dict[str, Any]:
    """The top level keeps its order, as a struct does; maps below are in order of their keys."""
    return {name: plain_json(value) for name, value in message.items()}


def filled_in(value: Any, text: Any) -> Any:
    """Every text in a tree through its template; what then reads as YAML becomes that value."""
    if isinstance(value, dict):
        return {text(str(key)): filled_in(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, text) for one in value]
    if not isinstance(value, str):
        return value
    filled = text(value)
    try:
        found = plain_value(filled)
    except ValueError:
        return filled
    if found is None or isinstance(found, str):
        return None if filled.strip() in {"null", "~"} else filled
    return found
