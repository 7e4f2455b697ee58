"""One HTTP request to a receiver, in a bounded time."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from trilens.notify.channels.outcome import DETAIL_CHARS_MAX, Outcome, failed
from trilens.notify.http_config import HttpConfig, OAuth2, Secret, TlsConfig

USER_AGENT: Final = "Alertmanager/0.34.0 (Trilens)"
CONNECT_S_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 65_536
REDIRECTS_MAX: Final = 10
# A token is asked for anew this long before it ends.
TOKEN_SLACK_S: Final = 10.0
_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1, "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str

    @property
    def text(self) -> str:
        return self.body[:DETAIL_CHARS_MAX].decode("utf-8", "replace").strip()


class Failed(Exception):
    """There is no answer. `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


def verdict(answer: Answer, also_retry: Collection[int] = ()) -> Outcome:
    """2xx is success; 5xx may succeed later, and so may `also_retry`."""
    if answer.status // 100 == 2:
        return Outcome("sent", status=answer.status)
    text = f"unexpected status code {answer.status}"
    if answer.text:
        text += f": {answer.text}"
    should_retry = answer.status // 100 == 5 or answer.status in also_retry
    return failed(text, status=answer.status, should_retry=should_retry)


class HttpDoor:
    """Requests with the settings of one http_config. Safe for any thread."""

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self._tls: tuple[tuple[Any, ...], ssl.SSLContext] | None = None
        self._token: tuple[str, float] | None = None
        self._lock = threading.Lock()

    def post(
        self, url: str, body: bytes, timeout_s: float, *, method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Raises Failed. `body` is JSON unless `headers` say otherwise."""
        deadline_s = time.monotonic() + timeout_s
        try:
            given = [
                ("User-Agent", USER_AGENT),
                ("Content-Type", "application/json"),
                *self._credentials(deadline_s),
            ]
            given += [(name, value.read()) for name, value in self._config.headers]
            all_headers = httpx.Headers(given)
            all_headers.update(headers or {})
            return self._request(method, url, body, all_headers, deadline_s)
        except (OSError, ssl.SSLError, ValueError, httpx.InvalidURL) as error:
            raise Failed(failed(error)) from None

    def _request(
        self, method: str, url: str, body: bytes, headers: httpx.Headers, deadline_s: float
    ) -> Answer:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise Failed(failed("out of time", should_retry=True))
        with _Watch(left_s) as watch, self._client(left_s) as client:
            try:
                request = client.build_request(
                    method, url, content=body, headers=headers,
                    extensions=self._extensions(watch, left_s),
                )  # fmt: skip
                answer = client.send(request, stream=True)
                return Answer(answer.status_code, _read(answer),
                              answer.headers.get("content-type", ""))  # fmt: skip
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError,
                    httpx.WriteError, httpx.WriteTimeout) as error:  # fmt: skip
                # Not all of it can have arrived.
                raise Failed(failed(_said(error), should_retry=True)) from None
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError,
                    httpx.TooManyRedirects) as error:  # fmt: skip
                raise Failed(failed(_said(error))) from None
            except httpx.HTTPError as error:
                text = "out of time" if watch.has_ended else _said(error)
                raise Failed(Outcome("unknown", text, should_retry=True)) from None

    def _extensions(self, watch: _Watch, left_s: float) -> dict[str, Any]:
        extensions = {"trace": watch.follow, **_timeouts(left_s)}
        if self._config.tls.server_name:
            extensions["sni_hostname"] = self._config.tls.server_name
        return extensions

    def _client(self, left_s: float) -> httpx.Client:
        config, proxy = self._config, None
        if config.proxy_url:
            proxy = httpx.Proxy(config.proxy_url, headers=config.proxy_headers)
        mounts: dict[str, httpx.BaseTransport | None] = {}
        if proxy is not None:
            mounts = dict.fromkeys(_patterns(config.no_proxy))
        return httpx.Client(
            verify=self._context(config.tls), proxy=proxy, mounts=mounts,
            trust_env=config.is_proxy_from_environment,
            follow_redirects=config.follow_redirects, max_redirects=REDIRECTS_MAX,
            timeout=httpx.Timeout(left_s, connect=min(left_s, CONNECT_S_MAX)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )  # fmt: skip

    def _context(self, tls: TlsConfig) -> ssl.SSLContext:
        """Made again when one of its files has changed."""
        key = tuple(_changed(file) for file in (tls.ca_file, tls.cert_file, tls.key_file))
        with self._lock:
            if self._tls is None or self._tls[0] != key:
                self._tls = key, tls_context(tls)
            return self._tls[1]

    def _credentials(self, deadline_s: float) -> list[tuple[str, str]]:
        config = self._config
        if config.has_basic_auth:
            pair = f"{config.username}:{config.password.read()}".encode()
            return [("Authorization", "Basic " + base64.b64encode(pair).decode())]
        if config.oauth2 is not None:
            return [("Authorization", "Bearer " + self._oauth2(config.oauth2, deadline_s))]
        if config.authorization is not None and config.authorization[1]:
            kind, credentials = config.authorization
            return [("Authorization", f"{kind} {credentials.read()}")]
        return []

    def _oauth2(self, oauth2: OAuth2, deadline_s: float) -> str:
        with self._lock:
            if self._token is not None and self._token[1] > time.monotonic():
                return self._token[0]
        form = {"grant_type": "client_credentials", **oauth2.endpoint_params}
        if oauth2.scopes:
            form["scope"] = " ".join(oauth2.scopes)
        door = HttpDoor(HttpConfig(
            username=oauth2.client_id, password=oauth2.client_secret, has_basic_auth=True,
            tls=oauth2.tls,
        ))  # fmt: skip
        answer = door.post(
            oauth2.token_url, str(httpx.QueryParams(form)).encode(),
            deadline_s - time.monotonic(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        if answer.status != 200:
            raise Failed(failed(f"oauth2: no token: status {answer.status}: {answer.text}",
                                should_retry=answer.status // 100 == 5))  # fmt: skip
        found = httpx.Response(200, content=answer.body).json()
        if not isinstance(found, dict) or not isinstance(found.get("access_token"), str):
            raise Failed(failed("oauth2: the answer has no access_token"))
        lasts_s = float(found.get("expires_in") or 3600)
        with self._lock:
            self._token = found["access_token"], time.monotonic() + lasts_s - TOKEN_SLACK_S
        return str(found["access_token"])


def _patterns(no_proxy: str) -> list[str]:
    """A name means itself and all below it, as Go reads it; * means all."""
    found: list[str] = []
    for word in no_proxy.replace(",", " ").split():
        name = word.removeprefix("*").removeprefix(".")
        found += [f"all://{name}", f"all://*.{name}"] if name else ["all://"]
    return found


def _timeouts(left_s: float) -> dict[str, Any]:
    return {"timeout": httpx.Timeout(left_s, connect=min(left_s, CONNECT_S_MAX)).as_dict()}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _read(answer: httpx.Response) -> bytes:
    body = b""
    for piece in answer.iter_bytes():
        body += piece
        if len(body) >= ANSWER_BYTES_MAX:
            break
    answer.close()
    return body[:ANSWER_BYTES_MAX]


def _changed(file: str) -> tuple[int, int]:
    if not file:
        return 0, 0
    found = os.stat(file)  # noqa: PTH116
    return found.st_mtime_ns, found.st_size


class _Watch:
    """Cuts the connection when the time is over: a byte now and then does not keep it open."""

    def __init__(self, left_s: float) -> None:
        self._timer = threading.Timer(left_s, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.has_ended = False

    def follow(self, event: str, info: dict[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            stream = info["return_value"]
            self._socket = stream.get_extra_info("socket")

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


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=tls.ca_file or None, cadata=tls.ca or None)
    context.minimum_version = _VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file and tls.key_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    elif tls.cert or tls.cert_file:
        _load_pair(context, Secret(tls.cert, tls.cert_file), Secret(tls.key, tls.key_file))
    return context


def _load_pair(context: ssl.SSLContext, cert: Secret, key: Secret) -> None:
    """Python reads certificates from files only: one that nobody else can open, for a moment."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{cert.read()}\n{key.read()}\n")
        file.flush()
        context.load_cert_chain(file.name)
