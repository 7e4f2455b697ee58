"""What the server tells about itself: present.program.Program, from the stages themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trilens.addresses import HostPort
from trilens.envelope import WIRE_FORMATS, WireFormat
from trilens.present.program import (
    DeadLetter,
    EngineStatus,
    Listening,
    Retention,
    SpoolStatus,
)
from trilens.settings import Settings
from trilens.spool import Spool
from trilens.store.dead_letters import DeadLetters
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.engine_remote import RemoteEngine


@dataclass(slots=True)
class ServerStatus:
    """Answers from memory, from any thread."""

    settings: Settings
    started_at_ns: int
    _engine: EmbeddedEngine | RemoteEngine
    _spool: Spool
    _letters: DeadLetters
    has_schema: bool = False
    _listening: list[Listening] = field(default_factory=list)

    @property
    def spool_bytes_max(self) -> int:
        return int(self.settings.spool_bytes_max)

    @property
    def dead_letters(self) -> Letters:
        return Letters(self._letters)

    def spool(self) -> list[SpoolStatus]:
        return [_spool_status(self._spool, wire_format) for wire_format in WIRE_FORMATS]

    def engine(self) -> EngineStatus:
        state = self._engine.state()
        kind: Literal["embedded", "server"] = (
            "embedded" if self.settings.engine == "embedded" else "server"
        )
        is_ready = state.is_ready and self.has_schema
        return EngineStatus(kind, is_ready, state.restarts, state.memory_bytes)

    def is_ready(self) -> bool:
        return self.has_schema and self._engine.state().is_ready

    def retention(self) -> list[Retention]:
        signals = ("logs", "spans", "samples")
        return [Retention(signal, *self.settings.retention(signal)) for signal in signals]

    def listening(self) -> list[Listening]:
        return list(self._listening)

    def listening_on(self, protocol: str, host: str, port: int) -> None:
        self._listening.append(Listening(protocol, str(HostPort(host, port))))


@dataclass(frozen=True, slots=True)
class Letters:
    """present.program.DeadLetters over those of the store."""

    _letters: DeadLetters

    def newest(self, limit: int) -> list[DeadLetter]:
        return [
            DeadLetter(
                letter.id,
                letter.format,
                letter.received_at_ns,
                letter.size_bytes,
                letter.reason,
                letter.code,
                letter.attempts,
            )
            for letter in self._letters.newest(limit)
        ]

    def totals(self) -> dict[WireFormat, int]:
        return self._letters.totals()

    def replay(self, letter_id: str) -> None:
        self._letters.replay(letter_id)

    def delete(self, letter_id: str) -> None:
        self._letters.delete(letter_id)


def _spool_status(spool: Spool, wire_format: WireFormat) -> SpoolStatus:
    backlog = spool.stream(wire_format).backlog()
    return SpoolStatus(
        wire_format, backlog.bytes, backlog.frames, backlog.oldest_ns, backlog.last_received_ns
    )
