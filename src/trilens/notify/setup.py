"""What follows from a configuration: built whole, then taken over in one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from trilens.notify.channels.kinds import CHANNELS
from trilens.notify.channels.outcome import Channel
from trilens.notify.config import Config
from trilens.notify.groups import Groups
from trilens.notify.inhibition import Inhibitor
from trilens.notify.receivers import Integration
from trilens.notify.routes import Route

if TYPE_CHECKING:
    from trilens.notify.delivery import Delivery

# Of one integration as many notifications are on their way at a time.
SENDING_MAX: Final = 4


@dataclass(slots=True)
class Lane:
    """One integration, how many of its notifications are being sent, until when it wants none;
    what is on its way to it, in order.
    """

    integration: Integration
    channel: Channel
    sending: int = 0
    not_before_ns: int = 0
    queue: dict[tuple[str, str], Delivery] = field(default_factory=dict, repr=False)

    def is_free(self, now_ns: int) -> bool:
        return self.sending < SENDING_MAX and now_ns >= self.not_before_ns


class Setup:
    """Groups without alerts, and a channel for each integration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.groups = Groups(config.route)
        self.inhibitor = Inhibitor(config.inhibit_rules)
        self.lanes: dict[str, list[Lane]] = {
            name: [Lane(one, CHANNELS[one.kind](one)) for one in receiver.integrations]
            for name, receiver in config.receivers.items()
        }

    def all_lanes(self) -> Iterator[Lane]:
        return chain.from_iterable(self.lanes.values())

    def muted_by(self, route: Route, now_ns: int) -> tuple[str, ...]:
        """The names of time intervals that keep a route quiet now."""
        active = [name for name in route.active_times if self._contains(name, now_ns)]
        if route.active_times and not active:
            return route.active_times
        return tuple(name for name in route.mute_times if self._contains(name, now_ns))

    def _contains(self, name: str, now_ns: int) -> bool:
        return any(one.contains(now_ns) for one in self.config.time_intervals.get(name, ()))
