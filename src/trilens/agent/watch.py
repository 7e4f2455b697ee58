"""Watching this machine: one thread a source, all of them at the same server.

    host_metrics, processes   every `interval_s`, the first time at once
    log_files, journald       as long as there is something, then once a second
    self_telemetry            log records and spans every FLUSH_S, measures every `interval_s`

A source that fails says so once in the log, is counted in trilens_agent_failures_total and tried
again with growing pauses; the others do not notice. Looking around costs a source at most a
hundredth of one core: what took long is followed by a long pause.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trilens.agent import journald, remote_write
from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.host_metrics import HostMetrics
from trilens.agent.journald import Journal
from trilens.agent.log_files import Where
from trilens.agent.processes import Processes
from trilens.agent.remote_write import Encoder, Family
from trilens.agent.self_telemetry import WRITE_PATH, SelfTelemetry
from trilens.agent.send import Backoff, Outbox, Parcel, Sender
from trilens.agent.tail import NAMES, Tailer
from trilens.clock import Clock
from trilens.measures import Measures

INTERVAL_S: Final = 15.0
LOG_PATHS: Final = ("/var/log",)
FLUSH_S: Final = 10.0
FIRST_FLUSH_S: Final = 1.0
BUSY_PAUSE_S: Final = 0.05
IDLE_PAUSE_S: Final = 0.5
SHARE_MAX: Final = 0.005  # of one core, for looking and finding nothing
JOB: Final = "node"
_GLOB: Final = frozenset("*?[")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """`is_working` is false while it fails or is not followed; then `reason` says why."""

    name: str
    is_working: bool
    reason: str
    sent_at_ns: int  # 0 if nothing was sent yet


@dataclass(frozen=True, slots=True)
class WatchStatus:
    host: str
    places: list[str]
    files_followed: int
    files_unreadable: int
    files_over_limit: int
    sources: list[SourceStatus]


class Watch:
    """All sources of one machine. `start` and `stop` once each."""

    def __init__(
        self,
        base_url: str,
        data_dir: Path,
        *,
        token: str | None = None,
        interval_s: float = INTERVAL_S,
        log_paths: Iterable[str | Path] = LOG_PATHS,
        clock: Clock,
        measures: Measures,
        journal_program: str = journald.PROGRAM,
        host: str = "",
    ) -> None:
        """`log_paths` are directories to search for NAMES, files, or glob patterns of files.

        Progress is kept in `data_dir`/agent. `data_dir` itself is never searched.
        """
        self.host = host or socket.gethostname()
        self._interval_s = interval_s
        self._clock = clock
        self._measures = measures
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._base_url = base_url
        self._directory = data_dir / "agent"
        self._data_dir = data_dir
        self._log_paths = [str(path).rstrip("/") or "/" for path in log_paths]
        self._journal_program = journal_program
        self._outbox = Outbox(self._sender(), measures, clock=clock)
        self._telemetry = SelfTelemetry(
            self._outbox, host=self.host, clock=clock, measures=measures
        )
        self._stopping = threading.Event()
        self._sources: list[_Source] = []
        self._why_no_journal = ""
        self._places: list[str] = []

    def start(self) -> None:
        """Returns at once. Raises OSError if `data_dir` cannot be written to."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._telemetry.start()
        self._outbox.start()
        places = " ".join(self._log_paths)
        log.info("watching this machine", extra={"host": self.host, "logs": places})
        self._add("host_metrics", self._numbers_source())
        self._add("processes", self._processes_source())
        self._add(
            "self_telemetry",
            self._telemetry_source(),
            sent_at_ns=lambda: self._outbox.sent_at_ns.get("self_measures", 0),
        )
        # Asking for the journal takes a moment, and what it answers decides about files.
        self._add("log_sources", self._begin_log_sources)

    def stop(self, within_s: float = 5.0) -> None:
        """Send what is waiting if that goes within the time. The server must still be there."""
        deadline_s = time.monotonic() + within_s
        self._stopping.set()
        for source in list(self._sources):
            source.join(max(0.1, deadline_s - time.monotonic() - within_s / 3))
        self._telemetry.stop()
        self._outbox.stop(max(0.1, deadline_s - time.monotonic()))

    def status(self) -> WatchStatus:
        files = {
            state: int(self._measures.value("trilens_agent_files", state))
            for state in ("followed", "unreadable", "over_limit")
        }
        sources = [source.status() for source in list(self._sources)]
        if self._why_no_journal:
            sources.append(SourceStatus("journald", False, self._why_no_journal, 0))
        return WatchStatus(
            self.host,
            list(self._places),
            files["followed"],
            files["unreadable"],
            files["over_limit"],
            [source for source in sources if source.name != "log_sources"],
        )

    # -- numbers -------------------------------------------------------------------------------

    def _numbers_source(self) -> Callable[[], float | None]:
        host = HostMetrics(self._clock, self._measures)
        encoder = self._encoder()

        def round_() -> float:
            self._put("host_metrics", encoder, host.families())
            return self._interval_s

        return round_

    def _processes_source(self) -> Callable[[], float | None]:
        encoder = self._encoder()
        processes: list[Processes] = []

        def round_() -> float:
            if not processes:
                processes.append(Processes())
            began_s = time.thread_time()
            self._put("processes", encoder, processes[0].families())
            return max(self._interval_s, (time.thread_time() - began_s) / SHARE_MAX)

        return round_

    def _encoder(self) -> Encoder:
        return Encoder({"job": JOB, "instance": self.host, "node": self.host})

    def _put(self, source: str, encoder: Encoder, families: list[Family]) -> None:
        body, samples = encoder.body(families, self._clock.now_ns() // 1_000_000)
        headers = remote_write.HEADERS
        self._outbox.put(Parcel(source, WRITE_PATH, headers, body, samples))

    def _telemetry_source(self) -> Callable[[], float | None]:
        next_measure_ns = 0
        is_first = True

        def round_() -> float:
            nonlocal next_measure_ns, is_first
            self._telemetry.flush()
            if not is_first and self._clock.monotonic_ns() >= next_measure_ns:
                self._telemetry.measure()
                next_measure_ns = self._clock.monotonic_ns() + int(self._interval_s * 1e9)
            pause_s, is_first = FIRST_FLUSH_S if is_first else FLUSH_S, False
            return min(pause_s, self._interval_s)

        return round_

    # -- lines ---------------------------------------------------------------------------------

    def _begin_log_sources(self) -> None:
        """Decide who brings what syslog writes: the journal, or else files."""
        journal_path = self._directory / "journal.json"
        tail_path = self._directory / "tail.json"
        self._why_no_journal = journald.why_not(self._journal_program)
        if self._why_no_journal and journal_path.exists():
            # It was followed before, and what is in the files since then came from it.
            self._why_no_journal = ""
        if self._why_no_journal:
            facts = {"reason": self._why_no_journal}
            log.info("the journal is not followed, log files alone are", extra=facts)
        excluded = [self._data_dir]
        if not self._why_no_journal:
            excluded += [Path("/var/log") / name for name in journald.DOUBLED]
            # Files that were followed before have brought the entries until now.
            backlog_lines = 0 if tail_path.exists() else journald.BACKLOG_LINES
            delivery = self._delivery("journald")
            journal = Journal(
                delivery, Checkpoint(journal_path), host=self.host, clock=self._clock,
                measures=self._measures, program=self._journal_program, backlog_lines=backlog_lines,
            )  # fmt: skip
            self._add_lines("journald", journal, delivery, lambda: journal.last_error)
        where = _where(self._log_paths, tuple(excluded))
        self._places = where.places
        delivery = self._delivery("log_files")
        tailer = Tailer(
            where, delivery, Checkpoint(tail_path),
            host=self.host, clock=self._clock, measures=self._measures,
        )  # fmt: skip
        self._add_lines("log_files", tailer, delivery)

    def _add_lines(
        self,
        name: str,
        source: Tailer | Journal,
        delivery: LogDelivery,
        reason: Callable[[], str] = lambda: "",
    ) -> None:
        self._add(
            name,
            _until_empty(source),
            reason=lambda: reason() or delivery.last_error,
            sent_at_ns=lambda: delivery.sent_at_ns,
            at_end=source.stop,
        )

    def _delivery(self, source: str) -> LogDelivery:
        return LogDelivery(
            source, self._sender(), host=self.host, clock=self._clock, measures=self._measures
        )

    def _sender(self) -> Sender:
        return Sender(self._base_url, self._headers)

    def _add(
        self,
        name: str,
        work: Callable[[], float | None],
        *,
        reason: Callable[[], str] | None = None,
        sent_at_ns: Callable[[], int] | None = None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        source = _Source(
            name, work, self._stopping, self._measures,
            reason=reason or (lambda: self._outbox.last_error),
            sent_at_ns=sent_at_ns or (lambda: self._outbox.sent_at_ns.get(name, 0)),
            at_end=at_end,
        )  # fmt: skip
        self._sources.append(source)
        source.start()


def _until_empty(source: Tailer | Journal) -> Callable[[], float | None]:
    """Rounds of a source of lines: quick while there are some."""
    is_started = False

    def round_() -> float:
        nonlocal is_started
        if not is_started:
            source.start()
            is_started = True
        began_s = time.thread_time()
        if source.poll():
            return BUSY_PAUSE_S
        return max(IDLE_PAUSE_S, (time.thread_time() - began_s) / SHARE_MAX)

    return round_


def _where(log_paths: list[str], excluded: tuple[Path, ...]) -> Where:
    patterns = [path for path in log_paths if _GLOB & set(path) or os.path.isfile(path)]
    roots = tuple(Path(path) for path in log_paths if path not in patterns)
    return Where(roots, NAMES, excluded, tuple(patterns))


class _Source:
    """A thread that works in rounds. A round returns the pause after it; None ends the thread."""

    def __init__(
        self,
        name: str,
        work: Callable[[], float | None],
        stopping: threading.Event,
        measures: Measures,
        *,
        reason: Callable[[], str],
        sent_at_ns: Callable[[], int],
        at_end: Callable[[], None],
    ) -> None:
        """`reason` says why it is not working though its rounds do not fail."""
        self.name = name
        self._work = work
        self._stopping = stopping
        self._measures = measures
        self._reason = reason
        self._sent_at_ns = sent_at_ns
        self._at_end = at_end
        self._backoff = Backoff(1.0, 60.0)
        self._error = ""
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)

    def status(self) -> SourceStatus:
        reason = self._error or self._reason()
        return SourceStatus(self.name, not reason, reason, self._sent_at_ns())

    def _run(self) -> None:
        pause_s: float | None = 0.0
        while pause_s is not None and not self._stopping.wait(pause_s):
            pause_s = self._round()
        try:
            self._at_end()
        except Exception:
            log.exception("watching %s did not end well", self.name)

    def _round(self) -> float | None:
        began_s = time.monotonic()
        try:
            pause_s = self._work()
        except Exception as error:
            self._measures.count("trilens_agent_failures_total", self.name)
            reason = f"{type(error).__name__}: {error}"
            if reason != self._error:
                log.exception("watching %s failed", self.name)
            self._error = reason
            return self._backoff.pause_s()
        if self._error:
            log.info("watching %s works again", self.name)
            self._error = ""
            self._backoff.reset()
        if pause_s is None:
            return None
        return max(BUSY_PAUSE_S, pause_s - (time.monotonic() - began_s))
