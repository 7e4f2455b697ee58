"""Log batches, each once, also when this process or the connection dies in between.

    1  the checkpoint says: `acknowledged` up to here, and `in_flight`: this batch, up to there
    2  the batch is sent
    3  the answer is success: `acknowledged` becomes `there`, written with the next batch or now

A batch that the checkpoint shows in flight after a restart, or that went out and got no answer,
may be in the store or not. Then the server is asked. Rows become visible a moment after their
acknowledgement, in the order of their arrival, so the question begins with a record of its own
(the fence): once the fence is visible, so is all that was acknowledged before it.

What is left: the server cannot be asked (CHECK_MAX_S passes, or it refuses SQL). Then the batch
is sent again and counted in trilens_agent_unchecked_total.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from trilens.agent.log_records import (
    HEADERS,
    PATH,
    LogBatch,
    observed_field,
    packed,
    record,
    resource_logs,
    severity_field,
)
from trilens.agent.send import Answer, Backoff, NotSent, OutcomeUnknown, Sender, count_sent
from trilens.clock import Clock
from trilens.measures import Measures

CHECK_MAX_S: Final = 600.0
_ASK: Final = """SELECT countIf(observed_at = fromUnixTimestamp64Nano({batch})),
       countIf(observed_at = fromUnixTimestamp64Nano({fence}))
FROM logs
WHERE timestamp >= fromUnixTimestamp64Nano({first}) AND timestamp <= fromUnixTimestamp64Nano({last})
  AND observed_at IN (fromUnixTimestamp64Nano({batch}), fromUnixTimestamp64Nano({fence}))
  AND resource['host.name'] = '{host}'"""

log = logging.getLogger(__name__)


class Checkpoint:
    """Progress on disk: one JSON object, replaced as a whole and synced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.acknowledged: Any = None
        self.in_flight: dict[str, Any] | None = None
        self.is_first_start = True

    def load(self) -> None:
        """What the file says. A damaged file counts as none, and is said in the log."""
        try:
            self.acknowledged, self.in_flight = _progress(self._path.read_bytes())
            self.is_first_start = False
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read, starting anew: %s", self._path, error)

    def store(self, acknowledged: Any, in_flight: dict[str, Any] | None) -> None:
        """Returns when a loss of power could not undo it. Raises OSError."""
        state = {"version": 1, "acknowledged": acknowledged, "in_flight": in_flight}
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(orjson.dumps(state))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        # Without this the old file could come back, and with it a batch that has arrived.
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.acknowledged, self.in_flight = acknowledged, in_flight


