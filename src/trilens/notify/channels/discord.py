"""Discord: a webhook that takes one embed."""

from __future__ import annotations

from typing import Any, Final

from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.channels.texts import shortened, without_empty
from trilens.notify.go_text import go_json
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

TITLE_CHARS_MAX: Final = 256
DESCRIPTION_CHARS_MAX: Final = 4096
CONTENT_CHARS_MAX: Final = 2000
_COLOURS: Final = {"firing": 0x992D22, "resolved": 0x2ECC71}


class Discord:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._door = HttpDoor(integration.http, user_agent=USER_AGENT)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            body = go_json(self._message(notification)) + b"\n"
            url = self._options["webhook_url"].read()
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        try:
            return verdict(self._door.post(url, body, timeout_s), also_retry=(429,))
        except Failed as error:
            return outcome_of(error)

    def _message(self, notification: Notification) -> dict[str, Any]:
        text, options = notification.text, self._options
        embed = {
            "title": shortened(text(options["title"]), TITLE_CHARS_MAX),
            "description": shortened(text(options["message"]), DESCRIPTION_CHARS_MAX),
            "color": _COLOURS[notification.data.status],
        }
        content = shortened(text(options["content"]), CONTENT_CHARS_MAX)
        return {"content": content, "embeds": [embed]} | without_empty({
            "username": options["username"], "avatar_url": options["avatar_url"],
        })  # fmt: skip
