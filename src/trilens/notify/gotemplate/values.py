"""Data of templates: how Go sees them. Printing, truth, comparison, and the way inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trilens.notify.go_text import go_float
from trilens.notify.instants import print_instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS: Final = 1_000_000_000


class Record:
    """A struct: FIELDS and METHODS name what templates see, and the attribute behind each."""

    FIELDS: ClassVar[Mapping[str, str]] = {}
    METHODS: ClassVar[Mapping[str, str]] = {}


class Pair(Record):
    FIELDS: ClassVar[Mapping[str, str]] = {"Name": "name", "Value": "value"}

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value


class Strings(list[str]):
    METHODS: ClassVar[Mapping[str, str]] = {"Join": "joined"}

    def joined(self, separator: str) -> str:
        return separator.join(self)


class Pairs(list[Pair]):
    METHODS: ClassVar[Mapping[str, str]] = {"Names": "names", "Values": "values", "String": "text"}

    def names(self) -> Strings:
        return Strings(pair.name for pair in self)

    def values(self) -> Strings:
        return Strings(pair.value for pair in self)

    def text(self) -> str:
        return ", ".join(f"{pair.name}={pair.value}" for pair in self)


class KV(dict[str, str]):
    """Labels or annotations. A name that is not there is empty text."""

    METHODS: ClassVar[Mapping[str, str]] = {
        "SortedPairs": "sorted_pairs", "Remove": "without", "Names": "all_names",
        "Values": "all_values", "String": "text",
    }  # fmt: skip

    def sorted_pairs(self) -> Pairs:
        """By name, alertname first."""
        names = sorted(self, key=lambda name: (name != "alertname", name))
        return Pairs(Pair(name, self[name]) for name in names)

    def without(self, names: list[str]) -> KV:
        left_out = set(names)
        return KV({name: value for name, value in self.items() if name not in left_out})

    def all_names(self) -> Strings:
        return self.sorted_pairs().names()

    def all_values(self) -> Strings:
        return self.sorted_pairs().values()

    def text(self) -> str:
        return self.sorted_pairs().text()


class SafeText(str):
    """Text that html/template leaves as it is (template.HTML, template.URL)."""

    __slots__ = ()
    kind = "html"


class SafeUrl(SafeText):
    __slots__ = ()
    kind = "url"


@dataclass(frozen=True, slots=True, order=True)
class GoDuration:
    ns: int
    METHODS: ClassVar[Mapping[str, str]] = {
        "Seconds": "seconds", "Minutes": "minutes", "Hours": "hours", "String": "text",
        "Milliseconds": "milliseconds", "Nanoseconds": "nanoseconds",
    }  # fmt: skip

    def seconds(self) -> float:
        return self.ns / _SECOND_NS

    def minutes(self) -> float:
        return self.ns / (60 * _SECOND_NS)

    def hours(self) -> float:
        return self.ns / (3600 * _SECOND_NS)

    def milliseconds(self) -> int:
        return int(self.ns / 1_000_000)

    def nanoseconds(self) -> int:
        return self.ns

    def text(self) -> str:
        """1h2m3.5s, 12ms, 0s."""
        if self.ns < 0:
            return "-" + GoDuration(-self.ns).text()
        if self.ns < _SECOND_NS:
            for unit, unit_ns in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
                if self.ns >= unit_ns:
                    return go_float(self.ns / unit_ns) + unit
            return "0s"
        minutes, rest = divmod(self.ns, 60 * _SECOND_NS)
        text = f"{rest // _SECOND_NS}.{rest % _SECOND_NS:09}".rstrip("0").rstrip(".") + "s"
        hours, minutes = divmod(minutes, 60)
        return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + text


@dataclass(frozen=True, slots=True)
class GoTime:
    """A moment, shown in `zone`. 0 is the zero time."""

    ns: int
    zone: ZoneInfo | None = None
    METHODS: ClassVar[Mapping[str, str]] = {
        "Format": "formatted", "Unix": "unix", "UnixNano": "unix_nano", "UnixMilli": "unix_milli",
        "UTC": "utc", "Local": "utc", "Year": "year", "Month": "month", "Day": "day",
        "Hour": "hour", "Minute": "minute", "Second": "second", "Weekday": "weekday",
        "YearDay": "year_day", "Add": "plus", "Sub": "minus", "Before": "is_before",
        "After": "is_after", "Equal": "is_equal", "IsZero": "is_zero", "String": "text",
    }  # fmt: skip

    @property
    def at(self) -> datetime:
        if self.ns == 0:
            return datetime(1, 1, 1, tzinfo=UTC)
        return (_EPOCH + timedelta(microseconds=self.ns // 1000)).astimezone(self.zone or UTC)

    def in_zone(self, name: str) -> GoTime:
        """Raises ValueError."""
        try:
            return GoTime(self.ns, None if name in {"", "UTC"} else ZoneInfo(name))
        except (ZoneInfoNotFoundError, OSError, ValueError):
            raise ValueError(f"unknown time zone {name}") from None

    def formatted(self, layout: str) -> str:
        return _LAYOUT.sub(lambda part: _written(part[0], self.at, self.ns), layout)

    def text(self) -> str:
        digits = ".999999999" if self.ns % _SECOND_NS else ""
        return self.formatted(f"2006-01-02 15:04:05{digits} -0700 MST")

    def unix(self) -> int:
        return self.ns // _SECOND_NS if self.ns else -62135596800

    def unix_nano(self) -> int:
        return self.ns

    def unix_milli(self) -> int:
        return self.ns // 1_000_000

    def utc(self) -> GoTime:
        return GoTime(self.ns)

    def year(self) -> int:
        return self.at.year

    def month(self) -> str:
        return f"{self.at:%B}"

    def day(self) -> int:
        return self.at.day

    def hour(self) -> int:
        return self.at.hour

    def minute(self) -> int:
        return self.at.minute

    def second(self) -> int:
        return self.at.second

    def weekday(self) -> str:
        return f"{self.at:%A}"

    def year_day(self) -> int:
        return self.at.timetuple().tm_yday

    def plus(self, length: GoDuration | int) -> GoTime:
        return GoTime(self.ns + (length if isinstance(length, int) else length.ns), self.zone)

    def minus(self, other: GoTime) -> GoDuration:
        return GoDuration(self.ns - other.ns)

    def is_before(self, other: GoTime) -> bool:
        return self.ns < other.ns

    def is_after(self, other: GoTime) -> bool:
        return self.ns > other.ns

    def is_equal(self, other: GoTime) -> bool:
        return self.ns == other.ns

    def is_zero(self) -> bool:
        return self.ns == 0


# Go's layouts show how its reference time would look: 2006-01-02 15:04:05.
_LAYOUT: Final = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|002|01|02|03|04|05|06|15|PM|pm"
    r"|Z07:00|Z0700|Z07|-07:00|-0700|-07|[.,]0+(?!\d)|[.,]9+(?!\d)|_2|1|2|3|4|5"
)
_STRFTIME: Final = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "2006": "%Y", "002": "%j",
    "01": "%m", "02": "%d", "03": "%I", "04": "%M", "05": "%S", "06": "%y", "15": "%H", "PM": "%p",
}  # fmt: skip


def _written(part: str, at: datetime, ns: int) -> str:
    if part == "2006":
        return f"{at.year:04}"
    if part in _STRFTIME:
        return at.strftime(_STRFTIME[part])
    if part[0] in ".,":
        digits = f"{ns % _SECOND_NS:09}"[: len(part) - 1]
        if part[1] == "9":
            digits = digits.rstrip("0")
            return part[0] + digits if digits else ""
        return part[0] + digits
    if part[0] in "Z-" or part == "MST":
        return _zone(part, at)
    plain = {
        "pm": at.strftime("%p").lower(), "1": str(at.month), "2": str(at.day),
        "3": str((at.hour + 11) % 12 + 1), "4": str(at.minute), "5": str(at.second),
        "_2": f"{at.day:2}", "__2": f"{at.timetuple().tm_yday:3}",
    }  # fmt: skip
    return plain[part]


def _zone(part: str, at: datetime) -> str:
    offset = at.utcoffset() or timedelta(0)
    if part == "MST":
        return at.tzname() or "UTC"
    if part[0] == "Z" and not offset:
        return "Z"
    minutes = int(offset.total_seconds() // 60)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    hours, minutes = divmod(minutes, 60)
    colon = ":" if ":" in part else ""
    short = part in {"Z07", "-07"}
    return f"{sign}{hours:02}" + ("" if short else f"{colon}{minutes:02}")


def is_true(value: Any) -> bool:
    if isinstance(value, Record | GoTime):
        return True
    if isinstance(value, GoDuration):
        return value.ns != 0
    return bool(value)


def printed(value: Any) -> str:  # noqa: PLR0911 - one case a kind
    """As fmt.Print."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case str():
            return str(value)
        case int():
            return str(value)
        case float():
            return go_float(value)
        case GoTime() | GoDuration() | KV() | Pairs():
            return value.text()
        case list() | tuple():
            return "[" + " ".join(_inner(one) for one in value) + "]"
        case dict():
            pairs = (f"{_inner(key)}:{_inner(value[key])}" for key in sorted(value, key=str))
            return "map[" + " ".join(pairs) + "]"
        case Record():
            fields = (_inner(getattr(value, name)) for name in value.FIELDS.values())
            return "{" + " ".join(fields) + "}"
    raise ValueError(f"can't print a {kind_of(value)}")


def _inner(value: Any) -> str:
    return "<nil>" if value is None else printed(value)


def kind_of(value: Any) -> str:
    kinds = {str: "string", bool: "bool", int: "int", float: "float64", type(None): "nil"}
    for kind, name in kinds.items():
        if type(value) is kind:
            return name
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map"
    return "slice" if isinstance(value, list | tuple) else type(value).__name__


def plain_json(value: Any) -> Any:  # noqa: PLR0911 - one case a kind
    """What encoding/json would write."""
    if isinstance(value, GoTime):
        return print_instant(value.ns)
    if isinstance(value, GoDuration):
        return value.ns
    if isinstance(value, Record):
        shown = getattr(value, "as_json", None)
        if shown is not None:
            return plain_json(shown())
        return {name: plain_json(getattr(value, at)) for name, at in value.FIELDS.items()}
    if isinstance(value, dict):
        return {str(key): plain_json(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [plain_json(one) for one in value]
    return str(value) if isinstance(value, str) else value
