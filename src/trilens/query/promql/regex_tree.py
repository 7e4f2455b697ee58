r"""Reads RE2's regular expressions into a tree. They must be valid: parser_regex says which are.

    Chars       one character of a set    Repeat    so many times, rather more or rather less
    Assertion   a place: ^ $ \b ...       Branches  the first one that leads to a match
    Sequence    one after the other       Group     what it matched is remembered

`.` is any character, as Prometheus has it: flags are s unless the pattern says otherwise.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

_LAST = sys.maxunicode
_DEPTH_MAX = 100  # of groups in groups; deeper ones would run into Python's limit of frames
_DIGITS = ((0x30, 0x39),)
_WORDS = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACES = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_PERL = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_POSIX = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGITS,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORDS,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_GROUP = re.compile(r"\(\?P?<(?P<name>\w+)>|\(\?(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)])")
_COUNTS = re.compile(r"\{(\d+)(,(\d*))?\}")
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_CODE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]+)\}|(0[0-7]{0,2}|[1-7][0-7]{1,2}))")
_UNICODE_CLASS = re.compile(r"\\([pP])(?:(\w)|\{(\^?)(\w+)\})")
_CATEGORY = re.compile(r"[CLMNPSZ][a-z]?")

Place: TypeAlias = Literal[
    "text_start", "text_end", "line_start", "line_end", "word_edge", "no_edge"
]
Ranges: TypeAlias = "tuple[tuple[int, int], ...]"


@dataclass(frozen=True, slots=True)
class Chars:
    """Code points in `ranges` or of Unicode `categories` (the beginnings of their names).

    `sets` are sets within the set, which may say what they are not.
    """

    ranges: Ranges
    categories: tuple[str, ...] = ()
    sets: tuple[Chars, ...] = ()
    is_negated: bool = False
    folds_case: bool = False

    def has(self, character: str) -> bool:
        candidates = _cases(character) if self.folds_case else {character}
        return any(map(self._has, candidates)) is not self.is_negated

    def _has(self, character: str) -> bool:
        code = ord(character)
        return (
            any(low <= code <= high for low, high in self.ranges)
            or (
                bool(self.categories)
                and unicodedata.category(character).startswith(self.categories)
            )
            or any(each.has(character) for each in self.sets)
        )


def _cases(character: str) -> set[str]:
    """The character in all its cases."""
    found = {character, character.lower(), character.upper(), character.casefold()}
    found |= {"K": {"\u212a"}, "k": {"\u212a"}, "S": {"\u017f"}, "s": {"\u017f"}}.get(
        character, set()
    )
    return {each for each in found if len(each) == 1}


@dataclass(frozen=True, slots=True)
class Assertion:
    place: Place


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Node
    least: int
    most: int | None
    is_greedy: bool


@dataclass(frozen=True, slots=True)
class Group:
    number: int
    part: Node


Node: TypeAlias = "Chars | Assertion | Sequence | Branches | Repeat | Group"
ANY = Chars(((0, _LAST),))
_SPECIAL: dict[str, Node] = {
    "A": Assertion("text_start"),
    "B": Assertion("no_edge"),
    "C": ANY,
    "b": Assertion("word_edge"),
    "z": Assertion("text_end"),
}


@dataclass(frozen=True, slots=True)
class Tree:
    node: Node
    groups: int
    names: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Flags:
    i: bool = False
    m: bool = False
    s: bool = True
    U: bool = False


def read_regex(pattern: str) -> Tree:
    """Raises ValueError for what is beyond us: deep nesting, names of scripts."""
    reader = _Reader(pattern)
    node = reader.branches(_Flags())
    return Tree(node, reader.groups, reader.names)


@dataclass(slots=True)
class _Reader:
    pattern: str
    at: int = 0
    groups: int = 0
    depth: int = 0
    names: dict[str, int] = field(default_factory=dict)

    def _sees(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def branches(self, flags: _Flags) -> Node:
        """Up to the end of the group; flags that are set inside hold until then."""
        options: list[Node] = []
        parts: list[Node] = []
        while self.at < len(self.pattern) and not self._sees(")"):
            if self._sees("|"):
                self.at += 1
                options.append(Sequence(tuple(parts)))
                parts = []
                continue
            found = _GROUP.match(self.pattern, self.at)
            if found is not None and found["end"] == ")":
                self.at = found.end()
                flags = _changed(flags, found)
                continue
            parts += self._repeated(flags)
        last = Sequence(tuple(parts))
        return Branches((*options, last)) if options else last

    def _repeated(self, flags: _Flags) -> list[Node]:
        *before, part = self._atoms(flags) or [Sequence(())]
        bounds = self._bounds()
        if bounds is None:
            return [*before, part]
        is_lazy = self._sees("?")
        self.at += is_lazy
        return [*before, Repeat(part, *bounds, is_greedy=is_lazy is flags.U)]

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._sees(sign):
                self.at += 1
                return bounds
        found = _COUNTS.match(self.pattern, self.at)
        if found is None:
            return None
        self.at = found.end()
        least = int(found[1])
        return least, least if found[2] is None else int(found[3]) if found[3] else None

    def _atoms(self, flags: _Flags) -> list[Node]:
        """One part; several of quoted text, of which the last one may be repeated."""
        character = self.pattern[self.at]
        if character == "(":
            return [self._group(flags)]
        if character == "[":
            return [self._class(flags)]
        if character == "\\":
            return self._escape(flags)
        self.at += 1
        special: dict[str, Node] = {
            ".": ANY if flags.s else Chars(((0x0A, 0x0A),), is_negated=True),
            "^": Assertion("line_start" if flags.m else "text_start"),
            "$": Assertion("line_end" if flags.m else "text_end"),
        }
        return [special.get(character) or _one(ord(character), flags)]

    def _group(self, flags: _Flags) -> Node:
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise ValueError("expression nests too deeply")
        found = _GROUP.match(self.pattern, self.at)
        number = 0
        if found is None or found["name"]:
            self.groups += 1
            number = self.groups
        if found is None:
            self.at += 1
        else:
            self.at = found.end()
            if found["name"]:
                self.names[found["name"]] = number
            else:
                flags = _changed(flags, found)
        inner = self.branches(flags)
        self.at += 1
        self.depth -= 1
        return Group(number, inner) if number else inner

    def _escape(self, flags: _Flags) -> list[Node]:
        letter = self.pattern[self.at + 1]
        if letter == "Q":
            end = self.pattern.find("\\E", self.at + 2)
            literal = self.pattern[self.at + 2 : end if end >= 0 else None]
            self.at = end + 2 if end >= 0 else len(self.pattern)
            return [_one(ord(character), flags) for character in literal]
        if letter in _SPECIAL:
            self.at += 2
            return [_SPECIAL[letter]]
        many = self._many()
        return [_one(self._code(), flags) if many is None else replace(many, folds_case=flags.i)]

    def _many(self) -> Chars | None:
        r"""\d, \pL and the like, if one is next."""
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter and letter in "dDwWsS":
            self.at += 2
            return Chars(_PERL[letter.lower()], is_negated=letter.isupper())
        found = _UNICODE_CLASS.match(self.pattern, self.at)
        if found is None:
            return None
        self.at = found.end()
        name = found[2] or found[4]
        is_negated = (found[1] == "P") is not bool(found[3])
        if name == "Any":
            return Chars(((0, _LAST),), is_negated=is_negated)
        if not _CATEGORY.fullmatch(name):
            raise ValueError(f"invalid character class range: `{found[0]}`")
        return Chars((), (name,), is_negated=is_negated)

    def _code(self) -> int:
        if not self._sees("\\"):
            self.at += 1
            return ord(self.pattern[self.at - 1])
        found = _CODE.match(self.pattern, self.at)
        if found is not None:
            self.at = found.end()
            return int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
        letter = self.pattern[self.at + 1]
        self.at += 2
        return _CONTROLS.get(letter, ord(letter))

    def _class(self, flags: _Flags) -> Chars:
        self.at += 1
        is_negated = self._sees("^")
        self.at += is_negated
        ranges: list[tuple[int, int]] = []
        sets: list[Chars] = []
        start = self.at
        while self.at == start or not self._sees("]"):
            found = self._set_in_class()
            if found is not None:
                sets.append(found)
                continue
            low = self._code()
            high = low
            if self._sees("-") and not self._sees("-]"):
                self.at += 1
                high = self._code()
            ranges.append((low, high))
        self.at += 1
        return Chars(tuple(ranges), (), tuple(sets), is_negated, flags.i)

    def _set_in_class(self) -> Chars | None:
        posix = _POSIX_CLASS.match(self.pattern, self.at)
        if posix is not None:
            self.at = posix.end()
            return Chars(_POSIX[posix[2]], is_negated=bool(posix[1]))
        return self._many() if self._sees("\\") else None


def _one(code: int, flags: _Flags) -> Chars:
    return Chars(((code, code),), folds_case=flags.i)


def _changed(flags: _Flags, found: re.Match[str]) -> _Flags:
    on = dict.fromkeys(found["on"], True)
    return replace(flags, **on, **dict.fromkeys(found["off"] or "", False))
