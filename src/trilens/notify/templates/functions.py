"""Functions of Alertmanager's templates (0.34), beside those that Go's have by themselves."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trilens.go_template.errors import FunctionError
from trilens.go_template.humanize import humanize_duration
from trilens.go_template.regex_search import finds, replace_all
from trilens.go_template.times import go_duration, go_time, time_in
from trilens.go_template.values import Function, GoList, GoMap, Value, type_of
from trilens.notify.go_text import go_json
from trilens.notify.templates.values import (
    TEXTS,
    TIME,
    SafeText,
    SafeUrl,
    plain_json,
    texts_value,
    time_value,
)

_ITEMS_MAX: Final = 100_000
# Unicode's words (UAX 29): letters that are parted by these alone are one.
_WORD: Final = re.compile(r"\w(?:\w|['.:\u00b7\u2018\u2019\u2024\u2027](?=\w))*")
# Go's layout as strptime writes it; what it has not is not parsed.
_PARSED: Final = {
    "2006": "%Y", "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "01": "%m",
    "02": "%d", "15": "%H", "03": "%I", "04": "%M", "05": "%S", "PM": "%p", "Z07:00": "%z",
    "-07:00": "%z", "-0700": "%z", "MST": "%Z", "06": "%y", "%": "%%",
}  # fmt: skip
_PART: Final = re.compile("|".join(map(re.escape, sorted(_PARSED, key=len, reverse=True))))


def _title(text: str) -> str:
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text)


def _join(separator: str, texts: Value) -> str:
    if not isinstance(texts, GoList) or not all(isinstance(one, str) for one in texts.items):
        raise FunctionError(f"wrong type for value; expected {TEXTS}; got {type_of(texts)}")
    return separator.join(texts.items)


def _url_unescape(text: str) -> str:
    if found := re.search(r"%(?![0-9a-fA-F]{2}).{0,2}", text):
        raise FunctionError(f'invalid URL escape "{found[0]}"')
    return unquote_plus(text)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise FunctionError(f"not base64 of the URL's alphabet: {error}") from None


def _listed(*values: Value) -> GoList:
    _check_count(values)
    return GoList(list(values))


def _appended(items: Value, *more: Value) -> GoList:
    if not isinstance(items, GoList):
        raise FunctionError(f"append takes a list, not {type_of(items)}")
    _check_count((*items.items, *more))
    return GoList([*items.items, *more], items.type_name)


def _check_count(values: Sequence[Value]) -> None:
    """With all that is in them: a list of a list twice, again and again, is soon too long."""
    waiting, count = list(values), 0
    while waiting:
        one = waiting.pop()
        count += 1
        if count > _ITEMS_MAX:
            raise FunctionError(f"lists of more than {_ITEMS_MAX} items")
        if isinstance(one, GoList):
            waiting += one.items
        elif isinstance(one, GoMap):
            waiting += one.entries.values()


def _dict(*pairs: Value) -> GoMap:
    if len(pairs) % 2:
        raise FunctionError("dict requires an even number of arguments")
    if not all(isinstance(key, str) for key in pairs[::2]):
        raise FunctionError("dict keys must be strings")
    _check_count(pairs)
    entries = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return GoMap(entries, "map[string]interface {}", None)


def _in_zone(name: str, at: Value) -> Value:
    try:
        zone = None if name in {"", "UTC"} else ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise FunctionError(f"unknown time zone {name}") from None
    return go_time(at.native.ns, zone, TIME)


def _to_date(layout: str, text: str) -> Value:
    pattern = _PART.sub(lambda part: _PARSED[part[0]], layout)
    try:
        at = datetime.strptime(text, pattern)  # noqa: DTZ007
    except ValueError as error:
        raise FunctionError(str(error)) from None
    at = at.replace(tzinfo=at.tzinfo or UTC)
    return time_value(int(at.timestamp() * 1_000_000) * 1000)


def _to_date_or_zero(layout: str, text: str) -> Value:
    try:
        return _to_date(layout, text)
    except FunctionError:
        return time_value(0)


def _json(value: Value) -> str:
    try:
        return go_json(plain_json(value)).decode()
    except ValueError as error:
        raise FunctionError(str(error)) from None


def functions(now_ns: Callable[[], int]) -> Mapping[str, Function]:
    """All of them; `now_ns` tells the time of `now` and `since`."""
    return {
        **_PURE,
        "now": Function((), lambda: go_time(now_ns(), None, TIME)),
        "since": Function((TIME,), lambda at: go_duration(now_ns() - at.native.ns)),
    }


_TEXT: Final = ("string",)
_TEXT_2: Final = ("string", "string")
_PURE: Final[Mapping[str, Function]] = {
    "toUpper": Function(_TEXT, lambda text: text.upper()),
    "toLower": Function(_TEXT, lambda text: text.lower()),
    "title": Function(_TEXT, _title),
    "trimSpace": Function(_TEXT, lambda text: text.strip()),
    "join": Function(("string", "any"), _join),
    "match": Function(_TEXT_2, finds),
    "reReplaceAll": Function(("string", "string", "string"), replace_all),
    "safeHtml": Function(_TEXT, SafeText),
    "safeUrl": Function(_TEXT, SafeUrl),
    "urlUnescape": Function(_TEXT, _url_unescape),
    "stringSlice": Function(_TEXT, lambda *texts: texts_value(texts), is_variadic=True),
    "date": Function(("string", TIME), lambda layout, at: time_in(at.native, layout)),
    "tz": Function(("string", TIME), _in_zone),
    "humanizeDuration": Function(("any",), humanize_duration),
    "toDate": Function(_TEXT_2, _to_date_or_zero),
    "mustToDate": Function(_TEXT_2, _to_date),
    "toJson": Function(("any",), _json),
    "base64encode": Function(_TEXT, lambda text: base64.urlsafe_b64encode(text.encode()).decode()),
    "base64decode": Function(_TEXT, _decoded),
    "list": Function(("any",), _listed, is_variadic=True),
    "append": Function(("any", "any"), _appended, is_variadic=True),
    "dict": Function(("any",), _dict, is_variadic=True),
    "routeLabels": Function(_TEXT, lambda _name: ""),
}
