"""What stands in the Authorization header: basic, bearer or another type, or a token of OAuth 2.

OAuth 2 is the grant of client credentials (RFC 6749, 4.4). A token is asked for once, and again
some seconds before it ends; all targets of a job share it.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Final
from urllib.parse import quote, urlencode

import httpx
import orjson

from trilens.scrape.client_config import Client, OAuth2
from trilens.scrape.proxies import proxy_of
from trilens.scrape.tls import TlsContext

_EARLY_S: Final = 10
_TOKEN_BYTES_MAX: Final = 1 << 20
_FORM: Final = "application/x-www-form-urlencoded"


class Authorization:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens = _Tokens(client.oauth2) if client.oauth2 is not None else None

    async def value(self, timeout_s: float) -> str:
        """Empty where there is none. Raises OSError, ValueError, httpx.HTTPError."""
        client = self._client
        if self._tokens is not None:
            return await self._tokens.value(timeout_s)
        if client.has_basic:
            pair = f"{client.basic_username.read()}:{client.basic_password.read()}"
            return "Basic " + base64.b64encode(pair.encode()).decode()
        if client.credentials:
            return f"{client.authorization_type} {client.credentials.read()}"
        return ""


class _Tokens:
    def __init__(self, config: OAuth2) -> None:
        self._config = config
        self._tls = TlsContext(config.tls)
        self._turn = asyncio.Lock()
        self._value = ""
        self._ends_at = 0.0

    async def value(self, timeout_s: float) -> str:
        async with self._turn:
            if not self._value or time.monotonic() > self._ends_at:
                await self._ask(timeout_s)
            return self._value

    async def _ask(self, timeout_s: float) -> None:
        config = self._config
        url = httpx.URL(config.token_url)
        secret = config.client_secret.read()
        form = {"grant_type": "client_credentials", **config.endpoint_params}
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        pair = f"{quote(config.client_id, safe='')}:{quote(secret, safe='')}"
        basic = "Basic " + base64.b64encode(pair.encode()).decode()
        async with httpx.AsyncHTTPTransport(
            verify=self._tls.context(), proxy=proxy_of(config.proxy, url)
        ) as transport:
            status, body = await _post(transport, url, form, basic, timeout_s)
            if status in (400, 401):  # some read the secret only where the form has it
                form |= {"client_id": config.client_id, "client_secret": secret}
                status, body = await _post(transport, url, form, "", timeout_s)
        if status // 100 != 2:
            raise ValueError(f"oauth2: cannot fetch token: {status}")
        self._keep(body)

    def _keep(self, body: bytes) -> None:
        try:
            answer = orjson.loads(body)
            kind, token = answer.get("token_type") or "Bearer", answer["access_token"]
            lasts_s = float(answer.get("expires_in") or 3600)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"oauth2: the answer has no token: {error!r}") from None
        self._value = f"{'Bearer' if kind.lower() == 'bearer' else kind} {token}"
        self._ends_at = time.monotonic() + max(lasts_s - _EARLY_S, 1)


async def _post(
    transport: httpx.AsyncHTTPTransport,
    url: httpx.URL,
    form: dict[str, str],
    authorization: str,
    timeout_s: float,
) -> tuple[int, bytes]:
    headers = {"content-type": _FORM, "accept": "application/json"}
    if authorization:
        headers["authorization"] = authorization
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
    request = httpx.Request(
        "POST", url, headers=headers, content=urlencode(form), extensions={"timeout": timeouts}
    )
    response = await transport.handle_async_request(request)
    try:
        body = b""
        async for chunk in response.stream:  # type: ignore[union-attr]
            body += chunk
            if len(body) > _TOKEN_BYTES_MAX:
                raise ValueError("oauth2: the answer is too large")
        return response.status_code, body
    finally:
        await response.aclose()
