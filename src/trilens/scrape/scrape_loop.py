"""One target, scraped again and again: fetch, read, report, write.

When        at the same moment of each interval (Target.wait_ns). A scrape is stamped with the
            moment at which it was due, if it begins within 1 % of the interval (at most 2 ms)
A body      of more than INLINE_BYTES is read in another thread, so that it holds up nobody; of
            RELABELLED_BYTES where new series are relabelled one by one, which ends with the timeout
Failed      up is 0, all series that were there get markers of staleness
Gone        the markers come when two more turns would have passed, unless the target is back then
Written     one WriteRequest a scrape. While `write` refuses, it is tried again until the next turn;
            what cannot be written then is lost, and counted
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Literal

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.scrape.exposition import Exposition, Format, Scraped, Scratch
from trilens.scrape.failure_log import FailureLog
from trilens.scrape.fetch import BodyTooLarge, Budget, Fetched, Fetcher, ScrapeFailed
from trilens.scrape.report import Report
from trilens.scrape.target import Target

TOLERANCE_NS: Final = 2_000_000
INLINE_BYTES: Final = 1 << 20
RELABELLED_BYTES: Final = 1 << 13
WRITE_BYTES_MAX: Final = 4 << 20
METADATA_SCRAPES: Final = 100  # after so many all metadata is written again
_RETRY_S: Final = 0.5
_FOR_NOW: Final = ("overloaded", "spool_full", "timeout", "engine_unavailable")
_log: Final = logging.getLogger("trilens.scrape")
_NAME: Final = r"[!#$%&'*+.^_`|~\w-]++"
# Possessive, so that a long header that is none costs no more than its length.
_CONTENT_TYPE: Final = re.compile(
    rf"\s*+({_NAME}(?:/{_NAME})?+)\s*+"
    rf'(?:;\s*+{_NAME}\s*+=\s*+(?:{_NAME}|"(?:[^"\\]|\\.)*+")\s*+)*+;?\s*+',
    re.ASCII,
)
_MEDIA: Final[dict[str, Format]] = {
    "text/plain": "text",
    "application/openmetrics-text": "openmetrics",
    "application/vnd.google.protobuf": "protobuf",
}
_OF_PROTOCOL: Final[dict[str, Format]] = {
    "PrometheusProto": "protobuf",
    "PrometheusText0.0.4": "text",
    "PrometheusText1.0.0": "text",
    "OpenMetricsText0.0.1": "openmetrics",
    "OpenMetricsText1.0.0": "openmetrics",
}
Write = Callable[[bytes], Awaitable[None]]
Health = Literal["unknown", "up", "down"]


@dataclass(slots=True)
class State:
    """What is known of a target; the loop's thread writes it, others read."""

    health: Health = "unknown"
    last_error: str = ""
    last_scrape_ns: int = 0
    last_duration_s: float = 0.0
    scraped: int = 0
    kept: int = 0
    added: int = 0
    body_bytes: int = 0
    scrapes: int = 0
    failures: int = 0
    missed: int = 0
    late_s_max: float = 0.0
    lost_writes: int = 0
    duplicates: int = 0
    out_of_bounds: int = 0


class Shared:
    """What all loops of a thread use."""

    def __init__(
        self, write: Write, clock: Clock, workers: Executor, budget: Budget, failures: FailureLog
    ) -> None:
        self.write = write
        self.budget = budget
        self.clock = clock
        self.workers = workers
        self.failures = failures
        self.scratch = Scratch()


