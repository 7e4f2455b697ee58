"""Requests with the settings of one http_config, over connections that stay open.

Redirects are the caller's matter, and so is the time of the whole exchange: what is given here is
that of each step.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from trilens import __version__
from trilens.config_files.http_config import HttpConfig
from trilens.http_out.authorization import Authorization
from trilens.http_out.proxies import proxy_of
from trilens.http_out.tls import TlsContext

IDLE_S: Final = 300
USER_AGENT: Final = f"trilens/{__version__}"


class Client:
    """To one host, and to those that it redirects to. For one event loop."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        authorization: Authorization,
        tls: TlsContext,
        headers: Mapping[str, str] | None = None,
        connections_max: int = 2,
    ) -> None:
        self._config = config
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
        """Another one when files of TLS have changed."""
        context = self._tls.context()
        if self._transport is None or context is not self._context:
            await self.close()
            self._context = context
            self._transport = httpx.AsyncHTTPTransport(
                verify=context,
                proxy=proxy_of(self._config.proxy, url),
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
