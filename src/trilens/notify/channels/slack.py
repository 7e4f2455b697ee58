"""Slack: incoming webhooks and chat.postMessage with an app's token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson

from trilens.http_out.door import Answer
from trilens.notify.channels.outcome import Outcome, failed, verdict
from trilens.notify.channels.posting import Poster
from trilens.notify.channels.texts import shortened, without_empty
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration

TITLE_CHARS_MAX: Final = 1024
MARK_CHARS_MAX: Final = 256
UPDATE_URL: Final = "https://slack.com/api/chat.update"


class Slack:
    """With update_message the first message of a group is changed by those that follow it."""

    is_repeatable = False

    def __init__(self, integration: Integration, update_url: str = UPDATE_URL) -> None:
        self._options = integration.options
        self._poster = Poster(integration.http, integration.options["timeout_ns"])
        self._update_url = update_url

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        if not self._options["update_message"]:
            return replace(self._posted(notification, timeout_s), marks={})
        if notification.marks.keys() >= {"channel", "ts"}:
            outcome = self._updated(notification, timeout_s / 2)
            if outcome.kind != "failed" or outcome.should_retry:
                return outcome
        # The first, or that one is gone or too old to be changed: this one has to be heard too.
        return self._posted(notification, timeout_s / 2)

    def _posted(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (self._options["api_url"].read(), self._message(notification)), timeout_s, said
        )

    def _updated(self, notification: Notification, timeout_s: float) -> Outcome:
        return self._poster.post(
            lambda: (self._update_url, self._message(notification) | dict(notification.marks)),
            timeout_s, said,
        )  # fmt: skip

    def _message(self, notification: Notification) -> dict[str, Any]:
        text, options = notification.text, self._options
        attachment = without_empty({
            "title": shortened(text(options["title"]), TITLE_CHARS_MAX),
            "title_link": text(options["title_link"]),
            "pretext": text(options["pretext"]),
        })  # fmt: skip
        attachment |= {"text": text(options["text"]), "fallback": text(options["fallback"]),
                       "callback_id": text(options["callback_id"])}  # fmt: skip
        attachment |= without_empty({
            "fields": [self._field(field, notification) for field in options["fields"]],
            "actions": [self._action(action, notification) for action in options["actions"]],
            "image_url": text(options["image_url"]),
            "thumb_url": text(options["thumb_url"]),
        })  # fmt: skip
        attachment |= {"footer": text(options["footer"])}
        attachment |= without_empty({
            "color": text(options["color"]),
            "mrkdwn_in": options["mrkdwn_in"] or ["fallback", "pretext", "text"],
        })  # fmt: skip
        return without_empty({
            "channel": text(options["channel"]),
            "username": text(options["username"]),
            "icon_emoji": text(options["icon_emoji"]),
            "icon_url": text(options["icon_url"]),
            "link_names": options["link_names"],
            "text": text(options["message_text"]),
            "attachments": [attachment],
        })  # fmt: skip

    def _field(self, field: dict[str, Any], notification: Notification) -> dict[str, Any]:
        short = self._options["short_fields"] if field["short"] is None else field["short"]
        return {
            "title": notification.text(field["title"]),
            "value": notification.text(field["value"]),
            "short": short,
        }

    def _action(self, action: dict[str, Any], notification: Notification) -> dict[str, Any]:
        names = ("type", "text", "url", "style", "name", "value")
        found = without_empty({name: notification.text(action[name]) for name in names})
        if action["confirm"] is not None:
            found["confirm"] = without_empty(
                {name: notification.text(text) for name, text in action["confirm"].items()}
            )
        return found


def said(answer: Answer) -> Outcome:
    """Slack says 200 to errors too: `ok`, or JSON with "ok": true, is success."""
    outcome = verdict(answer)
    if outcome.kind != "sent":
        return outcome
    if not answer.content_type.startswith("application/json"):
        if answer.body == b"ok":
            return outcome
        return failed(f"Slack answers: {answer.text}", status=answer.status)
    try:
        found = orjson.loads(answer.body)
    except ValueError:
        return failed(f"Slack's answer is not JSON: {answer.text}", status=answer.status,
                      should_retry=True)  # fmt: skip
    if isinstance(found, dict) and found.get("ok") is True:
        marks = {name: found[name] for name in ("channel", "ts") if name in found}
        return replace(outcome, marks=marks if all(map(_is_text, marks.values())) else {})
    error = found.get("error") if isinstance(found, dict) else found
    return failed(f"Slack answers: {error}", status=answer.status)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) < MARK_CHARS_MAX
