r"""Regular expressions as RE2 takes them: whether one is valid, and whether it matches "".

The engine that matches is RE2 (ClickHouse's `match`; Prometheus uses Go's regexp, its twin). It is
given ^(?s:pattern)$: anchored at both ends, and . matches a newline too. Python's `re` is another
language: it takes lookarounds and backreferences, which RE2 refuses, and may take exponential time.
So nothing is matched here; the pattern is only read, once, in linear time. Whether it matches ""
follows from its parts: a* does, ab does if both do, a|b if one does.

What is not checked here but by the engine: names of scripts in \p{...} and the compiled size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

_DEPTH_MAX = 1000  # as in Go
_REPEATS_MAX = 1000
_CODE_POINT_MAX = 0x10FFFF
_COUNTS = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")
_GROUP_NAME = re.compile(r"\?P?<([A-Za-z0-9_]*)>")
_GROUP_FLAGS = re.compile(r"\?([imsU]*)(-[imsU]+)?([:)])")
_UNFINISHED_NAME = re.compile(r"\?P?<[^=!]")
_POSIX_CLASS = re.compile(r"\[:\^?(\w+):\]", re.ASCII)
_POSIX_CLASSES = frozenset([
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
])  # fmt: skip
_UNICODE_CLASS = re.compile(r"\\[pP](?:([A-Z])|\{\^?([A-Z][A-Za-z_]*)\})")
_HEX = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})")
_OCTAL = re.compile(r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})")
_SIMPLE_ESCAPES = frozenset("afnrtv")
_PERL_CLASSES = frozenset("dDsSwW")
_EMPTY_ESCAPES = {"A": True, "z": True, "b": False, "B": True}  # does it match in ""?


def parse_regex(pattern: str) -> bool:
    """Whether the pattern matches the empty string; ValueError in Prometheus's words if invalid."""
    return _Reader(pattern).read()


@dataclass(slots=True)
class _Group:
    """What is open: the alternatives before, the parts before, and the last part.

    `repeats` is how often repetitions multiply what is inside, at most.
    """

    any_empty: bool = False
    all_empty: bool = True
    has_part: bool = False
    part_is_empty: bool = True
    part_repeats: int = 1
    repeats: int = 1

    def add(self, *, matches_empty: bool, repeats: int = 1) -> None:
        self.close_part()
        self.has_part, self.part_is_empty, self.part_repeats = True, matches_empty, repeats

    def close_part(self) -> None:
        if self.has_part:
            self.all_empty = self.all_empty and self.part_is_empty
            self.repeats = max(self.repeats, self.part_repeats)
        self.has_part = False

    def close_alternative(self) -> None:
        self.close_part()
        self.any_empty = self.any_empty or self.all_empty
        self.all_empty = True