def _progress(text: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    state = orjson.loads(text)
    acknowledged, in_flight = state["acknowledged"], state["in_flight"]
    if state["version"] != 1 or not isinstance(acknowledged, dict):
        raise ValueError("it is not a checkpoint")
    return acknowledged, in_flight


@dataclass(frozen=True, slots=True)
class Question:
    """What identifies a batch in the store."""

    observed_ns: int
    first_ns: int
    last_ns: int


class LogDelivery:
    """One batch at a time from one source. Never blocks longer than one request."""

    def __init__(
        self, source: str, sender: Sender, *, host: str, clock: Clock, measures: Measures
    ) -> None:
        self._source = source
        self._sender = sender
        self._host = host
        self._clock = clock
        self._measures = measures
        self._backoff = Backoff()
        self._due_ns = 0
        self._last_observed_ns = 0
        self._batch: LogBatch | None = None
        self._check: _Check | None = None
        self._is_failing = False
        self.last_error = ""
        self.sent_at_ns = 0

    def next_observed_ns(self) -> int:
        """An observed time that no earlier batch has, also when the clock is set back."""
        self._last_observed_ns = max(self._clock.now_ns(), self._last_observed_ns + 1)
        return self._last_observed_ns

    def begin(self, batch: LogBatch) -> dict[str, Any]:
        """Take a batch; the caller stores the returned mark as in flight, then attempts."""
        self._batch, self._check, self._due_ns = batch, None, 0
        return asdict(Question(batch.observed_ns, batch.first_ns, batch.last_ns))

    def resume(self, mark: dict[str, Any]) -> None:
        """A mark found in the checkpoint: the next attempts find out if it was stored."""
        question = Question(mark["observed_ns"], mark["first_ns"], mark["last_ns"])
        self._last_observed_ns = max(self._last_observed_ns, question.observed_ns)
        self._batch, self._due_ns = None, 0
        self._check = _Check(question)

    def attempt(self) -> Literal["stored", "missing", "refused", "later"]:
        """Go on with the batch or the question, if its pause is over.

        "stored" once the server has it; "refused" when it will never take it (counted);
        "missing" only after `resume`: it is not there, so read it again.
        """
        if self._clock.monotonic_ns() < self._due_ns:
            return "later"
        try:
            return self._checked() if self._check else self._sent()
        except NotSent as error:
            return self._later(str(error))
        except OutcomeUnknown as error:
            if self._check is None and self._batch is not None:
                batch = self._batch
                question = Question(batch.observed_ns, batch.first_ns, batch.last_ns)
                self._check = _Check(question)
            return self._later(str(error))

    def close(self) -> None:
        self._sender.close()

    def _sent(self) -> Literal["stored", "refused", "later"]:
        batch = self._batch
        if batch is None:
            raise ValueError("there is no batch to send")
        answer = self._sender.post(PATH, batch.body, HEADERS)
        if not answer.is_final:
            return self._later(f"status {answer.status}", answer.retry_after_s)
        self._settled()
        if answer.is_success:
            self._count(batch)
            return "stored"
        self.last_error = f"status {answer.status}"
        log.error("the server refuses a batch of %s: status %d", self._source, answer.status)
        dropped = "trilens_agent_dropped_total"
        self._measures.count(dropped, self._source, "refused", by=batch.records)
        return "refused"

    def _checked(self) -> Literal["stored", "missing", "later"]:
        check = self._check
        if check is None:
            raise ValueError("there is no question to ask")
        outcome = self._asked(check)
        if outcome == "unknown":
            waited_ns = self._clock.monotonic_ns() - check.began_ns if check.fence_ns else 0
            if waited_ns < CHECK_MAX_S * 1e9:
                return self._later("waiting to see if a batch was stored")
            outcome = "cannot be asked"
        batch, self._check = self._batch, None
        if outcome == "stored":
            self._settled()
            if batch is not None:
                self._count(batch)
            return "stored"
        if outcome == "cannot be asked":
            self._measures.count("trilens_agent_unchecked_total", self._source)
            log.warning("a batch of %s is sent again unchecked: it may double", self._source)
        return "missing" if batch is None else "later"

    def _asked(self, check: _Check) -> Literal["stored", "missing", "unknown", "cannot be asked"]:
        if not check.fence_ns:
            fence_ns = self.next_observed_ns()
            answer = self._sender.post(PATH, _fence(fence_ns, self._host), HEADERS)
            if not answer.is_success:
                return "cannot be asked" if answer.is_final else "unknown"
            check.fence_ns, check.began_ns = fence_ns, self._clock.monotonic_ns()
        sql = _question(check.question, check.fence_ns, self._host)
        answer = self._sender.post("/api/sql?format=TabSeparated", sql.encode(), _SQL_HEADERS)
        if not answer.is_success:
            return "unknown" if answer.status in _ASKED_AGAIN else "cannot be asked"
        counts = _counts(answer)
        if counts is None:
            return "cannot be asked"
        if counts[0]:
            return "stored"
        check.times_fence_seen += bool(counts[1])
        # A load of several partitions becomes visible one partition after the other.
        return "missing" if check.times_fence_seen >= 2 else "unknown"

    def _count(self, batch: LogBatch) -> None:
        count_sent(self._measures, self._source, batch.records, len(batch.body))
        self.sent_at_ns = self._clock.now_ns()

    def _settled(self) -> None:
        self._backoff.reset()
        if self._is_failing:
            log.info("delivery of %s works again", self._source)
        self._is_failing, self.last_error = False, ""

    def _later(self, reason: str, retry_after_s: float = 0.0) -> Literal["later"]:
        self._measures.count("trilens_agent_retries_total", self._source)
        if not self._is_failing:
            log.warning("delivery of %s has to wait: %s", self._source, reason)
        self._is_failing, self.last_error = True, reason
        pause_ns = int(self._backoff.pause_s(retry_after_s) * 1e9)
        self._due_ns = self._clock.monotonic_ns() + pause_ns
        return "later"


@dataclass(slots=True)
class _Check:
    """`began_ns` is when the fence was acknowledged: a server that is away does not count."""

    question: Question
    began_ns: int = 0
    fence_ns: int = 0
    times_fence_seen: int = 0


_ASKED_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_SQL_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8"}


def _fence(at_ns: int, host: str) -> bytes:
    fields = severity_field(9, b"INFO") + observed_field(at_ns)
    body = b"delivery was interrupted: asking what had arrived"
    resource = {"service.name": "trilens", "host.name": host}
    return packed([resource_logs(resource, "trilens.agent", [record(at_ns, fields, body)])])


def _question(question: Question, fence_ns: int, host: str) -> str:
    return _ASK.format(
        batch=question.observed_ns,
        fence=fence_ns,
        first=min(question.first_ns, fence_ns),
        last=max(question.last_ns, fence_ns),
        host=host.replace("\\", "\\\\").replace("'", "\\'"),
    )


def _counts(answer: Answer) -> tuple[int, int] | None:
    try:
        stored, fence = map(int, answer.body.split())
    except ValueError:
        return None
    return stored, fence
