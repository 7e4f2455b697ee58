"""YAML with places: what a file says, and in which line and column.

Prometheus and Alertmanager decode into Go structures (yaml.v2 and v3, strictly). What that means
for scalars: any of them can be a text; what is empty or `null` is as if it were not there; only
what stands there without quotes is a number or a truth.

Limits: bytes, depth, and values with aliases written out: a short text may stand for millions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from trilens.config_files.problems import START, FileRefused, Place, Problem, Problems

FILE_BYTES_MAX: Final = 16 << 20
DEPTH_MAX: Final = 60
NODES_MAX: Final = 1_000_000
VALUE_CHARS_MAX: Final = 65_536
BINARY: Final = "tag:yaml.org,2002:binary"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: Final = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "y": True, "Y": True, "yes": True,
                 "Yes": True, "YES": True, "on": True, "On": True, "ON": True,
                 "false": False, "False": False, "FALSE": False, "n": False, "N": False,
                 "no": False, "No": False, "NO": False, "off": False, "Off": False,
                 "OFF": False}  # fmt: skip


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


def is_null(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.is_null)


def read_file(path: Path) -> bytes:
    """Raises FileRefused."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            message = f"the file is larger than {FILE_BYTES_MAX} bytes"
        else:
            return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    raise FileRefused([Problem(str(path), START, message)])


