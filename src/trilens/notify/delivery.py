"""One notification on its way to one integration: attempts, backoff, the end of its time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trilens.notify.channels.outcome import Channel, Outcome
from trilens.notify.durations import SECOND_NS
from trilens.notify.groups import Group
from trilens.notify.message import AlertView, Notification
from trilens.notify.sent_log import Attempt, Entry, Key
from trilens.notify.setup import Lane

BACKOFF_NS_MIN: Final = SECOND_NS // 2
BACKOFF_NS_MAX: Final = 60 * SECOND_NS
BACKOFF_GROWTH: Final = 1.5
JITTER: Final = 0.5
ATTEMPT_S_MAX: Final = 60.0
ATTEMPT_S_MIN: Final = 1.0
# A flush has until the next one to be delivered, and never less than this.
FLUSH_NS_MIN: Final = 10 * SECOND_NS


# The journal has each attempt twice: as it begins, and as it comes out.
TOLD_MAX: Final = 20
TOLD_CHARS_MAX: Final = 8_000


@dataclass(slots=True)
class Delivery:
    key: Key
    channel: Channel
    group: Group
    notification: Notification
    entry: Entry
    deadline_ns: int
    next_ns: int
    lane: Lane
    attempts: int = 0
    is_running: bool = False
    backoff_ns: int = BACKOFF_NS_MIN
    last_error: str = ""
    flush: Flush | None = field(default=None, repr=False)

    def attempt(self, now_ns: int) -> Attempt:
        """The next one, as it is put on record."""
        self.attempts += 1
        about = self.notification
        return Attempt(
            self.key[0], self.key[1], self.attempts, about.reason, len(about.alerts), now_ns,
            receiver=about.receiver, group_labels=dict(about.group_labels),
            told=told(about.alerts),
        )  # fmt: skip

    def timeout_s(self, now_ns: int) -> float:
        left_s = (self.deadline_ns - now_ns) / SECOND_NS
        return max(ATTEMPT_S_MIN, min(ATTEMPT_S_MAX, left_s))

    def is_over(self, outcome: Outcome, now_ns: int) -> bool:
        """After `outcome`: sent, hopeless, or out of time. Else the next attempt is set."""
        self.last_error = outcome.error
        if outcome.kind == "sent" or not outcome.should_retry:
            return True
        spread = self.backoff_ns * (1 + JITTER * (2 * random.random() - 1))  # noqa: S311
        self.next_ns = now_ns + int(spread)
        self.backoff_ns = min(int(self.backoff_ns * BACKOFF_GROWTH), BACKOFF_NS_MAX)
        return self.next_ns >= self.deadline_ns


@dataclass(slots=True)
class Flush:
    """One look at a group: done when all its deliveries are. `resolved` go if all went well."""

    group: Group
    resolved: dict[str, object]
    open: int = 0
    is_well: bool = True


def told(alerts: Sequence[AlertView]) -> list[dict[str, Any]]:
    """The first alerts of a notification, as many as an attempt's record has room for."""
    found: list[dict[str, Any]] = []
    chars = 0
    for alert in alerts[:TOLD_MAX]:
        chars += sum(len(name) + len(value) for name, value in alert.labels.items())
        if chars > TOLD_CHARS_MAX:
            break
        found.append({"status": alert.status, "labels": alert.labels})
    return found