@dataclass(slots=True)
class _Reader:
    pattern: str
    position: int = 0
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    names: set[str] = field(default_factory=set)
    repetition: str = ""  # the one that ends here, if any

    def read(self) -> bool:
        if any("\ud800" <= character <= "\udfff" for character in self.pattern):
            self._refuse("invalid UTF-8", self.pattern)
        while self.position < len(self.pattern):
            self._step(self.pattern[self.position])
        if len(self.groups) > 1:
            self._refuse("missing closing )", self.pattern)
        self.groups[0].close_alternative()
        return self.groups[0].any_empty

    def _refuse(self, why: str, fragment: str) -> NoReturn:
        shown = fragment.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        raise ValueError(f"error parsing regexp: {why}: `{shown}`")

    def _step(self, character: str) -> None:
        before, self.repetition = self.repetition, ""
        if character in "*+?":
            self._repeat(self.position + 1, before, most=None if character != "?" else 1,
                         may_be_none=character != "+")  # fmt: skip
        elif character == "{" and (counts := _COUNTS.match(self.pattern, self.position)):
            self._counted(counts, before)
        elif character == "(":
            self._open()
        elif character == ")":
            self._close()
        elif character == "[":
            self._class()
            self.groups[-1].add(matches_empty=False)
        elif character == "\\":
            self._escape()
        elif character == "|":
            self.groups[-1].close_alternative()
            self.position += 1
        else:
            self.groups[-1].add(matches_empty=character in "^$")
            self.position += 1

    def _repeat(self, end: int, before: str, *, most: int | None, may_be_none: bool) -> None:
        start = self.position
        if self.pattern[end : end + 1] == "?":
            end += 1
        written = self.pattern[start:end]
        group = self.groups[-1]
        if not group.has_part:
            self._refuse("missing argument to repetition operator", written)
        if before:
            self._refuse("invalid nested repetition operator", before + written)
        group.part_is_empty = group.part_is_empty or may_be_none
        group.part_repeats *= max(most or 1, 1)
        if group.part_repeats > _REPEATS_MAX:
            self._refuse("invalid repeat count", written)
        self.position, self.repetition = end, written

    def _counted(self, counts: re.Match[str], before: str) -> None:
        least = _count(counts[1])
        most = least if counts[2] is None else _count(counts[3]) if counts[3] else None
        if least > _REPEATS_MAX or (most is not None and not least <= most <= _REPEATS_MAX):
            self._refuse("invalid repeat count", counts[0])
        self._repeat(counts.end(), before, most=least if most is None else most,
                     may_be_none=least == 0)  # fmt: skip

    def _open(self) -> None:
        start = self.position
        if self.pattern[start + 1 : start + 2] != "?":
            self._push(start + 1)
        elif name := _GROUP_NAME.match(self.pattern, start + 1):
            if not name[1] or name[1] in self.names:
                self._refuse("invalid named capture", f"({name[0]}")
            self.names.add(name[1])
            self._push(name.end())
        elif _UNFINISHED_NAME.match(self.pattern, start + 1):
            end = self.pattern.find(">", start) + 1
            self._refuse("invalid named capture", self.pattern[start : end or None])
        elif flags := _GROUP_FLAGS.match(self.pattern, start + 1):
            if flags[3] == ":":
                self._push(flags.end())
            else:
                self.position = flags.end()
        else:
            self._refuse_group(start)

    def _refuse_group(self, start: int) -> NoReturn:
        """(?=, (?!, (?<=, (?P=name) and whatever else only other engines have."""
        end = start + 2
        if self.pattern.startswith("<", end):
            end += 1
        fragment = self.pattern[start : end + 1]
        if len(fragment) <= 2:
            self._refuse("missing argument to repetition operator", "?")
        self._refuse("invalid or unsupported Perl syntax", fragment)

    def _push(self, position: int) -> None:
        if len(self.groups) > _DEPTH_MAX:
            self._refuse("expression nests too deeply", self.pattern)
        self.groups.append(_Group())
        self.position = position

    def _close(self) -> None:
        if len(self.groups) == 1:
            self._refuse("unexpected )", self.pattern)
        group = self.groups.pop()
        group.close_alternative()
        self.groups[-1].add(matches_empty=group.any_empty, repeats=group.repeats)
        self.position += 1

    def _escape(self) -> None:
        letter = self.pattern[self.position + 1 : self.position + 2]
        group = self.groups[-1]
        if letter in _EMPTY_ESCAPES:
            group.add(matches_empty=_EMPTY_ESCAPES[letter])
            self.position += 2
        elif letter == "Q":
            end = self.pattern.find("\\E", self.position + 2)
            quoted = self.pattern[self.position + 2 : end if end >= 0 else None]
            if quoted:
                group.add(matches_empty=False)
            self.position = end + 2 if end >= 0 else len(self.pattern)
        else:
            group.add(matches_empty=False)
            if not self._many_characters():
                self._one_character()

    def _many_characters(self) -> bool:
        r"""Reads \d, \pL and the like, if it is one of them."""
        letter = self.pattern[self.position + 1 : self.position + 2]
        if letter and letter in _PERL_CLASSES:
            self.position += 2
            return True
        if letter and letter in "pP":
            unicode = _UNICODE_CLASS.match(self.pattern, self.position)
            if unicode is None:
                end = self.pattern.find("}", self.position) + 1
                single = self.pattern[self.position + 2 : self.position + 3] != "{"
                end = self.position + 3 if single or not end else end
                fragment = self.pattern[self.position : end]
                self._refuse("invalid character class range", fragment)
            self.position = unicode.end()
            return True
        return False

    def _one_character(self) -> int:
        r"""Reads a character or its escape: `a`, \., \n, \x41. Its code point."""
        start = self.position
        character = self.pattern[start]
        self.position += 1
        if character != "\\":
            return ord(character)
        letter = self.pattern[start + 1 : start + 2]
        self.position += 1
        if not letter:
            self._refuse("trailing backslash at end of expression", "")
        if octal := _OCTAL.match(self.pattern, start):
            self.position = octal.end()
            return int(octal[0][1:], 8)
        if (code := _HEX.match(self.pattern, start)) and _is_code_point(code[1] or code[2]):
            self.position = code.end()
            return int(code[1] or code[2], 16)
        if letter in _SIMPLE_ESCAPES:
            return "\a\f\n\r\t\v".index(f"\\{letter}".encode().decode("unicode_escape"))
        if letter.isalnum() or not letter.isascii():
            self._refuse("invalid escape sequence", f"\\{letter}")
        return ord(letter)

    def _class(self) -> None:
        start = self.position
        self.position += 2 if self.pattern.startswith("^", start + 1) else 1
        is_first = True
        while is_first or not self.pattern.startswith("]", self.position):
            if self.position >= len(self.pattern):
                self._refuse("missing closing ]", self.pattern[start:])
            self._class_item()
            is_first = False
        self.position += 1

    def _class_item(self) -> None:
        start = self.position
        if posix := _POSIX_CLASS.match(self.pattern, start):
            if posix[1] not in _POSIX_CLASSES:
                self._refuse("invalid character class range", posix[0])
            self.position = posix.end()
            return
        if self.pattern[start] == "\\" and self._many_characters():
            return
        low = self._one_character()
        after = self.pattern[self.position : self.position + 2]
        if len(after) == 2 and after[0] == "-" and after[1] != "]":
            self.position += 1
            if self._one_character() < low:
                fragment = self.pattern[start : self.position]
                self._refuse("invalid character class range", fragment)


def _count(digits: str) -> int:
    return int(digits) if len(digits) <= len(str(_REPEATS_MAX)) else _REPEATS_MAX + 1


def _is_code_point(digits: str) -> bool:
    return len(digits.lstrip("0")) <= len("10FFFF") and int(digits, 16) <= _CODE_POINT_MAX
