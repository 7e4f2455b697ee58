"""Alerts, and how what is said about one is put together.

Semantics of Alertmanager 0.34: an alert is its labels; two reports about it whose activity
overlaps are one activity. Times are ns since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from trilens.notify.labels import fingerprint, is_label_name

ALERTS_MAX: Final = 200_000
TEXT_CHARS_MAX: Final = 65_536
LABELS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Alert:
    """`is_timeout` says that its end was set by resolve_timeout, not by the sender."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at_ns: int
    ends_at_ns: int
    updated_at_ns: int
    generator_url: str
    is_timeout: bool
    fingerprint: str

    def is_resolved(self, now_ns: int) -> bool:
        return self.ends_at_ns <= now_ns

    def as_json(self) -> dict[str, Any]:
        return {
            "l": self.labels, "a": self.annotations, "s": self.starts_at_ns, "e": self.ends_at_ns,
            "u": self.updated_at_ns, "g": self.generator_url, "t": self.is_timeout,
        }  # fmt: skip

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Alert:
        return cls(row["l"], row["a"], row["s"], row["e"], row["u"], row["g"], row["t"],
                   fingerprint(row["l"]))  # fmt: skip


class InvalidAlert(ValueError):
    """Why an alert is not taken."""


def reported(
    labels: dict[str, str],
    annotations: dict[str, str],
    *,
    starts_at_ns: int,
    ends_at_ns: int,
    generator_url: str,
    now_ns: int,
    resolve_timeout_ns: int,
) -> Alert:
    """An alert as a sender reported it; 0 is a time that it left out. Raises InvalidAlert."""
    if not starts_at_ns:
        starts_at_ns = ends_at_ns or now_ns
    is_timeout = not ends_at_ns
    if is_timeout:
        ends_at_ns = now_ns + resolve_timeout_ns
    labels = {name: value for name, value in labels.items() if value}
    _check(labels, "label")
    _check(annotations, "annotation")
    if not labels:
        raise InvalidAlert("at least one label pair required")
    if ends_at_ns < starts_at_ns:
        raise InvalidAlert("start time must be before end time")
    return Alert(labels, annotations, starts_at_ns, ends_at_ns, now_ns, generator_url, is_timeout,
                 fingerprint(labels))  # fmt: skip


def _check(pairs: dict[str, str], what: str) -> None:
    if len(pairs) > LABELS_MAX:
        raise InvalidAlert(f"more than {LABELS_MAX} {what}s")
    for name, value in pairs.items():
        if not is_label_name(name):
            raise InvalidAlert(f"invalid {what} name {name!r}")
        if len(name) + len(value) > TEXT_CHARS_MAX:
            raise InvalidAlert(f"{what} {name[:80]!r} is longer than {TEXT_CHARS_MAX} characters")


def merged(old: Alert | None, new: Alert, now_ns: int) -> Alert:
    """One activity where they overlap, else the new one."""
    if old is None:
        return new
    ends_inside = old.starts_at_ns < new.ends_at_ns < old.ends_at_ns
    starts_inside = old.starts_at_ns < new.starts_at_ns < old.ends_at_ns
    if not ends_inside and not starts_inside:
        return new
    older, younger = (new, old) if new.updated_at_ns < old.updated_at_ns else (old, new)
    ends_at_ns = younger.ends_at_ns
    if older.ends_at_ns > ends_at_ns:
        if younger.is_resolved(now_ns):
            # The latest end that was said counts, if both have ended.
            ends_at_ns = older.ends_at_ns if older.is_resolved(now_ns) else ends_at_ns
        elif not older.is_timeout:
            ends_at_ns = older.ends_at_ns
    starts_at_ns = min(older.starts_at_ns, younger.starts_at_ns)
    return replace(younger, starts_at_ns=starts_at_ns, ends_at_ns=ends_at_ns)
