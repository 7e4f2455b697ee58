"""Groups at their times: who is due, reloads, restarts, what leaves.

Evaluations of a group are `interval` apart, at an offset that its file and name decide, so that all
groups together spread over the interval and a restart finds the same moments again. One that takes
longer than that misses the moments in between (counted) and goes on with the newest. A moment is
evaluated when all samples of before are shown: a store that is behind, after a start or under load,
makes alerts late, and does not resolve them.

    evaluate -> notify(notices) -> write(body), each acknowledged

An alert is told before what was recorded is written: a spool that hangs delays none. A reload
takes the state of groups along; series of rules that are no more get stale markers, those of groups
that are no more after two intervals, unless another group gives them by then.

Threads     one that waits for what is due, `workers` that evaluate; a group by one at a time
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import xxhash

from trilens.alert.alert_states import Notice
from trilens.alert.group import Evaluation, Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import RuleGroup
from trilens.alert.write_bodies import STALE, bodies
from trilens.clock import Clock
from trilens.errors import TrilensError
from trilens.measures import Measures
from trilens.query.promql_values.values import Labels

WORKERS: Final = 4
LOOK_UP_S: Final = 0.5  # the wall clock may have jumped
LOOK_AGAIN_S: Final = 0.05  # for what the store does not show yet
BEHIND_MS_MAX: Final = 60_000  # beyond it rules say that they are not evaluated
RESTORED_AFTER: Final = 2  # evaluations

Write = Callable[[bytes], None]
Notify = Callable[[list[Notice]], None]
ShownUntil = Callable[[], int]


@dataclass(slots=True)
class _Slot:
    """A group and when it is due. Guarded by the schedule's lock, but for the group itself."""

    group: Group
    due_ms: int
    is_running: bool = False
    is_over: bool = False
    evaluations: int = 0
    missed: int = 0

    @property
    def needs_ms(self) -> int:
        """Samples of before this moment."""
        return self.due_ms - self.group.offset_ms


@dataclass(slots=True)
class _Burial:
    """Series of a group that is no more."""

    due_ms: int
    ended_at_ms: int
    series: set[Labels] = field(default_factory=set)


