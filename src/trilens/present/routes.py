"""All routes of this package, put together for the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from starlette.routing import BaseRoute

from trilens.clock import Clock
from trilens.measures import Measures
from trilens.present import openapi, static_files
from trilens.present.arrival_rates import ArrivalRates
from trilens.present.console_alerts.alerting import Alerting
from trilens.present.console_api import Console
from trilens.present.health import Health
from trilens.present.program import Program
from trilens.present.prometheus_admin import Admin, AdminSettings
from trilens.present.prometheus_api import Prometheus
from trilens.present.prometheus_federate import Federation
from trilens.present.prometheus_live.live import Live, Nothing
from trilens.present.prometheus_live.reloading import Reloading
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.prometheus_read import RemoteRead
from trilens.present.sql_api import SqlApi
from trilens.present.threads import Threads
from trilens.query.ask import AskLimits
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.raw_sql import SqlLimits
from trilens.store.engine import Engine


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """For a user's SQL, for each question of a screen, for a query of PromQL."""

    sql: SqlLimits = field(default_factory=SqlLimits)
    console: AskLimits = field(default_factory=AskLimits)
    promql: PromqlLimits = field(default_factory=PromqlLimits)


def routes(
    engine: Engine,
    *,
    program: Program,
    measures: Measures,
    clock: Clock,
    limits: QueryLimits,
    threads: Threads,
    admin: AdminSettings | None = None,
    live: Live | None = None,
    cache: SampleCache | None = None,
    ui_directory: Path = static_files.UI_DIRECTORY,
) -> list[BaseRoute]:
    """Health, SQL API, PromQL API, console API, its document; last the console.

    The console takes every other path. The caller closes `threads` and `cache`.
    """
    rates = ArrivalRates(measures, clock)
    sql = SqlApi(engine, measures, clock, limits.sql, threads)
    prometheus = Prometheus(engine, program, measures, clock, limits.promql, threads, cache)
    live = live or Nothing()
    prometheus.live = live
    alerting = Alerting(live, limits.promql, prometheus.known, cache)
    console = Console(engine, program, measures, clock, limits.console, threads, rates, alerting)
    files = static_files.StaticFiles(ui_directory)
    return [
        *Health(program, measures, threads, files.page).routes(),
        *Reloading(live, threads).routes(),
        *sql.routes(),
        *prometheus.routes(),
        *RemoteRead(engine, measures, clock, limits.promql, threads).routes(),
        *Admin(engine, measures, clock, threads, admin or AdminSettings(), live).routes(),
        *Federation(engine, measures, clock, limits.promql, threads).routes(),
        *console.routes(),
        *openapi.routes(),
        *files.routes(),
    ]
