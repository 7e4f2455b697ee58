"""The Alertmanager inside: takes alerts, groups them, and sees to it that people hear of them.

One thread looks what is due and hands attempts to send to a pool; all state is under one lock.
Tests drive `step` with a clock that they set, and an executor that runs at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from trilens.clock import Clock
from trilens.measures import Measures
from trilens.notify import records
from trilens.notify.alerts import ALERTS_MAX, Alert, merged
from trilens.notify.channels.outcome import Outcome, failed
from trilens.notify.clock_steps import ClockSteps
from trilens.notify.config import Config
from trilens.notify.delivery import FLUSH_NS_MIN, Delivery, Flush
from trilens.notify.durations import MINUTE_NS, SECOND_NS
from trilens.notify.groups import Group, TooManyGroups
from trilens.notify.journal import Journal, JournalClosed
from trilens.notify.labels import order_of
from trilens.notify.sent_log import Attempt, SentLog
from trilens.notify.setup import SENDING_MAX, Lane, Setup
from trilens.notify.silences import Silence, Silences
from trilens.notify.standing import Standing
from trilens.notify.wording import Wording

THREADS: Final = 32
# A jump of the wall clock is seen within this time.
NAP_S_MAX: Final = 1.0
TIDY_NS: Final = MINUTE_NS
# A resolved alert that no group needs any more stays this long.
RESOLVED_KEPT_NS: Final = 15 * MINUTE_NS
_log = logging.getLogger("trilens.notify")
Seen = TypeVar("Seen")


class TooManyAlerts(Exception):
    """More than ALERTS_MAX different alerts are active."""


class Notifier:
    """`open`, `start`, ..., `stop`: once each, in this order. Safe for any thread."""

    def __init__(
        self, config: Config, directory: Path, clock: Clock, *, external_url: str,
        executor: Executor | None = None,
        measures: Measures | None = None,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._external_url = external_url.rstrip("/")
        self._journal = Journal(directory / "journal")
        self._measures = measures or Measures()
        self._measures.refresh_with(
            lambda: self._measures.set("trilens_notify_alerts", to=len(self._alerts))
        )
        self._executor = executor or ThreadPoolExecutor(THREADS, thread_name_prefix="notify")
        self._changed = threading.Condition(threading.RLock())
        self._alerts: dict[str, Alert] = {}
        self._silences = Silences()
        self._sent = SentLog(self._journal)
        self._setup = Setup(config)
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._tidied_ns = clock.now_ns()
        self._steps = ClockSteps(clock)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self.started_at_ns = clock.now_ns()

    # --- life

    def open(self) -> None:
        """Takes up what was there before. Raises OSError."""
        now_ns = self._clock.now_ns()
        with self._changed:
            for record in self._journal.open():
                records.restore(record, self._alerts, self._silences, self._sent)
            self._sent.restored(now_ns)
            self._sent.forget(now_ns)
            self._journal.snapshot = lambda: records.of_all(
                self._alerts, self._silences, self._sent
            )
            timeout_ns = self._setup.config.common.resolve_timeout_ns
            for alert in [*self._alerts.values()]:
                # Nobody could say that it still burns while we were away.
                if alert.updated_at_ns < alert.ends_at_ns <= now_ns:
                    later = replace(alert, ends_at_ns=now_ns + timeout_ns, is_timeout=True)
                    self._alerts[alert.fingerprint] = later
            self._setup = Setup(self._setup.config)
            self._fill()
            if self._journal.damaged_lines:
                self._rewrite()

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """What is being sent may come to its end; the rest stays for the next start."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(grace_s)
        with self._changed:
            self._changed.wait_for(lambda: not self._is_sending(), grace_s)
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._journal.close()

    def reload(self, config: Config) -> None:
        """All at once. What is on its way arrives as it was; what waits for another attempt is
        decided anew, since a new file may have been needed for it to arrive.
        """
        with self._changed:
            for delivery in [*self._deliveries.values()]:
                if delivery.is_running:
                    delivery.deadline_ns = 0
                else:
                    self._leave(delivery, is_well=False)
            self._setup = Setup(config)
            self._sent.bind()
            self._fill()
            self._changed.notify_all()

    # --- what comes in

    @property
    def resolve_timeout_ns(self) -> int:
        return self._setup.config.common.resolve_timeout_ns

    def put(self, alerts: Sequence[Alert]) -> None:
        """Returns when they are on disk. Raises TooManyAlerts; OSError, and then they are told
        all the same, but a crash may lose them.
        """
        now_ns = self._clock.now_ns()
        with self._changed:
            new = {alert.fingerprint for alert in alerts} - self._alerts.keys()
            if len(self._alerts) + len(new) > ALERTS_MAX:
                raise TooManyAlerts
            put = [self._take(alert, now_ns) for alert in alerts]
            number = self._journal.write(records.of_alerts(put))
            self._changed.notify_all()
        self._journal.sync(number)

    def put_silence(self, silence: Silence) -> str:
        """Its id, when it is on disk. Raises InvalidSilence, NoSuchSilence, OSError."""
        with self._changed:
            return self._keep(self._silences.put(silence, self._clock.now_ns()))

    def expire_silence(self, silence_id: str) -> None:
        """Raises NoSuchSilence, OSError."""
        with self._changed:
            self._keep(self._silences.expire(silence_id, self._clock.now_ns()))

    # --- what can be seen

    @property
    def config(self) -> Config:
        return self._setup.config

    def silences(self) -> list[Silence]:
        with self._changed:
            return list(self._silences)

    def silence(self, silence_id: str) -> Silence:
        """Raises NoSuchSilence."""
        with self._changed:
            return self._silences.get(silence_id)

    def attempts(self) -> list[Attempt]:
        """Newest first."""
        with self._changed:
            return self._sent.attempts()

    def alerts(self) -> list[Alert]:
        """Those that fire."""
        now_ns = self._clock.now_ns()
        with self._changed:
            return [one for one in self._alerts.values() if not one.is_resolved(now_ns)]

    def groups(self) -> list[tuple[Group, list[Alert]]]:
        """Those with alerts that fire, in order of labels and receiver."""
        now_ns = self._clock.now_ns()
        with self._changed:
            found = [
                (group, [one for one in group.in_order() if not one.is_resolved(now_ns)])
                for group in self._setup.groups
            ]
        found = [(group, alerts) for group, alerts in found if alerts]
        return sorted(found, key=lambda one: (order_of(one[0].labels), one[0].route.receiver))

    def receivers_of(self, alert: Alert) -> list[str]:
        routes = self._setup.groups.routes_of(alert.labels)
        return list(dict.fromkeys(route.receiver for route in routes))

    def silenced_by(self, alert: Alert) -> tuple[str, ...]:
        with self._changed:
            return self._silences.silencers(alert.fingerprint, alert.labels, self._clock.now_ns())

    def inhibited_by(self, alert: Alert) -> tuple[str, ...]:
        with self._changed:
            return self._setup.inhibitor.inhibitors(alert.labels, self._clock.now_ns())

    def muted_by(self, group: Group) -> tuple[str, ...]:
        return self._setup.muted_by(group.route, self._clock.now_ns())

    def route_labels(self, group: Group) -> dict[str, str]:
        """Of its route, filled in over all its alerts."""
        with self._changed:
            return self._wording.route_labels(group, self._clock.now_ns())

    @property
    def _wording(self) -> Wording:
        return Wording(self._sent, self._setup.config.templates, self._external_url)

    def seen(self, look: Callable[[Standing], Seen]) -> Seen:
        """What `look` makes of how all stands. It holds everybody up: it must be quick."""
        with self._changed:
            return look(
                Standing(self._clock.now_ns(), self._setup, self._sent, self._deliveries,
                         self._silences)
            )  # fmt: skip

    # --- what goes out

    def step(self) -> int | None:
        """Does what is due; when the next thing is, if any."""
        with self._changed:
            now_ns = self._clock.now_ns()
            self._follow_clock()
            for group in self._setup.groups.due(now_ns):
                self._flush(group, now_ns)
            for lane in self._setup.all_lanes():
                self._attempt_due(lane, now_ns)
            if now_ns - self._tidied_ns >= TIDY_NS:
                self._tidy(now_ns)
            waiting = [one.due_ns for lane in self._setup.all_lanes()
                       if lane.sending < SENDING_MAX
                       for one in lane.queue.values() if not one.is_running]  # fmt: skip
            due_ns = self._setup.groups.next_ns()
            return min(waiting if due_ns is None else [*waiting, due_ns], default=None)

    def _attempt_due(self, lane: Lane, now_ns: int) -> None:
        if not lane.queue or not lane.is_free(now_ns):
            return
        for delivery in [*lane.queue.values()]:
            if delivery.next_ns <= now_ns and not delivery.is_running:
                self._attempt(delivery, now_ns)
                if not lane.is_free(now_ns):
                    return

    def _follow_clock(self) -> None:
        moved_ns = self._steps.moved_ns()
        if not moved_ns:
            return
        _log.warning("the clock was set", extra={"by_s": moved_ns / SECOND_NS})
        self._setup.groups.move(moved_ns)
        for delivery in self._deliveries.values():
            delivery.next_ns += moved_ns
            delivery.deadline_ns += moved_ns
        for lane in self._setup.all_lanes():
            lane.not_before_ns += moved_ns
        self._tidied_ns += moved_ns

    def _run(self) -> None:
        while True:
            try:
                next_ns = self.step()
            except Exception:  # noqa: BLE001 - the next round may go well
                _log.exception("a round of notifications failed")
                next_ns = None
            with self._changed:
                if self._is_stopping:
                    return
                nap_s = NAP_S_MAX
                if next_ns is not None:
                    nap_s = min(nap_s, (next_ns - self._clock.now_ns()) / SECOND_NS)
                self._changed.wait(max(nap_s, 0.01))

    def _take(self, alert: Alert, now_ns: int) -> Alert:
        alert = merged(self._alerts.get(alert.fingerprint), alert, now_ns)
        self._alerts[alert.fingerprint] = alert
        self._place(alert, now_ns, is_reported=True)
        return alert

    def _place(self, alert: Alert, now_ns: int, *, is_reported: bool) -> None:
        setup = self._setup
        setup.inhibitor.put(alert)
        for route in setup.groups.routes_of(alert.labels):
            if not is_reported and alert.is_resolved(now_ns):
                # Who did not hear of its group before need not hear that it is over.
                _, key = setup.groups.of(route, alert.labels)
                if not setup.groups.find(route, key) and not self._sent.knows_group(key):
                    continue
            try:
                setup.groups.insert(route, alert, now_ns)
            except TooManyGroups:
                _log.error("an alert is in no group: there are too many",
                           extra={"fingerprint": alert.fingerprint})  # fmt: skip

    def _fill(self) -> None:
        now_ns = self._clock.now_ns()
        for alert in self._alerts.values():
            self._place(alert, now_ns, is_reported=False)

    def _keep(self, silences: list[Silence]) -> str:
        if silences:
            self._journal.append(records.of_silences(silences))
        for silence in silences:
            self._silences.restore(silence)
        self._changed.notify_all()
        return silences[-1].id if silences else ""

    def _flush(self, group: Group, now_ns: int) -> None:
        group.flushed(now_ns)
        self._setup.groups.touch(group)
        resolved: dict[str, object] = {
            one.fingerprint: one for one in group.alerts.values() if one.is_resolved(now_ns)
        }
        flush = Flush(group, resolved)
        heard = self._heard(group, now_ns)
        if heard:
            for lane in self._setup.lanes[group.route.receiver]:
                self._decide(flush, lane, heard, now_ns)
        if not flush.open:
            self._finish(flush)

    def _heard(self, group: Group, now_ns: int) -> list[Alert]:
        """What people may hear of it now."""
        if self._setup.muted_by(group.route, now_ns):
            return []
        return [one for one in group.in_order() if not self._is_quiet(one)]

    def _is_quiet(self, alert: Alert) -> bool:
        return bool(self.inhibited_by(alert) or self.silenced_by(alert))

    def _decide(self, flush: Flush, lane: Lane, alerts: list[Alert], now_ns: int) -> None:
        group, key = flush.group, (flush.group.key, lane.integration.name)
        before = self._deliveries.get(key)
        if before is not None and before.group is group:
            flush.is_well = False  # it waits for its lane, and says all there is when it begins
            return
        entry, notification = self._wording.said(group, lane, alerts, now_ns)
        if entry is None:
            return
        ready_ns = self._sent.ready_at_ns(
            key, group.route.group_interval_ns, is_repeatable=lane.channel.is_repeatable,
            now_ns=now_ns,
        )  # fmt: skip
        if before is not None or now_ns < ready_ns:
            flush.is_well = False
            soon_ns = max(ready_ns, now_ns + SECOND_NS)
            group.next_ns = min(group.next_ns, soon_ns)
            self._setup.groups.touch(group)
            return
        if notification is None:
            self._sent.settle(key, entry)  # if it is lost with the power, it is settled again
            return
        delivery = Delivery(key, lane.channel, group, notification, entry, now_ns,
                            lane=lane, flush=flush)  # fmt: skip
        self._deliveries[key] = lane.queue[key] = delivery
        flush.open += 1

    def _attempt(self, delivery: Delivery, now_ns: int) -> None:
        if self._is_stopping or not delivery.lane.is_free(now_ns):
            return
        if not delivery.has_begun and not self._begin(delivery, now_ns):
            return
        delivery.lane.sending += 1
        delivery.is_running = True
        self._executor.submit(self._send, delivery)

    def _begin(self, delivery: Delivery, now_ns: int) -> bool:
        """False if there is nothing to say any more."""
        if now_ns - delivery.notification.at_ns > FLUSH_NS_MIN:
            alerts = self._heard(delivery.group, now_ns)
            entry, notification = self._wording.said(delivery.group, delivery.lane, alerts, now_ns)
            if entry is None or notification is None:
                if entry is not None and alerts:
                    self._sent.settle(delivery.key, entry)
                self._leave(delivery, is_well=True)
                return False
            delivery.entry, delivery.notification = entry, notification
        delivery.begin(now_ns)
        return True

    def _send(self, delivery: Delivery) -> None:
        """In a thread of the pool."""
        now_ns = self._clock.now_ns()
        try:
            with self._changed:
                entry = replace(delivery.entry, at_ns=now_ns)
                number = self._sent.begin(delivery.key, entry, delivery.attempt(now_ns))
            self._on_record(number)
            outcome = delivery.send(now_ns)
        except JournalClosed as error:
            outcome = failed(error, should_retry=True)
        except Exception as error:  # noqa: BLE001 - it is an attempt that failed
            _log.exception("an attempt to notify failed", extra={"integration": delivery.key[1]})
            outcome = failed(error)
        self._came_out(delivery, outcome)

    def _on_record(self, number: int) -> None:
        """Raises JournalClosed. A disk that takes nothing keeps nobody from being told: the worst
        that can follow is that somebody is told twice.
        """
        try:
            self._journal.sync(number)
        except JournalClosed:
            raise
        except OSError as error:
            _log.error("notifications are not on record",
                       extra={"reason": str(error)})  # fmt: skip

    def _came_out(self, delivery: Delivery, outcome: Outcome) -> None:
        with self._changed:
            now_ns = self._clock.now_ns()
            number = self._sent.end(delivery.key, outcome.kind, now_ns, status=outcome.status,
                                    error=outcome.error, marks=outcome.marks)  # fmt: skip
        with suppress(JournalClosed):
            self._on_record(number)
        kind = delivery.lane.integration.kind
        self._measures.count("trilens_notify_attempts_total", kind, outcome.kind)
        with self._changed:
            # Not before: what does not run and is due would be sent again.
            delivery.is_running = False
            delivery.lane.sending -= 1
            if outcome.wait_s:
                delivery.lane.not_before_ns = now_ns + int(outcome.wait_s * SECOND_NS)
            if delivery.is_over(outcome, now_ns):
                self._end(delivery, outcome)
            self._changed.notify_all()

    def _end(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome.kind != "sent":
            kind = delivery.lane.integration.kind
            self._measures.count("trilens_notify_undelivered_total", kind)
            _log.warning("a notification was not delivered", extra={
                "integration": delivery.key[1], "group": delivery.key[0],
                "attempts": delivery.attempts, "reason": outcome.error,
            })  # fmt: skip
        self._leave(delivery, is_well=outcome.kind == "sent")

    def _leave(self, delivery: Delivery, *, is_well: bool) -> None:
        del self._deliveries[delivery.key]
        del delivery.lane.queue[delivery.key]
        if delivery.has_begun:
            delivery.group.busy -= 1
            self._setup.groups.touch(delivery.group)
        flush = delivery.flush
        flush.is_well = flush.is_well and is_well
        flush.open -= 1
        if not flush.open:
            self._finish(flush)

    def _finish(self, flush: Flush) -> None:
        """What is resolved and said leaves its group, unless it has changed meanwhile."""
        group = flush.group
        if flush.is_well:
            for fingerprint, alert in flush.resolved.items():
                if group.alerts.get(fingerprint) is alert:
                    del group.alerts[fingerprint]
        self._setup.groups.drop_if_empty(group)

    def _is_sending(self) -> bool:
        return any(delivery.is_running for delivery in self._deliveries.values())

    # --- what stays

    def _tidy(self, now_ns: int) -> None:
        self._tidied_ns = now_ns
        held = {one for group in self._setup.groups for one in group.alerts}
        gone = [one for one in self._alerts.values() if one.fingerprint not in held
                and one.ends_at_ns + RESOLVED_KEPT_NS < now_ns]  # fmt: skip
        for alert in gone:
            del self._alerts[alert.fingerprint]
            self._setup.inhibitor.forget(alert)
        silences = self._silences.forget(now_ns)
        self._sent.forget(now_ns)
        try:
            if gone or silences:
                fingerprints = [one.fingerprint for one in gone]
                self._journal.append({"t": "gone", "f": fingerprints, "s": silences})
        except OSError as error:
            _log.error("the journal cannot be written", extra={"reason": str(error)})
        if self._journal.wants_rewriting:
            self._rewrite()

    def _rewrite(self) -> None:
        try:
            self._journal.rewrite()
        except OSError as error:
            _log.error("the journal cannot be written", extra={"reason": str(error)})
