"""What came of an attempt to send."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from trilens.http_out.door import DETAIL_CHARS_MAX, Answer, Failed
from trilens.notify.message import Notification
from trilens.notify.templates import TemplateFault

TOO_MANY: Final = 429
# Nobody is left unheard for longer because a service says so.
WAIT_S_MAX: Final = 3600.0
USER_AGENT: Final = "Alertmanager/0.34.0 (Trilens)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """sent: the receiver said so. failed: it did not take it. unknown: it may have.

    `should_retry`: another attempt with the same content may succeed; not before `wait_s`.
    `is_too_large`: with fewer alerts there may be something to send.
    `marks`: what the next notification of the same group to the same integration has to know.
    """

    kind: Literal["sent", "failed", "unknown"]
    error: str = ""
    status: int = 0
    should_retry: bool = False
    wait_s: float = 0.0
    is_too_large: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)


def failed(
    error: object, *, status: int = 0, should_retry: bool = False, wait_s: float = 0.0
) -> Outcome:
    text = str(error)[:DETAIL_CHARS_MAX]
    is_too_large = isinstance(error, TemplateFault) and error.is_too_large
    return Outcome("failed", text, status, should_retry, min(wait_s, WAIT_S_MAX), is_too_large)


def outcome_of(failure: Failed) -> Outcome:
    if failure.may_have_arrived:
        return Outcome("unknown", str(failure)[:DETAIL_CHARS_MAX], should_retry=True)
    return failed(failure, status=failure.status, should_retry=failure.should_retry)


def verdict(answer: Answer, also_retry: Collection[int] = ()) -> Outcome:
    """2xx is success; 5xx and 429 may succeed later, and so may `also_retry`."""
    if answer.status // 100 == 2:
        return Outcome("sent", status=answer.status)
    text = f"unexpected status code {answer.status}"
    if answer.text:
        text += f": {answer.text}"
    is_later = answer.status // 100 == 5 or answer.status == TOO_MANY
    should_retry = is_later or answer.status in also_retry
    return failed(text, status=answer.status, should_retry=should_retry,
                  wait_s=answer.retry_after_s if should_retry else 0.0)  # fmt: skip


class Channel(Protocol):
    """One integration."""

    @property
    def is_repeatable(self) -> bool:
        """The receiver itself sees that a second notification is the first again."""

    def send(self, notification: Notification, timeout_s: float) -> Outcome: ...
