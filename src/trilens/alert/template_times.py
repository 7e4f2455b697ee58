"""Times and durations in templates: time.Time (in UTC) and time.Duration of Go."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from trilens.alert.humanize import moment_of, time_text
from trilens.go_template.values import Function, GoStruct, Value

_LAYOUT: Final = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|002|0[1-6]|_2|15|Z07:00|Z0700|Z07|-07:00|-0700|-07"
    r"|PM|pm|[.,][09]+(?![0-9])|[1-5]"
)


def go_time(ns: int) -> GoStruct:
    """*time.Time, `ns` since 1970."""
    moment = moment_of(ns)
    weekday = GoStruct("time.Weekday", text=f"{moment:%A}")
    month = GoStruct("time.Month", text=f"{moment:%B}")
    values: dict[str, Value] = {
        "Year": moment.year, "Month": month, "Day": moment.day, "Hour": moment.hour,
        "Minute": moment.minute, "Second": moment.second, "Nanosecond": ns % 1_000_000_000,
        "Weekday": weekday, "YearDay": moment.timetuple().tm_yday, "Unix": ns // 1_000_000_000,
        "UnixMilli": ns // 1_000_000, "UnixMicro": ns // 1000, "UnixNano": ns,
        "String": time_text(ns), "IsZero": False,
    }  # fmt: skip
    time = "*time.Time"
    methods = {name: _answer(value) for name, value in values.items()} | {
        "Format": Function(("string",), lambda layout: time_in(moment, ns, layout)),
        "UTC": Function((), lambda: go_time(ns)),
        "Add": Function(("time.Duration",), lambda length: go_time(ns + length.native)),
        "Sub": Function((time,), lambda other: go_duration(ns - other.native)),
        "Before": Function((time,), lambda other: ns < other.native),
        "After": Function((time,), lambda other: ns > other.native),
        "Equal": Function((time,), lambda other: ns == other.native),
    }
    return GoStruct(time, methods=methods, text=time_text(ns), native=ns)


def go_duration(ns: int) -> GoStruct:
    text = duration_text(ns)
    values: dict[str, Value] = {
        "Seconds": ns / 1e9, "Minutes": ns / 60e9, "Hours": ns / 3600e9, "Nanoseconds": ns,
        "Milliseconds": int(ns / 1e6), "Microseconds": int(ns / 1e3), "String": text,
    }  # fmt: skip
    methods = {name: _answer(value) for name, value in values.items()}
    return GoStruct("time.Duration", methods=methods, text=text, native=ns)


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


def time_in(moment: datetime, ns: int, layout: str) -> str:
    """A time by Go's example date, Mon Jan 2 15:04:05 MST 2006."""
    hour = moment.hour % 12 or 12
    known = {
        "January": f"{moment:%B}", "Jan": f"{moment:%b}", "Monday": f"{moment:%A}",
        "Mon": f"{moment:%a}", "MST": "UTC", "2006": f"{moment.year:04}", "06": f"{moment:%y}",
        "01": f"{moment.month:02}", "1": str(moment.month), "02": f"{moment.day:02}",
        "2": str(moment.day), "_2": f"{moment.day:2}", "002": f"{moment:%j}",
        "15": f"{moment.hour:02}", "03": f"{hour:02}", "3": str(hour),
        "04": f"{moment.minute:02}", "4": str(moment.minute), "05": f"{moment.second:02}",
        "5": str(moment.second), "PM": f"{moment:%p}", "pm": f"{moment:%p}".lower(),
        "Z07:00": "Z", "Z0700": "Z", "Z07": "Z", "-07:00": "+00:00", "-0700": "+0000",
        "-07": "+00",
    }  # fmt: skip
    nanoseconds = f"{ns % 1_000_000_000:09}"

    def shown(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] not in ".,":
            return known[token]
        digits = nanoseconds[: len(token) - 1]
        if token[1] == "9":
            digits = digits.rstrip("0")
        return f"{token[0]}{digits}" if digits else ""

    return _LAYOUT.sub(shown, layout)
