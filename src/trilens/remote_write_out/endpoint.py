"""Where requests go: one POST, and what its answer means.

2xx         taken. In 2.0 a receiver says how much it wrote; one that says nothing knows only 1.0
            and has taken an empty request
5xx, 429    later, after Retry-After if it says so; 429 only where the file does not refuse that
4xx, 3xx    never. 307 and 308 are followed, with credentials on the same host only
no answer   later

prometheus.io/docs/specs/prw/remote_write_spec_2_0, "Protocol". For one event loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urljoin

import httpx

from trilens.clock import Clock
from trilens.config_files.http_config import HttpConfig
from trilens.http_out.authorization import Authorization
from trilens.http_out.aws import Aws
from trilens.http_out.client import Client, why
from trilens.http_out.door import Failed, HttpDoor
from trilens.http_out.tls import TlsContext
from trilens.http_out.tokens import basic
from trilens.prometheus_config.remote_write import RemoteWrite

RETRY_AFTER_S_MAX: Final = 300.0
ANSWER_BYTES_MAX: Final = 1024
REDIRECTS_MAX: Final = 10
_TOO_MANY: Final = 429
_FOLLOWED: Final = {307, 308}
_AWS_SERVICE: Final = "aps"  # Amazon Managed Service for Prometheus
_WRITTEN: Final = tuple(
    f"x-prometheus-remote-write-{what}-written" for what in ("samples", "histograms", "exemplars")
)
_V1_HEADERS: Final = {
    "content-type": "application/x-protobuf",
    "x-prometheus-remote-write-version": "0.1.0",
}
_V2_HEADERS: Final = {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "x-prometheus-remote-write-version": "2.0.0",
}


class NotTaken(Exception):
    """`is_final`: the same request will never be taken. `after_s` is when to try again, if said."""

    def __init__(self, text: str, *, is_final: bool, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.is_final = is_final
        self.after_s = after_s


class Endpoint:
    def __init__(self, config: RemoteWrite, clock: Clock) -> None:
        """Raises ValueError for a URL that is none."""
        try:
            url = httpx.URL(config.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"parse {config.url!r}: {error}") from None
        self._url = url.copy_with(userinfo=b"")
        self._config = config
        self._clock = clock
        self._timeout_s = config.timeout_ms / 1000
        headers = {
            **dict(config.headers),
            **(_V2_HEADERS if config.is_v2 else _V1_HEADERS),
            "content-encoding": "snappy",
            "accept-encoding": "identity",
        }
        pair = unquote(url.userinfo.decode())
        self._of_url = {"authorization": basic(pair)} if pair else {}
        self._client = Client(
            config.client,
            authorization=Authorization(config.client),
            tls=TlsContext(config.client.tls),
            headers=headers,
            connections_max=config.queue.max_shards + 1,
        )
        door = HttpDoor(HttpConfig(proxy=config.client.proxy))
        self._aws = Aws(config.sigv4, door) if config.sigv4 is not None else None
        self._turn = 0

    async def post(self, body: bytes, attempt: int) -> None:
        """Raises NotTaken, and nothing else."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response, answer = await self._post(body, attempt)
        except TimeoutError:
            text = f"no answer within {self._timeout_s:g} s"
            raise NotTaken(text, is_final=False) from None
        except Failed as error:
            raise NotTaken(str(error), is_final=False) from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NotTaken(why(error), is_final=False) from None
        self._judge(response, answer)

    async def close(self) -> None:
        await self._client.close()

    def _judge(self, response: httpx.Response, answer: str) -> None:
        status = response.status_code
        if status // 100 == 2:
            if self._config.is_v2 and not any(name in response.headers for name in _WRITTEN):
                text = f"HTTP status {status} without saying what was written: it knows only 1.0"
                raise NotTaken(text, is_final=True)
            return
        is_late = status == _TOO_MANY and self._config.queue.retry_on_http_429
        text = f"HTTP status {status}{answer and ': ' + answer}"
        if status // 100 == 5 or is_late:
            after_s = retry_after_s(response.headers.get("retry-after", ""), self._clock)
            raise NotTaken(text, is_final=False, after_s=after_s)
        raise NotTaken(text, is_final=True)

    async def _post(self, body: bytes, attempt: int) -> tuple[httpx.Response, str]:
        more = {"retry-attempt": str(attempt)} if attempt else {}
        url = self._url
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._send(url, body, more)
            try:
                location = response.headers.get("location")
                follows = self._config.client.follow_redirects and response.status_code in _FOLLOWED
                if not follows or location is None:
                    return response, await _text_of(response)
                url = httpx.URL(urljoin(str(url), location))
                if url.scheme not in ("http", "https"):
                    raise ValueError(f"redirected to {url.scheme!r}, which is not supported")
            finally:
                with suppress(httpx.HTTPError, OSError):
                    await response.aclose()
        raise ValueError(f"stopped after {REDIRECTS_MAX} redirects")

    async def _send(self, url: httpx.URL, body: bytes, more: Mapping[str, str]) -> httpx.Response:
        is_trusted = (url.scheme, url.host, url.port) == (
            self._url.scheme, self._url.host, self._url.port,
        )  # fmt: skip
        headers = {**more, **(self._of_url if is_trusted else {})}
        if is_trusted and self._aws is not None:
            headers |= await asyncio.to_thread(self._signed, self._aws, body)
        server_name = ""
        if self._config.round_robin_dns and self._config.client.proxy is None:
            url, server_name = await self._next_address(url)
            headers["host"] = _host_of(self._url) if is_trusted else server_name
        return await self._client.send(
            "POST", url, self._timeout_s, content=body, headers=headers, is_trusted=is_trusted,
            server_name=server_name,
        )  # fmt: skip

    async def _next_address(self, url: httpx.URL) -> tuple[httpx.URL, str]:
        """One address of the host after the other, and the name that a certificate is for."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, url.port or 0, type=socket.SOCK_STREAM)
        addresses = sorted({str(one[4][0]) for one in found})
        self._turn += 1
        return url.copy_with(host=addresses[self._turn % len(addresses)]), url.host

    def _signed(self, aws: Aws, body: bytes) -> dict[str, str]:
        """Raises Failed."""
        headers = aws.signed_headers(
            _AWS_SERVICE, str(self._url), body, _V1_HEADERS["content-type"]
            if not self._config.is_v2 else _V2_HEADERS["content-type"],
            now_ns=self._clock.now_ns(), timeout_s=self._timeout_s,
        )  # fmt: skip
        return {name.lower(): value for name, value in headers.items()}


def _host_of(url: httpx.URL) -> str:
    return url.netloc.decode()


async def _text_of(response: httpx.Response) -> str:
    """The first line of an answer, cut; the rest is not read."""
    held = b""
    async for chunk in response.stream:  # type: ignore[union-attr]
        held += chunk
        if len(held) >= ANSWER_BYTES_MAX:
            break
    text = held[:ANSWER_BYTES_MAX].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()


def retry_after_s(text: str, clock: Clock) -> float:
    """Seconds, or a date of HTTP; 0 where neither is there."""
    found = 0.0
    if text.isascii() and text.isdigit():
        found = float(text)
    elif text:
        with suppress(ValueError, TypeError):
            moment = parsedate_to_datetime(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found = moment.timestamp() - clock.now_ns() / 1e9
    return min(max(found, 0.0), RETRY_AFTER_S_MAX)
