"""What was sent to whom, what may have been sent, and every attempt.

The promise. Before an attempt its intent is on disk, after it its result. So after a crash there
are three cases for a group and an integration:

    no intent, or a result that says failed   it was not delivered: it is sent when it is due
    a result that says sent                   it was delivered: not again before something changes
                                              or repeat_interval is over, and not within a
                                              group_interval of it
    an intent without a result                it may have been delivered: it is sent again, but
                                              not before a group_interval after the intent

So no alert is lost, and of one group an integration hears at most once in a group_interval across
crashes. What remains possible is the same content in two group intervals, if the crash fell
between the receiver's acceptance and our record of it; where the receiver itself sees that a
notification is the same one (PagerDuty, Opsgenie) it is sent again at once instead.

A disk that takes no intent does not keep the attempt back: then a crash may bring the same content
twice within an interval. While the program lives, an attempt whose answer is lost (a timeout, a
reset) is made again with backoff, as Alertmanager does: late is worse than twice there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from trilens.notify.durations import HOUR_NS
from trilens.notify.journal import Journal, Record

ATTEMPTS_KEPT: Final = 1000
ENTRIES_MAX: Final = 200_000
RETENTION_NS: Final = 120 * HOUR_NS
Key = tuple[str, str]  # group key, integration
Prints = frozenset[str]
Result = Literal["sent", "failed", "unknown", "running", "interrupted"]
Reason = Literal[
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "all alerts resolved",
    "repeat interval elapsed",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """The last that the receiver is known to have, or may have: fingerprints by state; what its
    channel has to know of it.
    """

    at_ns: int
    firing: Prints
    resolved: Prints
    keep_until_ns: int = 0
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `number` counts from 1 within one flush of the group.

    `told` has the first alerts that it is about, {"status", "labels"} each; `alerts` counts all.
    """

    group_key: str
    integration: str
    number: int
    reason: str
    alerts: int
    began_at_ns: int
    ended_at_ns: int = 0
    result: Result = "running"
    status: int = 0
    error: str = ""
    receiver: str = ""
    group_labels: dict[str, str] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class SentLog:
    """Not safe for several threads at once: the caller holds a lock. `write` numbers are synced
    by the caller.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._entries: dict[Key, Entry] = {}
        self._unknown: dict[Key, Entry] = {}
        self._running: dict[Key, tuple[Entry, Attempt]] = {}
        self._groups: set[str] = set()
        self._bound: set[Key] = set()
        self._attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)

    def attempts(self) -> list[Attempt]:
        """Newest first; those that run come first."""
        return [*(attempt for _, attempt in self._running.values()), *reversed(self._attempts)]

    def knows_group(self, group_key: str) -> bool:
        return group_key in self._groups

    def entry(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def reason(
        self, key: Key, firing: Prints, resolved: Prints, *, send_resolved: bool,
        repeat_interval_ns: int, now_ns: int,
    ) -> Reason | None:  # fmt: skip
        """Why the receiver should hear of this state of the group; None if it should not."""
        entry, unknown = self._entries.get(key), self._unknown.get(key)
        heard = (entry.firing if entry else frozenset()) | (
            unknown.firing if unknown else frozenset()
        )
        if not firing:
            return "all alerts resolved" if heard else None
        if entry is None or (unknown is None and not entry.firing):
            return "first notification"
        if not firing <= entry.firing or unknown is not None:
            return "new alerts added" if entry.firing else "first notification"
        if send_resolved and not resolved <= entry.resolved:
            return "some alerts resolved"
        return "repeat interval elapsed" if entry.at_ns < now_ns - repeat_interval_ns else None

    def ready_at_ns(
        self, key: Key, group_interval_ns: int, *, is_repeatable: bool, now_ns: int
    ) -> int:
        """Not before this may `key` be sent to, where its last was sent before `bind`."""
        if key not in self._bound:
            return 0
        unknown, entry = self._unknown.get(key), self._entries.get(key)
        ready_ns = 0
        if unknown is not None and not is_repeatable:
            ready_ns = unknown.at_ns + group_interval_ns
        if entry is not None:
            ready_ns = max(ready_ns, entry.at_ns + group_interval_ns)
        # A clock that went back meanwhile does not make it wait for longer.
        return min(ready_ns, now_ns + group_interval_ns)

    def bind(self) -> None:
        """Groups begin anew: what was sent until now holds back their first notifications."""
        self._bound = {*self._entries, *self._unknown, *self._running}

    def begin(self, key: Key, entry: Entry, attempt: Attempt) -> int:
        number = self._journal.write(_row("intent", key, entry, attempt))
        self._running[key] = entry, attempt
        self._bound.discard(key)
        return number

    def end(
        self, key: Key, result: Result, now_ns: int, *, status: int = 0, error: str = "",
        marks: Mapping[str, str] | None = None,
    ) -> int:  # fmt: skip
        entry, attempt = self._running.pop(key)
        # Repetitions count from when the receiver had it.
        at_ns = now_ns if result == "sent" else entry.at_ns
        entry = replace(entry, at_ns=at_ns, marks={**entry.marks, **(marks or {})})
        attempt = replace(attempt, ended_at_ns=now_ns, result=result, status=status, error=error)
        self._apply(key, entry, attempt)
        return self._journal.write(_row("result", key, entry, attempt))

    def settle(self, key: Key, entry: Entry) -> int:
        """The receiver need not hear of this state."""
        self._set(key, entry)
        return self._journal.write(_row("settled", key, entry, None))

    def forget(self, now_ns: int) -> None:
        for key, entry in [*self._entries.items()]:
            if entry.keep_until_ns < now_ns:
                del self._entries[key]
        for key, entry in [*self._unknown.items()]:
            if entry.keep_until_ns < now_ns:
                del self._unknown[key]
        for entries in (self._entries, self._unknown):
            _cut(entries)
        self._bound &= {*self._entries, *self._unknown, *self._running}
        self._groups = {group_key for group_key, _ in (*self._entries, *self._unknown)}

    def restore(self, row: Record) -> None:
        """A record of the journal, in order."""
        key = row["k"], row["i"]
        entry = Entry(row["at"], frozenset(row["f"]), frozenset(row["r"]), row["u"],
                      row.get("m", {}))  # fmt: skip
        attempt = Attempt(**row["a"]) if row["a"] else None
        match row["t"]:
            case "intent":
                assert attempt is not None
                self._running[key] = entry, attempt
            case "result":
                assert attempt is not None
                self._running.pop(key, None)
                self._apply(key, entry, attempt)
            case "settled":
                self._set(key, entry)
            case "unknown":
                self._unknown[key] = entry
                self._groups.add(key[0])

    def restored(self, now_ns: int) -> None:
        """Attempts that a crash ended: nobody knows how they came out."""
        for key, (entry, attempt) in self._running.items():
            self._unknown[key] = entry
            self._groups.add(key[0])
            self._attempts.append(replace(
                attempt, ended_at_ns=now_ns, result="interrupted",
                error="the program ended before the receiver's answer was on record",
            ))  # fmt: skip
        self._running.clear()
        self.bind()

    def rows(self) -> Iterator[Record]:
        """What restores all this."""
        kept = [*self._attempts]
        for attempt in kept:
            yield {"t": "attempt", "a": attempt.as_json()}
        for key, entry in self._entries.items():
            yield _row("settled", key, entry, None)
        for key, entry in self._unknown.items():
            yield _row("unknown", key, entry, None)
        for key, (entry, attempt) in self._running.items():
            yield _row("intent", key, entry, attempt)

    def restore_attempt(self, row: Record) -> None:
        self._attempts.append(Attempt(**row["a"]))

    def _apply(self, key: Key, entry: Entry, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        if attempt.result == "sent":
            self._set(key, entry)
        elif attempt.result == "unknown":
            # What an earlier attempt may have brought there stays possible.
            self._unknown[key] = entry
            self._groups.add(key[0])

    def _set(self, key: Key, entry: Entry) -> None:
        self._entries[key] = entry
        self._unknown.pop(key, None)
        self._groups.add(key[0])


def _cut(entries: dict[Key, Entry]) -> None:
    """What is over goes first, then what was said longest ago."""
    over = len(entries) - ENTRIES_MAX
    if over > 0:
        order = sorted(entries, key=lambda key: (bool(entries[key].firing), entries[key].at_ns))
        for key in order[:over]:
            del entries[key]


def _row(kind: str, key: Key, entry: Entry, attempt: Attempt | None) -> Record:
    return {
        "t": kind, "k": key[0], "i": key[1], "at": entry.at_ns, "f": sorted(entry.firing),
        "r": sorted(entry.resolved), "u": entry.keep_until_ns,
        "m": dict(entry.marks), "a": None if attempt is None else attempt.as_json(),
    }  # fmt: skip
