"""YAML 1.1 as a tree that knows its lines, and a reader that accounts for every key.

A key that nobody asked for is a fault, one that comes twice too: Alertmanager reads strictly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from trilens.notify.durations import parse_duration_ns, parse_go_duration_ns
from trilens.notify.problems import ConfigRefused, Problem, nearest

TEXT_CHARS_MAX: Final = 4_000_000
NODES_MAX: Final = 200_000
DEPTH_MAX: Final = 60
PLAIN_CHARS_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Node:
    """`value` is a scalar, a list of nodes, or a dict of nodes; `raw` is the text of a scalar."""

    line: int
    value: Any
    raw: str = ""

    @property
    def is_scalar(self) -> bool:
        return not isinstance(self.value, dict | list)

    def plain(self) -> Any:
        """The same without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def parse_yaml(text: str, file: str) -> Node:
    """The one document of `text`; an empty one is an empty mapping. Raises ConfigRefused."""
    if len(text) > TEXT_CHARS_MAX:
        raise ConfigRefused(file, [Problem(1, f"longer than {TEXT_CHARS_MAX} characters")])
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:
        raise ConfigRefused(file, [_of_yaml(error)]) from None
    try:
        _check_depth(text, file)
        root = loader.get_single_node()
        return Node(1, {}) if root is None else _Tree(loader).node(root, 0)
    except yaml.YAMLError as error:
        raise ConfigRefused(file, [_of_yaml(error)]) from None
    except _TreeFault as fault:
        raise ConfigRefused(file, [fault.problem]) from None
    finally:
        loader.dispose()


def _check_depth(text: str, file: str) -> None:
    """Before the tree is built, which is done by calls that call themselves."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            raise ConfigRefused(file, [Problem(line, f"nested deeper than {DEPTH_MAX}")])


def plain_yaml(text: str) -> Any:
    """The value of a text from outside, small and without aliases. Raises ValueError."""
    if len(text) > PLAIN_CHARS_MAX:
        raise ValueError("too long")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("has aliases")
        return parse_yaml(text, "").plain() if text.strip() else None
    except (yaml.YAMLError, ConfigRefused) as error:
        raise ValueError(str(error)) from None


def _of_yaml(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    text = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem(1 if mark is None else mark.line + 1, f"not YAML: {text}")


class _TreeFault(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(line, text)


class _Tree:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._left = NODES_MAX

    def node(self, node: yaml.Node, depth: int) -> Node:
        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0:
            raise _TreeFault(line, f"more than {NODES_MAX} values, aliases written out")
        if depth > DEPTH_MAX:
            raise _TreeFault(line, f"nested deeper than {DEPTH_MAX}")
        if isinstance(node, yaml.MappingNode):
            return Node(line, self._mapping(node, depth))
        if isinstance(node, yaml.SequenceNode):
            return Node(line, [self.node(item, depth + 1) for item in node.value])
        return Node(line, self._scalar(node, line), str(node.value))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        self._loader.flatten_mapping(node)
        found: dict[str, Node] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _TreeFault(line, "a key must be text")
            name = str(key.value)
            if name in found and own.count(name) > 1:
                raise _TreeFault(line, f'key "{name}" is there twice')
            child = self.node(value, depth + 1)
            found[name] = Node(line, child.value, child.raw)
        return found

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        try:
            value = self._loader.construct_object(node, deep=True)
        except (ValueError, OverflowError) as error:
            raise _TreeFault(line, f"{node.value!r} cannot be read: {error}") from None
        return value if isinstance(value, str | int | float | bool | None) else str(node.value)


Problems: TypeAlias = list[Problem]


class Section:
    """The keys of one mapping, each asked for once. Faults go into `problems`."""

    def __init__(self, node: Node, what: str, problems: Problems) -> None:
        self.line = node.line
        self.what = what
        self.problems = problems
        self._asked: set[str] = set()
        self._items: dict[str, Node] = {}
        if isinstance(node.value, dict):
            self._items = node.value
        elif node.value is not None:
            self.fault(f"{what} must be a mapping", node.line)

    def fault(self, text: str, line: int | None = None) -> None:
        self.problems.append(Problem(self.line if line is None else line, text))

    def line_of(self, name: str) -> int:
        return self._items[name].line if name in self._items else self.line

    def has(self, name: str) -> bool:
        return name in self._items and self._items[name].value is not None

    def node(self, name: str) -> Node | None:
        self._asked.add(name)
        node = self._items.get(name)
        return None if node is None or node.value is None else node

    def text(self, name: str, default: str = "") -> str:
        node = self.node(name)
        if node is None:
            return default
        if not node.is_scalar:
            self.fault(f"{name} must be text", node.line)
            return default
        return node.raw

    def boolean(self, name: str, *, default: bool) -> bool:
        found = self.boolean_or_none(name)
        return default if found is None else found

    def boolean_or_none(self, name: str) -> bool | None:
        node = self.node(name)
        if node is None:
            return None
        if not isinstance(node.value, bool):
            self.fault(f"{name} must be true or false", node.line)
            return None
        return node.value

    def integer(self, name: str, default: int = 0, *, least: int = 0, most: int = 2**53) -> int:
        node = self.node(name)
        if node is None:
            return default
        value = node.value
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fault(f"{name} must be a whole number from {least} to {most}", node.line)
            return default
        return value

    def duration_ns(self, name: str, default: int | None = None) -> int | None:
        """As Prometheus writes it: 1h30m."""
        return self._length(name, default, parse_duration_ns)

    def go_duration_ns(self, name: str, default: int = 0) -> int:
        """As Go writes it: 1.5h, 300ms."""
        found = self._length(name, default, parse_go_duration_ns)
        return default if found is None else found

    def _length(self, name: str, default: int | None, parse: Callable[[str], int]) -> int | None:
        node = self.node(name)
        if node is None:
            return default
        try:
            return parse(node.raw if node.is_scalar else "")
        except ValueError as error:
            self.fault(f"{name}: {error}", node.line)
            return default

    def items(self, name: str) -> list[Node]:
        node = self.node(name)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.fault(f"{name} must be a list", node.line)
            return []
        return node.value

    def texts(self, name: str) -> list[str]:
        found = []
        for node in self.items(name):
            if not node.is_scalar or node.value is None:
                self.fault(f"{name} must be a list of texts", node.line)
            else:
                found.append(node.raw)
        return found

    def text_map(self, name: str) -> dict[str, str]:
        node = self.node(name)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.fault(f"{name} must be a mapping", node.line)
            return {}
        found = {}
        for key, value in node.value.items():
            if not value.is_scalar:
                self.fault(f"{name}.{key} must be text", value.line)
            else:
                found[key] = value.raw if value.value is not None else ""
        return found

    def section(self, name: str, what: str | None = None) -> Section | None:
        node = self.node(name)
        return None if node is None else Section(node, what or name, self.problems)

    def not_done(self, **names: str) -> None:
        """Keys that Alertmanager has and we do not: `names` says of each what is missing."""
        for name, why in names.items():
            node = self.node(name)
            if node is not None:
                self.fault(f"{name} is known to Alertmanager but not done here: {why}", node.line)

    def at_most_one(self, *names: str) -> None:
        given = [name for name in names if self.has(name)]
        if len(given) > 1:
            self.fault(f"at most one of {' and '.join(names)} may be set", self.line_of(given[1]))

    def refuse_rest(self) -> None:
        for name, node in self._items.items():
            if name not in self._asked:
                hint = nearest(name, sorted(self._asked))
                self.fault(f'{self.what} has no field "{name}"{hint}', node.line)
