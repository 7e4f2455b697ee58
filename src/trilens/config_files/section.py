"""One mapping of a file: every key is asked for by its kind, or is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from trilens.config_files.problems import START, Place, Problems, nearest
from trilens.config_files.yaml_nodes import (
    TRUTHS,
    Listing,
    Mapping,
    Node,
    Scalar,
    integer_of,
    is_null,
    number_of,
    pairs_of,
    plain,
    shown,
)
from trilens.query.promql.durations import parse_duration

_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([A-Za-z]*)")
_UNITS: Final = {"": 0, "B": 0, **{
    name: 10 * power
    for power, letter in enumerate("KMGTPE", 1)
    for name in (f"{letter}B", f"{letter}iB")
}}  # fmt: skip
_Value = TypeVar("_Value")


class Section:
    """`kind` says what it is, for sentences: "a rule group". Nothing is a mapping without keys."""

    def __init__(self, node: Node | None, kind: str, problems: Problems) -> None:
        self.kind = kind
        self.problems = problems
        self.place = START if node is None else node.place
        self._asked: set[str] = set()
        self._pairs: dict[str, tuple[Place, Node]] = {}
        if isinstance(node, Mapping):
            self._pairs = pairs_of(node, problems)
        elif node is not None and not is_null(node):
            self.fault(f"cannot read {shown(node)} as {kind}")

    def fault(self, message: str, place: Place | None = None) -> None:
        """Of the whole, or at a place."""
        self.problems.add(self.place if place is None else place, message)

    def problem(self, name: str, message: str) -> None:
        """With what a key says."""
        self.fault(message, self.place_of(name))

    def place_of(self, name: str) -> Place:
        """Of its value, if that begins beside the key; of the whole where there is neither."""
        if name not in self._pairs:
            return self.place
        key, value = self._pairs[name]
        return value.place if value.place.line == key.line else key

    def names(self) -> list[str]:
        return list(self._pairs)

    def values(self) -> dict[str, Any]:
        """All of it without places, to be shown."""
        unseen = Problems("")  # whoever reads it says what is wrong
        return {name: plain(node, unseen) for name, (_, node) in self._pairs.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._pairs and not is_null(self._pairs[name][1])

    def node(self, name: str) -> Node | None:
        """None for what is not there, or null."""
        self._asked.add(name)
        return self._pairs[name][1] if name in self else None

    def end(self) -> None:
        """All keys have been asked for: the others are problems."""
        for name, (place, _) in self._pairs.items():
            if name not in self._asked:
                hint = nearest(name, self._asked)
                self.fault(f"field {name} not found in {self.kind}{hint}", place)

    def not_done(self, name: str, why: str = "") -> None:
        """A key that the file may have and that is not done here."""
        if self.node(name) is not None:
            self.problem(name, f"{name} is not supported{why and ': ' + why}")

    def at_most_one(self, *names: str) -> None:
        given = [name for name in names if name in self]
        if len(given) > 1:
            self.problem(given[1], f"at most one of {' & '.join(names)} must be configured")

    # --- values by their kind: the default where there is none, or a problem

    def text(self, name: str, default: str = "") -> str:
        node = self.node(name)
        if node is None:
            return default
        if not isinstance(node, Scalar):
            self._is_none(name, node, "a text")
            return default
        return node.value

    def boolean(self, name: str, *, default: bool) -> bool:
        found = self.boolean_or_none(name)
        return default if found is None else found

    def boolean_or_none(self, name: str) -> bool | None:
        node = self.node(name)
        if node is None:
            return None
        if not isinstance(node, Scalar) or not node.is_plain or node.value not in TRUTHS:
            self._is_none(name, node, "true or false")
            return None
        return TRUTHS[node.value]

    def integer(self, name: str, default: int = 0, *, least: int = 0) -> int:
        node = self.node(name)
        if node is None:
            return default
        value = integer_of(node)
        if value is None or value < least:
            self._is_none(name, node, "an integer" if value is None else f"at least {least}")
            return default
        return value

    def number(self, name: str) -> float:
        node = self.node(name)
        if node is None:
            return 0.0
        value = number_of(node)
        if value is None:
            self._is_none(name, node, "a number")
        return value or 0.0

    def duration_ms(self, name: str, default: int = 0) -> int:
        """As Prometheus writes it: 1h30m."""
        return self.parsed(name, parse_duration, default, "a duration")

    def parsed(
        self, name: str, parse: Callable[[str], _Value], default: _Value, what: str
    ) -> _Value:
        """What `parse` makes of a text; it raises ValueError."""
        node = self.node(name)
        if node is None:
            return default
        if not isinstance(node, Scalar):
            self._is_none(name, node, what)
            return default
        try:
            return parse(node.value)
        except ValueError as error:
            self.problem(name, f"{name}: {error}")
            return default

    def size_bytes(self, name: str, default: int) -> int:
        """10MB and 10MiB are both 10 * 2**20, as Prometheus counts."""
        return self.parsed(name, _size_bytes, default, "a size")

    def items(self, name: str) -> list[Node]:
        """Of a list; an item that is null is none."""
        return [one for one in self._listing(name) if not is_null(one)]

    def texts(self, name: str) -> tuple[str, ...]:
        """Of a list; null is an empty one."""
        found = []
        for item in self._listing(name):
            if isinstance(item, Scalar):
                found.append("" if item.is_null else item.value)
            else:
                self._is_none(name, item, "a text")
        return tuple(found)

    def text_map(self, name: str) -> dict[str, str]:
        """A mapping of texts to texts."""
        found = {}
        for key, (_, value) in self._mapping(name).items():
            if isinstance(value, Scalar):
                found[key] = "" if value.is_null else value.value
            else:
                self._is_none(f"{name}: {key}", value, "a text")
        return found

    def section(self, name: str, kind: str) -> Section:
        """One without keys where there is none."""
        found = Section(self.node(name), kind, self.problems)
        found.place = self.place_of(name)
        return found

    def sections(self, name: str, kind: str, empty: str = "") -> Iterator[Section]:
        """Of a list of mappings. `empty`, if given, is said of an entry that is null."""
        for item in self._listing(name):
            if not is_null(item):
                yield Section(item, kind, self.problems)
            elif empty:
                self.fault(empty, item.place)

    def _listing(self, name: str) -> list[Node]:
        node = self.node(name)
        if node is None:
            return []
        if not isinstance(node, Listing):
            self._is_none(name, node, "a list")
            return []
        return node.items

    def _mapping(self, name: str) -> dict[str, tuple[Place, Node]]:
        node = self.node(name)
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self._is_none(name, node, "a mapping")
            return {}
        return pairs_of(node, self.problems)

    def _is_none(self, name: str, node: Node, what: str) -> None:
        self.fault(f"{name}: cannot read {shown(node)} as {what}", node.place)


def _size_bytes(text: str) -> int:
    if text == "0":
        return 0
    parts = list(_SIZE.finditer(text))
    is_sound = bool(parts) and "".join(part[0] for part in parts) == text
    if not is_sound or any(part[2] not in _UNITS or not part[2] for part in parts):
        raise ValueError(f"units: invalid size {text!r}")
    size = sum(int(float(part[1]) * (1 << _UNITS[part[2]])) for part in parts)
    if size >= 2**63:
        raise ValueError("units: overflow parsing unit")
    return size
