"""Bytes to the server, over the same HTTP that every other sender uses.

Three outcomes are told apart, because only one of them may double a record when it is tried
again: an answer; `NotSent`, where the server cannot have the whole body; and `OutcomeUnknown`,
where it may.
"""

from __future__ import annotations

import http.client
import logging
import random
import select
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from trilens.clock import Clock, SystemClock
from trilens.errors import TrilensError
from trilens.measures import Measures
from trilens.tracing import SELF_HEADER

OUTBOX_BYTES_MAX: Final = 16 << 20
ANSWER_BYTES_MAX: Final = 1 << 20
IDLE_MAX_S: Final = 3.0  # servers close idle connections; ours after 5 s
# The server has judged the body: it will say the same again. All else may be put right (a token, an
# address, a proxy, a full disk), so nothing is given up for it.
FINAL: Final = frozenset({400, 411, 413, 415, 422, 431})

log = logging.getLogger(__name__)


class NotSent(TrilensError):
    """The server does not have this request."""


class OutcomeUnknown(TrilensError):
    """The whole request went out and no answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    retry_after_s: float

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """There is no sense in sending the same again."""
        return self.is_success or self.status in FINAL


class Backoff:
    """Pauses that double from `first_s` to `max_s`, each up to a fifth shorter or longer."""

    def __init__(self, first_s: float = 0.25, max_s: float = 15.0) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._next_s = first_s

    def pause_s(self, at_least_s: float = 0.0) -> float:
        pause_s = max(at_least_s, self._next_s * random.uniform(0.8, 1.2))  # noqa: S311
        self._next_s = min(self._max_s, self._next_s * 2)
        return min(pause_s, 2 * self._max_s)

    def reset(self) -> None:
        self._next_s = self._first_s


class Sender:
    """One kept connection to `base_url`. Belongs to one thread."""

    def __init__(self, base_url: str, headers: dict[str, str], timeout_s: float = 30.0) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{base_url!r} is not an http or https address")
        self._prefix = url.path.rstrip("/")
        self._headers = {**headers, SELF_HEADER: "1"}
        self._connection = _connection(url.scheme, url.hostname, url.port, timeout_s)
        self._used_at_s = 0.0

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """One request. Raises NotSent or OutcomeUnknown; any status is an answer."""
        try:
            self._fresh()
            self._connection.request(
                "POST", self._prefix + path, body, {**self._headers, **headers}
            )
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NotSent(f"{path}: {error}") from error
        try:
            response = self._connection.getresponse()
            answer = response.read(ANSWER_BYTES_MAX)
            if not response.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OutcomeUnknown(f"{path}: {error!r}") from error
        self._used_at_s = time.monotonic()
        return Answer(response.status, answer, _seconds(response.headers.get("Retry-After")))

    def close(self) -> None:
        self._connection.close()

    def _fresh(self) -> None:
        """Leave a connection that the server has closed or is about to close."""
        sock = self._connection.sock
        if sock is None:
            return
        is_idle = time.monotonic() - self._used_at_s > IDLE_MAX_S
        readable = select.poll()  # select() cannot take a descriptor above 1023
        readable.register(sock, select.POLLIN)
        if is_idle or readable.poll(0):
            self.close()


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _seconds(retry_after: str | None) -> float:
    """Retry-After in its form of seconds; a date is rare and counts as none."""
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """One body on its way. `source` labels what is counted about it."""

    source: str
    path: str
    headers: dict[str, str]
    body: bytes
    records: int


class Outbox:
    """Parcels in order, sent by one thread, tried again until the server has them.

    Holds at most `bytes_max`: then the oldest are dropped, counted and said once in the log. A
    parcel whose outcome is unknown is sent again: a sample twice at the same time with the
    same value answers every query alike.
    """

    def __init__(
        self,
        sender: Sender,
        measures: Measures,
        bytes_max: int = OUTBOX_BYTES_MAX,
        clock: Clock | None = None,
    ) -> None:
        self._sender = sender
        self._clock = clock or SystemClock()
        self._measures = measures
        self._bytes_max = bytes_max
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._deadline_s: float | None = None
        self._backoff = Backoff()
        self._is_failing = False
        self.last_error = ""
        self.sent_at_ns: dict[str, int] = {}  # by source, the last success
        self._thread = threading.Thread(target=self._run, name="watch-outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, parcel: Parcel) -> None:
        """Never blocks."""
        with self._changed:
            self._parcels.append(parcel)
            self._bytes += len(parcel.body)
            while self._bytes > self._bytes_max and len(self._parcels) > 1:
                self._drop(self._take(1), "outbox_full")  # the first one may be on its way
            self._changed.notify_all()

    def stop(self, within_s: float) -> None:
        """Send what is waiting if that goes within the time; the rest is counted as dropped."""
        with self._changed:
            self._deadline_s = time.monotonic() + within_s
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(within_s)
        with self._changed:  # a parcel still on its way then is the thread's to count
            while len(self._parcels) > self._thread.is_alive():
                self._drop(self._take(-1), "stopped")

    def _take(self, position: int = 0) -> Parcel:
        parcel = self._parcels[position]
        del self._parcels[position]
        self._bytes -= len(parcel.body)
        return parcel

    def _drop(self, parcel: Parcel, reason: str) -> None:
        dropped = "trilens_agent_dropped_total"
        if not self._measures.value(dropped, parcel.source, reason):
            log.warning("records of this machine were dropped: %s, %s", parcel.source, reason)
        self._measures.count(dropped, parcel.source, reason, by=parcel.records)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._parcels and self._deadline_s is None:
                    self._changed.wait()
                if self._is_over():
                    self._sender.close()
                    return
                parcel = self._parcels[0]
            pause_s = self._attempt(parcel)
            with self._changed:
                if pause_s is None:
                    self._take()
                elif self._deadline_s is None:
                    self._changed.wait_for(lambda: self._deadline_s is not None, pause_s)

    def _is_over(self) -> bool:
        if self._deadline_s is None:
            return False
        return not self._parcels or self._is_failing or time.monotonic() > self._deadline_s

    def _attempt(self, parcel: Parcel) -> float | None:
        """None when there is nothing left to do, else the pause before the next try."""
        try:
            answer = self._sender.post(parcel.path, parcel.body, parcel.headers)
        except (NotSent, OutcomeUnknown) as error:
            return self._failed(parcel, str(error), 0.0)
        except Exception:
            log.exception("sending %s failed for a reason of our own", parcel.source)
            self._measures.count("trilens_agent_failures_total", "outbox")
            self._drop(parcel, "failed")
            return None
        if not answer.is_final:
            return self._failed(parcel, f"status {answer.status}", answer.retry_after_s)
        if answer.is_success:
            self._succeeded(parcel)
        else:
            self.last_error = f"{parcel.path}: status {answer.status}"
            log.error("the server refuses %s: status %d", parcel.source, answer.status)
            self._drop(parcel, "refused")
        return None

    def _succeeded(self, parcel: Parcel) -> None:
        count_sent(self._measures, parcel.source, parcel.records, len(parcel.body))
        self._backoff.reset()
        self.sent_at_ns[parcel.source] = self._clock.now_ns()
        if self._is_failing:
            log.info("sending to the server works again")
        self._is_failing, self.last_error = False, ""

    def _failed(self, parcel: Parcel, reason: str, retry_after_s: float) -> float:
        self._measures.count("trilens_agent_retries_total", parcel.source)
        if not self._is_failing:
            log.warning("sending %s fails, trying again: %s", parcel.source, reason)
        self._is_failing, self.last_error = True, reason
        return self._backoff.pause_s(retry_after_s)


def count_sent(measures: Measures, source: str, records: int, size_bytes: int) -> None:
    measures.count("trilens_agent_sent_records_total", source, by=records)
    measures.count("trilens_agent_sent_bytes_total", source, by=size_bytes)
