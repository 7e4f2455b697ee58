"""Microsoft Teams: message cards of the old connectors, adaptive cards of workflows (v2)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from trilens.http_out.door import Answer
from trilens.notify.channels.outcome import Outcome, verdict
from trilens.notify.channels.posting import Poster
from trilens.notify.channels.texts import fitting, shortened
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration

# Microsoft Learn, "Create an Incoming Webhook": a message has at most 28 KB.
MESSAGE_BYTES_MAX: Final = 28_000
HEAD_CHARS_MAX: Final = 1024
_CARD_COLOURS: Final = {"firing": "8C1A1A", "resolved": "2DC72D"}
_ADAPTIVE_COLOURS: Final = {"firing": "Attention", "resolved": "Good"}
_INNER_STATUS: Final = re.compile(rb"returned HTTP error (\d{3})")


class Teams:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._made = _card if integration.kind == "msteams" else _adaptive
        self._poster = Poster(integration.http)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (self._options["webhook_url"].read(), self._message(notification)),
            timeout_s, _said,
        )  # fmt: skip

    def _message(self, notification: Notification) -> Any:
        return fitting(
            notification.text(self._options["text"]),
            lambda text: self._made(self._options, notification, text), MESSAGE_BYTES_MAX,
        )  # fmt: skip


def _said(answer: Answer) -> Outcome:
    """The old connectors say 200, and in the text what became of the message."""
    found = _INNER_STATUS.search(answer.body)
    return verdict(replace(answer, status=int(found[1])) if found else answer)


def _card(options: Any, notification: Notification, shown: str) -> dict[str, Any]:
    text = notification.text
    return {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": shortened(text(options["title"]), HEAD_CHARS_MAX),
        "summary": shortened(text(options["summary"]), HEAD_CHARS_MAX),
        "text": shown,
        "themeColor": _CARD_COLOURS[notification.data.status],
    }


def _adaptive(options: Any, notification: Notification, shown: str) -> dict[str, Any]:
    text = notification.text
    title = {
        "type": "TextBlock", "text": shortened(text(options["title"]), HEAD_CHARS_MAX),
        "weight": "Bolder", "size": "Medium", "wrap": True, "style": "heading",
        "color": _ADAPTIVE_COLOURS[notification.data.status],
    }  # fmt: skip
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [title, {"type": "TextBlock", "text": shown, "wrap": True}],
        "msteams": {"width": "full"},
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}
