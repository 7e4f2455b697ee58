"""Times and durations in templates: time.Time and time.Duration of Go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from trilens.go_template.humanize import moment_of
from trilens.go_template.values import Function, GoStruct, Value

TIME: Final = "*time.Time"
DURATION: Final = "time.Duration"
_FULL: Final = "2006-01-02 15:04:05.999999999 -0700 MST"
_LAYOUT: Final = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|002|0[1-6]|_2|15|Z07:00|Z0700|Z07|-07:00|-0700|-07"
    r"|PM|pm|[.,](?:0+|9+)(?![0-9])|[1-5]"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a time.Time is; `ns` since 1970, shown in `zone`. ZERO_NS is Go's zero time."""

    ns: int
    zone: ZoneInfo | None = None

    @property
    def at(self) -> datetime:
        moment = moment_of(self.ns)
        try:
            return moment.astimezone(self.zone or UTC)
        except OverflowError:  # the first or the last day that there is
            return moment


ZERO_NS: Final = -62_135_596_800_000_000_000


def go_time(ns: int, zone: ZoneInfo | None = None, type_name: str = TIME) -> GoStruct:
    """`native` is a Moment."""
    own = Moment(ns, zone)
    moment = own.at
    weekday = GoStruct("time.Weekday", text=f"{moment:%A}")
    month = GoStruct("time.Month", text=f"{moment:%B}")
    values: dict[str, Value] = {
        "Year": moment.year, "Month": month, "Day": moment.day, "Hour": moment.hour,
        "Minute": moment.minute, "Second": moment.second, "Nanosecond": ns % 1_000_000_000,
        "Weekday": weekday, "YearDay": moment.timetuple().tm_yday, "Unix": ns // 1_000_000_000,
        "UnixMilli": ns // 1_000_000, "UnixMicro": ns // 1000, "UnixNano": ns,
        "String": time_in(own, _FULL), "IsZero": ns == ZERO_NS,
    }  # fmt: skip
    methods = {name: _answer(value) for name, value in values.items()} | {
        "Format": Function(("string",), lambda layout: time_in(own, layout)),
        "UTC": Function((), lambda: go_time(ns, None, type_name)),
        "Local": Function((), lambda: go_time(ns, None, type_name)),
        "Add": Function((DURATION,), lambda length: go_time(ns + length.native, zone, type_name)),
        "Sub": Function((type_name,), lambda other: go_duration(ns - other.native.ns)),
        "Before": Function((type_name,), lambda other: ns < other.native.ns),
        "After": Function((type_name,), lambda other: ns > other.native.ns),
        "Equal": Function((type_name,), lambda other: ns == other.native.ns),
    }
    return GoStruct(type_name, methods=methods, text=time_in(own, _FULL), native=own)


def go_duration(ns: int) -> GoStruct:
    text = duration_text(ns)
    values: dict[str, Value] = {
        "Seconds": ns / 1e9, "Minutes": ns / 60e9, "Hours": ns / 3600e9, "Nanoseconds": ns,
        "Milliseconds": int(ns / 1e6), "Microseconds": int(ns / 1e3), "String": text,
    }  # fmt: skip
    methods = {name: _answer(value) for name, value in values.items()}
    return GoStruct(DURATION, methods=methods, text=text, native=ns)


def _answer(value: Value) -> Function:
    return Function((), lambda: value)


def duration_text(ns: int) -> str:
    """1h2m3.5s, 1.5ms, 0s"""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    if ns < 1_000_000_000:
        unit, scale = next(
            (unit, scale)
            for unit, scale in (("ns", 1), ("µs", 1000), ("ms", 1_000_000))
            if ns < scale * 1000
        )
        return f"{sign}{_decimal(ns, scale)}{unit}"
    minutes, rest = divmod(ns, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(count: int, scale: int) -> str:
    whole, rest = divmod(count, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def time_in(own: Moment, layout: str) -> str:
    """A time by Go's example date, Mon Jan 2 15:04:05 MST 2006."""
    moment = own.at
    hour, day_of_year = moment.hour % 12 or 12, moment.timetuple().tm_yday
    known = {
        "January": f"{moment:%B}", "Jan": f"{moment:%b}", "Monday": f"{moment:%A}",
        "Mon": f"{moment:%a}", "2006": f"{moment.year:04}", "06": f"{moment:%y}",
        "01": f"{moment.month:02}", "1": str(moment.month), "02": f"{moment.day:02}",
        "2": str(moment.day), "_2": f"{moment.day:2}", "002": f"{day_of_year:03}",
        "__2": f"{day_of_year:3}",
        "15": f"{moment.hour:02}", "03": f"{hour:02}", "3": str(hour),
        "04": f"{moment.minute:02}", "4": str(moment.minute), "05": f"{moment.second:02}",
        "5": str(moment.second), "PM": f"{moment:%p}", "pm": f"{moment:%p}".lower(),
    }  # fmt: skip
    nanoseconds = f"{own.ns % 1_000_000_000:09}"

    def shown(found: re.Match[str]) -> str:
        token = found[0]
        if token in known:
            return known[token]
        if token[0] not in ".,":
            return _zone_text(moment, token)
        digits = nanoseconds[: len(token) - 1]
        if token[1] == "9":
            digits = digits.rstrip("0")
        return f"{token[0]}{digits}" if digits else ""

    return _LAYOUT.sub(shown, layout)


def _zone_text(moment: datetime, part: str) -> str:
    if part == "MST":
        return moment.tzname() or "UTC"
    offset = moment.utcoffset() or timedelta(0)
    if part[0] == "Z" and not offset:
        return "Z"
    minutes = int(offset.total_seconds() // 60)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    hours, minutes = divmod(minutes, 60)
    if part in {"Z07", "-07"}:
        return f"{sign}{hours:02}"
    return f"{sign}{hours:02}{':' if ':' in part else ''}{minutes:02}"