class Schedule:
    """All groups of one server.

    `write` gets bodies of remote write 1.0 and returns once they are safe; it may raise
    TrilensError or OSError. `notify` gets what Alertmanagers have to be told; it must not block for
    long, and what it raises is logged. `shown_until_ms` is asked often: the moment before which all
    samples can be queried.
    """

    def __init__(
        self,
        query: InstantQuery,
        *,
        write: Write,
        notify: Notify,
        clock: Clock,
        measures: Measures,
        log: logging.Logger,
        options: Options | None = None,
        shown_until_ms: ShownUntil | None = None,
        workers: int = WORKERS,
    ) -> None:
        self._query = query
        self._shown_until_ms = shown_until_ms or self._now_ms
        self._write = write
        self._notify = notify
        self._clock = clock
        self._measures = measures
        self._log = log
        self._options = options or Options()
        self._slots: dict[str, _Slot] = {}
        self._burials: list[_Burial] = []
        self._changed = threading.Condition()
        self._is_stopping = False
        self._is_first_load = True
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rules")
        self._thread = threading.Thread(target=self._run, name="rules-due", daemon=True)

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Evaluations that run come to their end (queries look at `is_stopping`)."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def groups(self) -> list[Group]:
        """In the order of files and names, as Prometheus's API has them."""
        with self._changed:
            slots = list(self._slots.values())
        return sorted(
            (slot.group for slot in slots),
            key=lambda group: (group.definition.file, group.definition.name),
        )

    def load(self, definitions: Sequence[RuleGroup], options: Options | None = None) -> None:
        """These groups from now on. Waits for evaluations of groups that change.

        Those that are defined as before go on undisturbed, if the options are as before too.
        """
        with self._changed:
            is_same = options is None or options == self._options
            self._options = options or self._options
            wanted = {one.key: one for one in definitions}
            over = [
                slot
                for key, slot in self._slots.items()
                if not is_same or wanted.get(key) != slot.group.definition
            ]
            for slot in over:
                slot.is_over = True
            self._changed.wait_for(lambda: not any(slot.is_running for slot in over))
            before = {slot.group.definition.key: self._slots.pop(slot.group.definition.key)
                      for slot in over}  # fmt: skip
            now_ms = self._now_ms()
            for key, definition in wanted.items():
                if key not in self._slots:
                    self._slots[key] = self._slot(definition, before.pop(key, None), now_ms)
            self._burials += [_burial(slot.group, now_ms) for slot in before.values()]
            self._is_first_load = False
            self._changed.notify_all()

    def _slot(self, definition: RuleGroup, before: _Slot | None, now_ms: int) -> _Slot:
        group = Group(
            definition, self._query, self._clock, self._options,
            is_restored=not self._is_first_load,
        )  # fmt: skip
        slot = _Slot(group, slot_ms(definition.key, group.interval_ms, now_ms) + group.interval_ms)
        if before is not None:
            group.take_over(before.group)
            slot.evaluations = before.evaluations
        return slot

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_stopping:
                    return
                now_ms = self._now_ms()
                is_behind = self._begin_due(now_ms, self._shown_until_ms())
                waiting = [one.due_ms for one in self._slots.values() if not one.is_running]
                next_ms = min([*waiting, *(one.due_ms for one in self._burials)], default=None)
                wait_s = LOOK_UP_S if next_ms is None else (next_ms - now_ms) / 1000
                soonest_s = LOOK_AGAIN_S if is_behind else 0.001
                self._changed.wait(min(max(wait_s, soonest_s), LOOK_UP_S))

    def _begin_due(self, now_ms: int, shown_until_ms: int) -> bool:
        """Whether there is one that has to wait for the store."""
        due_slots = [
            slot for slot in self._slots.values() if slot.due_ms <= now_ms and not slot.is_running
        ]
        behind = [slot for slot in due_slots if slot.needs_ms > shown_until_ms]
        for slot in due_slots:
            if slot.needs_ms <= shown_until_ms:
                slot.is_running = True
                self._pool.submit(self._turn, slot)
        late_ms = now_ms - min((slot.due_ms for slot in behind), default=now_ms)
        self._measures.set("trilens_rules_behind_seconds", to=late_ms / 1000)
        for slot in behind:
            if now_ms - slot.due_ms > BEHIND_MS_MAX:
                slot.group.hold(f"not evaluated: the store is {late_ms // 1000} s behind")
        due = [burial for burial in self._burials if burial.due_ms <= now_ms]
        for burial in due:
            self._burials.remove(burial)
            self._pool.submit(self._bury, burial)
        return bool(behind)

    def _turn(self, slot: _Slot) -> None:
        """One evaluation in a worker; whatever happens the slot is free again."""
        try:
            if not slot.is_over and not self._is_stopping:
                self._evaluate(slot)
        except Exception:  # noqa: BLE001 - whatever it is, the others go on
            self._log.exception("a group of rules cannot be evaluated",
                                extra={"group": slot.group.definition.name})  # fmt: skip
        finally:
            with self._changed:
                slot.due_ms += slot.group.interval_ms
                slot.is_running = False
                self._changed.notify_all()

    def _evaluate(self, slot: _Slot) -> None:
        group = slot.group
        newest_ms = min(self._now_ms(), self._shown_until_ms() + group.offset_ms)
        late = max(0, (newest_ms - slot.due_ms) // group.interval_ms)
        if late:
            slot.missed += late
            self._measures.count("trilens_rule_iterations_missed_total", by=late)
        slot.due_ms += late * group.interval_ms
        evaluation = group.evaluate(slot.due_ms)
        slot.evaluations += 1
        self._count(group, evaluation)
        self._leave(evaluation)
        if slot.evaluations == RESTORED_AFTER:
            group.restore(self._now_ms())

    def _count(self, group: Group, evaluation: Evaluation) -> None:
        well = len(group.rules) - evaluation.failures
        self._measures.count("trilens_rule_evaluations_total", "ok", by=well)
        self._measures.count("trilens_rule_evaluations_total", "err", by=evaluation.failures)
        self._measures.observe("trilens_rule_group_seconds", seconds=group.took_s)
        for fault in evaluation.faults:
            self._log.error("a rule cannot be evaluated", exc_info=fault,
                            extra={"group": group.definition.name})  # fmt: skip

    def _leave(self, evaluation: Evaluation) -> None:
        """What has to be told first, then what was recorded, whatever became of the first."""
        if evaluation.notices:
            try:
                self._notify(evaluation.notices)
            except Exception:  # noqa: BLE001 - it is the receiver's matter
                self._log.exception("alerts are not told")
        try:
            for body in bodies(evaluation.recorded):
                self._write(body)
            evaluation.settle()
        except (TrilensError, OSError) as error:
            evaluation.fail(f"cannot be written: {error}")
            self._log.warning("what rules recorded is not written", extra={"reason": str(error)})

    def _bury(self, burial: _Burial) -> None:
        with self._changed:
            groups = [slot.group for slot in self._slots.values()]
        alive = {labels for group in groups for one in group.rules for labels in one.given}
        dead = sorted(burial.series - alive)
        self._leave(
            Evaluation(
                burial.ended_at_ms,
                recorded=[Recorded(labels, burial.ended_at_ms, STALE) for labels in dead],
            )
        )


def slot_ms(key: str, interval_ms: int, now_ms: int) -> int:
    """The last moment at which a group is due, now or before."""
    offset_ms = xxhash.xxh64_intdigest(key.encode()) % interval_ms
    return (now_ms - offset_ms) // interval_ms * interval_ms + offset_ms


def _burial(group: Group, now_ms: int) -> _Burial:
    series = {labels for running in group.rules for labels in running.given} | group.ended
    return _Burial(now_ms + 2 * group.interval_ms, now_ms - group.offset_ms, series)
