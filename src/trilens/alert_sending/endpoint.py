"""One Alertmanager: alerts that wait for it, and the requests that bring them there (API v2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import orjson

from trilens.clock import Clock, SystemClock
from trilens.config_files.http_config import HttpConfig
from trilens.http_out.authorization import Authorization
from trilens.http_out.aws import Aws
from trilens.http_out.client import Client, why
from trilens.http_out.door import Failed
from trilens.http_out.pieces import pieces
from trilens.http_out.tls import TlsContext
from trilens.measures import Measures

WAITING_MAX: Final = 10_000
BATCH_MAX: Final = 256
RETRY_S_MIN: Final = 0.5
RETRY_S_MAX: Final = 30.0
ANSWER_BYTES_MAX: Final = 2000
_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}
_AWS_SERVICE: Final = "aps"  # Amazon Managed Service for Prometheus
_TOO_MANY: Final = 429
_log: Final = logging.getLogger("trilens.alert_sending")

Key = frozenset[tuple[str, str]]
Told = Mapping[Key, Mapping[str, Any]]  # alerts of API v2, by their labels


class _NotTold(Exception):
    """`is_final`: the same request will never be taken."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


class Endpoint:
    """For one event loop. `authorization`, `tls` and `aws` are shared by those of one set."""

    def __init__(
        self,
        url: str,
        config: HttpConfig,
        timeout_s: float,
        *,
        authorization: Authorization,
        tls: TlsContext,
        measures: Measures,
        aws: Aws | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Raises ValueError for a URL that is none."""
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"parse {url!r}: {error}") from None
        self.url = url
        self.waiting: dict[Key, Mapping[str, Any]] = {}
        self.last_error = ""
        self._timeout_s = timeout_s
        self._measures = measures
        self._aws = aws
        self._clock = clock or SystemClock()
        self._client = Client(config, authorization=authorization, tls=tls, headers=_HEADERS)
        self._has_some = asyncio.Event()

    def put(self, told: Told) -> None:
        """What is newer about an alert takes the place of what has not been told yet."""
        for key, row in told.items():
            self.waiting.pop(key, None)
            self.waiting[key] = row
        over = len(self.waiting) - WAITING_MAX
        if over > 0:
            for key in list(self.waiting)[:over]:
                del self.waiting[key]
            self._measures.count("trilens_alertmanager_dropped_total", self.url, by=over)
        if self.waiting:
            self._has_some.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        retry_s = RETRY_S_MIN
        while True:
            await self._has_some.wait()
            batch = {key: self.waiting[key] for key in list(self.waiting)[:BATCH_MAX]}
            try:
                await self._tell(list(batch.values()))
            except _NotTold as error:
                self._note(error, len(batch))
                if not error.is_final:
                    await asyncio.sleep(retry_s)
                    retry_s = min(retry_s * 2, RETRY_S_MAX)
                    continue
            else:
                self.last_error = ""
                self._measures.count("trilens_alertmanager_told_total", self.url, by=len(batch))
            retry_s = RETRY_S_MIN
            self._settle(batch)

    async def close(self) -> None:
        await self._client.close()

    def _note(self, error: _NotTold, count: int) -> None:
        if str(error) != self.last_error:  # the log has it once, not at every attempt
            about = {"url": self.url, "alerts": count, "reason": str(error)}
            _log.warning("an Alertmanager is not told", extra=about)
        self.last_error = str(error)
        self._measures.count("trilens_alertmanager_errors_total", self.url)
        if error.is_final:
            self._measures.count("trilens_alertmanager_dropped_total", self.url, by=count)

    def _settle(self, batch: Told) -> None:
        """What has changed while it was told stays."""
        for key, row in batch.items():
            if self.waiting.get(key) is row:
                del self.waiting[key]
        if not self.waiting:
            self._has_some.clear()

    async def _tell(self, rows: list[Mapping[str, Any]]) -> None:
        """Raises _NotTold."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status, text = await self._post(orjson.dumps(rows))
        except TimeoutError:
            raise _NotTold("out of time", is_final=False) from None
        except Failed as error:
            raise _NotTold(str(error), is_final=False) from None
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            raise _NotTold(why(error), is_final=False) from None
        except Exception as error:  # noqa: BLE001 - alerts after these are told all the same
            _log.exception("an Alertmanager cannot be told", extra={"url": self.url})
            raise _NotTold(f"internal: {type(error).__name__}", is_final=True) from None
        if status // 100 != 2:
            is_final = status // 100 == 4 and status != _TOO_MANY
            raise _NotTold(f"HTTP status {status}{text and ': ' + text}", is_final=is_final)

    def _signed(self, aws: Aws, body: bytes) -> dict[str, str]:
        """Raises Failed."""
        headers = aws.signed_headers(
            _AWS_SERVICE, self.url, body, _HEADERS["content-type"],
            now_ns=self._clock.now_ns(), timeout_s=self._timeout_s,
        )  # fmt: skip
        return {name.lower(): value for name, value in headers.items()}

    async def _post(self, body: bytes) -> tuple[int, str]:
        signed = {} if self._aws is None else await asyncio.to_thread(self._signed, self._aws, body)
        response = await self._client.send(
            "POST", self._url, self._timeout_s, content=body, headers=signed
        )
        try:
            answer = b""
            async for chunk in pieces(response):
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    break
            return response.status_code, answer[:ANSWER_BYTES_MAX].decode("utf-8", "replace")
        finally:
            with suppress(httpx.HTTPError, OSError):
                await response.aclose()
