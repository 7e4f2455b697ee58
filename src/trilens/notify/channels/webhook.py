"""Any HTTP server that takes JSON: Alertmanager's webhook, version "4"."""

from __future__ import annotations

from typing import Any, Final

from trilens.config_files.yaml_nodes import plain_value
from trilens.notify.channels.outcome import Outcome
from trilens.notify.channels.posting import Poster
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates.values import plain_json

VERSION: Final = "4"


class Webhook:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._poster = Poster(integration.http, integration.options["timeout_ns"])

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (notification.text(self._options["url"].read()), self._body(notification)),
            timeout_s,
        )

    def _body(self, notification: Notification) -> Any:
        most = self._options["max_alerts"] or len(notification.alerts)
        shown = notification.alerts[:most]
        data = notification.data_of(shown)
        if self._options["payload"] is not None:
            return filled_in(self._options["payload"], lambda text: notification.text(text, data))
        message = data.as_json() | {
            "version": VERSION,
            "groupKey": notification.group_key,
            "truncatedAlerts": len(notification.alerts) - len(shown),
        }
        return plain_json_ordered(message)


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
