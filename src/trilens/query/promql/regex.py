"""Matches regular expressions of RE2 without ever taking long: for label_replace and info.

A pattern is compiled to steps of a machine that follows all ways through it at the same time, the
preferred one first (Pike's): the time is that of the text's length times the pattern's. Where it
is certain that there are only few ways, Python's own `re` goes through them one by one, which is
much faster; it is given the pattern in its own syntax.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.regex_tree import (
    ANY,
    Assertion,
    Branches,
    Chars,
    Group,
    Node,
    Place,
    Repeat,
    Sequence,
    Tree,
    read_regex,
)

_WAYS_MAX = 1e5
_STEPS_MAX = 200_000
_TEMPLATE = re.compile(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})")

_NUMBER = re.compile("0|[1-9][0-9]{0,8}")

# What the groups matched, the whole first; None for one that took no part.
Groups: TypeAlias = "list[str | None]"


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> Regex:
    """Raises ValueError in Prometheus's words."""
    parse_regex(pattern)
    return Regex(read_regex(pattern))


class Regex:
    """One pattern; it always has to match the whole text."""

    def __init__(self, tree: Tree) -> None:
        self.names = tree.names
        self._tree = tree
        self._factor, self._power = _ways(tree.node)
        source = _in_python(tree.node) if self._factor <= _WAYS_MAX else None
        self._python = None if source is None else re.compile(source, re.DOTALL)
        self._machine: _Machine | None = None

    def match(self, text: str) -> Groups | None:
        if self._python is not None and self._factor * len(text) ** self._power <= _WAYS_MAX:
            found = self._python.fullmatch(text)
            return None if found is None else [found[0], *found.groups()]
        if self._machine is None:
            self._machine = _Machine(self._tree)
        return self._machine.match(text)

    def expand(self, template: str, groups: Groups) -> str:
        """$1, ${1}, $name and ${name} are groups, unknown ones nothing; $$ is $."""

        def group(reference: re.Match[str]) -> str:
            name = reference["name"] or reference["braced"]
            if name is None:
                return "$"
            number = int(name) if _NUMBER.fullmatch(name) else self.names.get(name, -1)
            return (groups[number] or "") if 0 <= number < len(groups) else ""

        return _TEMPLATE.sub(group, template)


def _ways(node: Node) -> tuple[float, float]:
    """At most `factor * length ** power` ways lead through a text."""
    match node:
        case Sequence():
            every = [_ways(part) for part in node.parts]
            return math.prod(factor for factor, _ in every), sum(power for _, power in every)
        case Branches():
            every = [_ways(option) for option in node.options]
            return sum(factor for factor, _ in every), max(power for _, power in every)
        case Group():
            return _ways(node.part)
        case Repeat():
            return _ways_of_repeat(node)
        case _:
            return 1.0, 0.0


def _ways_of_repeat(node: Repeat) -> tuple[float, float]:
    if isinstance(node.part, Chars):
        return (1.0, 1.0) if node.most is None else (1.0 + node.most - node.least, 0.0)
    if (node.least, node.most) == (0, 1):
        factor, power = _ways(node.part)
        return factor + 1.0, power
    return math.inf, 0.0


_PLACES: dict[Place, str] = {
    "text_start": r"\A",
    "text_end": r"\Z",
    "line_start": "(?m:^)",
    "line_end": "(?m:$)",
    "word_edge": r"(?a:\b)",
    "no_edge": r"(?a:\B)",
}


def _in_python(node: Node) -> str | None:
    """The same for `re`; None for what it cannot say."""
    match node:
        case Chars():
            return _class_in_python(node)
        case Assertion():
            return _PLACES[node.place]
        case Sequence():
            parts = [_in_python(part) for part in node.parts]
            return None if None in parts else "".join(map(str, parts))
        case Branches():
            options = [_in_python(option) for option in node.options]
            return None if None in options else f"(?:{'|'.join(map(str, options))})"
        case Group():
            inner = _in_python(node.part)
            return None if inner is None else f"({inner})"
        case Repeat():
            inner = _in_python(node.part)
            most = "" if node.most is None else node.most
            lazy = "" if node.is_greedy else "?"
            return None if inner is None else f"(?:{inner}){{{node.least},{most}}}{lazy}"


def _class_in_python(chars: Chars) -> str | None:
    if chars.categories or chars.sets or chars.folds_case:
        return None
    if chars == ANY:
        return "."
    if len(chars.ranges) == 1 and chars.ranges[0][0] == chars.ranges[0][1] and not chars.is_negated:
        return re.escape(chr(chars.ranges[0][0]))
    ranges = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in chars.ranges)
    return f"[{'^' if chars.is_negated else ''}{ranges}]"


@dataclass(frozen=True, slots=True)
class _Take:
    """Goes on behind a character of the set."""

    chars: Chars


@dataclass(frozen=True, slots=True)
class _Be:
    """Goes on at such a place."""

    place: Place


