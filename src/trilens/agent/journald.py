"""The systemd journal: read by a `journalctl --follow` of our own, each entry delivered once.

    start   after the cursor of the checkpoint; without one the last BACKLOG_LINES entries
    full    while a batch is on its way nothing is read: the pipe fills and journalctl waits
    ended   started again after the last entry read, with growing pauses
    killed  LogDelivery asks if the batch in flight had arrived; then from the checkpoint's cursor

Where the journal can be read, the files into which syslog writes the same entries (DOUBLED) are
not followed: the journal knows the unit, the severity and the microsecond. A file of these that
is named in `log_paths` itself is followed all the same.

Lost: what the journal itself has dropped or rotated away before it was read; entries longer than
LINE_BYTES_MAX as JSON (counted). Our own process's entries are left out: self_telemetry has them.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, Final

import orjson

from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.log_records import (
    LogBatch,
    attribute,
    observed_field,
    packed,
    record,
    resource_logs,
    severity_field,
)
from trilens.agent.send import Backoff
from trilens.clock import Clock
from trilens.measures import Measures

PROGRAM: Final = "journalctl"
BACKLOG_LINES: Final = 1000
READ_BYTES: Final = 256 << 10
BATCH_BYTES_MAX: Final = 512 << 10  # of JSON
BATCHES_PER_POLL_MAX: Final = 16
LINE_BYTES_MAX: Final = 1 << 20
_US_MAX: Final = 1 << 53
QUICK_ENDS_MAX: Final = 3  # in a row, without an entry, of a journal that can be read
PROBE_MAX_S: Final = 5.0
STOP_MAX_S: Final = 2.0
# What rsyslog and syslog-ng of Debian, Red Hat and SUSE write below /var/log.
DOUBLED: Final = (
    "syslog", "messages", "secure", "maillog", "cron", "auth.log", "cron.log", "daemon.log",
    "debug", "kern.log", "lpr.log", "mail.log", "user.log", "warn", "localmessages",
)  # fmt: skip
_FIELDS: Final = (
    "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "_PID",
    "_COMM", "_TRANSPORT", "_SOURCE_REALTIME_TIMESTAMP",
)  # fmt: skip
# OpenTelemetry's data model of logs, appendix B: syslog
_SEVERITIES: Final = (
    (21, b"emerg"), (19, b"alert"), (18, b"crit"), (17, b"err"),
    (13, b"warning"), (10, b"notice"), (9, b"info"), (5, b"debug"),
)  # fmt: skip

log = logging.getLogger(__name__)


def why_not(program: str = PROGRAM) -> str:
    """Why the machine's journal cannot be followed; "" if it can."""
    if shutil.which(program) is None:
        return f"there is no {program}"
    # --system: with too few rights the rest would be this user's own entries.
    command = [program, "--system", "--lines=1", "--output=json", "--no-pager", "--quiet"]
    try:
        ran = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=PROBE_MAX_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} cannot be asked: {error}"
    if ran.returncode:
        told = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        return told[-1] if told else f"{program} ended with status {ran.returncode}"
    return "" if ran.stdout.strip() else "the journal is empty or may not be read"


@dataclass(frozen=True, slots=True)
class Entry:
    cursor: str
    at_ns: int
    service: str
    pid: int
    fields: bytes
    body: bytes

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """One line of journalctl's JSON. Raises ValueError, KeyError or TypeError."""
        row = orjson.loads(line)
        if not isinstance(row, dict) or not isinstance(row["__CURSOR"], str):
            raise TypeError("it is not an entry")
        at_us = int(_text(row.get("_SOURCE_REALTIME_TIMESTAMP")) or row["__REALTIME_TIMESTAMP"])
        if not 0 < at_us < _US_MAX:
            raise ValueError("its time is out of range")
        unit = _text(row.get("_SYSTEMD_UNIT")) or _text(row.get("_SYSTEMD_USER_UNIT"))
        identifier, command = _text(row.get("SYSLOG_IDENTIFIER")), _text(row.get("_COMM"))
        service = identifier or unit.removesuffix(".service") or command or "journal"
        pid = _text(row.get("_PID"))
        priority = _text(row.get("PRIORITY"))
        fields = attribute("log.source", "journald")
        if priority.isdecimal() and int(priority) < len(_SEVERITIES):
            fields += severity_field(*_SEVERITIES[int(priority)])
        for name, value in (("systemd.unit", unit), ("process.executable.name", command)):
            fields += attribute(name, value) if value else b""
        if pid.isdecimal():
            fields += attribute("process.pid", int(pid))
        body = _text(row.get("MESSAGE")).encode("utf-8", "replace")
        return cls(row["__CURSOR"], at_us * 1000, service, int(pid or 0), fields, body)


