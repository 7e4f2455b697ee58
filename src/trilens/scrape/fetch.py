"""One GET of what a target exposes, within its time and its size.

Sent        Accept by the protocols of the job, Accept-Encoding, the timeout, authorization, headers
            of the config
Followed    up to REDIRECTS_MAX redirects; the authorization stays on its host
Bounds      the whole exchange ends with the timeout; the body, unpacked, at body_size_limit, at
            BODY_BYTES_MAX and at three quarters of the budget of all that are not written yet
Connections one a target, kept open; with another one when files of TLS have changed

httpx's transport is used without its Client: redirects and timeouts are ours, as above.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

import httpx

from trilens.config_files.http_config import HttpConfig
from trilens.http_out.authorization import Authorization
from trilens.http_out.client import Client, why
from trilens.http_out.pieces import pieces
from trilens.http_out.tls import TlsContext

BODY_BYTES_MAX: Final = 128 << 20
IN_FLIGHT_BYTES_MAX: Final = 128 << 20  # of all scrapes, where nobody says another
SMALL_BYTES: Final = 1 << 20
REDIRECTS_MAX: Final = 10
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_UNPACK_BYTES: Final = 1 << 20


class ScrapeFailed(Exception):
    """Why there is no body; the text is shown as the target's last error."""


class BodyTooLarge(ScrapeFailed):
    """Over body_size_limit, or over what all may hold."""


class Budget:
    """Bytes of bodies that are held at the same time. For one event loop.

    A quarter is for bodies of SMALL_BYTES and less alone: a target that sends gigabytes takes
    nothing from those that are as most are.
    """

    def __init__(self, bytes_max: int = IN_FLIGHT_BYTES_MAX) -> None:
        self._small_max = bytes_max // 4
        self._large_max = bytes_max - self._small_max
        self._small = 0
        self._large = 0

    @property
    def body_bytes_max(self) -> int:
        """What one body can be, while no other is held."""
        return self._large_max

    @property
    def held(self) -> int:
        return self._small + self._large

    def hold(self, size_bytes: int, before_bytes: int = 0) -> None:
        """`size_bytes` more of a body of which `before_bytes` are held. Raises BodyTooLarge."""
        after_bytes = before_bytes + size_bytes
        if after_bytes <= SMALL_BYTES:
            has_room = self._small + size_bytes <= self._small_max
        else:
            moved_bytes = before_bytes if before_bytes <= SMALL_BYTES else 0
            has_room = self._large + moved_bytes + size_bytes <= self._large_max
        if not has_room:
            raise BodyTooLarge("the bodies of all scrapes together are too large")
        self.release(before_bytes)
        self.charge(after_bytes)

    def charge(self, size_bytes: int) -> None:
        """For what has to be held anyway: then others may hold less."""
        if size_bytes <= SMALL_BYTES:
            self._small += size_bytes
        else:
            self._large += size_bytes

    def release(self, size_bytes: int) -> None:
        """All of a body, at once."""
        if size_bytes <= SMALL_BYTES:
            self._small -= size_bytes
        else:
            self._large -= size_bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """Its bytes are held in the budget until `release`, which is to be called once."""

    body: bytes
    content_type: str
    budget: Budget

    def release(self) -> None:
        self.budget.release(len(self.body))


class Fetcher:
    """Of one URL. For one event loop, and one request at a time."""

    def __init__(
        self,
        url: str,
        client: HttpConfig,
        *,
        authorization: Authorization,
        tls: TlsContext,
        headers: dict[str, str],
        budget: Budget,
        body_bytes_max: int = 0,
        unix_socket: str = "",
    ) -> None:
        """`unix_socket` is a path that all connections go to. Raises ScrapeFailed for a URL that is
        none.
        """
        try:
            self._url = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise ScrapeFailed(f"parse {url!r}: {error}") from None
        if self._url.scheme not in ("http", "https"):
            raise ScrapeFailed(f'unsupported protocol scheme "{self._url.scheme}"')
        self._follows = client.follow_redirects
        self._client = Client(
            client, authorization=authorization, tls=tls, headers=headers, unix_socket=unix_socket
        )
        self._budget = budget
        # As in Prometheus, a body of just body_size_limit is over it.
        limit_bytes = (body_bytes_max or BODY_BYTES_MAX + 1) - 1
        self._limit_bytes = min(limit_bytes, BODY_BYTES_MAX, budget.body_bytes_max)

    async def get(self, timeout_s: float) -> Fetched:
        """Raises ScrapeFailed, and nothing else."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._get(timeout_s)
        except TimeoutError:
            raise ScrapeFailed(f'Get "{self._url}": context deadline exceeded') from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            raise ScrapeFailed(f'Get "{self._url}": {why(error)}') from None

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, timeout_s: float) -> Fetched:
        url = self._url
        for _ in range(REDIRECTS_MAX + 1):
            is_trusted = url.host == self._url.host
            response = await self._client.send("GET", url, timeout_s, is_trusted=is_trusted)
            try:
                location = response.headers.get("location")
                follows = self._follows and response.status_code in _REDIRECTS
                if not follows or location is None:
                    return await self._body(response)
                url = httpx.URL(urljoin(str(url), location))
                if url.scheme not in ("http", "https"):
                    raise ScrapeFailed(f'unsupported protocol scheme "{url.scheme}"')
            finally:
                await response.aclose()
        raise ScrapeFailed(f'Get "{self._url}": stopped after {REDIRECTS_MAX} redirects')

    async def _body(self, response: httpx.Response) -> Fetched:
        if response.status_code != HTTPStatus.OK:
            phrase = response.reason_phrase
            raise ScrapeFailed(f"server returned HTTP status {response.status_code} {phrase}")
        is_packed = response.headers.get("content-encoding", "") == "gzip"
        parts: list[bytes] = []
        held = 0
        try:
            unpacker = _Unpacker() if is_packed else None
            unpack = _plain if unpacker is None else unpacker.feed
            async for chunk in pieces(response):
                for part in unpack(chunk, self._limit_bytes + 1 - held):
                    self._budget.hold(len(part), held)
                    held += len(part)
                    parts.append(part)
                    if held > self._limit_bytes:
                        raise BodyTooLarge("body size limit exceeded")
                    if len(part) >= _UNPACK_BYTES:
                        await asyncio.sleep(0)  # a little that unpacks to much holds up nobody
            if unpacker is not None and unpacker.is_within:
                raise ScrapeFailed("unexpected EOF")
            body, held = b"".join(parts), 0
        finally:
            self._budget.release(held)  # of what failed or was cancelled
        return Fetched(body, response.headers.get("content-type", ""), self._budget)


def _plain(chunk: bytes, _room: int) -> Iterator[bytes]:
    yield chunk


class _Unpacker:
    """gzip, in pieces, with as many members as there are."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.is_within = True

    def feed(self, chunk: bytes, room: int) -> Iterator[bytes]:
        """What `chunk` unpacks to, at most `room` bytes. Raises ScrapeFailed."""
        try:
            is_full = False  # then zlib may hold more of what it has unpacked
            while (chunk or is_full) and room > 0:
                if self._member.eof:
                    self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                most = min(room, _UNPACK_BYTES)
                part = self._member.decompress(chunk, most)
                is_full = len(part) == most and not self._member.eof
                room -= len(part)
                yield part
                chunk = self._member.unused_data or self._member.unconsumed_tail
        except zlib.error as error:
            raise ScrapeFailed(f"gzip: {error}") from None
        self.is_within = not self._member.eof
