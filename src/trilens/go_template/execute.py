"""A template carried out over data, as Go's text/template (Go 1.25, `missingkey=zero`) does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn, Protocol

from trilens.go_template.errors import (
    CHARACTERS_MAX,
    FunctionError,
    TemplateError,
    TooLarge,
    place_of,
)
from trilens.go_template.parser import Parsed, parse
from trilens.go_template.predefined import BUILTIN_FUNCTIONS
from trilens.go_template.tree import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Include,
    Leave,
    Name,
    Nil,
    Node,
    Number,
    Operand,
    Pipe,
    String,
    Text,
    Truth,
    Variable,
)
from trilens.go_template.values import (
    MISSING,
    Function,
    GoList,
    GoMap,
    GoStruct,
    Value,
    is_true,
    printed,
    type_of,
    utf8,
)

INCLUDE_DEPTH_MAX: Final = 30
STEPS_MAX: Final = 1_000_000
_LAZY: Final = frozenset({"and", "or"})


class Output(Protocol):
    """Where text goes. It may raise FunctionError for what it does not take."""

    def raw(self, text: str) -> None:
        """What stands in the template itself."""

    def value(self, value: Value) -> None:
        """What an action is worth."""

    def text(self) -> str: ...


class TextOutput:
    """As it is, up to CHARACTERS_MAX."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = CHARACTERS_MAX

    def raw(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooLarge(f"wrote more than {CHARACTERS_MAX} characters")
        self._parts.append(text)

    def value(self, value: Value) -> None:
        self.raw(printed(value))

    def text(self) -> str:
        return "".join(self._parts)


def check_size(values: Iterable[Value]) -> None:
    """A text that is put together again and again doubles with every step. Raises FunctionError."""
    if sum(len(one) for one in values if isinstance(one, str)) > CHARACTERS_MAX:
        raise TooLarge(f"texts of more than {CHARACTERS_MAX} characters")


@dataclass(frozen=True, slots=True)
class Template:
    """May be carried out by several threads at a time."""

    parsed: Parsed

    @classmethod
    def of(cls, text: str, name: str, functions: AbstractSet[str]) -> Template:
        """Raises TemplateError."""
        return cls(parse(text, name, functions))

    def execute(
        self,
        data: Value,
        functions: Mapping[str, Function],
        *,
        others: Mapping[str, Parsed] | None = None,
        output: Output | None = None,
    ) -> str:
        """`others` are templates of other texts, by name: what this one defines comes first.

        A text that was cut within a character is UTF-8 all the same. Raises TemplateError, with
        Go's text.
        """
        out = output or TextOutput()
        run = _Run(
            self.parsed, {**BUILTIN_FUNCTIONS, **functions}, out, others or {}, self.parsed.name
        )
        try:
            run.template(self.parsed.name, data)
        except RecursionError:
            run.fail("exceeded maximum template depth")
        return utf8(out.text())


class _Given(NamedTuple):
    """To a function or method: nodes, the first of which is itself, and what the pipe brings."""

    args: tuple[Operand, ...]
    final: tuple[Value, ...] = ()

    @property
    def number(self) -> int:
        return len(self.args) - 1 + len(self.final)


class _Left(Exception):
    """A loop that ends, or goes on with the next item."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(slots=True)
class _Run:
    parsed: Parsed  # the text that is carried out now
    functions: Mapping[str, Function]
    out: Output
    others: Mapping[str, Parsed]
    current: str
    steps: int = 0
    depth: int = 0
    variables: list[tuple[str, Value]] = field(default_factory=list)
    node: Node | Operand | Command | None = None
    first: Parsed = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.parsed

    def fail(self, message: str, cause: FunctionError | None = None) -> NoReturn:
        is_too_large = isinstance(cause, TooLarge)
        name = self.parsed.name
        if self.node is None:
            raise TemplateError(f"template: {name}: {message}", is_too_large=is_too_large)
        line, column = place_of(self.parsed.text, self.node.at)
        raise TemplateError(
            f'template: {name}:{line}:{column}: executing "{self.current}" '
            f"at <{self.node}>: {message}",
            is_too_large=is_too_large,
        )

    def template(self, name: str, dot: Value) -> None:
        """One of the trees, with variables of its own."""
        outer, current, parsed = self.variables, self.current, self.parsed
        self.variables, self.current = [("$", dot)], name
        self.parsed = self._of(name) or parsed
        self.depth += 1
        try:
            self._walk_all(self.parsed.trees[name], dot)
        except _Left:  # the parser lets none out of its loop
            pass
        finally:
            self.depth -= 1
        self.variables, self.current, self.parsed = outer, current, parsed

    def _of(self, name: str) -> Parsed | None:
        """The text that defines a template."""
        return self.first if name in self.first.trees else self.others.get(name)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            text = f"took more than {STEPS_MAX} steps"
            self.fail(text, TooLarge(text))

    def _walk_all(self, nodes: Iterable[Node], dot: Value) -> None:
        for node in nodes:
            self._walk(node, dot)

    def _walk(self, node: Node, dot: Value) -> None:
        self._step()
        match node:
            case Text():
                self._write(node)
            case Action():
                self.node = node
                value = self._pipe(node.pipe, dot)
                if not node.pipe.variables:
                    self._print(node, value)
            case Branch(kind="range"):
                self._range(node, dot)
            case Branch():
                self._branch(node, dot)
            case Include():
                self._include(node, dot)
            case Leave():
                raise _Left(node.kind)

    def _print(self, node: Action, value: Value) -> None:
        if isinstance(value, Function):
            self.node = node
            self.fail(f"can't print {node} of type func")
        try:
            self.out.value(value)
        except FunctionError as error:
            self.node = node
            self.fail(str(error), error)

    def _write(self, node: Text) -> None:
        try:
            self.out.raw(node.text)
        except FunctionError as error:
            self.fail(str(error), error)

    def _branch(self, node: Branch, dot: Value) -> None:
        known = len(self.variables)
        value = self._pipe(node.pipe, dot)
        if is_true(value):
            self._walk_all(node.body, value if node.kind == "with" else dot)
        else:
            self._walk_all(node.otherwise, dot)
        del self.variables[known:]

    def _include(self, node: Include, dot: Value) -> None:
        self.node = node
        if self._of(node.name) is None:
            self.fail(f"template {node.quoted} not defined")
        if self.depth >= INCLUDE_DEPTH_MAX:
            self.fail(f"exceeded maximum template depth ({INCLUDE_DEPTH_MAX})")
        self.template(node.name, None if node.pipe is None else self._pipe(node.pipe, dot))

    def _range(self, node: Branch, dot: Value) -> None:
        known = len(self.variables)
        value = self._pipe(node.pipe, dot)
        pairs = self._pairs(node, value)
        has_any = False
        for key, item in pairs:
            has_any = True
            self._step()
            marked = len(self.variables)
            self._loop_variables(node.pipe, key, item)
            try:
                self._walk_all(node.body, item)
            except _Left as left:
                if left.kind == "break":
                    break
            finally:
                del self.variables[marked:]
        if not has_any:
            self._walk_all(node.otherwise, dot)
        del self.variables[known:]

    def _pairs(self, node: Branch, value: Value) -> Iterable[tuple[Value, Value]]:  # noqa: RET503 - fail raises
        match value:
            case GoList():
                return enumerate(value.items)
            case GoMap():
                return sorted(value.entries.items())
            case bool():
                pass
            case int():
                if len(node.pipe.variables) > 1:
                    self.fail(f"can't use {value} to iterate over more than one variable")
                return ((number, number) for number in range(value))
            case None:
                return ()
        self.node = node.pipe
        if value is MISSING:
            return ()
        self.fail(f"range can't iterate over {printed(value)}")

    def _loop_variables(self, pipe: Pipe, key: Value, item: Value) -> None:
        if not pipe.variables:
            return
        values = (item,) if len(pipe.variables) == 1 else (key, item)
        for variable, value in zip(pipe.variables, values, strict=True):
            self._set(variable, value, assigns=pipe.assigns)

    def _set(self, variable: Variable, value: Value, *, assigns: bool) -> None:
        if not assigns:
            self.variables.append((variable.name, value))
            return
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == variable.name:
                self.variables[at] = (variable.name, value)
                return
        self.fail(f"undefined variable: {variable.name}")

    # Pipelines and what they are made of.

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        value: Value = MISSING
        self.node = pipe
        for number, command in enumerate(pipe.commands):
            value = self._command(command, dot, (value,) if number else ())
        is_range = len(pipe.variables) > 1
        for variable in () if is_range else pipe.variables:
            self._set(variable, value, assigns=pipe.assigns)
        return value

    def _command(self, command: Command, dot: Value, final: tuple[Value, ...]) -> Value:
        first = command.args[0]
        given = _Given(command.args, final)
        match first:
            case Field():
                self.node = first
                return self._fields(dot, first, first.names, given, dot)
            case Variable():
                return self._variable(dot, first, given)
            case Chain():
                return self._chain(dot, first, given)
            case Name():
                return self._function(dot, first, command, final)
        self.node = first
        if len(command.args) > 1 or final:
            self.fail(f"can't give argument to non-function {first}")
        if isinstance(first, Nil):
            self.fail("nil is not a command")
        return self._operand(dot, first)

    def _operand(self, dot: Value, node: Operand) -> Value:  # noqa: PLR0911 - one for each kind
        """Without arguments."""
        self.node = node
        match node:
            case Dot():
                return dot
            case Nil():
                return None
            case Truth() | Number() | String():
                return node.value
            case Field():
                return self._fields(dot, node, node.names, _Given((node,)), dot)
            case Variable():
                return self._variable(dot, node, _Given((node,)))
            case Chain():
                return self._chain(dot, node, _Given((node,)))
            case Pipe():
                return self._pipe(node, dot)
            case Name():
                return self._function(dot, node, Command(node.at, (node,)), ())

    def _variable(self, dot: Value, node: Variable, given: _Given) -> Value:
        self.node = node
        value = next((one for name, one in reversed(self.variables) if name == node.name), MISSING)
        if not node.names:
            if given.number:
                self.fail(f"can't give argument to non-function {given.args[0]}")
            return value
        return self._fields(dot, node, node.names, given, value)

    def _chain(self, dot: Value, node: Chain, given: _Given) -> Value:
        self.node = node
        inner = self._operand(dot, node.node)
        return self._fields(dot, node, node.names, given, inner)

    def _fields(
        self,
        dot: Value,
        node: Operand,
        names: tuple[str, ...],
        given: _Given,
        receiver: Value,
    ) -> Value:
        """Only the last of the names can be a method with arguments."""
        for name in names[:-1]:
            receiver = self._field(dot, node, name, _Given((node,)), receiver)
        return self._field(dot, node, names[-1], given, receiver)

    def _field(  # noqa: RET503 - fail raises
        self,
        dot: Value,
        node: Operand,
        name: str,
        given: _Given,
        receiver: Value,
    ) -> Value:
        match receiver:
            case None:
                self.fail(f"nil pointer evaluating interface {{}}.{name}")
            case GoStruct() | GoMap() | GoList() if name in receiver.methods:
                return self._call(dot, receiver.methods[name], name, node, given)
            case GoStruct() if name in receiver.fields:
                if given.number:
                    self.fail(f"{name} has arguments but cannot be invoked as function")
                return receiver.fields[name]
            case GoMap():
                if given.number:
                    self.fail(f"{name} is not a method but has arguments")
                return receiver.entries.get(name, receiver.zero)
        if receiver is MISSING:
            return MISSING
        self.fail(f"can't evaluate field {name} in type {type_of(receiver)}")

    def _function(
        self, dot: Value, node: Name, command: Command, final: tuple[Value, ...]
    ) -> Value:
        self.node = node
        function = self.functions.get(node.name)
        if function is None:
            self.fail(f'"{node.name}" is not a defined function')
        if node.name in _LAZY:
            return self._lazy(dot, node.name, _Given(command.args, final))
        return self._call(dot, function, node.name, command, _Given(command.args, final))

    def _lazy(self, dot: Value, name: str, given: _Given) -> Value:
        """and, or: the first argument that decides, else the last."""
        if not given.number:
            self.fail(f"wrong number of args for {name}: want at least 1 got 0")
        value: Value = None
        for arg in given.args[1:]:
            value = self._operand(dot, arg)
            if is_true(value) is (name == "or"):
                return value
        return given.final[0] if given.final else value

    def _call(
        self,
        dot: Value,
        function: Function,
        name: str,
        node: Operand | Command,
        given: _Given,
    ) -> Value:
        count, wanted = given.number, len(function.parameters)
        if function.is_variadic and count < wanted - 1:
            self.fail(f"wrong number of args for {name}: want at least {wanted - 1} got {count}")
        if not function.is_variadic and count != wanted:
            self.fail(f"wrong number of args for {name}: want {wanted} got {count}")
        kinds = [function.parameters[min(at, wanted - 1)] for at in range(count)]
        values = [
            self._argument(dot, kind, arg) for kind, arg in zip(kinds, given.args[1:], strict=False)
        ]
        values += [self._fitting(value, kinds[-1]) for value in given.final]
        try:
            check_size(values)
            found = function.call(*values)
            check_size((found,))
        except FunctionError as error:
            self.node = node
            self.fail(f"error calling {name}: {error}", error)
        return found

    def _argument(self, dot: Value, kind: str, node: Operand) -> Value:
        self.node = node
        match node:
            case Nil() if kind in {"bool", "string", "int", "float64"}:
                self.fail(f"cannot assign nil to {kind}")
            case Truth() | Number() | String() if kind not in {"any", type_of(node.value)}:
                return self._constant(kind, node)
        value = self._operand(dot, node)
        return self._fitting(value, kind)

    def _constant(self, kind: str, node: Truth | Number | String) -> Value:  # noqa: RET503 - fail raises
        value = node.value
        if kind == "float64" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if kind == "int" and isinstance(value, float) and value.is_integer():
            return int(value)
        named = {"bool": "bool", "string": "string", "int": "integer", "float64": "float"}
        if kind in named:
            self.fail(f"expected {named[kind]}; found {node}")
        self.fail(f"can't handle {node} for arg of type {kind}")

    def _fitting(self, value: Value, kind: str) -> Value:
        if kind == "any":
            return None if value is MISSING else value
        if value is MISSING or value is None:
            if kind in {"bool", "string", "int", "float64"}:
                self.fail(f"invalid value; expected {kind}")
            return None
        if type_of(value) != kind:
            self.fail(f"wrong type for value; expected {kind}; got {type_of(value)}")
        return value