def read_yaml(content: bytes, file: str) -> Node | None:
    """The first document of a file; None if there is none. Raises FileRefused."""
    problems = Problems(file)
    if len(content) > FILE_BYTES_MAX:
        problems.add(START, f"the file is larger than {FILE_BYTES_MAX} bytes")
        problems.raise_any()
    try:
        return _Composer(yaml.CSafeLoader(content)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = START if mark is None else Place(mark.line + 1, mark.column + 1)
        problems.add(place, f"yaml: {error.problem or error.context or 'not readable'}")
    except (yaml.YAMLError, UnicodeError) as error:
        problems.add(START, f"yaml: {' '.join(str(error).split())}")
    except _Unreadable as error:
        problems.add(error.place, str(error))
    raise FileRefused(problems.found)


class _Unreadable(Exception):
    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class _Made(NamedTuple):
    """A node that is complete: how many values it holds, and how deep, aliases written out."""

    node: Node
    size: int = 1
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; `size` and `height` are of what is in it."""

    node: Listing | Mapping
    anchor: str | None
    key: Node | None = None
    size: int = 1
    height: int = 1

    def take(self, made: _Made) -> None:
        node = made.node
        self.size += made.size
        self.height = max(self.height, made.height + 1)
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
    anchors: dict[str, _Made] = field(default_factory=dict)

    def document(self) -> Node | None:
        try:
            for event in self._events():
                made = self._node(event)
                if made is None:
                    continue
                if not self.open:
                    return made.node
                self.open[-1].take(made)
                self._check(made.node.place, made.height)
            return None
        finally:
            self.loader.dispose()

    def _events(self) -> Iterator[yaml.Event]:
        while self.loader.check_event():
            event = self.loader.get_event()
            if event is None or isinstance(event, yaml.DocumentEndEvent):
                return
            yield event

    def _check(self, place: Place, height: int) -> None:
        if self.open[-1].size > NODES_MAX:
            raise _Unreadable(place, f"more than {NODES_MAX} values, aliases written out")
        if len(self.open) + height > DEPTH_MAX:
            raise _Unreadable(place, f"values are nested deeper than {DEPTH_MAX}")

    def _node(self, event: yaml.Event) -> _Made | None:
        """What is complete with this event."""
        mark = event.start_mark
        place = START if mark is None else Place(mark.line + 1, mark.column + 1)
        match event:
            case yaml.ScalarEvent(tag=tag) if tag == BINARY:
                raise _Unreadable(place, "yaml: !!binary is not supported: a value is a text")
            case yaml.ScalarEvent():
                is_plain = not event.style and event.tag is None
                return self._known(_Made(Scalar(event.value, is_plain, place)), event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise _Unreadable(place, f"yaml: unknown anchor '{event.anchor}' referenced")
                return self.anchors[event.anchor]
            case yaml.SequenceStartEvent():
                self._begin(_Open(Listing([], place), event.anchor))
            case yaml.MappingStartEvent():
                self._begin(_Open(Mapping([], place), event.anchor))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self.open.pop()
                made = _Made(closed.node, closed.size, closed.height)
                return self._known(made, closed.anchor)
        return None

    def _begin(self, opened: _Open) -> None:
        self.open.append(opened)
        self._check(opened.node.place, 0)

    def _known(self, made: _Made, anchor: str | None) -> _Made:
        if anchor is not None:
            self.anchors[anchor] = made
        return made


def pairs_of(node: Mapping, problems: Problems) -> dict[str, tuple[Place, Node]]:
    """By key, in the order of the file: where the key stands, and its value.

    What `<<` brings in counts where the mapping itself says nothing.
    """
    found: dict[str, tuple[Place, Node]] = {}
    merged: list[Mapping] = []
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            problems.add(key.place, f"cannot read {shown(key)} as a key")
        elif key.is_plain and key.value == "<<":
            merged += _merged(value, problems)
        elif key.value in found:
            first = found[key.value][0].line
            problems.add(key.place, f"key {key.value!r} already defined at line {first}")
        else:
            found[key.value] = key.place, value
    for other in merged:
        found = {**pairs_of(other, problems), **found}
    return found


def _merged(value: Node, problems: Problems) -> list[Mapping]:
    several = value.items if isinstance(value, Listing) else [value]
    for one in several:
        if not isinstance(one, Mapping):
            problems.add(one.place, "map merge requires map or sequence of maps as the value")
    return [one for one in several if isinstance(one, Mapping)]


def integer_of(node: Node) -> int | None:
    """As Go's yaml: 0x10, 0o7, 1_000 and 5.0 are integers, a text in quotes is none."""
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
    special = _SPECIAL.get(text.lower())
    if special is not None:
        return float(special)
    if _FLOAT.fullmatch(node.value):
        value = float(text)
        return None if math.isinf(value) else value
    whole = integer_of(node)
    return None if whole is None else float(whole)


def plain(node: Node | None, problems: Problems) -> Any:
    """As Python's values, without places: dict, list, str, int, float, bool, None."""
    if node is None or is_null(node):
        return None
    if isinstance(node, Mapping):
        return {key: plain(one, problems) for key, (_, one) in pairs_of(node, problems).items()}
    if isinstance(node, Listing):
        return [plain(one, problems) for one in node.items]
    if not node.is_plain:
        return node.value
    if node.value in TRUTHS and len(node.value) > 1:
        return TRUTHS[node.value]
    is_whole = _INTEGER.fullmatch(node.value) is not None
    number = integer_of(node) if is_whole else number_of(node)
    return node.value if number is None else number


def plain_value(text: str) -> Any:
    """The value of a text from outside, small and without aliases. Raises ValueError."""
    if len(text) > VALUE_CHARS_MAX:
        raise ValueError("too long")
    try:
        loader = yaml.CSafeLoader(text)
        try:
            while loader.check_event():
                event = loader.get_event()
                if event is not None and isinstance(event, yaml.AliasEvent):
                    raise ValueError("has aliases")
        finally:
            loader.dispose()
        problems = Problems("")
        found = plain(read_yaml(text.encode(), ""), problems)
        problems.raise_any()
    except (yaml.YAMLError, FileRefused, UnicodeError) as error:
        raise ValueError(str(error)) from None
    return found


def shown(node: Node) -> str:
    """For sentences about what is wrong."""
    if isinstance(node, Scalar):
        said = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
        return f"`{said}`"
    return "a list" if isinstance(node, Listing) else "a mapping"
