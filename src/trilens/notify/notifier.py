"""The Alertmanager inside: takes alerts, groups them, and sees to it that people hear of them.

One thread looks what is due and hands attempts to send to a pool; all state is under one lock.
Tests drive `step` with a clock that they set, and an executor that runs at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from trilens.clock import Clock
from trilens.measures import Measures
from trilens.notify.alerts import ALERTS_MAX, Alert, merged
from trilens.notify.channels.outcome import Outcome, failed
from trilens.notify.config import Config
from trilens.notify.delivery import FLUSH_NS_MIN, Delivery, Flush
from trilens.notify.durations import MINUTE_NS, SECOND_NS
from trilens.notify.groups import Group, TooManyGroups
from trilens.notify.journal import Journal, Record
from trilens.notify.message import AlertView, Notification
from trilens.notify.sent_log import RETENTION_NS, Attempt, Entry, SentLog
from trilens.notify.setup import SENDING_MAX, Lane, Setup
from trilens.notify.silences import Silence, Silences
from trilens.notify.standing import Standing

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
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self.started_at_ns = clock.now_ns()

    # --- life

    def open(self) -> None:
        """Takes up what was there before. Raises OSError."""
        now_ns = self._clock.now_ns()
        with self._changed:
            for record in self._journal.open():
                self._restore(record)
            self._sent.restored(now_ns)
            self._sent.forget(now_ns)
            self._journal.snapshot = self._rows
            timeout_ns = self._setup.config.common.resolve_timeout_ns
            for alert in [*self._alerts.values()]:
                # Nobody could say that it still burns while we were away.
                if alert.updated_at_ns < alert.ends_at_ns <= now_ns:
                    later = replace(alert, ends_at_ns=now_ns + timeout_ns, is_timeout=True)
                    self._alerts[alert.fingerprint] = later
            self._setup = Setup(self._setup.config)
            self._fill()

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
        """All at once; what is on its way arrives as it was."""
        with self._changed:
            self._setup = Setup(config)
            self._sent.bind()
            self._fill()
            self._changed.notify_all()

    # --- what comes in

    @property
    def resolve_timeout_ns(self) -> int:
        return self._setup.config.common.resolve_timeout_ns

    def put(self, alerts: Sequence[Alert]) -> None:
        """Returns when they are on disk. Raises TooManyAlerts, OSError."""
        now_ns = self._clock.now_ns()
        with self._changed:
            new = {alert.fingerprint for alert in alerts} - self._alerts.keys()
            if len(self._alerts) + len(new) > ALERTS_MAX:
                raise TooManyAlerts
            put = [self._take(alert, now_ns) for alert in alerts]
            number = self._journal.write({"t": "alerts", "a": [one.as_json() for one in put]})
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
        return sorted(found, key=lambda one: (sorted(one[0].labels.items()),
                                              one[0].route.receiver))  # fmt: skip

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
            for group in self._setup.groups.due(now_ns):
                self._flush(group, now_ns)
            for delivery in [*self._deliveries.values()]:
                if delivery.next_ns <= now_ns and not delivery.is_running:
                    self._attempt(delivery)
            if now_ns - self._tidied_ns >= TIDY_NS or now_ns < self._tidied_ns:
                self._tidy(now_ns)
            waiting = [one.next_ns for one in self._deliveries.values()
                       if not one.is_running and one.lane.sending < SENDING_MAX]  # fmt: skip
            due_ns = self._setup.groups.next_ns()
            return min(waiting if due_ns is None else [*waiting, due_ns], default=None)

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
        self._place(alert, now_ns)
        return alert

    def _place(self, alert: Alert, now_ns: int) -> None:
        setup = self._setup
        setup.inhibitor.put(alert)
        for route in setup.groups.routes_of(alert.labels):
            _, key = setup.groups.of(route, alert.labels)
            is_new = setup.groups.find(route, key) is None
            # Of an alert that is over nobody has to hear who did not hear of its group before.
            if is_new and alert.is_resolved(now_ns) and not self._sent.knows_group(key):
                continue
            try:
                setup.groups.insert(route, alert, now_ns)
            except TooManyGroups:
                _log.error("an alert is in no group: there are too many",
                           extra={"fingerprint": alert.fingerprint})  # fmt: skip

    def _fill(self) -> None:
        now_ns = self._clock.now_ns()
        for alert in self._alerts.values():
            self._place(alert, now_ns)

    def _keep(self, silences: list[Silence]) -> str:
        for silence in silences:
            self._journal.append(silence.as_json())
        self._changed.notify_all()
        return silences[-1].id if silences else ""

    def _flush(self, group: Group, now_ns: int) -> None:
        group.has_flushed = True
        group.next_ns = now_ns + group.route.group_interval_ns
        group.muted_by = self._setup.muted_by(group.route, now_ns)
        alerts = group.in_order()
        resolved: dict[str, object] = {
            one.fingerprint: one for one in alerts if one.is_resolved(now_ns)
        }
        flush = Flush(group, resolved)
        heard = [] if group.muted_by else [one for one in alerts if not self._is_quiet(one)]
        if heard:
            for lane in self._setup.lanes[group.route.receiver]:
                self._decide(flush, lane, heard, now_ns)
        if not flush.open:
            self._finish(flush)

    def _is_quiet(self, alert: Alert) -> bool:
        return bool(self.inhibited_by(alert) or self.silenced_by(alert))

    def _decide(self, flush: Flush, lane: Lane, alerts: list[Alert], now_ns: int) -> None:
        group, integration = flush.group, lane.integration
        key = group.key, integration.name
        firing = frozenset(one.fingerprint for one in alerts if not one.is_resolved(now_ns))
        resolved = frozenset(one.fingerprint for one in alerts) - firing
        reason = self._sent.reason(
            key, firing, resolved, send_resolved=integration.send_resolved,
            repeat_interval_ns=group.route.repeat_interval_ns, now_ns=now_ns,
        )  # fmt: skip
        if reason is None:
            return
        ready_ns = self._sent.ready_at_ns(
            key, group.route.group_interval_ns, is_repeatable=lane.channel.is_repeatable,
            now_ns=now_ns,
        )  # fmt: skip
        if key in self._deliveries or now_ns < ready_ns:
            flush.is_well = False
            soon_ns = max(ready_ns, now_ns + SECOND_NS)
            group.next_ns = min(group.next_ns, soon_ns)
            return
        keep_ns = max(RETENTION_NS, 2 * group.route.repeat_interval_ns)
        entry = Entry(now_ns, firing, resolved, now_ns + keep_ns)
        shown = [one for one in alerts if integration.send_resolved or one.fingerprint in firing]
        if not shown:
            self._sent.settle(key, entry)  # if it is lost with the power, it is settled again
            return
        notification = Notification(
            group_key=group.key, receiver=group.route.receiver,
            alerts=tuple(AlertView(one, now_ns) for one in shown), group_labels=group.labels,
            route_labels=group.route.labels, reason=reason, external_url=self._external_url,
            at_ns=now_ns, templates=self._setup.config.templates,
        )  # fmt: skip
        lasts_ns = max(group.route.group_interval_ns, FLUSH_NS_MIN)
        delivery = Delivery(key, lane.channel, group, notification, entry, now_ns + lasts_ns,
                            now_ns, lane=lane, flush=flush)  # fmt: skip
        self._deliveries[key] = delivery
        flush.open += 1
        group.busy += 1

    def _attempt(self, delivery: Delivery) -> None:
        if self._is_stopping or delivery.lane.sending >= SENDING_MAX:
            return
        delivery.lane.sending += 1
        delivery.is_running = True
        self._executor.submit(self._send, delivery)

    def _send(self, delivery: Delivery) -> None:
        """In a thread of the pool."""
        now_ns = self._clock.now_ns()
        outcome = failed("the disk does not take the record of an attempt", should_retry=True)
        has_begun = False
        try:
            with self._changed:
                entry = replace(delivery.entry, at_ns=now_ns)
                number = self._sent.begin(delivery.key, entry, delivery.attempt(now_ns))
                has_begun = True
            self._journal.sync(number)
            outcome = delivery.channel.send(delivery.notification, delivery.timeout_s(now_ns))
        except OSError as error:
            _log.error("an attempt cannot be put on record", extra={"reason": str(error)})
        except Exception as error:  # noqa: BLE001 - it is an attempt that failed
            _log.exception("an attempt to notify failed", extra={"integration": delivery.key[1]})
            outcome = failed(error)
        self._came_out(delivery, outcome, has_begun=has_begun)

    def _came_out(self, delivery: Delivery, outcome: Outcome, *, has_begun: bool) -> None:
        with self._changed:
            now_ns = self._clock.now_ns()
            number = 0
            if has_begun:
                number = self._sent.end(delivery.key, outcome.kind, now_ns, status=outcome.status,
                                        error=outcome.error)  # fmt: skip
        try:
            self._journal.sync(number)
        except OSError as error:
            _log.error("a result cannot be put on record", extra={"reason": str(error)})
        kind = delivery.lane.integration.kind
        self._measures.count("trilens_notify_attempts_total", kind, outcome.kind)
        with self._changed:
            # Not before: what does not run and is due would be sent again.
            delivery.is_running = False
            delivery.lane.sending -= 1
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
        del self._deliveries[delivery.key]
        delivery.group.busy -= 1
        flush = delivery.flush
        assert flush is not None
        flush.is_well = flush.is_well and outcome.kind == "sent"
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
            if self._journal.is_overgrown:
                self._journal.rewrite()
        except OSError as error:
            _log.error("the journal cannot be written", extra={"reason": str(error)})

    def _rows(self) -> Iterator[Record]:
        alerts = [alert.as_json() for alert in self._alerts.values()]
        for begin in range(0, len(alerts), 1000):
            yield {"t": "alerts", "a": alerts[begin : begin + 1000]}
        for silence in self._silences:
            yield silence.as_json()
        yield from self._sent.rows()

    def _restore(self, record: Record) -> None:
        match record["t"]:
            case "alerts":
                for row in record["a"]:
                    alert = Alert.from_json(row)
                    self._alerts[alert.fingerprint] = alert
            case "silence":
                self._silences.restore(Silence.from_json(record))
            case "gone":
                for fingerprint in record["f"]:
                    self._alerts.pop(fingerprint, None)
                for silence_id in record["s"]:
                    self._silences.drop(silence_id)
            case "attempt":
                self._sent.restore_attempt(record)
            case _:
                self._sent.restore(record)
