"""One HTTP request in a bounded time, for threads: it blocks."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self

import httpx

from trilens.config_files.http_config import HttpConfig, OAuth2
from trilens.http_out.client import USER_AGENT
from trilens.http_out.proxies import proxy_of
from trilens.http_out.tls import TlsContext
from trilens.http_out.tokens import ASK_WITH_FORM, Token, asked, basic

DETAIL_CHARS_MAX: Final = 500
CONNECT_S_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 65_536
REDIRECTS_MAX: Final = 10
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after_s`: after that long the server wants to be asked again; 0 if it does not say."""

    status: int
    body: bytes
    content_type: str
    retry_after_s: float = 0.0

    @property
    def text(self) -> str:
        return self.body[:DETAIL_CHARS_MAX].decode("utf-8", "replace").strip()


class Failed(Exception):
    """There is no answer. `should_retry`: the same may do another time; `may_have_arrived`: what
    was sent, all of it; `status` is that of an answer that is none, as from a token's server.
    """

    def __init__(
        self,
        error: object,
        *,
        status: int = 0,
        should_retry: bool = False,
        may_have_arrived: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.status = status
        self.should_retry = should_retry
        self.may_have_arrived = may_have_arrived


class HttpDoor:
    """Requests with the settings of one http_config. Safe for any thread."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        user_agent: str = USER_AGENT,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        """What an answer has beyond `answer_bytes_max` is left out."""
        self._config = config
        self._user_agent = user_agent
        self._answer_bytes_max = answer_bytes_max
        self._tls = TlsContext(config.tls)
        self._token = Token()
        self._lock = threading.Lock()

    def post(
        self, url: str, body: bytes, timeout_s: float, *, method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Raises Failed. `body` is JSON unless `headers` say otherwise."""
        deadline_s = time.monotonic() + timeout_s
        try:
            given = [
                ("User-Agent", self._user_agent),
                ("Content-Type", "application/json"),
                *self._credentials(deadline_s),
            ]
            given += [
                (name, value.read())
                for name, values in self._config.headers.items()
                for value in values
            ]
            all_headers = httpx.Headers(given)
            all_headers.update(headers or {})
            return self._request(method, url, body, all_headers, deadline_s)
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise Failed(error) from None

    def _request(
        self, method: str, url: str, body: bytes, headers: httpx.Headers, deadline_s: float
    ) -> Answer:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise Failed("out of time", should_retry=True)
        with Watch(left_s) as watch, self._client(url, left_s) as client:
            try:
                request = client.build_request(
                    method, url, content=body, headers=headers,
                    extensions=self._extensions(watch, left_s),
                )  # fmt: skip
                answer = client.send(request, stream=True)
                body = _read(answer, self._answer_bytes_max)
                return Answer(answer.status_code, body, answer.headers.get("content-type", ""),
                              _retry_after_s(answer.headers))  # fmt: skip
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError,
                    httpx.WriteError, httpx.WriteTimeout) as error:  # fmt: skip
                # Not all of it can have arrived.
                raise Failed(_said(error), should_retry=True) from None
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError,
                    httpx.TooManyRedirects) as error:  # fmt: skip
                raise Failed(_said(error)) from None
            except httpx.HTTPError as error:
                text = "out of time" if watch.has_ended else _said(error)
                raise Failed(text, should_retry=True, may_have_arrived=True) from None

    def _extensions(self, watch: Watch, left_s: float) -> dict[str, Any]:
        extensions = {"trace": watch.follow, **_timeouts(left_s)}
        if self._config.tls.server_name:
            extensions["sni_hostname"] = self._config.tls.server_name
        return extensions

    def _client(self, url: str, left_s: float) -> httpx.Client:
        config = self._config
        return httpx.Client(
            verify=self._tls.context(), proxy=proxy_of(config.proxy, httpx.URL(url)),
            trust_env=False,
            follow_redirects=config.follow_redirects, max_redirects=REDIRECTS_MAX,
            timeout=httpx.Timeout(left_s, connect=min(left_s, CONNECT_S_MAX)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )  # fmt: skip

    def _credentials(self, deadline_s: float) -> list[tuple[str, str]]:
        config = self._config
        if config.has_basic:
            pair = f"{config.basic_username.read()}:{config.basic_password.read()}"
            return [("Authorization", basic(pair))]
        if config.oauth2 is not None:
            return [("Authorization", self._oauth2(config.oauth2, deadline_s))]
        if config.credentials:
            return [("Authorization", f"{config.authorization_type} {config.credentials.read()}")]
        return []

    def _oauth2(self, oauth2: OAuth2, deadline_s: float) -> str:
        with self._lock:
            if value := self._token.value:
                return value
        door = HttpDoor(HttpConfig(tls=oauth2.tls, proxy=oauth2.proxy))
        for in_form in (False, True):
            headers, form = asked(oauth2, in_form=in_form)
            answer = door.post(
                oauth2.token_url, form, deadline_s - time.monotonic(), headers=headers
            )
            if answer.status not in ASK_WITH_FORM:
                break
        if answer.status // 100 == 5:
            text = f"oauth2: no token: status {answer.status}: {answer.text}"
            raise Failed(text, should_retry=True)
        with self._lock:
            self._token.keep(answer.status, answer.body)
            return self._token.value


def _timeouts(left_s: float) -> dict[str, Any]:
    return {"timeout": httpx.Timeout(left_s, connect=min(left_s, CONNECT_S_MAX)).as_dict()}


def _said(error: Exception) -> str:
    """`connection refused` of `[Errno 111] Connection refused`; one without words has its name."""
    text = _ERRNO.sub("", str(error))
    if not text:
        return type(error).__name__
    return text if text[1:2].isupper() else text[0].lower() + text[1:]


def _retry_after_s(headers: httpx.Headers) -> float:
    """RFC 9110, 10.2.3: seconds, or a date, which is meant by the clock of the server."""
    text = headers.get("retry-after", "").strip()
    try:
        if text.isdecimal():
            return float(text[:9])
        until = parsedate_to_datetime(text)
        return max((until - parsedate_to_datetime(headers["date"])).total_seconds(), 0.0)
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0.0


def _read(answer: httpx.Response, bytes_max: int) -> bytes:
    parts, size = [], 0
    for piece in answer.iter_bytes():
        parts.append(piece)
        size += len(piece)
        if size >= bytes_max:
            break
    answer.close()
    return b"".join(parts)[:bytes_max]


class Watch:
    """Cuts the connection when the time is over: a byte now and then does not keep it open."""

    def __init__(self, left_s: float) -> None:
        self._timer = threading.Timer(left_s, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.has_ended = False

    def follow(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self.hold(info["return_value"].get_extra_info("socket"))

    def hold(self, connection: socket.socket) -> None:
        """Cuts this one. Of it a descriptor of its own is kept: TLS takes the first away."""
        if self._socket is not None:
            self._socket.close()
        self._socket = connection.dup()
        if self.has_ended:
            self._cut()

    def _cut(self) -> None:
        self.has_ended = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()
