"""What runs on others' files: scraping and rules on a prometheus.yml, the Alertmanager inside on an
alertmanager.yml.

    read()     all files, or everything that is wrong with them, before anything is started
    start()    Alertmanagers first, then scraping; rules when the store answers
    reload()   the same files again: all of them are taken over, or none

Alerts go to the outside Alertmanagers of `alerting` and to the one inside; where there is neither,
the log is told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cramjam

from trilens.alert.alert_states import Notice
from trilens.alert.alert_text import Outside as SeenByTemplates
from trilens.alert.backfill import Backfilled
from trilens.alert.group import Group, Options
from trilens.alert.rule_files import RuleGroup, read_rule_files
from trilens.alert_sending.outside import Outside, relabelled
from trilens.clock import Clock
from trilens.config_files.problems import FileRefused, Problem
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.notify.alerts import Alert, InvalidAlert, reported
from trilens.notify.config import Config as AlertmanagerConfig
from trilens.notify.config import load_config
from trilens.notify.notifier import Notifier
from trilens.present.prometheus_live.live import Reloads
from trilens.present.prometheus_query import PromqlLimits
from trilens.prometheus_config.file import PrometheusConfig, load
from trilens.prometheus_config.remote_write import RemoteWrite
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_values.labels import set_labels
from trilens.query.promql_values.values import Labels
from trilens.receive.exchange import Request
from trilens.receive.listener import Intake
from trilens.remote_write_out.destinations import Destinations
from trilens.remote_write_out.state import DestinationState
from trilens.rule_packs.packs import read_packs
from trilens.scrape.pool import Pool
from trilens.scrape.relabel import relabel
from trilens.scrape.scraper import Scraper, on_loop
from trilens.server_rules import FORMAT, ServerRules, log_notices
from trilens.store.engine import Engine
from trilens.store.loaded_batches import LoadedBatches

STOP_S_MAX: Final = 2.0

log = logging.getLogger("trilens.files")


@dataclass(frozen=True, slots=True)
class Files:
    """Their paths; None where there is none."""

    prometheus: Path | None = None
    alertmanager: Path | None = None
    rules: tuple[str, ...] = ()  # beside those that prometheus.yml names, seen from here
    rule_packs: tuple[str, ...] = ()  # by name


@dataclass(frozen=True, slots=True)
class Read:
    """What the files say."""

    prometheus: PrometheusConfig | None
    alertmanager: AlertmanagerConfig | None
    groups: list[RuleGroup] = field(default_factory=list)


def read(files: Files, clock: Clock) -> Read:
    """Raises FileRefused, with the faults of all files."""
    problems: list[Problem] = []
    prometheus: PrometheusConfig | None = None
    alertmanager: AlertmanagerConfig | None = None
    groups: list[RuleGroup] = []
    try:
        groups += read_packs(files.rule_packs)
        groups += read_rule_files(files.rules, Path.cwd())
    except FileRefused as refused:
        problems += refused.problems
    try:
        if files.prometheus is not None:
            prometheus = load(files.prometheus, os.environ)
            known = {group.key for group in groups}
            groups += [group for group in prometheus.groups if group.key not in known]
    except FileRefused as refused:
        problems += refused.problems
    try:
        if files.alertmanager is not None:
            alertmanager = load_config(files.alertmanager, clock.now_ns)
    except FileRefused as refused:
        problems += refused.problems
    if problems:
        raise FileRefused(problems)
    return Read(prometheus, alertmanager, groups)


def _remote_writes(found: Read) -> tuple[RemoteWrite, ...]:
    return () if found.prometheus is None else found.prometheus.remote_writes


class ServerFiles:
    """start(), start_rules() and stop() are called once each, in this order; none of them, nor
    reload(), on the event loop.
    """

    def __init__(
        self,
        files: Files,
        engine: Engine,
        intake: Intake,
        *,
        directory: Path,
        batches: LoadedBatches,
        limits: PromqlLimits,
        shown_until_ns: Callable[[], int],
        external_url: str,
        body_bytes_max: int,
        clock: Clock,
        measures: Measures,
        cache: SampleCache | None = None,
    ) -> None:
        """Reads the files. Raises FileRefused."""
        self._files = files
        self._read = read(files, clock)
        self._intake = intake
        self._clock = clock
        self._external_url = external_url.rstrip("/")
        self._body_bytes_max = body_bytes_max
        self._measures = measures
        self._receiver = next(one for one in intake.receivers if FORMAT in one.paths.values())
        self._rules = ServerRules(
            engine, intake, limits=limits, clock=clock, measures=measures, notify=self._tell,
            shown_until_ns=shown_until_ns, cache=cache,
        )  # fmt: skip
        self.notifier: Notifier | None = None
        if self._read.alertmanager is not None:
            self.notifier = Notifier(
                self._read.alertmanager, directory / "notify", clock,
                external_url=self._external_url, measures=measures,
            )  # fmt: skip
        self._destinations = Destinations(
            directory / "remote_write", batches, engine, clock=clock, measures=measures
        )
        self._scraper: Scraper | None = None
        self._outside: Outside | None = None
        self._turn = threading.Lock()
        self.reloads = Reloads(at_ns=clock.now_ns())
        measures.refresh_with(self._measure)

    # --- life

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the one that the intake runs on. Raises OSError."""
        with self._turn:
            if self.notifier is not None:
                self.notifier.open()
                self.notifier.start()
            if self._read.prometheus is not None:
                keep = on_loop(loop, self._keep)

                async def write(body: bytes) -> None:
                    """On the scraper's loop, that packs it."""
                    await keep(bytes(cramjam.snappy.compress_raw(body)))

                scraper = Scraper(write, self._clock, body_bytes_max=self._body_bytes_max)
                scraper.start(self._read.prometheus.scraping)
                self._scraper = scraper
                self._outside = Outside(scraper.loop, self._measures)
                self._outside.apply(self._read.prometheus.alerting)
            self._destinations.open(_remote_writes(self._read))
            self._rules.load(self._read.groups, self._options(self._read))

    def start_rules(self, loop: asyncio.AbstractEventLoop) -> None:
        """When the store can be asked."""
        self._rules.start(loop)
        with self._turn:
            self._destinations.start()

    def stop_taking(self) -> None:
        """While the intake still takes: what is evaluated is written, what is due is told."""
        with self._turn:
            self._rules.stop()
            if self._outside is not None:
                self._outside.stop(STOP_S_MAX)
            if self._scraper is not None:
                self._scraper.stop(STOP_S_MAX)

    def stop_notifying(self, grace_s: float) -> None:
        """When no API takes anything any more, and the store can still be asked."""
        with self._turn:
            self._destinations.stop(STOP_S_MAX)
        if self.notifier is not None:
            self.notifier.stop(grace_s)

    def reload(self) -> None:
        """Raises FileRefused: then nothing has changed."""
        with self._turn:
            try:
                found = read(self._files, self._clock)
            except FileRefused as refused:
                self.reloads = Reloads(False, self.reloads.at_ns, str(refused))
                log.warning("the files are not taken over", extra={"reason": str(refused)})
                raise
            try:
                self._apply(found)
            except Exception as fault:
                text = f"internal: {type(fault).__name__}: {fault}"
                self.reloads = Reloads(False, self.reloads.at_ns, text)
                raise
            self.reloads = Reloads(True, self._clock.now_ns())
            log.info("the files are taken over")

    def backfill(
        self, start_ms: int, end_ms: int, *, files: frozenset[str], groups: frozenset[str]
    ) -> Backfilled:
        """Raises Refused, PromqlError."""
        found = self._read
        wanted = [
            one
            for one in found.groups
            if (not files or one.file in files) and (not groups or one.name in groups)
        ]
        interval_ms = self._options(found).interval_ms
        return self._rules.backfill(wanted, start_ms, end_ms, interval_ms)

    def _apply(self, found: Read) -> None:
        if self.notifier is not None and found.alertmanager is not None:
            self.notifier.reload(found.alertmanager)
        if self._outside is not None and found.prometheus is not None:
            self._outside.apply(found.prometheus.alerting)
        if self._scraper is not None and found.prometheus is not None:
            self._scraper.apply(found.prometheus.scraping)
        self._destinations.apply(_remote_writes(found))
        self._rules.load(found.groups, self._options(found))
        self._read = found

    def _options(self, found: Read) -> Options:
        prometheus = found.prometheus
        if prometheus is None:
            return Options(outside=SeenByTemplates(url=self._external_url))
        labels = tuple(sorted(prometheus.scraping.external_labels.items()))
        return Options(
            interval_ms=prometheus.evaluation_ms,
            query_offset_ms=prometheus.rule_query_offset_ms,
            outside=SeenByTemplates(labels, self._external_url),
        )

    # --- what goes in and out

    async def _keep(self, body: bytes) -> None:
        """What was scraped goes the way of every sender's bytes. Raises Refused."""
        request = Request(FORMAT, "application/x-protobuf", "snappy", body)
        self._intake.received(FORMAT, "scrape")
        try:
            await self._intake.take(self._receiver, request, transport="scrape")
        except Refused as refused:
            self._intake.refused(FORMAT, "scrape", refused)
            raise

    def _tell(self, notices: list[Notice]) -> None:
        """In a thread of the rules."""
        if self._read.prometheus is not None:
            notices = relabelled(self._read.prometheus.alerting.relabel, notices)
        if self._outside is not None:
            self._outside.tell(notices)
        if self.notifier is not None:
            self.notifier.put(self._alerts(notices, self.notifier.resolve_timeout_ns))
        if self.notifier is None and not self._has_outside():
            log_notices(notices)

    def _has_outside(self) -> bool:
        prometheus = self._read.prometheus
        return prometheus is not None and bool(prometheus.alerting.sets)

    def _alerts(self, notices: Sequence[Notice], resolve_timeout_ns: int) -> list[Alert]:
        now_ns = self._clock.now_ns()
        alerts = []
        for one in notices:
            try:
                alerts.append(
                    reported(
                        dict(one.labels),
                        dict(one.annotations),
                        starts_at_ns=one.starts_at_ms * 1_000_000,
                        ends_at_ns=one.ends_at_ms * 1_000_000,
                        generator_url=one.generator_url,
                        now_ns=now_ns,
                        resolve_timeout_ns=resolve_timeout_ns,
                    )
                )
            except InvalidAlert as error:
                log.warning("an alert cannot be told", extra={"reason": str(error)})
        return alerts

    # --- what can be seen, from any thread

    @property
    def prometheus_text(self) -> str:
        return "" if self._read.prometheus is None else self._read.prometheus.text

    @property
    def prometheus_path(self) -> str:
        return str(self._files.prometheus or "")

    @property
    def alertmanager_path(self) -> str:
        return str(self._files.alertmanager or "")

    def groups(self) -> Sequence[Group]:
        return self._rules.groups()

    def sent_labels(self, group: Group, labels: Labels) -> dict[str, str] | None:
        """As `_tell` has them; None for an alert that relabelling drops."""
        sent = dict(set_labels(group.options.outside.labels, dict(labels)))
        prometheus = self._read.prometheus
        if prometheus is None or not prometheus.alerting.relabel:
            return sent
        return relabel(prometheus.alerting.relabel, sent) or None

    def pools(self) -> list[Pool]:
        return [] if self._scraper is None else self._scraper.pools()

    def destinations(self) -> list[DestinationState]:
        return self._destinations.states()

    def alertmanagers(self) -> tuple[list[str], list[str]]:
        """URLs of those that are told, the one inside first, and of those that are left out."""
        own = [f"{self._external_url}/api/v2/alerts"] if self.notifier is not None else []
        if self._outside is None:
            return own, []
        return own + self._outside.active(), self._outside.dropped()

    def _measure(self) -> None:
        self._measures.set("trilens_config_last_reload_successful", to=self.reloads.is_well)
        self._measures.set(
            "trilens_config_last_reload_success_timestamp_seconds", to=self.reloads.at_ns / 1e9
        )
        targets: dict[str, int] = {"up": 0, "down": 0, "unknown": 0}
        missed = lost = 0
        for pool in self.pools():
            for loop in pool.loops():
                targets[loop.state.health] += 1
                missed += loop.state.missed
                lost += loop.state.lost_writes
        if self._scraper is not None:
            for health, count in targets.items():
                self._measures.set("trilens_scrape_targets", health, to=count)
            self._measures.set("trilens_scrape_missed", to=missed)
            self._measures.set("trilens_scrape_lost_writes", to=lost)
