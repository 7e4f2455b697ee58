"""What came of an attempt to send."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from trilens.http_out.door import DETAIL_CHARS_MAX, Answer, Failed
from trilens.notify.message import Notification

USER_AGENT: Final = "Alertmanager/0.34.0 (Trilens)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """sent: the receiver said so. failed: it did not take it. unknown: it may have.

    `should_retry`: another attempt with the same content may succeed.
    """

    kind: Literal["sent", "failed", "unknown"]
    error: str = ""
    status: int = 0
    should_retry: bool = False


def failed(error: object, *, status: int = 0, should_retry: bool = False) -> Outcome:
    return Outcome("failed", str(error)[:DETAIL_CHARS_MAX], status, should_retry)


def outcome_of(failure: Failed) -> Outcome:
    if failure.may_have_arrived:
        return Outcome("unknown", str(failure)[:DETAIL_CHARS_MAX], should_retry=True)
    return failed(failure, status=failure.status, should_retry=failure.should_retry)


def verdict(answer: Answer, also_retry: Collection[int] = ()) -> Outcome:
    """2xx is success; 5xx may succeed later, and so may `also_retry`."""
    if answer.status // 100 == 2:
        return Outcome("sent", status=answer.status)
    text = f"unexpected status code {answer.status}"
    if answer.text:
        text += f": {answer.text}"
    should_retry = answer.status // 100 == 5 or answer.status in also_retry
    return failed(text, status=answer.status, should_retry=should_retry)


class Channel(Protocol):
    """One integration."""

    @property
    def is_repeatable(self) -> bool:
        """The receiver itself sees that a second notification is the first again."""

    def send(self, notification: Notification, timeout_s: float) -> Outcome: ...
