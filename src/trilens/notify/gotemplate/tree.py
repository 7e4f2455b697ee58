"""What a parsed template is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias


class TemplateFault(Exception):
    """A template that cannot be read, or data that it cannot be filled with."""

    def __init__(self, name: str, line: int, text: str) -> None:
        super().__init__(f"template: {name}:{line}: {text}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Dot:
    pass


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`operand.First.Second`."""

    operand: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    words: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """`names` are variables that take its value: made by :=, or, if `is_set`, changed by =."""

    line: int
    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    is_set: bool = False


Operand: TypeAlias = "Literal | Dot | Variable | Function | Chain | Pipe"


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Call:
    """{{ template "name" pipe }}"""

    line: int
    name: str
    pipe: Pipe | None


@dataclass(frozen=True, slots=True)
class Branch:
    """if, with and range. `kind` is one of these words."""

    kind: str
    pipe: Pipe
    body: Body
    other: Body = field(default=())


@dataclass(frozen=True, slots=True)
class Jump:
    """break or continue."""

    kind: str


Step: TypeAlias = "Text | Action | Call | Branch | Jump"
Body: TypeAlias = tuple[Step, ...]
