"""Opsgenie: Alert API v2. An alert's alias is the key of its group."""

from __future__ import annotations

from typing import Any, Final

from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.channels.texts import shortened, without_empty
from trilens.notify.go_text import go_json
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

# Opsgenie Docs, "Alert API", create alert: the longest of each field.
MESSAGE_CHARS_MAX: Final = 130
DESCRIPTION_CHARS_MAX: Final = 15_000
NOTE_CHARS_MAX: Final = 25_000
SOURCE_CHARS_MAX: Final = 100
ENTITY_CHARS_MAX: Final = 512
TAGS_MAX: Final = 20
ACTIONS_MAX: Final = 10
PIECE_CHARS_MAX: Final = 50
_Request = tuple[str, str, dict[str, Any]]


class Opsgenie:
    is_repeatable = True

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options
        self._door = HttpDoor(integration.http, user_agent=USER_AGENT)

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            requests = self._requests(notification)
            key = notification.text(self._options["api_key"].read()).strip()
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        outcome = failed("nothing to send")
        for method, url, message in requests:
            body = go_json(message) + b"\n"
            try:
                answer = self._door.post(url, body, timeout_s, method=method,
                                         headers={"Authorization": f"GenieKey {key}"})  # fmt: skip
            except Failed as error:
                return outcome_of(error)
            outcome = verdict(answer)
            if outcome.kind != "sent":
                return outcome
        return outcome

    def _requests(self, notification: Notification) -> list[_Request]:
        text, options = notification.text, self._options
        base, alias = f"{options['api_url']}v2/alerts", notification.hashed_key
        if notification.data.status == "resolved":
            message = {"source": shortened(text(options["source"]), SOURCE_CHARS_MAX)}
            return [("POST", f"{base}/{alias}/close?identifierType=alias", message)]
        created = self._created(notification)
        requests: list[_Request] = [("POST", base, created)]
        if options["update_alerts"]:
            for name in ("message", "description"):
                url = f"{base}/{alias}/{name}?identifierType=alias"
                requests.append(("PUT", url, without_empty({name: created.get(name, "")})))
        return requests

    def _created(self, notification: Notification) -> dict[str, Any]:
        text, options = notification.text, self._options
        details = dict(notification.data.common_labels)
        details |= {name: text(value) for name, value in options["details"].items()}
        return {
            "alias": notification.hashed_key,
            "message": shortened(text(options["message"]), MESSAGE_CHARS_MAX),
            **without_empty({
                "description": shortened(text(options["description"]), DESCRIPTION_CHARS_MAX),
            }),
            "details": dict(sorted(details.items())),
            "source": shortened(text(options["source"]), SOURCE_CHARS_MAX),
        } | without_empty({
            "responders": self._responders(notification),
            "tags": _short(_pieces(text(options["tags"])), TAGS_MAX),
            "note": shortened(text(options["note"]), NOTE_CHARS_MAX),
            "priority": text(options["priority"]),
            "entity": shortened(text(options["entity"]), ENTITY_CHARS_MAX),
            "actions": _short(_pieces(text(options["actions"])), ACTIONS_MAX),
        })  # fmt: skip

    def _responders(self, notification: Notification) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for row in self._options["responders"]:
            one = {name: notification.text(value) for name, value in row.items()}
            if not any(one.values()):
                continue  # it was to be filled from labels that are not there
            if one["type"] == "teams":
                found += [{"name": team, "type": "team"} for team in _pieces(one["name"])]
            else:
                found.append(without_empty(one) | {"type": one["type"]})
        return found


def _pieces(text: str) -> list[str]:
    return [piece for piece in text.strip().split(",") if piece]


def _short(pieces: list[str], count_max: int) -> list[str]:
    return [shortened(piece, PIECE_CHARS_MAX) for piece in pieces[:count_max]]
