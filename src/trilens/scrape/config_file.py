"""A YAML file with its lines, read key by key, and everything that is wrong with it, all at once.

    compose    the tree of the file, with aliases and merge keys; at most NODES_MAX nodes
    Section    one mapping of it: every key is asked for by its kind, or is a problem
    Problems   what was found: file, line, sentence

Values are read as Go's yaml.v2 does for Prometheus: any scalar is a text, null is what is not
there, a key that is not known or that is there twice is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from trilens.query.promql.durations import parse_duration

FILE_BYTES_MAX: Final = 16 << 20
NODES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 64
_TRUE: Final = {"true", "yes", "on", "y"}
_FALSE: Final = {"false", "no", "off", "n"}
_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"
_INTEGER: Final = re.compile(r"[+-]?[0-9][0-9_]*")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([A-Za-z]*)")
_UNITS: Final = {"": 0, "B": 0, **{
    name: 10 * power
    for power, letter in enumerate("KMGTPE", 1)
    for name in (f"{letter}B", f"{letter}iB")
}}  # fmt: skip
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Problem:
    """`line` counts from 1; 0 where the file as a whole is meant."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(slots=True)
class Problems:
    """Of one file."""

    path: Path
    found: list[Problem] = field(default_factory=list)

    def add(self, node: yaml.Node | None, text: str) -> None:
        line = 0 if node is None else node.start_mark.line + 1
        self.found.append(Problem(self.path, line, text))


def compose(text: str, problems: Problems) -> yaml.Node | None:
    """The root of a document; None if it is empty, or no YAML."""
    try:
        loader = _LOADER(text)
        try:
            root: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        why = getattr(error, "problem", None) or str(error)
        problems.found.append(Problem(problems.path, line, f"yaml: {why}"))
        return None
    if root is not None and not _is_bounded(root):
        problems.add(root, f"yaml: more than {NODES_MAX} nodes, or {DEPTH_MAX} in each other")
        return None
    return root


def _is_bounded(root: yaml.Node) -> bool:
    """Aliases count each time: a short text may stand for millions."""
    left = NODES_MAX
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > DEPTH_MAX:
            return False
        children: Iterable[yaml.Node] = ()
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [one for pair in node.value for one in pair]
        waiting += [(child, depth + 1) for child in children]
    return True


def is_null(node: yaml.Node | None) -> bool:
    return node is None or node.tag == _NULL


class Section:
    """One mapping. `kind` is what Prometheus calls its type, for its sentences."""

    def __init__(self, node: yaml.Node | None, problems: Problems, kind: str) -> None:
        self.node = node
        self.problems = problems
        self.kind = kind
        self._asked: set[str] = set()
        self._values: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if isinstance(node, yaml.MappingNode):
            self._take(node, is_merged=False)
        elif not is_null(node):
            problems.add(node, f"cannot unmarshal {_shown(node)} into {kind}")

    def _take(self, node: yaml.MappingNode, *, is_merged: bool) -> None:
        for key, value in node.value:
            if key.tag == _MERGE:
                self._merge(value)
                continue
            name = str(key.value)
            if name not in self._values:
                self._values[name] = key, value
            elif not is_merged and self._values[name][0].start_mark.index >= node.start_mark.index:
                self.problems.add(key, f"key {name!r} already set in map")

    def _merge(self, value: yaml.Node) -> None:
        for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(node, yaml.MappingNode):
                self._take(node, is_merged=True)

    def __contains__(self, key: str) -> bool:
        return key in self._values and not is_null(self._values[key][1])

    def at(self, key: str) -> yaml.Node | None:
        """Where a key stands; the section itself where it does not."""
        return self._values[key][0] if key in self._values else self.node

    def value(self, key: str) -> yaml.Node | None:
        self._asked.add(key)
        if key not in self:
            return None
        return self._values[key][1]

    def problem(self, key: str, text: str) -> None:
        self.problems.add(self.at(key), text)

    def not_done(self, key: str, what: str = "") -> None:
        """Name a key that Prometheus knows and that is not done here."""
        if self.value(key) is not None:
            self.problem(key, f"{key} is not supported{what and ': ' + what}")

    def names(self) -> list[str]:
        return list(self._values)

    def end(self) -> None:
        """All keys have been asked for; the others are problems."""
        for key in self._values.keys() - self._asked:
            self.problem(key, f"field {key} not found in type {self.kind}")

    # --- values by their kind; the default where there is none, or a problem

    def text(self, key: str, default: str = "") -> str:
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, yaml.ScalarNode):
            self.problems.add(value, f"cannot unmarshal {_shown(value)} into string")
            return default
        return str(value.value)

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.value(key)
        if value is None:
            return default
        text = str(value.value).lower() if isinstance(value, yaml.ScalarNode) else ""
        if text not in _TRUE | _FALSE:
            self.problems.add(value, f"cannot unmarshal {_shown(value)} into bool")
            return default
        return text in _TRUE

    def integer(self, key: str, default: int = 0) -> int:
        """Not negative."""
        value = self.value(key)
        if value is None:
            return default
        text = str(value.value) if isinstance(value, yaml.ScalarNode) else ""
        number = int(text.replace("_", "")) if _INTEGER.fullmatch(text) else -1
        if not 0 <= number < 1 << 63:
            self.problems.add(value, f"cannot unmarshal {_shown(value)} into uint")
            return default
        return number

    def duration_ms(self, key: str, default: int) -> int:
        if self.value(key) is None:
            return default
        try:
            return parse_duration(self.text(key))
        except ValueError as error:
            self.problem(key, str(error))
            return default

    def size_bytes(self, key: str, default: int) -> int:
        """10MB and 10MiB are both 10 * 2**20, as Prometheus counts."""
        if self.value(key) is None:
            return default
        text = self.text(key)
        if text == "0":
            return 0
        parts = list(_SIZE.finditer(text))
        is_sound = bool(parts) and "".join(part[0] for part in parts) == text
        if not is_sound or any(part[2] not in _UNITS or not part[2] for part in parts):
            self.problem(key, f"units: invalid size {text!r}")
            return default
        return sum(int(float(part[1]) * (1 << _UNITS[part[2]])) for part in parts)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, yaml.SequenceNode):
            self.problems.add(value, f"cannot unmarshal {_shown(value)} into []string")
            return ()
        found = []
        for item in value.value:
            if isinstance(item, yaml.ScalarNode):
                found.append("" if is_null(item) else str(item.value))
            else:
                self.problems.add(item, f"cannot unmarshal {_shown(item)} into string")
        return tuple(found)

    def text_map(self, key: str) -> dict[str, str]:
        section = self.section(key, "map[string]string")
        return {name: section.text(name) for name in section.names()}

    def section(self, key: str, kind: str) -> Section:
        return Section(self.value(key), self.problems, kind)

    def sections(self, key: str, kind: str, empty: str = "") -> Iterator[Section]:
        """A list of mappings. `empty` is said of an entry that is null."""
        value = self.value(key)
        if value is None:
            return
        if not isinstance(value, yaml.SequenceNode):
            self.problems.add(value, f"cannot unmarshal {_shown(value)} into []{kind}")
            return
        for item in value.value:
            if is_null(item):
                self.problems.add(item, empty or f"empty or null entry in {key}")
            else:
                yield Section(item, self.problems, kind)


def _shown(node: yaml.Node | None) -> str:
    match node:
        case yaml.ScalarNode():
            return f"!!str `{str(node.value)[:40]}`"
        case yaml.SequenceNode():
            return "!!seq"
        case _:
            return "!!map"
