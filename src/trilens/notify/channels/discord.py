"""Discord: a webhook that takes one embed."""

from __future__ import annotations

from typing import Any, Final

from trilens.notify.channels.outcome import Outcome
from trilens.notify.channels.posting import Poster
from trilens.notify.channels.texts import shortened, without_empty
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration

TITLE_CHARS_MAX: Final = 256
DESCRIPTION_CHARS_MAX: Final = 4096
CONTENT_CHARS_MAX: Final = 2000
_COLOURS: Final = {"firing": 0x992D22, "resolved": 0x2ECC71}


class Discord:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._poster = Poster(integration.http)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (self._options["webhook_url"].read(), self._message(notification)), timeout_s
        )

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
