"""What the program tells about itself, and what may be asked of it: interfaces for the server.

Methods may be called from any thread; those of DeadLetters may block, the others must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from trilens.envelope import WireFormat


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """One stream. `oldest_ns` is when its oldest frame that is not loaded yet arrived."""

    format: WireFormat
    bytes: int
    frames: int
    oldest_ns: int | None
    last_received_ns: int | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A frame that could not be decoded; `code` is ClickHouse's."""

    id: str
    format: WireFormat
    received_at_ns: int
    size_bytes: int
    reason: str
    code: int
    attempts: int


class DeadLetters(Protocol):
    def newest(self, limit: int) -> list[DeadLetter]: ...

    def totals(self) -> dict[WireFormat, int]:
        """How many there are, by format."""

    def replay(self, letter_id: str) -> None:
        """Put it back into the spool. Raises Refused: not_found, or spool_full."""

    def delete(self, letter_id: str) -> None:
        """Raises Refused (not_found)."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    kind: Literal["embedded", "server"]
    is_ready: bool
    restarts: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Retention:
    """`time_s` and `size_bytes_max` are None where there is no limit."""

    signal: str
    time_s: int | None
    size_bytes_max: int | None


@dataclass(frozen=True, slots=True)
class Listening:
    """`address` is host:port."""

    protocol: str
    address: str


class Program(Protocol):
    @property
    def started_at_ns(self) -> int: ...

    @property
    def spool_bytes_max(self) -> int: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    def spool(self) -> list[SpoolStatus]:
        """One entry a wire format."""

    def engine(self) -> EngineStatus: ...

    def is_ready(self) -> bool:
        """As GET /-/ready says."""

    def retention(self) -> list[Retention]: ...

    def listening(self) -> list[Listening]: ...