@dataclass(frozen=True, slots=True)
class _Remember:
    """Where a group begins (an even slot) or ends."""

    slot: int


@dataclass(slots=True)
class _Split:
    """Goes on at both steps, rather at the first."""

    first: int = 0
    second: int = 0


@dataclass(slots=True)
class _Jump:
    target: int = 0


_Step: TypeAlias = "_Take | _Be | _Remember | _Split | _Jump"
_Slots: TypeAlias = tuple[int, ...]


class _Machine:
    """Steps one after the other; behind the last one is the match."""

    def __init__(self, tree: Tree) -> None:
        self._groups = tree.groups
        self._steps: list[_Step] = []
        self._known: dict[tuple[int, str], bool] = {}
        self._add(tree.node)

    def _put(self, step: _Step) -> None:
        if len(self._steps) >= _STEPS_MAX:
            raise ValueError("expression is too large")
        self._steps.append(step)

    def _add(self, node: Node) -> None:
        match node:
            case Chars():
                self._put(_Take(node))
            case Assertion():
                self._put(_Be(node.place))
            case Sequence():
                for part in node.parts:
                    self._add(part)
            case Group():
                self._put(_Remember(2 * node.number))
                self._add(node.part)
                self._put(_Remember(2 * node.number + 1))
            case Branches():
                self._add_branches(node)
            case Repeat():
                self._add_repeat(node)

    def _add_branches(self, node: Branches) -> None:
        jumps: list[_Jump] = []
        for option in node.options[:-1]:
            split = _Split(len(self._steps) + 1)
            self._put(split)
            self._add(option)
            jumps.append(_Jump())
            self._put(jumps[-1])
            split.second = len(self._steps)
        self._add(node.options[-1])
        for jump in jumps:
            jump.target = len(self._steps)

    def _add_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._add(node.part)
        if node.most is None:
            start = len(self._steps)
            split = self._add_optional(node, back_to=start)
            self._leave(split, node)
            return
        splits = [self._add_optional(node) for _ in range(node.most - node.least)]
        for split in splits:
            self._leave(split, node)

    def _add_optional(self, node: Repeat, back_to: int | None = None) -> _Split:
        """The part, which may be left out: `_leave` says where to go then."""
        split = _Split()
        self._put(split)
        inside = len(self._steps)
        split.first = split.second = inside
        self._add(node.part)
        if back_to is not None:
            self._put(_Jump(back_to))
        return split

    def _leave(self, split: _Split, node: Repeat) -> None:
        if node.is_greedy:
            split.second = len(self._steps)
        else:
            split.first = len(self._steps)

    def match(self, text: str) -> Groups | None:
        """Ways in the order of preference; at the end of the text the first that is done counts."""
        end = len(self._steps)
        nowhere = (-1,) * (2 * self._groups + 2)
        ways = self._follow([(0, nowhere)], text, 0)
        for at, character in enumerate(text):
            taken = [
                (number + 1, slots)
                for number, slots in ways.items()
                if number < end and self._takes(number, character)
            ]
            ways = self._follow(taken, text, at + 1)
            if not ways:
                return None
        slots = ways.get(end)
        if slots is None:
            return None
        spans = zip(slots[2::2], slots[3::2], strict=True)
        return [text, *(text[a:b] if a >= 0 and b >= 0 else None for a, b in spans)]

    def _takes(self, number: int, character: str) -> bool:
        key = number, character
        known = self._known.get(key)
        if known is None:
            step = self._steps[number]
            known = isinstance(step, _Take) and step.chars.has(character)
            self._known[key] = known
        return known

    def _follow(self, starts: list[tuple[int, _Slots]], text: str, at: int) -> dict[int, _Slots]:
        """What can be reached from these without a character: steps that take one, or the end."""
        reached: dict[int, _Slots] = {}
        passed: set[int] = set()
        waiting = starts[::-1]
        while waiting:
            number, slots = waiting.pop()
            if number in passed:
                continue
            passed.add(number)
            if number == len(self._steps):
                reached[number] = slots
                continue
            match step := self._steps[number]:
                case _Take():
                    reached[number] = slots
                case _Jump():
                    waiting.append((step.target, slots))
                case _Split():
                    waiting += [(step.second, slots), (step.first, slots)]
                case _Remember():
                    changed = (*slots[: step.slot], at, *slots[step.slot + 1 :])
                    waiting.append((number + 1, changed))
                case _Be() if _is_at(step.place, text, at):
                    waiting.append((number + 1, slots))
        return reached


def _is_at(place: Place, text: str, at: int) -> bool:
    match place:
        case "text_start":
            return at == 0
        case "text_end":
            return at == len(text)
        case "line_start":
            return at == 0 or text[at - 1] == "\n"
        case "line_end":
            return at == len(text) or text[at] == "\n"
        case _:
            is_edge = _is_word(text[at - 1 : at]) is not _is_word(text[at : at + 1])
            return is_edge is (place == "word_edge")


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")
