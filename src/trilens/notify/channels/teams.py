"""Microsoft Teams: message cards of the old connectors, adaptive cards of workflows (v2)."""

from __future__ import annotations

from typing import Any, Final

from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.go_text import go_json
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

_CARD_COLOURS: Final = {"firing": "8C1A1A", "resolved": "2DC72D"}
_ADAPTIVE_COLOURS: Final = {"firing": "Attention", "resolved": "Good"}


class Teams:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._message = _card if integration.kind == "msteams" else _adaptive
        self._door = HttpDoor(integration.http, user_agent=USER_AGENT)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            body = go_json(self._message(self._options, notification)) + b"\n"
            url = self._options["webhook_url"].read()
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        try:
            return verdict(self._door.post(url, body, timeout_s), also_retry=(429,))
        except Failed as error:
            return outcome_of(error)


def _card(options: Any, notification: Notification) -> dict[str, Any]:
    text = notification.text
    return {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": text(options["title"]),
        "summary": text(options["summary"]),
        "text": text(options["text"]),
        "themeColor": _CARD_COLOURS[notification.data.status],
    }


def _adaptive(options: Any, notification: Notification) -> dict[str, Any]:
    text = notification.text
    title = {
        "type": "TextBlock", "text": text(options["title"]), "weight": "Bolder", "size": "Medium",
        "wrap": True, "style": "heading", "color": _ADAPTIVE_COLOURS[notification.data.status],
    }  # fmt: skip
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [title, {"type": "TextBlock", "text": text(options["text"]), "wrap": True}],
        "msteams": {"width": "full"},
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}
