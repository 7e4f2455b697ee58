"""Amazon SNS: Publish of the query API (2010-03-31), signed."""

from __future__ import annotations

import hashlib
from typing import Final

from trilens.clock import Clock, SystemClock
from trilens.http_out.aws import Aws
from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.channels.texts import shortened
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

MESSAGE_BYTES_MAX: Final = 256 * 1024
SMS_BYTES_MAX: Final = 1600
# "Less than 100 characters", without line breaks and control characters; a longer one is refused.
SUBJECT_CHARS_MAX: Final = 99
_TARGETS: Final = {
    "topic_arn": "TopicArn",
    "target_arn": "TargetArn",
    "phone_number": "PhoneNumber",
}


class Sns:
    is_repeatable = False

    def __init__(self, integration: Integration, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._options = integration.options
        self._aws = Aws(
            integration.options["sigv4"], HttpDoor(integration.http, user_agent=USER_AGENT)
        )

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            form = self._form(notification)
            url = notification.text(self._options["api_url"])
            url = url or self._aws.url_of("sns")
            answer = self._aws.call(
                "sns", url, form, now_ns=self._clock.now_ns(), timeout_s=timeout_s
            )
        except (TemplateFault, ValueError, OSError, KeyError) as error:
            return failed(error)
        except Failed as error:
            return outcome_of(error)
        return verdict(answer)

    def _form(self, notification: Notification) -> list[tuple[str, str]]:
        text, options = notification.text, self._options
        form = [("Action", "Publish"), ("Version", "2010-03-31")]
        for name, parameter in _TARGETS.items():
            if options[name]:
                form.append((parameter, text(options[name])))
                if name == "topic_arn" and form[-1][1].endswith(".fifo"):
                    form += _of_fifo(notification)
        attributes = {text(name): text(value) for name, value in options["attributes"].items()}
        form += _body(text(options["message"]), attributes, is_sms=bool(options["phone_number"]))
        subject = "".join(char if char.isprintable() else " " for char in text(options["subject"]))
        if subject.strip():
            form.append(("Subject", shortened(subject.strip(), SUBJECT_CHARS_MAX)))
        return form


def _of_fifo(notification: Notification) -> list[tuple[str, str]]:
    """SNS drops what has the id of another one of five minutes before: a second attempt does, the
    next notification of the group does not.
    """
    once = hashlib.sha256(f"{notification.group_key}\0{notification.at_ns}".encode()).hexdigest()
    return [("MessageDeduplicationId", once), ("MessageGroupId", notification.hashed_key)]


def _body(text: str, attributes: dict[str, str], *, is_sms: bool) -> list[tuple[str, str]]:
    """Attributes count as part of the message; SNS refuses those that say nothing."""
    attributes = {name: value for name, value in attributes.items() if name and value}
    said, size_bytes = text.encode(), sum(
        len((name + "String" + value).encode()) for name, value in attributes.items()
    )  # fmt: skip
    most = SMS_BYTES_MAX if is_sms else max(MESSAGE_BYTES_MAX - size_bytes, 1)
    if len(said) > most:
        attributes["truncated"] = "true"
        most = most if is_sms else most - len("truncatedStringtrue")
    form = [("Message", said[:most].decode("utf-8", "ignore"))]
    for number, (name, value) in enumerate(attributes.items(), start=1):
        entry = f"MessageAttributes.entry.{number}"
        form.append((f"{entry}.Name", name))
        form.append((f"{entry}.Value.DataType", "String"))
        form.append((f"{entry}.Value.StringValue", value))
    return form
