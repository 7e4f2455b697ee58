"""Silences: matchers, a time, who and why. Semantics of Alertmanager 0.34."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from trilens.notify.durations import HOUR_NS
from trilens.notify.journal import Record
from trilens.notify.labels import is_label_name
from trilens.notify.matchers import Matcher, MatcherFault, Operator, matches_all

SILENCES_MAX: Final = 10_000
MATCHERS_MAX: Final = 100
TEXT_CHARS_MAX: Final = 65_536
# An expired silence stays to be looked at this long.
RETENTION_NS: Final = 120 * HOUR_NS
_CACHED_MAX: Final = 50_000
State = Literal["active", "pending", "expired"]


class InvalidSilence(ValueError):
    """Why a silence is not taken."""


class NoSuchSilence(Exception):
    """There is no silence of that id."""


@dataclass(frozen=True, slots=True)
class Silence:
    """`id` is empty for one that is new."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at_ns: int
    ends_at_ns: int
    updated_at_ns: int
    created_by: str
    comment: str
    annotations: dict[str, str]

    def state(self, now_ns: int) -> State:
        if now_ns < self.starts_at_ns:
            return "pending"
        return "expired" if now_ns >= self.ends_at_ns else "active"

    def as_json(self) -> Record:
        return {
            "t": "silence", "id": self.id, "s": self.starts_at_ns, "e": self.ends_at_ns,
            "u": self.updated_at_ns, "by": self.created_by, "c": self.comment,
            "a": self.annotations,
            "m": [[one.name, one.operator, one.value] for one in self.matchers],
        }  # fmt: skip

    @classmethod
    def from_json(cls, row: Record) -> Silence:
        matchers = tuple(Matcher.of(*one) for one in row["m"])
        return cls(row["id"], matchers, row["s"], row["e"], row["u"], row["by"], row["c"],
                   row["a"])  # fmt: skip


def read_matcher(row: Mapping[str, Any]) -> Matcher:
    """A matcher of the API. Raises InvalidSilence."""
    name, value = row.get("name"), row.get("value")
    is_regex, is_equal = row.get("isRegex"), row.get("isEqual", True)
    if not isinstance(name, str) or not isinstance(value, str) or not isinstance(is_regex, bool):
        raise InvalidSilence("a matcher needs the texts name and value, and isRegex")
    if is_equal is None:
        is_equal = True
    if not isinstance(is_equal, bool):
        raise InvalidSilence("isEqual must be true or false")
    operator: Operator = ("=~" if is_equal else "!~") if is_regex else ("=" if is_equal else "!=")
    try:
        return Matcher.of(name, operator, value)
    except MatcherFault as fault:
        raise InvalidSilence(str(fault)) from None


class Silences:
    """Not safe for several threads at once: the caller holds a lock. `put` and `expire` say what
    would change; when that is on disk the caller hands it to `restore`.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Silence] = {}
        self._matched: dict[str, tuple[str, ...]] = {}

    def __iter__(self) -> Iterator[Silence]:
        return iter(self._by_id.values())

    def get(self, silence_id: str) -> Silence:
        """Raises NoSuchSilence."""
        if silence_id not in self._by_id:
            raise NoSuchSilence(silence_id)
        return self._by_id[silence_id]

    def put(self, silence: Silence, now_ns: int) -> list[Silence]:
        """What changes; the last one is the silence as it will be.

        Raises InvalidSilence, NoSuchSilence.
        """
        if not silence.starts_at_ns:
            silence = replace(silence, starts_at_ns=now_ns)
        _check(silence, now_ns)
        previous = self.get(silence.id) if silence.id else None
        silence = replace(silence, updated_at_ns=now_ns)
        if previous is not None and _can_update(previous, silence, now_ns):
            return [silence]
        if len(self._by_id) >= SILENCES_MAX:
            raise InvalidSilence(f"there are {SILENCES_MAX} silences already")
        changed = []
        if previous is not None and previous.state(now_ns) != "expired":
            changed.append(_expired(previous, now_ns))
        new = replace(silence, id=str(uuid.uuid4()),
                      starts_at_ns=max(silence.starts_at_ns, now_ns))  # fmt: skip
        return [*changed, new]

    def expire(self, silence_id: str, now_ns: int) -> list[Silence]:
        """Raises NoSuchSilence. One that is expired already stays as it is."""
        silence = self.get(silence_id)
        if silence.state(now_ns) == "expired":
            return []
        return [_expired(silence, now_ns)]

    def restore(self, silence: Silence) -> None:
        self._by_id[silence.id] = silence
        self._matched.clear()

    def forget(self, now_ns: int) -> list[str]:
        """Those that expired long ago go; their ids."""
        gone = [one.id for one in self if one.ends_at_ns + RETENTION_NS < now_ns]
        for silence_id in gone:
            del self._by_id[silence_id]
        if gone:
            self._matched.clear()
        return gone

    def drop(self, silence_id: str) -> None:
        self._by_id.pop(silence_id, None)
        self._matched.clear()

    def silencers(
        self, fingerprint: str, labels: Mapping[str, str], now_ns: int
    ) -> tuple[str, ...]:
        """Ids of the active silences that an alert with `labels` is subject to."""
        if not self._by_id:
            return ()
        matched = self._matched.get(fingerprint)
        if matched is None:
            matched = tuple(sorted(one.id for one in self if matches_all(one.matchers, labels)))
            if len(self._matched) >= _CACHED_MAX:
                self._matched.clear()
            self._matched[fingerprint] = matched
        return tuple(one for one in matched if self._by_id[one].state(now_ns) == "active")


def _check(silence: Silence, now_ns: int) -> None:
    if not silence.matchers:
        raise InvalidSilence("at least one matcher required")
    if len(silence.matchers) > MATCHERS_MAX:
        raise InvalidSilence(f"more than {MATCHERS_MAX} matchers")
    for matcher in silence.matchers:
        if not is_label_name(matcher.name):
            raise InvalidSilence(f"invalid label name {matcher.name!r}")
    # One that says what a label is not is taken: it does not ask for what is absent.
    if all(one.operator in {"=", "=~"} and one.matches("") for one in silence.matchers):
        raise InvalidSilence("at least one matcher must not match the empty string")
    texts = (silence.comment, silence.created_by, *silence.annotations.values(),
             *(matcher.value for matcher in silence.matchers))  # fmt: skip
    if sum(map(len, texts)) > TEXT_CHARS_MAX:
        raise InvalidSilence(f"a silence has more than {TEXT_CHARS_MAX} characters")
    if not silence.ends_at_ns or silence.ends_at_ns <= silence.starts_at_ns:
        raise InvalidSilence("start time must be before end time")
    if silence.ends_at_ns < now_ns:
        raise InvalidSilence("end time can't be in the past")


def _can_update(old: Silence, new: Silence, now_ns: int) -> bool:
    """Else what was said is history, and a silence of its own begins."""
    second = 1_000_000_000
    if old.matchers != new.matchers:
        return False
    match old.state(now_ns):
        case "active":
            return old.starts_at_ns // second == new.starts_at_ns // second
        case "pending":
            return new.starts_at_ns >= now_ns
        case "expired":
            return False


def _expired(silence: Silence, now_ns: int) -> Silence:
    starts_at_ns = min(silence.starts_at_ns, now_ns)
    return replace(silence, starts_at_ns=starts_at_ns, ends_at_ns=now_ns, updated_at_ns=now_ns)
