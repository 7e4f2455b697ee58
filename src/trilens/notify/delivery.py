"""One notification on its way to one integration: attempts, backoff, the end of its time."""

from __future__ import annotations

import logging
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

_log = logging.getLogger("trilens.notify")
BACKOFF_NS_MIN: Final = SECOND_NS // 2
BACKOFF_NS_MAX: Final = 60 * SECOND_NS
BACKOFF_GROWTH: Final = 1.5
JITTER: Final = 0.5
ATTEMPT_S_MAX: Final = 60.0
ATTEMPT_S_MIN: Final = 1.0
# A delivery has until the next flush of its group, and never less than this; one that has waited
# for its lane longer than this is put in words anew.
FLUSH_NS_MIN: Final = 10 * SECOND_NS


# The journal has each attempt twice: as it begins, and as it comes out.
TOLD_MAX: Final = 20
TOLD_CHARS_MAX: Final = 8_000


@dataclass(slots=True)
class Delivery:
    """One that has not begun holds nothing up: it waits until its lane is free, and says then what
    there is to say then. From its beginning it has until `deadline_ns`.
    """

    key: Key
    channel: Channel
    group: Group
    notification: Notification
    entry: Entry
    next_ns: int
    lane: Lane
    flush: Flush = field(repr=False)
    deadline_ns: int = 0
    attempts: int = 0
    has_begun: bool = False
    is_running: bool = False
    backoff_ns: int = BACKOFF_NS_MIN

    @property
    def due_ns(self) -> int:
        return max(self.next_ns, self.lane.not_before_ns)

    def begin(self, now_ns: int) -> None:
        self.has_begun = True
        self.group.busy += 1
        self.deadline_ns = now_ns + max(self.group.route.group_interval_ns, FLUSH_NS_MIN)

    def attempt(self, now_ns: int) -> Attempt:
        """The next one, as it is put on record."""
        self.attempts += 1
        about = self.notification
        return Attempt(
            self.key[0], self.key[1], self.attempts, about.reason, len(about.alerts), now_ns,
            receiver=about.receiver, group_labels=dict(about.group_labels),
            told=told(about.alerts),
        )  # fmt: skip

    def send(self, now_ns: int) -> Outcome:
        """In a thread of the pool. A group too large for a template is told in part: better than
        not at all.
        """
        outcome = self.channel.send(self.notification, self.timeout_s(now_ns))
        while outcome.is_too_large and len(self.notification.alerts) > 1:
            _log.warning("too many alerts for a template: it gets a quarter of them", extra={
                "integration": self.key[1], "alerts": len(self.notification.alerts),
                "reason": outcome.error,
            })  # fmt: skip
            self.notification = self.notification.with_fewer_alerts()
            outcome = self.channel.send(self.notification, self.timeout_s(now_ns))
        return outcome

    def timeout_s(self, now_ns: int) -> float:
        left_s = (self.deadline_ns - now_ns) / SECOND_NS
        return max(ATTEMPT_S_MIN, min(ATTEMPT_S_MAX, left_s))

    def is_over(self, outcome: Outcome, now_ns: int) -> bool:
        """After `outcome`: sent, hopeless, or out of time. Else the next attempt is set."""
        if outcome.kind == "sent" or not outcome.should_retry:
            return True
        spread = self.backoff_ns * (1 + JITTER * (2 * random.random() - 1))  # noqa: S311
        self.next_ns = now_ns + max(int(spread), int(outcome.wait_s * SECOND_NS))
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
