"""The engine contract: one ClickHouse, embedded or elsewhere, as the other stages see it.

tests/test_engine_contract.py runs on both kinds.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress

import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from trilens.store.engine_answer import (
    JSON_SETTINGS,
    UNDECODABLE_CODES,
    EngineBusy,
    EngineError,
    RawStream,
    Rows,
    Undecodable,
    raise_engine_error,
    rows_from_json,
)
from trilens.store.engine_http import DEFAULT_TIMEOUT_S, Address, Client, Pool, is_gone
from trilens.store.sample_changes import TABLES, SampleChanges

__all__ = [
    "DATABASE", "Engine", "EngineBusy", "EngineError", "RawStream", "Rows", "Undecodable",
]  # fmt: skip

DATABASE = "trilens"
PING_TIMEOUT_S = 5.0
SETTLE_TIMEOUT_S = 30.0
SETTLE_PAUSE_S = 0.1
# Commands that may remove rows begin so.
_REMOVING = ("ALTER", "DELETE", "DROP", "TRUNCATE")
Params = Mapping[str, object]
Settings = Mapping[str, object]


class Engine:
    """One ClickHouse, through its HTTP protocol.

    Every method MAY be called from any thread and blocks its caller; none keeps state on the
    server between calls. A statement MUST be complete in itself: no SET, USE or temporary
    tables. Values MUST be bound (`{name:Type}` in the SQL, `params`), never pasted. When a
    method returns, what it wrote is on the engine's disk and visible to every reader.

    Settings named in a call hold for that call only. `timeout_s` bounds the wait for the
    engine; when it passes, the statement is stopped and EngineBusy raised.

    The database exists from the first successful call on. `cluster` names the cluster that
    DDL must be sent to with ON CLUSTER; None means one server. `changes` knows what commands have
    removed; what is loaded is told to it.
    """

    database = DATABASE

    def __init__(self, address: Address) -> None:
        self.cluster = address.cluster
        self.changes = SampleChanges()
        self._address = address
        self._pool = Pool(address)
        self._client: Client | None = None
        self._connecting = threading.Lock()

    def ping(self, *, timeout_s: float = PING_TIMEOUT_S) -> bool:
        """Whether the engine answers now. Never raises."""
        self._pool.timeouts.seconds = timeout_s
        address = self._address
        url = f"{address.interface}://{address.host}:{address.port}/ping"
        try:
            return self._pool.request("GET", url).status == 200
        except HTTPError:
            return False

    def command(
        self,
        sql: str,
        *,
        params: Params | None = None,
        settings: Settings | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Run a statement for its effect: DDL, ALTER, DELETE, SYSTEM. Names must be qualified.

        Raises EngineError, EngineBusy. A DELETE or ALTER of data MUST have taken effect when
        this returns, so mutations are waited for.
        """
        waiting: dict[str, object] = {"mutations_sync": "2", "lightweight_deletes_sync": "2"}
        is_removal = sql.startswith(_REMOVING) and any(name in sql for name in TABLES)
        try:
            self._send(sql, params, waiting | dict(settings or {}), timeout_s=timeout_s)
        except EngineError:
            if is_removal:
                self.changes.doubt()
            raise
        finally:
            if is_removal:
                self.changes.rewritten()

    def rows(
        self,
        sql: str,
        *,
        params: Params | None = None,
        settings: Settings | None = None,
        query_id: str | None = None,
        read_only: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Rows:
        """Run a SELECT with a small result, held in memory whole. SQL must not name a FORMAT.

        With `read_only` the SQL may come from a user: the engine then refuses to write, to
        reach files or other hosts, and to change any setting; the caller gives the limits
        (max_execution_time, max_result_rows, max_memory_usage) in `settings`.
        Raises EngineError, EngineBusy.
        """
        response = self._send(
            sql,
            params,
            JSON_SETTINGS | dict(settings or {}),
            url={"default_format": "JSONCompact"} | _identity(query_id),
            read_only=read_only,
            timeout_s=timeout_s,
        )
        return rows_from_json(response.data)

    def raw(
        self,
        sql: str,
        *,
        fmt: str,
        params: Params | None = None,
        settings: Settings | None = None,
        query_id: str | None = None,
        read_only: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> RawStream:
        """Run a SELECT and stream its output bytes in the ClickHouse format `fmt`.

        Returns once the engine has begun to answer. The stream MUST be closed or read to its
        end; closing it early stops the query. `read_only` as in rows(). Raises EngineError,
        EngineBusy, here or from the stream, then after part of the output.
        """
        response = self._send(
            sql,
            params,
            settings,
            url={"default_format": fmt} | _identity(query_id),
            read_only=read_only,
            is_streamed=True,
            timeout_s=timeout_s,
        )
        return RawStream(response)

    def insert(
        self,
        statement: str,
        body: bytes | Iterable[bytes | memoryview],
        *,
        params: Params | None = None,
        settings: Settings | None = None,
        query_id: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> int:
        """Run `INSERT ... FORMAT <format>` over `body`; returns the rows written.

        The statement may read the body through input('<structure>'). It MUST be safe to
        abandon: after any error some of its rows may be there, and the caller removes them
        before it loads the same data again. When this raises, the statement has ended, so
        rows cannot appear after the caller looked; only a server that cannot be reached for
        SETTLE_TIMEOUT_S is given up on.

        Raises:
            Undecodable: this body never loads with this statement.
            EngineBusy: try again.
            EngineError: the statement is wrong, or refused the data by throwIf (code 395).

        """
        query_id = query_id or str(uuid.uuid4())
        pieces = [body] if isinstance(body, bytes) else body
        try:
            response = self._send(
                statement,
                params,
                settings,
                url=_identity(query_id),
                body=pieces,
                timeout_s=timeout_s,
            )
        except EngineBusy as error:
            if not error.code:
                self._settle(query_id)
            raise
        except EngineError as error:
            if error.code in UNDECODABLE_CODES:
                raise Undecodable(error.code, error.message) from error
            raise
        summary = orjson.loads(response.headers.get("X-ClickHouse-Summary", "{}"))
        return int(summary.get("written_rows", 0))

    def kill(self, query_id: str) -> None:
        """Stop the query, wherever it waits or runs; no error when there is none."""
        self._kill(query_id, "ASYNC")

    def explain_ast(self, sql: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """The syntax tree of `sql` as ClickHouse prints it; nothing is run or looked up.

        Raises EngineError with code 62 when it does not parse.
        """
        tree = self.rows(f"EXPLAIN AST {sql}", read_only=True, timeout_s=timeout_s)
        return "\n".join(line for (line,) in tree.rows)

    def close(self) -> None:
        """Close the connections. Calls that run in other threads fail."""
        if self._client is not None:
            self._client.close()
        self._pool.clear()

    def _send(
        self,
        sql: str,
        params: Params | None,
        settings: Settings | None,
        *,
        url: Mapping[str, str] | None = None,
        body: Iterable[bytes | memoryview] | None = None,
        read_only: bool = False,
        is_streamed: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> BaseHTTPResponse:
        client = self._client or self._connect()
        limits = dict(settings or {}) | ({"readonly": "1"} if read_only else {})
        self._pool.timeouts.seconds = timeout_s
        try:
            return client.send(
                sql,
                url={"database": DATABASE} | dict(url or {}),
                params=params or {},
                settings=limits,
                body=body,
                is_streamed=is_streamed,
            )
        except (ClickHouseError, HTTPError) as error:
            raise_engine_error(error)

    def _connect(self) -> Client:
        """The handshake, once; and the database, which every request then names."""
        with self._connecting:
            if self._client is None:
                self._pool.timeouts.seconds = PING_TIMEOUT_S
                try:
                    client = Client(self._address, self._pool)
                    known = client.command("EXISTS DATABASE " + DATABASE)
                    if str(known) != "1":
                        on_cluster = f" ON CLUSTER '{self.cluster}'" if self.cluster else ""
                        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}{on_cluster}")
                except (ClickHouseError, HTTPError) as error:
                    raise_engine_error(error)
                self._client = client
            return self._client

    def _kill(self, query_id: str, how: str) -> None:
        # An embedded engine has query ids of its own; there ours stands in a leading comment.
        condition = (
            "query_id = {query_id:String} OR "
            "startsWith(query, concat('/* ', {query_id:String}, ' */'))"
        )
        on_cluster = f"ON CLUSTER '{self.cluster}'" if self.cluster else ""
        sql = f"KILL QUERY {on_cluster} WHERE {condition} {how}"
        self._send(sql, {"query_id": query_id}, None, timeout_s=PING_TIMEOUT_S)

    def _settle(self, query_id: str) -> None:
        """Wait until an abandoned statement has certainly ended."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline and not is_gone(self._address):
            with suppress(EngineError):
                self._kill(query_id, "SYNC")
                return
            time.sleep(SETTLE_PAUSE_S)


def _identity(query_id: str | None) -> dict[str, str]:
    return {"query_id": query_id} if query_id else {}
