"""Matchers: a label's name, an operator, a value; alone, in lists, and their two syntaxes as one.

Alertmanager 0.27 and newer read matchers with a UTF-8 parser and fall back to the classic one:
what only the old parser reads is read by it, and where both read something else, the old one
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trilens.notify.matcher_syntax import MatcherFault, classic_parts, classic_split, utf8_parts
from trilens.query.promql.regex import Regex, compile_regex

Operator = Literal["=", "!=", "=~", "!~"]
_OPERATORS: dict[str, Operator] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
_ORDER: dict[Operator, int] = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
TEXT_CHARS_MAX = 65_536

__all__ = ["Matcher", "MatcherFault", "Operator", "matches_all", "parse_matcher", "parse_matchers"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label that is absent counts as empty. A regular expression is RE2, anchored."""

    name: str
    operator: Operator
    value: str
    regex: Regex | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, name: str, operator: Operator, value: str) -> Matcher:
        """Raises MatcherFault for a regular expression that is none."""
        if operator in {"=", "!="}:
            return cls(name, operator, value)
        try:
            return cls(name, operator, value, compile_regex(value))
        except ValueError as error:
            raise MatcherFault(str(error)) from None

    def matches(self, value: str) -> bool:
        if self.regex is None:
            return (value == self.value) == (self.operator == "=")
        return (self.regex.match(value) is not None) == (self.operator == "=~")

    @property
    def sort_key(self) -> tuple[str, str, int]:
        return self.name, self.value, _ORDER[self.operator]

    def __str__(self) -> str:
        """Text that both parsers read back."""
        if _needs_quotes(self.name):
            return f'"{self.name.translate(_ESCAPES)}"{self.operator}"{self._quoted()}"'
        return f'{self.name}{self.operator}"{self._quoted()}"'

    def _quoted(self) -> str:
        return self.value.translate(_ESCAPES)


def _needs_quotes(name: str) -> bool:
    return not name or any(c.isspace() or c in "{}!=~,\\\"'`" for c in name)


def matches_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def parse_matchers(text: str) -> list[Matcher]:
    """Zero or more, in braces or not. Raises MatcherFault."""
    if len(text) > TEXT_CHARS_MAX:
        raise MatcherFault(f"matchers are longer than {TEXT_CHARS_MAX} characters")
    newer, newer_fault = _tried(utf8_parts, text)
    older, older_fault = _tried(_classic_list, text)
    if older is not None and (newer is None or newer != older):
        return older
    if newer is not None:
        return newer
    raise MatcherFault(str(older_fault or newer_fault))


def parse_matcher(text: str) -> Matcher:
    """Exactly one, without braces. Raises MatcherFault."""
    if text.startswith("{") or text.endswith("}"):
        raise MatcherFault(f"unexpected open or close brace: {text}")
    newer, _ = _tried(utf8_parts, text)
    if newer is not None and len(newer) != 1:
        newer = None
    older, fault = _tried(lambda one: [classic_parts(one)], text[:TEXT_CHARS_MAX])
    if older is not None and (newer is None or newer != older):
        return older[0]
    if newer is not None:
        return newer[0]
    raise MatcherFault(str(fault))


def _classic_list(text: str) -> list[tuple[str, str, str]]:
    return [classic_parts(piece) for piece in classic_split(text)]


def _tried(
    parse: Callable[[str], list[tuple[str, str, str]]], text: str
) -> tuple[list[Matcher] | None, MatcherFault | None]:
    try:
        return [Matcher.of(name, _OPERATORS[op], value) for name, op, value in parse(text)], None
    except MatcherFault as fault:
        return None, fault