def _text(value: Any) -> str:
    """A field: text, numbers of bytes where it is not UTF-8, or several of both."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        return ""
    if all(isinstance(item, int) for item in value):
        return bytes(value).decode("utf-8", "replace")
    return "\n".join(map(_text, value))


class Journal:
    """The journal of one machine. Not thread-safe: one thread calls `poll`."""

    def __init__(
        self,
        delivery: LogDelivery,
        checkpoint: Checkpoint,
        *,
        host: str,
        clock: Clock,
        measures: Measures,
        program: str = PROGRAM,
        backlog_lines: int = BACKLOG_LINES,
    ) -> None:
        self._delivery = delivery
        self._checkpoint = checkpoint
        self._host = host
        self._clock = clock
        self._measures = measures
        self._program = program
        self._backlog_lines = backlog_lines
        self._cursor = ""
        self._ahead = ""  # cursor after the batch on its way
        self._records = 0  # in that batch
        self._is_busy = False
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._is_skipping = False
        self._backoff = Backoff(1.0, 60.0)
        self._due_ns = 0
        self._quick_ends = 0
        self.last_error = ""

    def start(self) -> None:
        """Called once, before the first poll. Without a checkpoint the journal is new to us."""
        self._checkpoint.load()
        self._cursor = (self._checkpoint.acknowledged or {}).get("cursor", "")
        if self._checkpoint.in_flight:
            self._delivery.resume(self._checkpoint.in_flight["question"])
            self._ahead = self._checkpoint.in_flight["then"]["cursor"]
            self._is_busy = True
        elif self._checkpoint.is_first_start:
            # From here on the journal is what is followed, whatever else the machine writes.
            self._store(None)

    def poll(self) -> int:
        """Deliver what is there; returns the number of records settled."""
        records = 0
        for _ in range(BATCHES_PER_POLL_MAX):
            if not self._is_busy and not self._fill():
                break
            outcome = self._delivery.attempt()
            if outcome == "later":
                return records
            self._is_busy = False
            if outcome != "missing":
                self._cursor = self._ahead
                records += self._records
            self._records = 0
        if not self._is_busy and self._checkpoint.in_flight:
            self._store(None)
        return records

    def stop(self) -> None:
        if not self._is_busy and self._checkpoint.in_flight:
            self._store(None)
        self._end_child()
        self._delivery.close()

    @property
    def is_idle(self) -> bool:
        return not self._is_busy

    # -- a batch -------------------------------------------------------------------------------

    def _fill(self) -> bool:
        lines = self._lines()
        if not lines:
            return False
        observed_ns = self._delivery.next_observed_ns()
        observed = observed_field(observed_ns)
        by_service: dict[str, list[bytes]] = {}
        times: list[int] = []
        cursor = self._cursor
        for line in lines:
            try:
                entry = Entry.parse(line)
            except (ValueError, KeyError, TypeError, OverflowError):
                self._measures.count("trilens_agent_dropped_total", "journald", "malformed")
                continue
            cursor = entry.cursor
            if entry.pid == os.getpid() or not entry.body:
                continue
            times.append(entry.at_ns)
            encoded = record(entry.at_ns, observed + entry.fields, entry.body)
            by_service.setdefault(entry.service, []).append(encoded)
        if not times:
            self._cursor = cursor
            return False
        parts = [
            resource_logs(
                {"service.name": name, "host.name": self._host}, "trilens.agent.journald", records
            )
            for name, records in by_service.items()
        ]
        batch = LogBatch(packed(parts), len(times), observed_ns, min(times), max(times))
        self._records, self._ahead = len(times), cursor
        self._store({"question": self._delivery.begin(batch), "then": {"cursor": cursor}})
        self._is_busy = True
        return True

    def _store(self, in_flight: dict[str, Any] | None) -> None:
        self._checkpoint.store({"cursor": self._cursor}, in_flight)

    # -- the child -----------------------------------------------------------------------------

    def _lines(self) -> list[bytes]:
        """Whole lines that the child has written, up to BATCH_BYTES_MAX and one read."""
        child = self._child or self._started()
        if child is None or child.stdout is None:
            return []
        parts, size, is_over = [self._rest], 0, False
        while size < BATCH_BYTES_MAX and not is_over:
            try:
                data = os.read(child.stdout.fileno(), READ_BYTES)
            except BlockingIOError:
                break
            parts.append(data)
            size, is_over = size + len(data), not data
        *lines, self._rest = b"".join(parts).split(b"\n")
        if is_over:
            self._ended(child)
        return self._bounded(lines)

    def _bounded(self, lines: list[bytes]) -> list[bytes]:
        if lines and self._is_skipping:
            del lines[0]  # the end of a line that was too long
            self._is_skipping = False
        if len(self._rest) > LINE_BYTES_MAX:
            if not self._is_skipping:
                self._measures.count("trilens_agent_dropped_total", "journald", "too_long")
            self._rest, self._is_skipping = b"", True
        if lines:
            self._quick_ends = 0
            self._backoff.reset()
            self.last_error = ""
        return [line for line in lines if line]

    def _started(self) -> subprocess.Popen[bytes] | None:
        if self._clock.monotonic_ns() < self._due_ns:
            return None
        if self._cursor:
            begin = ["--no-tail", f"--after-cursor={self._cursor}"]
        else:
            begin = [f"--lines={self._backlog_lines}"]
        command = [
            self._program, "--follow", "--output=json", "--all", "--quiet", "--no-pager",
            f"--output-fields={','.join(_FIELDS)}", *begin,
        ]  # fmt: skip
        try:
            child = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self._pause(f"{self._program} cannot be started: {error.strerror}")
            return None
        if child.stdout is not None:
            os.set_blocking(child.stdout.fileno(), False)
        self._child, self._rest, self._is_skipping = child, b"", False
        return child

    def _ended(self, child: subprocess.Popen[bytes]) -> None:
        self._end_child()
        self._quick_ends += 1
        self._pause(f"{self._program} ended with status {child.returncode}")
        is_for_the_cursor = self._cursor and self._quick_ends >= QUICK_ENDS_MAX
        if is_for_the_cursor and not why_not(self._program):
            log.error("the journal cannot be read on from where we were: entries may be missing")
            self._cursor, self._backlog_lines, self._quick_ends = "", 0, 0

    def _pause(self, reason: str) -> None:
        self._measures.count("trilens_agent_failures_total", "journald")
        if reason != self.last_error:
            log.warning("the journal is not followed for now: %s", reason)
        self.last_error, self._rest = reason, b""
        self._due_ns = self._clock.monotonic_ns() + int(self._backoff.pause_s() * 1e9)

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
