"""The tree of a template. `str(node)` is how Go's messages name the place where one went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    at: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil:
    at: int

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Truth:
    at: int
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """`value` is an int, a float, or (`2i`) a complex number, by how it is written."""

    at: int
    text: str
    value: int | float | complex

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class String:
    at: int
    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class Name:
    """Of a function."""

    at: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b` of the dot."""

    at: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.a.b`; the name has its $."""

    at: int
    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipeline).a.b`"""

    at: int
    node: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command:
    at: int
    args: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe:
    """`$a, $b := command | command`; `assigns` where it is `=`."""

    at: int
    variables: tuple[Variable, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        said = " | ".join(map(str, self.commands))
        if not self.variables:
            return said
        return f"{', '.join(map(str, self.variables))} {'=' if self.assigns else ':='} {said}"


@dataclass(frozen=True, slots=True)
class Action:
    at: int
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Branch:
    """`kind` is if, with or range."""

    at: int
    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()

    def __str__(self) -> str:
        return f"{{{{{self.kind} {self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Leave:
    """`kind` is break or continue."""

    at: int
    kind: str

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


@dataclass(frozen=True, slots=True)
class Include:
    """{{template "name" pipe}}"""

    at: int
    quoted: str
    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        behind = "" if self.pipe is None else f" {self.pipe}"
        return f"{{{{template {self.quoted}{behind}}}}}"


Operand: TypeAlias = "Dot | Nil | Truth | Number | String | Name | Field | Variable | Chain | Pipe"
Node: TypeAlias = "Text | Action | Branch | Leave | Include"
