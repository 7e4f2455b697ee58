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

MESSAGE_CHARS_MAX: Final = 130
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
            outcome = verdict(answer, also_retry=(429,))
            if outcome.kind != "sent":
                return outcome
        return outcome

    def _requests(self, notification: Notification) -> list[_Request]:
        text, options = notification.text, self._options
        base, alias = f"{options['api_url']}v2/alerts", notification.hashed_key
        if notification.data.status == "resolved":
            message = {"source": text(options["source"])}
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
            **without_empty({"description": text(options["description"])}),
            "details": dict(sorted(details.items())),
            "source": text(options["source"]),
        } | without_empty({
            "responders": self._responders(notification),
            "tags": _pieces(text(options["tags"])),
            "note": text(options["note"]),
            "priority": text(options["priority"]),
            "entity": text(options["entity"]),
            "actions": _pieces(text(options["actions"])),
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
