"""Spans of the calendar in which routes are muted or active, in a place's own time.

Each part that is given must contain the moment; one that is not given contains all.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trilens.config_files.section import Section

Range = tuple[int, int]
_TIME: Final = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])|24:00", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_WEEKDAYS: Final = {
    name: number
    for number, name in enumerate(
        ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
    )
}
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("january", "february", "march", "april", "may", "june", "july", "august", "september",
         "october", "november", "december"), start=1,
    )
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """`times` are minutes of the day, the end excluded; all other ranges include their ends.

    Weekdays count from Sunday, 0. Days of a month may be negative: -1 is the last one.
    """

    times: tuple[Range, ...] | None = None
    weekdays: tuple[Range, ...] | None = None
    days_of_month: tuple[Range, ...] | None = None
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    location: ZoneInfo | None = None

    def contains(self, at_ns: int) -> bool:
        at = (_EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(self.location or UTC)
        minute = at.hour * 60 + at.minute
        if self.times is not None and not any(a <= minute < b for a, b in self.times):
            return False
        return (
            self._is_day_of_month(at)
            and _within(at.month, self.months)
            and _within(at.isoweekday() % 7, self.weekdays)
            and _within(at.year, self.years)
        )

    def _is_day_of_month(self, at: datetime) -> bool:
        if self.days_of_month is None:
            return True
        days = monthrange(at.year, at.month)[1]
        for first, last in self.days_of_month:
            begin = days + first + 1 if first < 0 else first
            end = days + last + 1 if last < 0 else last
            if begin <= days and begin <= at.day <= min(end, days):
                return True
        return False


def _within(value: int, ranges: tuple[Range, ...] | None) -> bool:
    return ranges is None or any(first <= value <= last for first, last in ranges)


class _Fault(ValueError):
    pass


def read_time_interval(section: Section) -> TimeInterval:
    interval = TimeInterval(
        times=_times(section),
        weekdays=_ranges(section, "weekdays", _weekday_range),
        days_of_month=_ranges(section, "days_of_month", _day_range),
        months=_ranges(section, "months", _month_range),
        years=_ranges(section, "years", _year_range),
        location=_location(section),
    )
    section.end()
    return interval


def _times(section: Section) -> tuple[Range, ...] | None:
    if section.node("times") is None:
        return None
    found = []
    for one in section.sections("times", "times"):
        start, end = one.text("start_time"), one.text("end_time")
        one.end()
        if not start or not end:
            one.fault("both start_time and end_time must be there")
            continue
        try:
            found.append(_minutes(start, end))
        except _Fault as fault:
            one.fault(str(fault))
    return tuple(found)


def _minutes(start: str, end: str) -> Range:
    for text in (start, end):
        if not _TIME.fullmatch(text):
            raise _Fault(f'"{text}" is not a time of the day from 00:00 to 24:00')
    first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (start, end))
    if first >= last:
        raise _Fault(f"start_time {start} is not before end_time {end}")
    return first, last


def _ranges(section: Section, name: str, read: Callable[[str], Range]) -> tuple[Range, ...] | None:
    if section.node(name) is None:
        return None
    found = []
    for text in section.texts(name):
        try:
            found.append(read(text.lower()))
        except _Fault as fault:
            section.problem(name, str(fault))
    return tuple(found)


def _two(text: str) -> tuple[str, str]:
    parts = text.split(":")
    if len(parts) > 2:
        raise _Fault(f'"{text}" is not a range such as a:b')
    return parts[0], parts[-1]


def _number(text: str, what: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise _Fault(f'"{text}" is not a {what}')
    return int(text)


def _in_order(text: str, first: int, last: int) -> Range:
    if first > last:
        raise _Fault(f'the range "{text}" ends before it begins')
    return first, last


def _weekday_range(text: str) -> Range:
    for part in _two(text):
        if part not in _WEEKDAYS:
            raise _Fault(f'"{part}" is not a weekday')
    first, last = (_WEEKDAYS[part] for part in _two(text))
    return _in_order(text, first, last)


def _month_range(text: str) -> Range:
    first, last = (_MONTHS.get(part) or _number(part, "month") for part in _two(text))
    return _in_order(text, first, last)


def _year_range(text: str) -> Range:
    first, last = (_number(part, "year") for part in _two(text))
    return _in_order(text, first, last)


def _day_range(text: str) -> Range:
    first, last = (_number(part, "day of the month") for part in _two(text))
    for day in (first, last):
        if day == 0 or not -31 <= day <= 31:
            raise _Fault(f"{day} is not a day of the month")
    if first < 0 < last:
        raise _Fault(f'"{text}": the last day must be negative if the first one is')
    # A month has at least 28 days: what ends before it begins even then is never right.
    if (28 + first if first < 0 else first) > (28 + last if last < 0 else last):
        raise _Fault(f"day {last} is always before day {first}")
    return first, last


def _location(section: Section) -> ZoneInfo | None:
    name = section.text("location")
    if name in {"", "UTC"}:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        section.problem("location", f'location "{name}" is not a time zone')
        return None
