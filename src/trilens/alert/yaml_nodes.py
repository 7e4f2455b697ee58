"""YAML with places: what a file says and in which line, read as strictly as Prometheus reads it.

Prometheus decodes into Go structures (gopkg.in/yaml.v3, `KnownFields`). What that means here: a key
that nobody knows, one that comes twice and a value of the wrong shape are problems, each at its
line and column; any scalar can be a text; what is empty or `null` is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import yaml

from trilens.errors import TrilensError
from trilens.query.promql.durations import parse_duration

FILE_BYTES_MAX: Final = 16 << 20
DEPTH_MAX: Final = 40
NODES_MAX: Final = 1_000_000
PROBLEMS_MAX: Final = 100
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "y": True, "Y": True, "yes": True,
                  "Yes": True, "YES": True, "on": True, "On": True, "ON": True,
                  "false": False, "False": False, "FALSE": False, "n": False, "N": False,
                  "no": False, "No": False, "NO": False, "off": False, "Off": False,
                  "OFF": False}  # fmt: skip
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Place:
    """In a file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """`str(problem)` is `file:line:column: what is wrong`."""

    file: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place.line}:{self.place.column}: {self.message}"


class FileRefused(TrilensError):
    """A file that is not taken, with all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Scalar:
    value: str
    is_plain: bool
    place: Place

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.value in _NULLS


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[Node]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    pairs: list[tuple[Node, Node]]
    place: Place


Node: TypeAlias = "Scalar | Listing | Mapping"


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one file."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, place: Place, message: str) -> None:
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(Problem(self.file, place, message))

    def raise_any(self) -> None:
        """Raises FileRefused if there are problems."""
        if self.found:
            raise FileRefused(self.found)


def read_yaml(content: bytes, file: str) -> Node | None:
    """The first document of a file; None if there is none. Raises FileRefused."""
    problems = Problems(file)
    start = Place(1, 1)
    if len(content) > FILE_BYTES_MAX:
        problems.add(start, f"the file is larger than {FILE_BYTES_MAX} bytes")
        problems.raise_any()
    try:
        return _Composer(yaml.CSafeLoader(content)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = start if mark is None else Place(mark.line + 1, mark.column + 1)
        problems.add(place, f"yaml: {error.problem or error.context or 'not readable'}")
    except (yaml.YAMLError, UnicodeError) as error:
        problems.add(start, f"yaml: {' '.join(str(error).split())}")
    except _TooMuch as error:
        problems.add(error.place, str(error))
    raise FileRefused(problems.found)


class _TooMuch(Exception):
    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Listing | Mapping
    anchor: str | None
    key: Node | None = None

    def take(self, node: Node) -> None:
        if isinstance(self.node, Listing):
            self.node.items.append(node)
        elif self.key is None:
            self.key = node
        else:
            self.node.pairs.append((self.key, node))
            self.key = None


@dataclass(slots=True)
class _Composer:
    """Events to nodes, without a frame for each level: files may be hostile."""

    loader: yaml.CSafeLoader
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    count: int = 0

    def document(self) -> Node | None:
        try:
            for event in self._events():
                node = self._node(event)
                if node is None:
                    continue
                if not self.open:
                    return node
                self.open[-1].take(node)
            return None
        finally:
            self.loader.dispose()

    def _events(self) -> Iterator[yaml.Event]:
        while self.loader.check_event():
            event = self.loader.get_event()
            if event is None or isinstance(event, yaml.DocumentEndEvent):
                return
            yield event

    def _node(self, event: yaml.Event) -> Node | None:
        """The node that is complete with this event."""
        mark = event.start_mark
        place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
        self.count += 1
        if self.count > NODES_MAX:
            raise _TooMuch(place, f"the file has more than {NODES_MAX} values")
        match event:
            case yaml.ScalarEvent():
                is_plain = not event.style and event.tag is None
                return self._known(Scalar(event.value, is_plain, place), event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise _TooMuch(place, f"yaml: unknown anchor '{event.anchor}' referenced")
                return self.anchors[event.anchor]
            case yaml.SequenceStartEvent():
                self._begin(_Open(Listing([], place), event.anchor))
            case yaml.MappingStartEvent():
                self._begin(_Open(Mapping([], place), event.anchor))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self.open.pop()
                return self._known(closed.node, closed.anchor)
        return None

    def _begin(self, opened: _Open) -> None:
        if len(self.open) >= DEPTH_MAX:
            raise _TooMuch(opened.node.place, f"values are nested deeper than {DEPTH_MAX}")
        self.open.append(opened)

    def _known(self, node: Node, anchor: str | None) -> Node:
        if anchor is not None:
            self.anchors[anchor] = node
        return node


@dataclass(slots=True)
class Fields:
    """The keys of one mapping. Every key must be asked for; `end` names those that nobody knows."""

    problems: Problems
    kind: str
    place: Place
    values: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, node: Node | None, kind: str, problems: Problems) -> Fields:
        """`kind` says what it is a mapping of. Nothing is a mapping without keys."""
        place = Place(1, 1) if node is None else node.place
        fields = cls(problems, kind, place)
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return fields
        if not isinstance(node, Mapping):
            problems.add(place, f"cannot read {shown(node)} as {kind}")
            return fields
        fields.values, fields.keys = _pairs(node, problems)
        return fields

    def node(self, name: str) -> Node | None:
        """None for what is not there, or null."""
        self.asked.add(name)
        node = self.values.get(name)
        return None if node is None or (isinstance(node, Scalar) and node.is_null) else node

    def place_of(self, name: str) -> Place:
        """Of the value; of the whole where there is none."""
        node = self.values.get(name)
        return self.place if node is None else node.place

    def text(self, name: str) -> str:
        node = self.node(name)
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as a text")
            return ""
        return node.value

    def integer(self, name: str) -> int:
        node = self.node(name)
        if node is None:
            return 0
        value = integer_of(node)
        if value is None:
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as an integer")
        return value or 0

    def truth(self, name: str) -> bool:
        node = self.node(name)
        if node is None:
            return False
        if not isinstance(node, Scalar) or not node.is_plain or node.value not in _TRUTHS:
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as true or false")
            return False
        return _TRUTHS[node.value]

    def number(self, name: str) -> float:
        node = self.node(name)
        if node is None:
            return 0.0
        value = number_of(node)
        if value is None:
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as a number")
        return value or 0.0

    def duration_ms(self, name: str) -> int | None:
        node = self.node(name)
        if node is None:
            return None
        try:
            if isinstance(node, Scalar):
                return parse_duration(node.value)
        except ValueError as error:
            self.problems.add(node.place, f"{name}: {error}")
            return None
        self.problems.add(node.place, f"{name}: cannot read {shown(node)} as a duration")
        return None

    def items(self, name: str, read: Callable[[Node], _Item]) -> list[_Item]:
        """Of a list; an item that is null is none."""
        node = self.node(name)
        if node is None:
            return []
        if not isinstance(node, Listing):
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as a list")
            return []
        return [read(one) for one in node.items if not (isinstance(one, Scalar) and one.is_null)]

    def texts(self, name: str) -> dict[str, str]:
        """A mapping of texts to texts."""
        node = self.node(name)
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self.problems.add(node.place, f"{name}: cannot read {shown(node)} as a mapping")
            return {}
        values, _ = _pairs(node, self.problems)
        for key, value in values.items():
            if not isinstance(value, Scalar):
                said = f"{name}: {key}: cannot read {shown(value)} as a text"
                self.problems.add(value.place, said)
        return {
            key: "" if value.is_null else value.value
            for key, value in values.items()
            if isinstance(value, Scalar)
        }

    def end(self) -> None:
        """After all known names have been asked for."""
        for name, place in self.keys.items():
            if name not in self.asked:
                known = ", ".join(sorted(self.asked))
                self.problems.add(place, f"field {name} not found in {self.kind}; known: {known}")


def _pairs(node: Mapping, problems: Problems) -> tuple[dict[str, Node], dict[str, Place]]:
    """By key. What `<<` brings in counts where the mapping itself says nothing."""
    values: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    merged: list[Mapping] = []
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            problems.add(key.place, f"cannot read {shown(key)} as a key")
        elif key.is_plain and key.value == "<<":
            merged += _merged(value, problems)
        elif key.value in values:
            first = keys[key.value].line
            problems.add(key.place, f"key {key.value!r} already defined at line {first}")
        else:
            values[key.value], keys[key.value] = value, key.place
    for other in merged:
        more, places = _pairs(other, problems)
        values = {**more, **values}
        keys = {**places, **keys}
    return values, keys


def _merged(value: Node, problems: Problems) -> list[Mapping]:
    several = value.items if isinstance(value, Listing) else [value]
    for one in several:
        if not isinstance(one, Mapping):
            problems.add(one.place, "map merge requires map or sequence of maps as the value")
    return [one for one in several if isinstance(one, Mapping)]


def integer_of(node: Node) -> int | None:
    """As yaml.v3: 0x10, 0o7, 1_000 and 5.0 are integers, a text in quotes is none."""
    if not isinstance(node, Scalar) or not node.is_plain:
        return None
    text = node.value
    if _INTEGER.fullmatch(text):
        digits = text.replace("_", "").lower()
        sign, bare = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
        base = {"0b": 2, "0o": 8, "0x": 16}.get(bare[:2], 8 if bare[:1] == "0" else 10)
        try:
            value = int(sign + bare, base)
        except ValueError:
            return None
    elif _FLOAT.fullmatch(text) and abs(float(text.replace("_", ""))) < 2**63:
        value = int(float(text.replace("_", "")))
    else:
        return None
    return value if -(2**63) <= value < 2**63 else None


def number_of(node: Node) -> float | None:
    if not isinstance(node, Scalar) or not node.is_plain:
        return None
    text = node.value.replace("_", "")
    special = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}.get(text.lower())
    if special is not None:
        return float(special)
    if _FLOAT.fullmatch(node.value):
        return float(text)
    whole = integer_of(node)
    return None if whole is None else float(whole)


def shown(node: Node) -> str:
    """For sentences about what is wrong."""
    if isinstance(node, Scalar):
        said = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
        return f"`{said}`"
    return "a list" if isinstance(node, Listing) else "a mapping"
