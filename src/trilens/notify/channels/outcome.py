"""What came of an attempt to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from trilens.notify.message import Notification

DETAIL_CHARS_MAX: Final = 500


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


class Channel(Protocol):
    """One integration."""

    @property
    def is_repeatable(self) -> bool:
        """The receiver itself sees that a second notification is the first again."""

    def send(self, notification: Notification, timeout_s: float) -> Outcome: ...
