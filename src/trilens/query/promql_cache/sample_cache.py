"""Metrics that are asked for, held in memory: a question about them needs no statement.

    asked for, not there     the engine answers, and the metric is fetched meanwhile
    asked for, there         what has been loaded since is fetched first, for all metrics that are
                             there, in one statement; where nothing has, none is asked
    asked for just now       what is loaded is fetched at once, so that nobody waits for it
    not asked for a while    fetched once a minute: whoever is called at night finds it there
    not asked for a day      forgotten; as is what was asked for the longest ago where room is short
    rows were removed        all are forgotten

docs/decisions/0011 says why, and what that costs.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from trilens.clock import Clock, SystemClock
from trilens.errors import Refused
from trilens.query.ask import Asker, AskLimits
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.filling import (
    LATEST_MS,
    ROWS_MAX,
    NoRoomError,
    UnfitError,
    are_being_removed,
    filled,
)
from trilens.query.promql_cache.refreshing import refreshed, tidied
from trilens.query.promql_cache.series_table import Matchers
from trilens.query.promql_store.series import metric_is
from trilens.store.engine import Engine
from trilens.store.sample_changes import Mark, SampleChanges

# One metric may fill this share.
_SHARE_OF_ONE: Final = 0.75
# What has been loaded since is fetched for all of them, at each batch.
_METRICS_MAX: Final = 1_000
# More is fetched than was asked for, so that a little more is there too.
_MORE_MS: Final = 900_000
_FORGET_S: Final = 86_400.0
_REFRESH_S: Final = 60.0
# For so long after a question about any metric nobody is to wait for what is loaded.
_FOLLOW_S: Final = 60.0
# A question waits so long for what another one fetches, and looks up so often.
_WAIT_S: Final = 5.0
_LOOK_UP_S: Final = 0.1
_UNFIT_S: Final = 300.0
_UNFIT_MAX: Final = 10_000
_WANTED_MAX: Final = 1_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Use:
    """How a metric is asked for: when last, and how far back on this day and the one before."""

    asked_s: float
    begun_s: float
    span_ms: int
    before_ms: int = 0

    def note(self, span_ms: int, now_s: float) -> None:
        if now_s - self.begun_s > _FORGET_S:
            self.before_ms, self.span_ms, self.begun_s = self.span_ms, 0, now_s
        self.asked_s = now_s
        self.span_ms = max(self.span_ms, span_ms)


@dataclass(slots=True)
class SampleCache:
    """`changes` is of the one program that writes to the engine. Thread-safe.

    close() must be called; what it fetches in the background ends with it.
    """

    engine: Engine
    changes: SampleChanges
    size_bytes_max: int
    clock: Clock = field(default_factory=SystemClock)
    limits: AskLimits = field(default_factory=lambda: AskLimits(60.0, 256 << 20, ROWS_MAX + 1))
    _held: OrderedDict[str, CachedMetric] = field(default_factory=OrderedDict)
    _uses: dict[str, _Use] = field(default_factory=dict)
    _unfit: dict[str, tuple[float, int]] = field(default_factory=dict)
    _wanted: OrderedDict[str, int] = field(default_factory=OrderedDict)  # after_ms
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _refreshing: threading.Lock = field(default_factory=threading.Lock)
    _has_work: threading.Condition = field(init=False)
    _is_idle: threading.Condition = field(init=False)
    _worker: threading.Thread | None = None
    _running: Asker | None = None
    _has_news: bool = False
    _asked_s: float = -math.inf
    _is_closed: bool = False

    def __post_init__(self) -> None:
        self._has_work = threading.Condition(self._lock)
        self._is_idle = threading.Condition(self._lock)
        self.changes.tell(self._note_loaded)

    def get(self, matchers: Matchers, start_ms: int, ask: Asker) -> CachedMetric | None:
        """The metric that matchers name, if all its samples after `start_ms` are there.

        None also where what has been loaded since cannot be fetched, or another one takes too long
        to: then the engine answers, or says why not. Raises WouldAskError.
        """
        metric = metric_is(matchers)
        if not metric:
            return None
        held = self._usable(metric, start_ms)
        if held is None:
            self._want(metric, start_ms)
            return None
        if self.changes.since(held.mark):
            ask.foresee()
            held = self._usable(metric, start_ms) if self._is_refreshed(ask) else None
        return held

    def _is_refreshed(self, ask: Asker) -> bool:
        began_s = self._now_s()
        while not self._refreshing.acquire(timeout=_LOOK_UP_S):
            if ask.is_stopped or self._now_s() - began_s > _WAIT_S:
                return False
        try:
            self._refresh(ask)
        except Refused:
            return False
        finally:
            self._refreshing.release()
        return True

    def size_bytes(self) -> int:
        with self._lock:
            return sum(one.size_bytes for one in self._held.values())

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._has_work.notify_all()
            worker, running = self._worker, self._running
        if running is not None:
            running.stop()
        if worker is not None:
            worker.join()

    def wait_filled(self, within_s: float) -> bool:
        """Returns whether everything that was asked for has been fetched, or was not fit."""
        with self._lock:
            return self._is_idle.wait_for(
                lambda: not self._wanted and self._running is None, within_s
            )

    def _usable(self, metric: str, start_ms: int) -> CachedMetric | None:
        now_s = self._now_s()
        with self._lock:
            held = self._held.get(metric)
            if held is None:
                return None
            if self.changes.since(held.mark) is None:
                self._forget(metric)
                return None
            self._uses[metric].note(self._now_ms() - start_ms, now_s)
            self._asked_s = now_s
            self._held.move_to_end(metric)
        return held if held.after_ms <= start_ms else None

    def _now_s(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    def _now_ms(self) -> int:
        return self.clock.now_ns() // 1_000_000

    def _forget(self, metric: str) -> None:
        self._held.pop(metric, None)
        self._uses.pop(metric, None)

    # --- what has been loaded since

    def _refresh(self, ask: Asker) -> None:
        """For one at a time. Raises Refused."""
        self._forget_unused()
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        mark = self.changes.mark()
        oldest = min((one.mark for one in held), key=lambda mark: (mark.rewrites, mark.batches))
        batches = self.changes.since(oldest)
        if batches is None:  # where some do not count any more, others will be fetched again
            self._put([], held)
            return
        if not batches:
            return  # another one has just done it
        try:
            fresh = refreshed(held, batches, mark, ask)
            tidy = [tidied(one, self._needed_ms(one.series.metric)) for one in fresh]
        except Refused:
            raise
        except (UnfitError, MemoryError):
            tidy = []
        except Exception:  # noqa: BLE001 - all of it is fetched again
            _log.exception("what is held is forgotten")
            tidy = []
        self._put(tidy, held)

    def _needed_ms(self, metric: str) -> int:
        with self._lock:
            use = self._uses.get(metric)
            if use is None:
                return -LATEST_MS
            return self._now_ms() - max(use.span_ms, use.before_ms) - _MORE_MS

    def _put(self, fresh: list[CachedMetric], before: list[CachedMetric]) -> None:
        """Instead of those before, unless they have been replaced meanwhile."""
        now = {one.series.metric: one for one in fresh}
        with self._lock:
            for one in before:
                metric = one.series.metric
                if self._held.get(metric) is not one:
                    continue
                if metric in now:
                    self._held[metric] = now[metric]
                else:
                    self._forget(metric)
            self._make_room()

    def _forget_unused(self) -> None:
        now_s = self._now_s()
        with self._lock:
            for metric in [
                name for name, use in self._uses.items() if now_s - use.asked_s > _FORGET_S
            ]:
                self._forget(metric)

    def _make_room(self) -> None:
        size_bytes = sum(one.size_bytes for one in self._held.values())
        while self._held and (size_bytes > self.size_bytes_max or len(self._held) > _METRICS_MAX):
            metric, oldest = next(iter(self._held.items()))
            size_bytes -= oldest.size_bytes
            self._forget(metric)

    # --- metrics that are not there

    def _want(self, metric: str, start_ms: int) -> None:
        after_ms = start_ms - _MORE_MS
        with self._lock:
            until_s, unfit_ms = self._unfit.get(metric, (0.0, 0))
            is_unfit = self._now_s() < until_s and after_ms <= unfit_ms
            if self._is_closed or is_unfit or len(self._wanted) >= _WANTED_MAX:
                return
            self._wanted[metric] = min(after_ms, self._wanted.get(metric, after_ms))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="promql-cache", daemon=True)
                self._worker.start()
            self._has_work.notify_all()

    def _note_loaded(self) -> None:
        with self._lock:
            if self._held and self._now_s() - self._asked_s < _FOLLOW_S:
                self._has_news = True
                self._has_work.notify_all()

    def _work(self) -> None:
        """In turn what is new and what is wanted: neither waits for the other for ever."""
        was_refresh = False
        while True:
            with self._lock:
                if not (self._wanted or self._has_news or self._is_closed):
                    self._has_work.wait(_REFRESH_S)
                if self._is_closed:
                    return
                is_wanted = bool(self._wanted) and (was_refresh or not self._has_news)
                wanted = self._wanted.popitem(last=False) if is_wanted else None
                self._has_news = self._has_news and is_wanted
                was_refresh = not is_wanted
                ask = self._running = Asker(self.engine, self.limits)
            try:
                if wanted is None:
                    with self._refreshing:
                        self._refresh(ask)
                else:
                    self._fill(*wanted, ask)
            except Refused as refused:
                _log.info("nothing is fetched", extra={"reason": refused.message[:200]})
            except Exception:  # noqa: BLE001 - whoever asks is answered by the engine
                _log.exception("nothing is fetched")
            finally:
                with self._lock:
                    self._running = None
                    self._is_idle.notify_all()

    def _fill(self, metric: str, after_ms: int, ask: Asker) -> None:
        mark = self.changes.mark()
        try:
            self._settle(mark, ask)
            one = filled(metric, after_ms, mark, ask, self._room_bytes(metric))
        except (NoRoomError, MemoryError):
            self._is_unfit(metric, after_ms)
            return
        except UnfitError:
            self._is_unfit(metric, LATEST_MS)
            return
        except Refused as refused:
            if refused.code not in {"overloaded", "engine_unavailable"}:
                self._is_unfit(metric, after_ms)
            raise
        except Exception:
            self._is_unfit(metric, LATEST_MS)
            raise
        now_s, span_ms = self._now_s(), self._now_ms() - after_ms - _MORE_MS
        with self._lock:
            self._held[metric] = one
            self._held.move_to_end(metric)
            self._uses[metric] = _Use(now_s, now_s, span_ms)
            self._make_room()

    def _settle(self, mark: Mark, ask: Asker) -> None:
        """Raises UnfitError while rows may go of which nobody tells."""
        if not self.changes.are_in_doubt:
            return
        if are_being_removed(ask):
            raise UnfitError
        self.changes.settled(mark)

    def _room_bytes(self, metric: str) -> int:
        """What others leave that have been asked for just now: they do not push each other out."""
        now_s = self._now_s()
        with self._lock:
            taken_bytes = [
                one.size_bytes
                for name, one in self._held.items()
                if name != metric and now_s - self._uses[name].asked_s < _UNFIT_S
            ]
        if len(taken_bytes) >= _METRICS_MAX:
            return -1
        return min(int(_SHARE_OF_ONE * self.size_bytes_max), self.size_bytes_max - sum(taken_bytes))

    def _is_unfit(self, metric: str, after_ms: int) -> None:
        """For a while it is not wanted from `after_ms` on, or from earlier."""
        with self._lock:
            if len(self._unfit) >= _UNFIT_MAX:
                self._unfit.clear()
            self._unfit[metric] = self._now_s() + _UNFIT_S, after_ms
