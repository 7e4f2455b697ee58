"""Parameters of Prometheus's HTTP API: from the query string, from a form, and what they say."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql.durations import parse_duration
from trilens.query.promql.errors import ParseError, PromqlError
from trilens.query.promql.parser import parse_selector
from trilens.query.promql.parser_types import is_selective
from trilens.query.promql_store.series import TIME_MS_MAX, TIME_MS_MIN

POINTS_MAX: Final = 11_000
FIELDS_MAX: Final = 1000
SECONDS_MAX: Final = 2**63 / 1e9
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE
)
# How clients of Go write the first and the last moment that there is.
_FIRST: Final = "-292273086-05-16T16:47:06Z"
_LAST: Final = "292277025-08-18T07:12:54.999999999Z"


def bad(name: str, why: str) -> PromqlError:
    return PromqlError(f'invalid parameter "{name}": {why}', error_type="bad_data")


@dataclass(frozen=True, slots=True)
class Form:
    """Fields of the body come before those of the URL."""

    fields: list[tuple[str, str]]
    now_ms: int

    @classmethod
    def of(cls, url_query: bytes, body: bytes, now_ms: int) -> Form:
        """Raises PromqlError."""
        try:
            fields = [
                pair
                for text in (body, url_query)
                for pair in parse_qsl(
                    text.decode("utf-8", "replace"),
                    keep_blank_values=True,
                    max_num_fields=FIELDS_MAX,
                )
            ]
        except ValueError as error:
            raise PromqlError(
                f"error parsing form values: {error}", error_type="bad_data"
            ) from None
        return cls(fields, now_ms)

    def text(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """Raises PromqlError; without a default the moment must be given."""
        text = self.text(name)
        if text == "" and default_ms is not None:
            return default_ms
        try:
            return parse_time_ms(text)
        except ValueError as error:
            raise bad(name, str(error)) from None

    def duration_ms(self, name: str) -> int:
        try:
            return parse_length_ms(self.text(name))
        except ValueError as error:
            raise bad(name, str(error)) from None

    def limit(self, name: str = "limit") -> int:
        """0 for none."""
        text = self.text(name)
        if text == "":
            return 0
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise bad(name, f"cannot parse {_quoted(text)} to a valid limit")
        if int(text) < 0:
            raise bad(name, "limit must be non-negative")
        return int(text)

    def within_ms(self) -> tuple[int, int]:
        """Start and end; all times where they are left out."""
        start_ms = self.time_ms("start", TIME_MS_MIN)
        end_ms = self.time_ms("end", TIME_MS_MAX)
        if end_ms < start_ms:
            raise bad("end", "end timestamp must not be before start timestamp")
        return start_ms, end_ms

    def matcher_sets(self) -> list[tuple[Matcher, ...]]:
        """Of match[]; each must have a matcher that the empty text does not satisfy."""
        sets = []
        for text in self.every("match[]"):
            selector = selector_of(text)
            if not is_selective(selector.matchers):
                raise bad("match[]", "match[] must contain at least one non-empty matcher")
            sets.append(selector.matchers)
        return sets


def selector_of(text: str) -> Selector:
    try:
        return parse_selector(text)
    except ParseError as error:
        raise bad("match[]", str(error)) from None


def parse_time_ms(text: str) -> int:
    """Seconds since 1970, or RFC 3339. ValueError says what is wrong."""
    if text in (_FIRST, _LAST):
        return TIME_MS_MIN if text == _FIRST else TIME_MS_MAX
    if _NUMBER.fullmatch(text) and "_" not in text:
        seconds = float(text)
        if math.isfinite(seconds) and abs(seconds) <= SECONDS_MAX:
            return round(seconds * 1000)
    elif match := _TIME.fullmatch(text):
        zone = "+00:00" if match[4] in "Zz" else match[4]
        try:
            whole = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").astimezone(UTC)
        except ValueError:
            pass
        else:
            return int(whole.timestamp()) * 1000 + int(f"{match[3] or '.'}000"[1:4])
    raise ValueError(f"cannot parse {_quoted(text)} to a valid timestamp")


def parse_length_ms(text: str) -> int:
    """Seconds, or a duration as `5m`. ValueError says what is wrong."""
    if _NUMBER.fullmatch(text) and "_" not in text:
        seconds = float(text)
        if not abs(seconds) <= SECONDS_MAX:
            raise ValueError(
                f"cannot parse {_quoted(text)} to a valid duration. It overflows int64"
            )
        return int(seconds * 1000)
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f"cannot parse {_quoted(text)} to a valid duration") from None


def label_name(escaped: str) -> str:
    """A name in a path: one that begins with U__ has `_xx_` for a character and `__` for `_`."""
    if not escaped.startswith("U__"):
        return escaped
    pieces = []
    at = 3
    while at < len(escaped):
        match = re.compile(r"_(?:_|([0-9a-fA-F]{1,6})_)").match(escaped, at)
        if match is None:
            if escaped[at] == "_":
                return escaped
            pieces.append(escaped[at])
            at += 1
            continue
        pieces.append("_" if match[1] is None else chr(min(int(match[1], 16), 0x10FFFF)))
        at = match.end()
    return "".join(pieces)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
