"""One decision a request: served or refused, by who asks and by how much we already hold."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from trilens.credentials import shows_token
from trilens.errors import Refused
from trilens.receive.exchange import MIB

IN_FLIGHT_BYTES_MAX = 256 * MIB


class Admission:
    """The door of all receivers of a server. All calls come from the one event loop.

    `token` is what a sender must show, as a bearer token or as the password of basic
    authentication with any user name; None lets everybody in. `in_flight_bytes_max` bounds the
    bodies held from their first byte until their answer, over all connections.
    """

    def __init__(
        self, *, token: str | None = None, in_flight_bytes_max: int = IN_FLIGHT_BYTES_MAX
    ) -> None:
        self._token = None if token is None else token.encode()
        self.in_flight_bytes_max = in_flight_bytes_max
        self.in_flight_bytes = 0

    def admit(self, authorization: str, *, announced_bytes: int = 0) -> Ticket:
        """Let a request in whose body, as far as it says, has `announced_bytes`.

        Nothing is held for a body that is only announced, or slow senders could take all there
        is. Raises Refused: unauthenticated, or overloaded.
        """
        if self._token is not None and not shows_token(authorization, self._token):
            raise Refused("unauthenticated", "a valid bearer token or basic password is needed")
        self._check_room(announced_bytes)
        return Ticket(self)

    def _check_room(self, size_bytes: int) -> None:
        # An idle server takes whatever the limits of a request allow.
        if self.in_flight_bytes and self.in_flight_bytes + size_bytes > self.in_flight_bytes_max:
            raise Refused("overloaded", "too much is being received at once; send it again later")


class Ticket:
    """What one request holds of the budget; given back when its `with` block ends."""

    __slots__ = ("_admission", "_held_bytes")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Count bytes of the body that have arrived. Raises Refused: overloaded."""
        self._admission._check_room(size_bytes)  # noqa: SLF001  one door, two halves
        self._admission.in_flight_bytes += size_bytes
        self._held_bytes += size_bytes

    def give_back(self) -> None:
        """All of it, before the `with` block ends or without one."""
        self._admission.in_flight_bytes -= self._held_bytes
        self._held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()
