"""Functions of Go's templates and of Alertmanager's (0.34), by name."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

from trilens.notify.go_text import contains_match, go_json, replace_all
from trilens.notify.gotemplate.printf import sprintf
from trilens.notify.gotemplate.values import (
    GoDuration,
    GoTime,
    SafeText,
    SafeUrl,
    is_true,
    kind_of,
    plain_json,
    printed,
)

_JS_ESCAPES: Final = str.maketrans({
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026",
    "=": "\\u003D", "\n": "\\u000A", "\r": "\\u000D", "\t": "\\u0009",
})  # fmt: skip
_HTML_ESCAPES: Final = str.maketrans({
    "\0": "\ufffd", '"': "&#34;", "&": "&amp;", "'": "&#39;", "<": "&lt;", ">": "&gt;",
})  # fmt: skip
_ITEMS_MAX: Final = 100_000
_SECOND_NS: Final = 1_000_000_000
_WORD: Final = re.compile(r"\w[\w'\u2019]*")
# Go's layout as strptime writes it; what it has not is not parsed.
_PARSED: Final = (
    ("2006", "%Y"), ("January", "%B"), ("Jan", "%b"), ("Monday", "%A"), ("Mon", "%a"),
    ("01", "%m"), ("02", "%d"), ("15", "%H"), ("03", "%I"), ("04", "%M"), ("05", "%S"),
    ("PM", "%p"), ("Z07:00", "%z"), ("-07:00", "%z"), ("-0700", "%z"), ("MST", "%Z"), ("06", "%y"),
)  # fmt: skip


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected string; found {printed(value)}")
    return value


def _strings(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError(f"expected []string; found {kind_of(values)}")
    return values


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict | tuple):
        return len(value)
    raise TypeError(f"len of type {kind_of(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _indexed(value, key)
    return value


def _indexed(value: Any, key: Any) -> Any:
    if value is None:
        raise TypeError("index of untyped nil")
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise TypeError(f"value has type {kind_of(key)}; should be string")
        return value.get(key, "" if _is_of_texts(value) else None)
    if not isinstance(value, list | str):
        raise TypeError(f"can't index item of type {kind_of(value)}")
    if not isinstance(key, int) or isinstance(key, bool):
        raise TypeError(f"cannot index slice/array with type {kind_of(key)}")
    items = value.encode() if isinstance(value, str) else value
    if not 0 <= key < len(items):
        raise IndexError(f"index out of range: {key}")
    return items[key]


def _is_of_texts(value: dict[str, Any]) -> bool:
    return hasattr(type(value), "METHODS")


def _sliced(value: Any, *bounds: int) -> Any:
    if not isinstance(value, list | str) or len(bounds) > 3:
        raise TypeError(f"can't slice item of type {kind_of(value)}")
    items: Any = value.encode() if isinstance(value, str) else value
    begin = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(items)
    if not 0 <= begin <= end <= len(items):
        raise IndexError(f"index out of range: {begin}:{end}")
    return (
        items[begin:end].decode("utf-8", "replace") if isinstance(value, str) else items[begin:end]
    )


def _basic(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if value is None or isinstance(value, GoTime | GoDuration):
        return "other"
    raise TypeError(f"non-comparable type {kind_of(value)}")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TypeError("missing argument for comparison")
    for other in others:
        kinds = {_basic(first), _basic(other)}
        if first is None or other is None:
            if first is other:
                return True
            continue
        if len(kinds) > 1:
            raise TypeError("incompatible types for comparison")
        if first == other:
            return True
    return False


def _less(first: Any, other: Any) -> bool:
    kind = _basic(first)
    if kind in {"bool", "other"} and not isinstance(first, GoDuration):
        raise TypeError("invalid type for comparison")
    if kind != _basic(other):
        raise TypeError("incompatible types for comparison")
    return bool(first < other)


def _print(*values: Any) -> str:
    """As fmt.Sprint: spaces between two values of which none is text."""
    text, previous = "", None
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(previous, str):
            text += " "
        text += printed(value)
        previous = value
    return text


def _println(*values: Any) -> str:
    return " ".join(printed(value) for value in values) + "\n"


def _title(text: str) -> str:
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), _string(text))


def _url_unescape(text: str) -> str:
    if re.search(r"%(?![0-9a-fA-F]{2})", _string(text)):
        raise ValueError(f"invalid URL escape in {text!r}")
    return unquote_plus(text)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(_string(text), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise ValueError(f"not base64 of the URL's alphabet: {error}") from None


def _appended(items: list[Any], *more: Any) -> list[Any]:
    if not isinstance(items, list) or len(items) + len(more) > _ITEMS_MAX:
        raise TypeError(f"append takes a list of at most {_ITEMS_MAX} items")
    return [*items, *more]


def _dict(*pairs: Any) -> dict[str, Any]:
    if len(pairs) % 2:
        raise ValueError("dict requires an even number of arguments")
    if not all(isinstance(key, str) for key in pairs[::2]):
        raise ValueError("dict keys must be strings")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _seconds_of(value: Any) -> float:
    if isinstance(value, GoDuration):
        return value.ns / _SECOND_NS
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"can't convert {kind_of(value)} to float")
    return float(value)


def humanize_duration(value: Any) -> str:
    """Seconds as 1d 2h 3m 4s, or with a prefix of SI below one second."""
    seconds = _seconds_of(value)
    if not math.isfinite(seconds):
        return f"{seconds:.4g}".replace("inf", "Inf").replace("nan", "NaN")
    if seconds == 0:
        return "0s"
    if abs(seconds) >= 1:
        return _whole_units(seconds)
    prefix = ""
    for one in ("m", "u", "n", "p", "f", "a", "z", "y"):
        if abs(seconds) >= 1:
            break
        prefix, seconds = one, seconds * 1000
    return f"{seconds:.4g}{prefix}s"


def _whole_units(seconds: float) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hour}h {minute}m {second}s"
    if hour:
        return f"{sign}{hour}h {minute}m {second}s"
    if minute:
        return f"{sign}{minute}m {second}s"
    return f"{sign}{seconds:.4g}s"


def _to_date(layout: str, text: str) -> GoTime:
    pattern = _string(layout).replace("%", "%%")
    for part, letter in _PARSED:
        pattern = pattern.replace(part, letter)
    at = datetime.strptime(_string(text), pattern)  # noqa: DTZ007
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone(timedelta(0)))
    return GoTime(int(at.timestamp() * 1_000_000) * 1000)


def _to_date_or_zero(layout: str, text: str) -> GoTime:
    try:
        return _to_date(layout, text)
    except ValueError:
        return GoTime(0)


def functions(now_ns: Callable[[], int]) -> Mapping[str, Callable[..., Any]]:
    """All of them; `now_ns` tells the time of `now` and `since`."""
    return {
        **_GO,
        **_ALERTMANAGER,
        "now": lambda: GoTime(now_ns()),
        "since": lambda at: GoDuration(now_ns() - at.ns),
    }


_GO: Final[Mapping[str, Callable[..., Any]]] = {
    "len": _length,
    "index": _index,
    "slice": _sliced,
    "not": lambda value: not is_true(value),
    "eq": _equal,
    "ne": lambda one, two: not _equal(one, two),
    "lt": _less,
    "le": lambda one, two: _less(one, two) or _equal(one, two),
    "gt": lambda one, two: not (_less(one, two) or _equal(one, two)),
    "ge": lambda one, two: not _less(one, two),
    "print": _print,
    "println": _println,
    "printf": sprintf,
    "html": lambda *values: _print(*values).translate(_HTML_ESCAPES),
    "js": lambda *values: _print(*values).translate(_JS_ESCAPES),
    "urlquery": lambda *values: quote_plus(_print(*values)),
}
_ALERTMANAGER: Final[Mapping[str, Callable[..., Any]]] = {
    "toUpper": lambda text: _string(text).upper(),
    "toLower": lambda text: _string(text).lower(),
    "title": _title,
    "trimSpace": lambda text: _string(text).strip(),
    "join": lambda separator, texts: _string(separator).join(_strings(texts)),
    "match": lambda pattern, text: contains_match(_string(pattern), _string(text)),
    "reReplaceAll": lambda pattern, by, text: replace_all(
        _string(pattern), _string(by), _string(text)
    ),
    "safeHtml": lambda text: SafeText(_string(text)),
    "safeUrl": lambda text: SafeUrl(_string(text)),
    "urlUnescape": _url_unescape,
    "stringSlice": lambda *texts: _strings(list(texts)),
    "date": lambda layout, at: at.formatted(_string(layout)),
    "tz": lambda name, at: at.in_zone(_string(name)),
    "humanizeDuration": humanize_duration,
    "toDate": _to_date_or_zero,
    "mustToDate": _to_date,
    "toJson": lambda value: go_json(plain_json(value)).decode(),
    "base64encode": lambda text: base64.urlsafe_b64encode(_string(text).encode()).decode(),
    "base64decode": _decoded,
    "list": lambda *values: list(values),
    "append": _appended,
    "dict": _dict,
    "routeLabels": lambda _name: "",
}
