"""Rules in the server: evaluated over its engine, recorded through its own remote write receiver.

What rules record goes the way of every sender's bytes: accepted, into the spool, synced. So it is
known series, loaded, counted and kept like other samples.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Sequence
from typing import Final

from trilens.alert.alert_states import Notice
from trilens.alert.backfill import Backfilled, backfill
from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.recent_samples import RecentSamples
from trilens.alert.rule_files import RuleGroup
from trilens.alert.schedule import Notify, Schedule
from trilens.clock import Clock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.present.prometheus_query import PromqlLimits
from trilens.query.ask import Asker
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.known_series import KnownSeries
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.query.promql_values.context import Limits, Source
from trilens.receive.exchange import Request
from trilens.receive.listener import Intake
from trilens.store.engine import Engine

FORMAT: Final = "prometheus_write"
WRITE_SECONDS_MAX: Final = 30.0

log = logging.getLogger("trilens.rules")


def log_notices(notices: Sequence[Notice]) -> None:
    """Where no Alertmanager is told, the log is."""
    for notice in notices:
        state = "resolved" if notice.is_resolved else "firing"
        log.warning("alert", extra={"state": state, "labels": dict(notice.labels)})


class ServerRules:
    """start() and stop() are called once each; load() whenever the files have changed.

    `notify` is told what Alertmanagers have to know, in a thread of the schedule. `shown_until_ns`
    is the moment before which all samples can be queried.
    """

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        *,
        limits: PromqlLimits,
        clock: Clock,
        measures: Measures,
        notify: Notify,
        shown_until_ns: Callable[[], int],
        cache: SampleCache | None = None,
    ) -> None:
        self._engine = engine
        self._intake = intake
        self._limits = limits
        self._known = KnownSeries()
        self._cache = cache
        self._receiver = next(one for one in intake.receivers if FORMAT in one.paths.values())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock = clock
        self.query = self._new_query()
        self._schedule = Schedule(
            self.query, write=self.write, notify=notify, clock=clock, measures=measures, log=log,
            shown_until_ms=lambda: shown_until_ns() // 1_000_000,
        )  # fmt: skip

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the one that the intake runs on."""
        self._loop = loop
        self._schedule.start()

    def stop(self) -> None:
        """Not on the event loop: what is evaluated is still written."""
        self._schedule.stop()

    def load(self, definitions: Sequence[RuleGroup], options: Options | None = None) -> None:
        """Waits for evaluations of groups that change, so not on the event loop."""
        self._schedule.load(definitions, options)

    def backfill(
        self, groups: Sequence[RuleGroup], start_ms: int, end_ms: int, interval_ms: int
    ) -> Backfilled:
        """Not on the event loop. What is recorded so does not push out what rules just recorded."""
        return backfill(
            groups, self._new_query(), self.write,
            start_ms=start_ms, end_ms=end_ms, interval_ms=interval_ms,
        )  # fmt: skip

    def groups(self) -> Sequence[Group]:
        return self._schedule.groups()

    def write(self, body: bytes) -> None:
        """A body of remote write 1.0; returns when it is on disk. Raises Refused."""
        assert self._loop is not None
        request = Request(FORMAT, "application/x-protobuf", "snappy", body)
        self._intake.received(FORMAT, "rules")
        kept = asyncio.run_coroutine_threadsafe(
            self._intake.take(self._receiver, request, transport="rules"), self._loop
        )
        try:
            kept.result(WRITE_SECONDS_MAX)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            kept.cancel()
            raise Refused("overloaded", "the spool does not answer") from None

    def _new_query(self) -> InstantQuery:
        limits = self._limits
        return InstantQuery(
            self._source,
            RecentSamples(lambda: self._clock.monotonic_ns() // 1_000_000),
            Limits(
                samples_max=limits.samples,
                series_max=limits.series,
                timeout_s=limits.seconds,
                lookback_ms=limits.lookback_ms,
                is_canceled=lambda: self._schedule.is_stopping,
            ),
        )

    def _source(self) -> Source:
        within = SelectLimits(self._limits.series, self._limits.samples)
        ask = Asker(self._engine, self._limits.ask())
        return EngineSource(ask, within, self._known, cache=self._cache)
