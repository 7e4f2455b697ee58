"""Prometheus's admin API: /api/v1/admin/..., also below /workspaces/{id}; off by default.

POST tsdb/delete_series      match[], start, end: 204 when the samples are hidden
POST tsdb/clean_tombstones   204 when what was deleted is gone from the disk
POST tsdb/snapshot           {"name": ...}: a folder of hard links in data_dir/snapshots
POST rules/backfill          ours. start, end, file[], rule_group[]: recording rules over the past

PUT does the same. A call that has begun is ended, whether its client waits or not; one at a time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.http_body import read_body
from trilens.measures import Measures
from trilens.present import prometheus_json as encoded
from trilens.present.answers import JSON, broken
from trilens.present.prometheus_api import BASES, BODY_BYTES_MAX
from trilens.present.prometheus_live.live import Live, Nothing
from trilens.present.prometheus_params import Form, bad
from trilens.present.threads import Threads
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.administration import Administration
from trilens.query.promql_store.refusals import from_refused
from trilens.store.engine import Engine

_BOOLEANS: Final = frozenset(
    ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
)
_STATUS: Final = {"bad_data": 400, "execution": 422, "canceled": 499, "timeout": 503}
_NAME: Final = "admin"
Call = Callable[[Form], "bytes | None"]


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """`snapshots` is None where the engine's files are out of reach: then they stay with it."""

    is_enabled: bool = False
    snapshots: Path | None = None


@dataclass(frozen=True, slots=True)
class Admin:
    engine: Engine
    measures: Measures
    clock: Clock
    threads: Threads
    settings: AdminSettings
    live: Live = field(default_factory=Nothing)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def routes(self) -> list[BaseRoute]:
        table: list[tuple[str, Call]] = [
            ("tsdb/delete_series", self._delete_series),
            ("tsdb/clean_tombstones", self._clean_tombstones),
            ("tsdb/snapshot", self._snapshot),
            ("rules/backfill", self._backfill),
        ]
        return [
            Route(f"{base}/admin/{name}", self._served(call), methods=["POST", "PUT"])
            for base in BASES
            for name, call in table
        ]

    def _served(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            # Prometheus answers 500: its clients know it so.
            if not self.settings.is_enabled:
                return self._failure("unavailable", "admin APIs disabled", 500)
            try:
                data = await self.threads.calls.run(self._alone, call, await self._form(request))
            except PromqlError as error:
                status = _STATUS.get(error.error_type, 500)
                return self._failure(error.error_type, str(error), status)
            except Refused as refused:
                if refused.code in ("overloaded", "engine_unavailable"):
                    return self._failure("unavailable", refused.message, 503)
                return self._failure("bad_data", refused.message, 400)
            except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
                self.measures.count("trilens_query_errors_total", _NAME, "broken")
                return broken()
            return Response(status_code=204) if data is None else _json(encoded.success(data), 200)

        return serve

    async def _form(self, request: Request) -> Form:
        body = b""
        media = request.headers.get("content-type", "")
        if media.startswith("application/x-www-form-urlencoded"):
            body = await read_body(request.receive, size_bytes_max=BODY_BYTES_MAX)
        return Form.of(request.scope["query_string"], body, self.clock.now_ns() // 1_000_000)

    def _alone(self, call: Call, form: Form) -> bytes | None:
        if not self._one.acquire(blocking=False):
            raise Refused("overloaded", "another admin call is running", retry_after_s=1.0)
        try:
            return call(form)
        except Refused as refused:
            if refused.code in ("overloaded", "engine_unavailable"):
                raise
            raise from_refused(refused, None, is_stopped=False) from refused
        finally:
            self._one.release()

    def _delete_series(self, form: Form) -> None:
        if not form.every("match[]"):
            raise PromqlError("no match[] parameter provided", error_type="bad_data")
        start_ms, end_ms = form.within_ms()
        Administration(self.engine).delete(form.matcher_sets(), start_ms, end_ms)

    def _clean_tombstones(self, _form: Form) -> None:
        Administration(self.engine).clean()

    def _snapshot(self, form: Form) -> bytes:
        """`skip_head` changes nothing: all that is loaded is on disk."""
        skip = form.text("skip_head")
        if skip and skip not in _BOOLEANS:
            raise bad("skip_head", f'unable to parse boolean: invalid syntax "{skip}"')
        now = datetime.fromtimestamp(self.clock.now_ns() / 1e9, UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        Administration(self.engine).snapshot(name, self.settings.snapshots)
        return encoded.json_of({"name": name})

    def _backfill(self, form: Form) -> bytes:
        """Both moments must be given: all times are too many."""
        start_ms, end_ms = form.time_ms("start"), form.time_ms("end")
        if end_ms < start_ms:
            raise bad("end", "end timestamp must not be before start timestamp")
        done = self.live.backfill(
            start_ms,
            end_ms,
            files=frozenset(form.every("file[]")),
            groups=frozenset(form.every("rule_group[]")),
        )
        failures = [{"rule": rule, "error": error} for rule, error in done.failures.items()]
        return encoded.json_of({"samples": done.samples, "failures": failures})

    def _failure(self, kind: str, message: str, status: int) -> Response:
        self.measures.count("trilens_query_errors_total", _NAME, kind)
        reply = _json(encoded.failure(kind, message), status)
        if status == 503:
            reply.headers["Retry-After"] = "1"
        return reply


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, {"Cache-Control": "no-store"}, JSON)
