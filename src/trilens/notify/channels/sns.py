"""Amazon SNS: Publish of the query API (2010-03-31), signed."""

from __future__ import annotations

from typing import Final

from trilens.http_out.aws import Aws
from trilens.http_out.door import Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

MESSAGE_BYTES_MAX: Final = 256 * 1024
SMS_BYTES_MAX: Final = 1600
_TARGETS: Final = {
    "topic_arn": "TopicArn",
    "target_arn": "TargetArn",
    "phone_number": "PhoneNumber",
}


class Sns:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
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
                "sns", url, form, now_ns=notification.at_ns, timeout_s=timeout_s
            )
        except (TemplateFault, ValueError, OSError, KeyError) as error:
            return failed(error)
        except Failed as error:
            return outcome_of(error)
        return verdict(answer, also_retry=(429,))

    def _form(self, notification: Notification) -> list[tuple[str, str]]:
        text, options = notification.text, self._options
        form = [("Action", "Publish"), ("Version", "2010-03-31")]
        for name, parameter in _TARGETS.items():
            if options[name]:
                form.append((parameter, text(options[name])))
                if name == "topic_arn" and form[-1][1].endswith(".fifo"):
                    form.append(("MessageDeduplicationId", notification.hashed_key))
                    form.append(("MessageGroupId", notification.hashed_key))
        body = text(options["message"]).encode()
        most = SMS_BYTES_MAX if options["phone_number"] else MESSAGE_BYTES_MAX
        attributes = {text(name): text(value) for name, value in options["attributes"].items()}
        if len(body) > most:
            attributes["truncated"] = "true"
        form.append(("Message", body[:most].decode("utf-8", "ignore")))
        if options["subject"]:
            form.append(("Subject", text(options["subject"])))
        for number, (name, value) in enumerate(attributes.items(), start=1):
            entry = f"MessageAttributes.entry.{number}"
            form.append((f"{entry}.Name", name))
            form.append((f"{entry}.Value.DataType", "String"))
            form.append((f"{entry}.Value.StringValue", value))
        return form
