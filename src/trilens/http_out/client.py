"""Requests with the settings of one http_config, over connections that stay open.

Redirects are the caller's matter, and so is the time of the whole exchange: what is given here is
that of each step.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, Protocol

import httpx

from trilens import __version__
from trilens.config_files.http_config import HttpConfig
from trilens.http_out.proxies import proxy_of

IDLE_S: Final = 300
USER_AGENT: Final = f"trilens/{__version__}"
# It trusts nobody: a connection by mistake fails.
_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Authorizing(Protocol):
    """Authorization, or another that says who we are."""

    async def value(self, timeout_s: float, /) -> str:
        """As Authorization.value."""
        ...


class Trusting(Protocol):
    """TlsContext, or another that says whom we trust and what we show."""

    async def loaded(self) -> ssl.SSLContext:
        """As TlsContext.loaded."""
        ...


class Client:
    """To one host, and to those that it redirects to. For one event loop."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        authorization: Authorizing,
        tls: Trusting,
        headers: Mapping[str, str] | None = None,
        unix_socket: str = "",
        connections_max: int = 2,
    ) -> None:
        """`unix_socket` is a path; without one connections go to the host of the URL."""
        self._config = config
        self._unix_socket = unix_socket
        self._connections_max = connections_max
        self._authorization = authorization
        self._tls = tls
        self._headers = {"user-agent": USER_AGENT, **(headers or {})}
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._context: ssl.SSLContext | None = None

    async def send(
        self,
        method: str,
        url: httpx.URL,
        timeout_s: float,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        is_trusted: bool = True,
        server_name: str = "",
    ) -> httpx.Response:
        """Its body is not read yet; the caller closes it. `is_trusted` hosts get credentials.
        `headers`, in small letters, take the place of others.
        `server_name` is whose certificate is wanted where the URL has an address.

        Raises OSError, ValueError, httpx.HTTPError.
        """
        sent = dict(self._headers)
        for name, secrets in self._config.headers.items():
            sent[name] = ", ".join(secret.read() for secret in secrets)
        if is_trusted:
            value = await self._authorization.value(timeout_s)
            if value:
                sent["authorization"] = value
        sent |= headers or {}
        extensions: dict[str, object] = {
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        }
        if self._config.tls.server_name or server_name:
            extensions["sni_hostname"] = self._config.tls.server_name or server_name
        request = httpx.Request(method, url, headers=sent, content=content, extensions=extensions)
        return await (await self._connection(url)).handle_async_request(request)

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _connection(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        """Another one when files of TLS have changed, or when it is needed for the first time: to
        read all authorities takes some 20 ms, which plain HTTP does without.
        """
        context = _NO_TLS
        if url.scheme == "https" or self._context not in (None, _NO_TLS):
            context = await self._tls.loaded()
        if self._transport is None or context is not self._context:
            await self.close()
            self._context = context
            self._transport = httpx.AsyncHTTPTransport(
                verify=context,
                proxy=None if self._unix_socket else proxy_of(self._config.proxy, url),
                uds=self._unix_socket or None,
                limits=httpx.Limits(
                    max_connections=self._connections_max,
                    max_keepalive_connections=self._connections_max - 1,
                    keepalive_expiry=IDLE_S,
                ),
            )
        return self._transport


def why(error: Exception) -> str:
    """What the system says, where it is the cause; else what the error says."""
    text = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return text
