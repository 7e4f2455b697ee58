"""What stands in the Authorization header: basic, bearer or another type, or a token of OAuth 2.

For event loops. All requests of a config share one token.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from trilens.config_files.http_config import HttpConfig, OAuth2
from trilens.http_out.pieces import pieces
from trilens.http_out.proxies import proxy_of
from trilens.http_out.tls import TlsContext
from trilens.http_out.tokens import ASK_WITH_FORM, Token, asked, basic

_TOKEN_BYTES_MAX: Final = 1 << 20


class Authorization:
    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self._tokens = _Tokens(config.oauth2) if config.oauth2 is not None else None

    async def value(self, timeout_s: float) -> str:
        """Empty where there is none. Raises OSError, ValueError, httpx.HTTPError."""
        config = self._config
        if self._tokens is not None:
            return await self._tokens.value(timeout_s)
        if config.has_basic:
            return basic(f"{config.basic_username.read()}:{config.basic_password.read()}")
        if config.credentials:
            return f"{config.authorization_type} {config.credentials.read()}"
        return ""


class _Tokens:
    def __init__(self, config: OAuth2) -> None:
        self._config = config
        self._tls = TlsContext(config.tls)
        self._turn = asyncio.Lock()
        self._token = Token()

    async def value(self, timeout_s: float) -> str:
        async with self._turn:
            if not self._token.value:
                await self._ask(timeout_s)
            return self._token.value

    async def _ask(self, timeout_s: float) -> None:
        url = httpx.URL(self._config.token_url)
        async with httpx.AsyncHTTPTransport(
            verify=await self._tls.loaded(), proxy=proxy_of(self._config.proxy, url)
        ) as transport:
            for in_form in (False, True):
                headers, form = asked(self._config, in_form=in_form)
                status, body = await _post(transport, url, headers, form, timeout_s)
                if status not in ASK_WITH_FORM:
                    break
        self._token.keep(status, body)


async def _post(
    transport: httpx.AsyncHTTPTransport,
    url: httpx.URL,
    headers: dict[str, str],
    form: bytes,
    timeout_s: float,
) -> tuple[int, bytes]:
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
    request = httpx.Request(
        "POST", url, headers=headers, content=form, extensions={"timeout": timeouts}
    )
    response = await transport.handle_async_request(request)
    try:
        body = b""
        async for chunk in pieces(response):
            body += chunk
            if len(body) > _TOKEN_BYTES_MAX:
                raise ValueError("oauth2: the answer is too large")
        return response.status_code, body
    finally:
        await response.aclose()
