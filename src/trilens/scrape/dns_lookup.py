"""Records of a name, from the servers of /etc/resolv.conf: over UDP, and TCP where UDP cuts off.

known      some name of the search path is known to a server: its records, which may be none
unknown    all names are unknown to all: no records
neither    a server failed or was silent: LookupFailed, and what was known before stays
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final

from trilens.scrape.dns_messages import (
    MESSAGE_BYTES_MAX,
    NO_SUCH_NAME,
    SUCCESS,
    Answer,
    Record,
    Resolvers,
    answer,
    question,
)

RESOLV_CONF: Final = Path("/etc/resolv.conf")
PORT: Final = 53
TIMEOUT_S: Final = 2.0
RECORDS_MAX: Final = 10_000


class LookupFailed(Exception):
    """Nobody knows whether there are records; the text says why."""


async def lookup(
    name: str, kind: str, *, resolvers: Resolvers | None = None, port: int | None = None
) -> tuple[Record, ...]:
    """`kind` is one of dns_messages.TYPES. Raises LookupFailed."""
    port = PORT if port is None else port
    if resolvers is None:
        try:
            resolvers = Resolvers.of(RESOLV_CONF.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise LookupFailed(f"{RESOLV_CONF}: {error}") from None
    failures: list[str] = []
    for one in resolvers.names(name):
        try:
            found = await _from_any(one, kind, resolvers, port)
        except LookupFailed as failure:
            failures.append(str(failure))
            continue
        if found.code == SUCCESS:
            return found.records[:RECORDS_MAX]
    if failures:
        raise LookupFailed(f"could not resolve {name!r}: {failures[0]}")
    return ()


async def _from_any(name: str, kind: str, resolvers: Resolvers, port: int) -> Answer:
    """Raises LookupFailed."""
    failure = "there is no name server"
    for server in resolvers.servers:
        try:
            found = await _ask(server, port, name, kind)
        except (OSError, ValueError, EOFError) as error:
            failure = f"{server}: {str(error) or type(error).__name__}"
            continue
        if found.code in (SUCCESS, NO_SUCH_NAME):
            return found
        failure = f"{server}: answers with code {found.code}"
    raise LookupFailed(failure)


async def _ask(server: str, port: int, name: str, kind: str) -> Answer:
    """Raises OSError (TimeoutError is one), ValueError, EOFError."""
    number = secrets.randbits(16)
    async with asyncio.timeout(TIMEOUT_S):
        found = await _over_udp(server, port, number, name, kind)
    if not found.is_truncated:
        return found
    async with asyncio.timeout(TIMEOUT_S):
        return await _over_tcp(server, port, number, name, kind)


class _Waiting(asyncio.DatagramProtocol):
    """For the answer; what is none, or to another question, is passed over."""

    def __init__(self, number: int, kind: str) -> None:
        self._number = number
        self._kind = kind
        self.found: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        try:
            found = answer(data, self._number, self._kind)
        except ValueError:
            return
        if not self.found.done():
            self.found.set_result(found)

    def error_received(self, error: Exception) -> None:
        if not self.found.done():
            self.found.set_exception(error)


async def _over_udp(server: str, port: int, number: int, name: str, kind: str) -> Answer:
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(
        lambda: _Waiting(number, kind), remote_addr=(server, port)
    )
    try:
        transport.sendto(question(number, name, kind, is_extended=True))
        return await waiting.found
    finally:
        transport.close()


async def _over_tcp(server: str, port: int, number: int, name: str, kind: str) -> Answer:
    reader, writer = await asyncio.open_connection(server, port, limit=MESSAGE_BYTES_MAX + 2)
    try:
        asked = question(number, name, kind, is_extended=False)
        writer.write(len(asked).to_bytes(2, "big") + asked)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return answer(await reader.readexactly(size), number, kind)
    finally:
        writer.close()
