"""clickhouse-connect over connections of our own: a Unix socket, and a timeout per call.

The driver brings the protocol: the handshake, which settings a server lets a user change, how
values are written as parameters, TLS and credentials. It is used without server-side sessions,
so one client serves all threads; its own handshake (35 ms) is paid once.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from clickhouse_connect import common
from clickhouse_connect.driver.binding import format_bind_value
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError
from urllib3.util import Timeout

CONNECT_TIMEOUT_S = 5.0
DEFAULT_TIMEOUT_S = 300.0
# Connections kept open; more callers at once open more and close them afterwards.
KEPT_CONNECTIONS_MAX = 32
# The driver warns about every refused connection; our caller gets that as an error.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
common.set_setting("dict_parameter_format", "map")  # a dict is a Map, not JSON text


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is: a Unix socket, or host and port with credentials."""

    interface: str
    host: str
    port: int
    username: str = ""
    password: str = ""
    cluster: str | None = None
    socket_path: str | None = None


def socket_address(path: str | os.PathLike[str]) -> Address:
    return Address("http", "localhost", 80, socket_path=os.fspath(path))


def url_address(url: str) -> Address:
    """Read `http(s)://user:password@host:port/?cluster=name`; ValueError says what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"not an engine URL: {url!r}; it looks like http://user:password@host:8123"
        )
    options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if unknown := options.keys() - {"cluster"}:
        raise ValueError(f"unknown option in the engine URL: {min(unknown)!r}; known is 'cluster'")
    return Address(
        interface=parts.scheme,
        host=parts.hostname,
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        cluster=options["cluster"][0] if options else None,
    )


def is_gone(address: Address) -> bool:
    """Whether the process behind a Unix socket certainly does not exist any more."""
    if address.socket_path is None:
        return False
    try:
        _connected(address.socket_path).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:
        return False
    return False


def _connected(path: str) -> socket.socket:
    """A connection through the directory's descriptor, since sun_path holds only 108 bytes."""
    directory, name = os.path.split(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_TIMEOUT_S)
    try:
        handle = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{handle}/{name}")
        finally:
            os.close(handle)
    except OSError:
        connection.close()
        raise
    return connection


class _UnixConnection(HTTPConnection):
    def __init__(self, *args: Any, socket_path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socket_path = socket_path

    def _new_conn(self) -> socket.socket:
        try:
            return _connected(self._socket_path)
        except OSError as error:
            raise NewConnectionError(self, f"{self._socket_path}: {error}") from error


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection

    def __init__(self, socket_path: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn_kw["socket_path"] = socket_path


class Pool(PoolManager):
    """Connections to one engine. `timeouts.seconds` holds for requests of the calling thread."""

    def __init__(self, address: Address) -> None:
        super().__init__(maxsize=KEPT_CONNECTIONS_MAX, retries=False)
        self.timeouts = _Timeouts()
        if address.socket_path is not None:
            pool = partial(_UnixPool, address.socket_path)
            self.pool_classes_by_scheme = {"http": pool}  # type: ignore[dict-item]

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> BaseHTTPResponse:
        kwargs["timeout"] = Timeout(connect=CONNECT_TIMEOUT_S, read=self.timeouts.seconds)
        kwargs["retries"] = False  # a repeated INSERT would be two
        return super().request(method, url, *args, **kwargs)


class _Timeouts(threading.local):
    seconds = DEFAULT_TIMEOUT_S


class Client(HttpClient):  # type: ignore[misc]
    """The driver's client with one method more: any statement with any body, never repeated."""

    def __init__(self, address: Address, pool: Pool) -> None:
        super().__init__(
            interface=address.interface,
            host=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
            database=None,
            compress=False,
            pool_mgr=pool,
            query_retries=0,
            connect_timeout=int(CONNECT_TIMEOUT_S),
            send_receive_timeout=int(DEFAULT_TIMEOUT_S),
            autogenerate_session_id=False,
            autogenerate_query_id=False,
            show_clickhouse_errors="scrub",
        )

    def send(
        self,
        sql: str,
        *,
        url: Mapping[str, str],
        params: Mapping[str, object],
        settings: Mapping[str, object],
        body: Iterable[bytes | memoryview] | None = None,
        is_streamed: bool = False,
    ) -> BaseHTTPResponse:
        """Send `sql`, in the request's body or, beside a `body`, in its URL.

        `url` are parameters of the protocol. The driver's errors come through. A read whose
        kept connection turns out closed is sent again; an INSERT never is, because its body
        is an iterator.
        """
        query = dict(url) | self._validate_settings(dict(settings))
        query |= {f"param_{name}": _bound(value) for name, value in params.items()}
        if body is not None:
            query["query"] = sql
        response: BaseHTTPResponse = self._raw_request(
            sql.encode() if body is None else iter(body),
            query,
            stream=is_streamed,
            server_wait=not is_streamed,
        )
        return response


def _bound(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(format_bind_value(value, UTC))