class ScrapeLoop:
    """For one event loop. `why_not` is set where a target may not be scraped: target_limit."""

    def __init__(
        self,
        target: Target,
        exposition: Exposition,
        fetcher: Fetcher | ScrapeFailed,
        shared: Shared,
    ) -> None:
        self.target = target
        self.exposition = exposition
        self.state = State()
        self.why_not = ""
        self._fetcher = fetcher
        self._shared = shared
        self._report = Report(target.shown_labels, has_extra=target.job.extra_metrics)
        self._has_reported = False

    async def run(self, seed: int) -> None:
        """Until it is cancelled."""
        clock = self._shared.clock
        interval_ns = self.target.interval_ms * 1_000_000
        wait_ns = self.target.wait_ns(clock.now_ns(), seed)
        due_ns, due_wall_ns = clock.monotonic_ns() + wait_ns, clock.now_ns() + wait_ns
        while True:
            await asyncio.sleep(max(0, due_ns - clock.monotonic_ns()) / 1e9)
            late_ns = clock.monotonic_ns() - due_ns
            self.state.late_s_max = max(self.state.late_s_max, late_ns / 1e9)
            now_ns = clock.now_ns()
            if abs(now_ns - due_wall_ns) > interval_ns:
                due_wall_ns = now_ns  # the wall clock was set
            tolerance_ns = min(interval_ns // 100, TOLERANCE_NS)
            is_in_time = 0 <= now_ns - due_wall_ns <= tolerance_ns
            await self._scrape_safely(due_wall_ns if is_in_time else now_ns, due_ns + interval_ns)
            passed = max(1, (clock.monotonic_ns() - due_ns) // interval_ns)
            self.state.missed += passed - 1
            due_ns += passed * interval_ns
            due_wall_ns += passed * interval_ns

    async def _scrape_safely(self, at_ns: int, write_until_ns: int) -> None:
        """A fault of ours costs one scrape, not the target."""
        try:
            await self.scrape(at_ns, write_until_ns)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the next one may go well
            _log.exception("a scrape failed by a fault of ours", extra={"url": self.target.url})
            self.state.health = "down"
            self.state.last_error = f"internal: {type(fault).__name__}: {fault}"
            self.state.last_scrape_ns = at_ns
            self.state.failures += 1

    async def scrape(self, at_ns: int, write_until_ns: int = 0) -> None:
        """Once. `write_until_ns` is monotonic: until then a refused write is tried again."""
        clock, state = self._shared.clock, self.state
        began_ns = clock.monotonic_ns()
        time_ms = at_ns // 1_000_000
        error, size_bytes = "", 0
        fetched: Fetched | None = None
        scraped: Scraped | None = None
        try:
            fetched = await self._fetch()
            size_bytes = len(fetched.body)
            scraped = await self._read(fetched, time_ms)
            error = scraped.error or ""
        except BodyTooLarge as failure:
            error, size_bytes = str(failure), -1
        except ScrapeFailed as failure:
            error = str(failure)
        finally:
            if fetched is not None:
                fetched.release()
                fetched = None
        if scraped is None:
            scraped = Scraped(self.exposition.end(time_ms, self._shared.scratch), 0, 0, 0)
        took_s = (clock.monotonic_ns() - began_ns) / 1e9
        self._note(scraped, error, at_ns, took_s, size_bytes)
        values = (
            0.0 if error else 1.0, took_s, scraped.scraped, scraped.kept, scraped.added,
            self.target.timeout_ms / 1000, self.target.job.limits.samples, size_bytes,
        )  # fmt: skip
        self._has_reported = True
        state.scrapes += 1
        self._shared.budget.charge(len(scraped.body))
        try:
            report = self._report.body(values, time_ms)
            await self._write([*split(scraped.body), report], write_until_ns)
        finally:
            self._shared.budget.release(len(scraped.body))

    async def end(self, at_ns: int) -> None:
        """Markers of staleness for all series of a target that is gone."""
        time_ms = at_ns // 1_000_000
        body = self.exposition.end(time_ms, self._shared.scratch)
        parts = split(body)
        if self._has_reported:
            parts.append(self._report.end(time_ms))
        await self._write(parts, 0)

    async def close(self) -> None:
        if isinstance(self._fetcher, Fetcher):
            await self._fetcher.close()

    async def _fetch(self) -> Fetched:
        if isinstance(self._fetcher, ScrapeFailed):
            raise self._fetcher
        if self.why_not:
            raise ScrapeFailed(self.why_not)
        return await self._fetcher.get(self.target.timeout_ms / 1000)

    async def _read(self, fetched: Fetched, time_ms: int) -> Scraped:
        form = format_of(fetched.content_type, self.target.job.fallback_protocol)
        everything = self.state.scrapes % METADATA_SCRAPES == METADATA_SCRAPES - 1
        most = RELABELLED_BYTES if self.target.job.metric_relabel else INLINE_BYTES
        if len(fetched.body) <= most:
            return self._read_now(fetched.body, form, time_ms, self._shared.scratch, everything)
        loop = asyncio.get_running_loop()
        # Should this be cancelled, the thread goes on; the exposition is locked while it does.
        return await asyncio.shield(
            loop.run_in_executor(
                self._shared.workers, self._read_now, fetched.body, form, time_ms, Scratch(),
                everything,
            )
        )  # fmt: skip

    def _read_now(
        self, body: bytes, form: Format, time_ms: int, scratch: Scratch, everything: bool
    ) -> Scraped:
        return self.exposition.read(
            body, form, time_ms, scratch, all_metadata=everything,
            relabels_s_max=self.target.timeout_ms / 1000,
        )  # fmt: skip

    def _note(
        self, scraped: Scraped, error: str, at_ns: int, took_s: float, size_bytes: int
    ) -> None:
        state = self.state
        state.health = "down" if error else "up"
        state.last_error = error
        state.last_scrape_ns = at_ns
        state.last_duration_s = took_s
        state.scraped, state.kept, state.added = scraped.scraped, scraped.kept, scraped.added
        state.body_bytes = size_bytes
        state.failures += bool(error)
        state.duplicates += scraped.duplicates
        state.out_of_bounds += scraped.out_of_bounds
        job = self.target.job
        if error and job.failure_log is not None:
            self._shared.failures.note(
                job.failure_log, at_ns=at_ns, message=error, job=job.name, target=self.target.url
            )

    async def _write(self, parts: list[bytes], until_ns: int) -> None:
        for body in joined(parts):
            while True:
                try:
                    await self._shared.write(body)
                except Refused as refused:
                    wait_s = refused.retry_after_s or _RETRY_S
                    ends_ns = self._shared.clock.monotonic_ns() + wait_s * 1e9
                    if refused.code in _FOR_NOW and ends_ns < until_ns:
                        await asyncio.sleep(wait_s)
                        continue
                    self.state.lost_writes += 1
                    about = {"url": self.target.url, "reason": refused.message}
                    _log.warning("what was scraped is not written", extra=about)
                break


def split(body: bytes) -> list[bytes]:
    """In parts of some MiB, between fields."""
    if len(body) <= WRITE_BYTES_MAX:
        return [body] if body else []
    parts, start, at = [], 0, 0
    while at < len(body):
        size, shift, at = 0, 0, at + 1
        while True:
            byte = body[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        at += size
        if at - start >= WRITE_BYTES_MAX or at == len(body):
            parts.append(body[start:at])
            start = at
    return parts


def joined(parts: list[bytes]) -> list[bytes]:
    """The last ones together, if they are not large."""
    if len(parts) > 1 and len(parts[-1]) + len(parts[-2]) <= WRITE_BYTES_MAX + (1 << 16):
        parts = [*parts[:-2], parts[-2] + parts[-1]]
    return parts


def format_of(content_type: str, fallback: str) -> Format:
    """Raises ScrapeFailed in Prometheus's words."""
    found = _CONTENT_TYPE.fullmatch(content_type)
    media = found[1].lower() if found else ""
    if media in _MEDIA:
        return _MEDIA[media]
    if fallback:
        return _OF_PROTOCOL[fallback]
    if not content_type:
        raise ScrapeFailed(
            "non-compliant scrape target sending blank Content-Type and no "
            "fallback_scrape_protocol specified for target"
        )
    if found is None:
        raise ScrapeFailed(
            f'cannot parse Content-Type "{content_type}" and no fallback_scrape_protocol for target'
        )
    raise ScrapeFailed(
        f'received unsupported Content-Type "{content_type}" and no '
        "fallback_scrape_protocol specified for target"
    )
