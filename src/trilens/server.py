r"""The program, put together from left to right: the only module that knows every stage.

    data lock -> sockets -> spool -> receivers and APIs answer
                                 \-> engine -> schema -> loader, retention    (in a thread)

Senders are served as soon as the spool is open; the engine may still be starting. Stopping goes
the other way round: no more requests, what is in flight ends, the loader ends its batch, the spool
is synced, the engine closes. What is not loaded by then stays in the spool for the next start.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from typing import Final

import uvloop
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from trilens.agent.watch import Watch
from trilens.clock import SystemClock
from trilens.config_files.problems import FileRefused
from trilens.data_lock import DataLock
from trilens.errors import Broken
from trilens.measures import Measures
from trilens.open_files import allow_open_files
from trilens.present.access import App, Guarded
from trilens.present.alertmanager.api import Alertmanager
from trilens.present.prometheus_admin import AdminSettings
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.routes import QueryLimits
from trilens.present.routes import routes as present_routes
from trilens.present.threads import Threads
from trilens.process_memory import keep_freed_memory, resident_bytes
from trilens.query.ask import AskLimits
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.raw_sql import SqlLimits
from trilens.receive import KnownSeries, Limits, receivers
from trilens.receive.admission import Admission
from trilens.receive.listener import Intake
from trilens.receive.listener import endpoints as receive_endpoints
from trilens.receive.listener import routes as receive_routes
from trilens.receive.listener_grpc import GrpcListener
from trilens.receive.listener_http import HttpListener
from trilens.server_files import Files, ServerFiles
from trilens.server_status import ServerStatus
from trilens.settings import Settings
from trilens.spool import Spool
from trilens.store.dead_letters import DeadLetters
from trilens.store.engine import Engine, EngineBusy
from trilens.store.engine_config import body_bytes_max, message_bytes_max
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.engine_remote import RemoteEngine
from trilens.store.loader import Loader
from trilens.store.migrate import migrate
from trilens.store.retention import TABLES, Limit, Retention
from trilens.tracing import SPANS, TracedRequests, span

# What the server itself may come to hold, but for samples held for queries (CACHE_SHARE); the
# embedded engine gets the rest of memory_bytes_max.
SERVER_SHARE: Final = 0.28
SERVER_BYTES_MAX: Final = 384 << 20
# Of that the program itself and what is on its way into the engine. The rest is for bodies from
# their first byte to their answer.
SERVER_BYTES_BESIDE_BODIES: Final = 192 << 20
# Freed memory goes back to the kernel above this share of it.
GIVE_BACK_SHARE: Final = 0.75
# Samples that queries ask for again and again.
CACHE_SHARE: Final = 1 / 16
IN_FLIGHT_BYTES_MIN: Final = 32 << 20
STOP_GRACE_S: Final = 5.0
SCHEMA_PAUSE_S: Final = 1.0

log = logging.getLogger("trilens.server")


class Server:
    """One program over one data directory. start() and stop() are called once each."""

    def __init__(self, settings: Settings) -> None:
        """Raises Broken when directory or address are in use, FileRefused for bad rule files."""
        self.settings = settings
        self.measures = Measures()
        self._clock = SystemClock()
        self._open = ExitStack()
        self._open.enter_context(DataLock(settings.data_dir))
        self._threads = Threads()
        self._spool = Spool(
            settings.data_dir / "spool",
            size_bytes_max=int(settings.spool_bytes_max),
            measures=self.measures,
            clock=self._clock,
        )
        self._letters = DeadLetters(
            settings.data_dir / "dead_letters",
            self._spool,
            self.measures,
            logging.getLogger("trilens.dead_letters"),
        )
        self._spool.other_bytes = self._letters.size_bytes
        self._engine = _engine(settings, self.measures)
        self._cache = _cache(settings, self._engine.engine)
        self._loader = Loader(
            self._engine.engine,
            self._spool,
            self._letters,
            self.measures,
            self._clock,
            logging.getLogger("trilens.loader"),
            body_bytes_max=body_bytes_max(_engine_bytes(settings)),
        )
        self._retention = Retention(
            self._engine.engine,
            {signal: Limit(*settings.retention(signal)) for signal in TABLES},
            self.measures,
            self._clock,
            logging.getLogger("trilens.retention"),
        )
        self.status = ServerStatus(
            settings, self._clock.now_ns(), self._engine, self._spool, self._letters
        )
        self._intake = Intake(
            self._spool.append,
            receivers=receivers(KnownSeries(lost=self._lost_writes)),
            limits=Limits(message_size_bytes_max=_message_bytes_max(settings)),
            measures=self.measures,
            clock=self._clock,
            admission=Admission(
                token=settings.token, in_flight_bytes_max=_in_flight_bytes_max(settings)
            ),
        )
        self.files = self._loaded_files()
        self._http = self._listener()
        self._others = self._other_listeners()
        self._store_opening = threading.Thread(target=self._open_store, name="open-store")
        self._is_stopping = threading.Event()
        self.failure: Exception | None = None
        self.failed = asyncio.Event()

    async def start(self) -> None:
        """Returns when all addresses are served; the engine may still be on its way."""
        self._loop = asyncio.get_running_loop()
        self.measures.refresh_with(self._measure_memory)
        await asyncio.to_thread(self._spool.open)
        await asyncio.to_thread(self._letters.open)
        await asyncio.to_thread(self.files.start, self._loop)
        self._store_opening.start()
        for listener in (self._http, *self._others.values()):
            await listener.start()
        self.status.listening_on("http", self._http.host, self._http.port)
        for protocol, listener in self._others.items():
            self.status.listening_on(protocol, listener.host, listener.port)

    async def stop(self) -> None:
        """Within some seconds: what is acknowledged is on disk, what is loaded is committed."""
        self._is_stopping.set()
        await asyncio.to_thread(self.files.stop_taking)
        for listener in (*self._others.values(), self._http):
            await listener.stop(grace_s=STOP_GRACE_S)
        self._intake.close()
        await asyncio.to_thread(self.files.stop_notifying, STOP_GRACE_S)
        if self._cache is not None:
            await asyncio.to_thread(self._cache.close)
        await asyncio.to_thread(self._stop_store)
        self._threads.close()
        self._open.close()

    @property
    def url(self) -> str:
        """Where this machine reaches the HTTP port."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._http.host, self._http.host)  # noqa: S104
        return (
            f"http://[{host}]:{self._http.port}"
            if ":" in host
            else f"http://{host}:{self._http.port}"
        )

    def _measure_memory(self) -> None:
        self.measures.set("trilens_server_memory_bytes", to=resident_bytes())
        if self._cache is not None:
            self.measures.set("trilens_promql_cache_bytes", to=self._cache.size_bytes())

    def _lost_writes(self) -> float:
        """Frames of remote write that were acknowledged and do not reach the tables."""
        return self.measures.value(
            "trilens_spool_damaged_files_total", "prometheus_write"
        ) + self.measures.value("trilens_load_batches_total", "prometheus_write", "isolated")

    def _loaded_files(self) -> ServerFiles:
        """Raises FileRefused."""
        settings = self.settings
        return ServerFiles(
            files_of(settings),
            self._engine.engine,
            self._intake,
            directory=settings.data_dir,
            limits=_query_limits(settings).promql,
            shown_until_ns=self._loader.samples_shown_until_ns,
            external_url=settings.external_url or f"http://{settings.http}",
            body_bytes_max=max(_in_flight_bytes_max(settings) // 2, IN_FLIGHT_BYTES_MIN),
            clock=self._clock,
            measures=self.measures,
            cache=self._cache,
        )

    def _listener(self) -> HttpListener:
        http, writes = self.settings.http, receive_endpoints(self._intake)
        return HttpListener(self._app(), host=http.host, port=http.port, endpoints=writes)

    def _app(self) -> App:
        routes = [
            *receive_routes(self._intake),
            *self._alertmanager_routes(),
            *present_routes(
                self._engine.engine,
                program=self.status,
                measures=self.measures,
                clock=self._clock,
                limits=_query_limits(self.settings),
                threads=self._threads,
                admin=_admin(self.settings),
                live=self.files,
                cache=self._cache,
            ),
        ]
        app: App = TracedRequests(Starlette(routes=routes))
        if self.settings.token is None:
            return app
        paths = frozenset(path for one in self._intake.receivers for path in one.paths)
        return Guarded(app, token=self.settings.token, open_paths=paths)

    def _alertmanager_routes(self) -> list[BaseRoute]:
        if self.files.notifier is None:
            return []
        return Alertmanager(self.files.notifier, self._clock, self._threads).routes()

    def _other_listeners(self) -> dict[str, HttpListener | GrpcListener]:
        listeners: dict[str, HttpListener | GrpcListener] = {}
        grpc, http = self.settings.otlp_grpc, self.settings.otlp_http
        if grpc is not None:
            listeners["otlp_grpc"] = GrpcListener(self._intake, host=grpc.host, port=grpc.port)
        if http is not None:
            app = TracedRequests(Starlette(routes=receive_routes(self._intake, "otlp")))
            writes = receive_endpoints(self._intake, "otlp")
            listeners["otlp_http"] = HttpListener(
                app, host=http.host, port=http.port, endpoints=writes
            )
        return listeners

    def _open_store(self) -> None:
        """Engine, schema, loader: in a thread of its own, since each may take its time."""
        try:
            with span("open store"):
                with span("start engine"):
                    self._engine.start()
                with span("migrate schema"):
                    self._migrate()
            if not self._is_stopping.is_set():
                self._loader.start()
                self._retention.start()
                self.files.start_rules(self._loop)
                self.status.has_schema = True
        except Exception as error:
            log.exception("the store cannot be opened")
            self.failure = error
            self._loop.call_soon_threadsafe(self.failed.set)

    def _migrate(self) -> None:
        """Returns once the schema is there, or stop() was called. Raises Broken."""
        while not self._is_stopping.is_set():
            try:
                migrate(self._engine.engine, logging.getLogger("trilens.schema"))
            except EngineBusy as error:
                log.warning("the schema has to wait", extra={"reason": error.message})
                self._is_stopping.wait(SCHEMA_PAUSE_S)
            else:
                return

    def _stop_store(self) -> None:
        self._store_opening.join()
        if self.status.has_schema:
            self._retention.stop()
            self._loader.stop(STOP_GRACE_S)
        self._spool.close()
        self._engine.stop()


def serve(settings: Settings, *, is_watching: bool) -> int:
    """Run until SIGTERM, SIGINT or a failure; returns the exit code."""
    allow_open_files()
    keep_freed_memory(int(_server_bytes(settings) * GIVE_BACK_SHARE))
    return uvloop.run(_serve(settings, is_watching=is_watching))


async def _serve(settings: Settings, *, is_watching: bool) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if is_watching:
        SPANS.open()  # the start is worth a trace
    server = Server(settings)
    _reload_on_hangup(server)
    with span("start"):
        await server.start()
    gc.freeze()  # modules and classes stay: going through them again costs 1 % of a load
    # Answers are made of many small objects in few cycles: to look for these after every 700 took a
    # third of the time of 10,000 rows.
    gc.set_threshold(20_000, 20, 20)
    _say(_welcome(server, is_watching=is_watching))
    watch = _watch(server) if is_watching else None
    waits = [asyncio.ensure_future(event.wait()) for event in (stopping, server.failed)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if watch is not None:
        await asyncio.to_thread(watch.stop, STOP_GRACE_S)
    await server.stop()
    if server.failure is not None:
        raise Broken(f"Trilens had to stop: {server.failure}")
    log.info("stopped")
    return 0


def _reload_on_hangup(server: Server) -> None:
    """SIGHUP: its files are read again. What is wrong with them is logged there."""

    def reload() -> None:
        with suppress(FileRefused):
            server.files.reload()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, loop.run_in_executor, None, reload)


def _watch(server: Server) -> Watch:
    settings = server.settings
    watch = Watch(
        server.url,
        settings.data_dir,
        token=settings.token,
        interval_s=settings.watch_interval_s,
        log_paths=settings.watch_logs,
        clock=SystemClock(),
        measures=server.measures,
    )
    watch.start()
    return watch


def _welcome(server: Server, *, is_watching: bool) -> str:
    """One short block: where everything is."""
    listening = {one.protocol: one.address for one in server.status.listening()}
    http = listening["http"]
    lines = [
        "Trilens is up." + (" It watches this machine." if is_watching else ""),
        f"  console            {server.url}",
        f"  OTLP gRPC          {listening.get('otlp_grpc', 'off')}",
        f"  OTLP HTTP          {listening.get('otlp_http', 'off')}, and {http}/v1/...",
        f"  Prometheus write   {server.url}/api/v1/write",
        f"  SQL                {server.url}/api/sql, or: trilens sql 'SELECT count() FROM logs'",
        f"  data               {server.settings.data_dir.resolve()}",
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _engine(settings: Settings, measures: Measures) -> EmbeddedEngine | RemoteEngine:
    if settings.engine != "embedded":
        try:
            return RemoteEngine(settings.engine)
        except ValueError as error:
            raise Broken(f"engine: {error}") from None
    directory = settings.data_dir / "engine"
    return EmbeddedEngine(directory, _engine_bytes(settings), measures=measures)


def files_of(settings: Settings) -> Files:
    """Those that others wrote for Prometheus and Alertmanager."""
    rules = tuple(map(str, settings.rule_files or ()))
    packs = tuple(settings.rule_packs or ())
    return Files(settings.prometheus_config, settings.alertmanager_config, rules, packs)


def _cache(settings: Settings, engine: Engine) -> SampleCache | None:
    """None where others may write to the engine too."""
    if settings.engine != "embedded":
        return None
    return SampleCache(engine, engine.changes, _cache_bytes(settings))


def _server_bytes(settings: Settings) -> int:
    return min(int(settings.memory_bytes_max * SERVER_SHARE), SERVER_BYTES_MAX)


def _engine_bytes(settings: Settings) -> int:
    return int(settings.memory_bytes_max) - _server_bytes(settings) - _cache_bytes(settings)


def _cache_bytes(settings: Settings) -> int:
    return int(settings.memory_bytes_max * CACHE_SHARE)


def _message_bytes_max(settings: Settings) -> int:
    """What would never be loaded must not be acknowledged."""
    if settings.engine != "embedded":
        return int(settings.message_bytes_max)
    return min(int(settings.message_bytes_max), message_bytes_max(_engine_bytes(settings)))


def _in_flight_bytes_max(settings: Settings) -> int:
    return max(_server_bytes(settings) - SERVER_BYTES_BESIDE_BODIES, IN_FLIGHT_BYTES_MIN)


def _admin(settings: Settings) -> AdminSettings:
    is_here = settings.engine == "embedded"
    snapshots = settings.data_dir / "snapshots" if is_here else None
    return AdminSettings(settings.enable_admin_api, snapshots)


def _query_limits(settings: Settings) -> QueryLimits:
    memory_bytes = int(settings.query_memory_bytes_max)
    return QueryLimits(
        sql=SqlLimits(
            seconds=settings.query_seconds_max,
            memory_bytes=memory_bytes,
            result_rows=settings.query_rows_max,
            result_bytes=int(settings.query_answer_bytes_max),
        ),
        console=AskLimits(seconds=settings.query_seconds_max, memory_bytes=memory_bytes),
        promql=PromqlLimits(seconds=settings.query_seconds_max, memory_bytes=memory_bytes),
    )
