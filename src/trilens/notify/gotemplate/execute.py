"""Nodes and data to text, step by step, within limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from trilens.notify.gotemplate.page import HtmlOut, TextOut
from trilens.notify.gotemplate.parse import parse_template
from trilens.notify.gotemplate.tree import (
    Action,
    Body,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Function,
    Jump,
    Literal,
    Operand,
    Pipe,
    Step,
    TemplateFault,
    Text,
    Variable,
)
from trilens.notify.gotemplate.values import KV, Record, is_true, kind_of, printed

CALLS_DEEP_MAX: Final = 64
STEPS_MAX: Final = 1_000_000
CHARS_MAX: Final = 4_000_000
Functions = Mapping[str, Callable[..., Any]]
_LAZY: Final = ("and", "or")


class Templates:
    """Named templates over a set of functions. `add` first; then safe for any thread."""

    def __init__(self, functions: Functions) -> None:
        self._functions = dict(functions)
        self._known = frozenset(self._functions) | set(_LAZY)
        self._named: dict[str, Body] = {}
        self._parsed: dict[str, tuple[Body, dict[str, Body]]] = {}

    def add(self, source: str, name: str) -> None:
        """What `source` defines replaces what was defined before. Raises TemplateFault."""
        body, defined = parse_template(source, name, self._known)
        self._named.update(defined)
        self._named[name] = body

    def names(self) -> frozenset[str]:
        return frozenset(self._named)

    def check(self, source: str) -> None:
        """Raises TemplateFault for a text that `text` could not read."""
        self._read(source)

    def text(self, source: str, data: Any, functions: Functions | None = None) -> str:
        """`source` filled with `data`. Raises TemplateFault."""
        return self._run(source, data, functions, TextOut(CHARS_MAX)) if source else ""

    def html(self, source: str, data: Any, functions: Functions | None = None) -> str:
        """As `text`, with every value escaped for its place in the page."""
        return self._run(source, data, functions, HtmlOut(CHARS_MAX)) if source else ""

    def _read(self, source: str) -> tuple[Body, dict[str, Body]]:
        found = self._parsed.get(source)
        if found is None:
            found = parse_template(source, "", self._known)
            if len(self._parsed) < 1000:
                self._parsed[source] = found
        return found

    def _run(self, source: str, data: Any, functions: Functions | None, out: TextOut) -> str:
        body, defined = self._read(source)
        run = _Run(self._named | defined, self._functions | dict(functions or {}), data, out)
        try:
            run.walk(body, data)
        except RecursionError:
            raise run.fault("nested too deeply") from None
        return out.text()


class _Jumped(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Run:
    def __init__(
        self, named: dict[str, Body], functions: dict[str, Callable[..., Any]], data: Any,
        out: TextOut,
    ) -> None:  # fmt: skip
        self._named = named
        self._functions = functions
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._out = out
        self._steps = 0
        self._deep = 0
        self._line = 1
        self._name = ""

    def fault(self, text: str) -> TemplateFault:
        return TemplateFault(self._name, self._line, text)

    def _count(self) -> None:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise self.fault(f"more than {STEPS_MAX} steps")

    def walk(self, body: Body, dot: Any) -> None:
        known = len(self._variables)
        for step in body:
            self._count()
            self._step(step, dot)
        del self._variables[known:]

    def _step(self, step: Step, dot: Any) -> None:
        match step:
            case Text():
                self._write(lambda: self._out.raw(step.text))
            case Action():
                value = self._pipe(step.pipe, dot)
                if not step.pipe.names:
                    self._write(lambda: self._out.value(value, printed))
            case Branch(kind="range"):
                self._range(step, dot)
            case Branch():
                self._branch(step, dot)
            case Call():
                self._call(step, dot)
            case Jump():
                raise _Jumped(step.kind)

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ValueError as error:
            raise self.fault(str(error)) from None

    def _branch(self, step: Branch, dot: Any) -> None:
        known = len(self._variables)
        value = self._pipe(step.pipe, dot)
        if is_true(value):
            self.walk(step.body, value if step.kind == "with" else dot)
        else:
            self.walk(step.other, dot)
        del self._variables[known:]

    def _range(self, step: Branch, dot: Any) -> None:
        known = len(self._variables)
        value = self._pipe(step.pipe, dot, is_range=True)
        is_empty = True
        for key, item in self._items(value):
            is_empty = False
            self._count()
            self._bind(step.pipe, key, item)
            inside = len(self._variables)
            try:
                self.walk(step.body, item)
            except _Jumped as jumped:
                if jumped.kind == "break":
                    break
            finally:
                del self._variables[inside:]
        del self._variables[known:]
        if is_empty:
            self.walk(step.other, dot)

    def _items(self, value: Any) -> Iterator[tuple[Any, Any]]:
        if value is None:
            return
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                yield key, value[key]
        elif isinstance(value, list | tuple):
            yield from enumerate(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            for number in range(min(value, STEPS_MAX + 1)):
                yield number, number
        else:
            raise self.fault(f"range can't iterate over {kind_of(value)}")

    def _bind(self, pipe: Pipe, key: Any, item: Any) -> None:
        """The variables of a range were pushed by its pipe: the last is the item."""
        values = [item] if len(pipe.names) == 1 else [key, item]
        for name, value in zip(pipe.names, values, strict=False):
            self._set(name, value)

    def _call(self, step: Call, dot: Any) -> None:
        self._line = step.line
        body = self._named.get(step.name)
        if body is None:
            raise self.fault(f"template {step.name!r} not defined")
        value = None if step.pipe is None else self._pipe(step.pipe, dot)
        self._deep += 1
        if self._deep > CALLS_DEEP_MAX:
            raise self.fault(f"templates call each other more than {CALLS_DEEP_MAX} deep")
        variables, self._variables = self._variables, [("$", value)]
        name, self._name = self._name, step.name
        self.walk(body, value)
        self._variables, self._name = variables, name
        self._deep -= 1

    def _pipe(self, pipe: Pipe, dot: Any, *, is_range: bool = False) -> Any:
        self._line = pipe.line
        self._count()
        value = self._command(pipe.commands[0], dot, ())
        for command in pipe.commands[1:]:
            value = self._command(command, dot, (value,))
        for name in pipe.names:
            if pipe.is_set:
                if not is_range:
                    self._set(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _set(self, name: str, value: Any) -> None:
        for index in range(len(self._variables) - 1, -1, -1):
            if self._variables[index][0] == name:
                self._variables[index] = (name, value)
                return
        raise self.fault(f"undefined variable: {name}")

    def _command(self, command: Command, dot: Any, last: tuple[Any, ...]) -> Any:
        first, *words = command.words
        if isinstance(first, Function):
            if first.name in _LAZY:
                return self._lazy(first.name, words, dot, last)
            args = [*(self._value(word, dot) for word in words), *last]
            return self._invoke(first.name, self._functions[first.name], args)
        if isinstance(first, Chain):
            holder = self._value(first.operand, dot)
            for name in first.names[:-1]:
                holder = self._field(holder, name, [])
            args = [*(self._value(word, dot) for word in words), *last]
            return self._field(holder, first.names[-1], args)
        if words or last:
            raise self.fault("can't give argument to non-function")
        return self._value(first, dot)

    def _lazy(self, name: str, words: list[Operand], dot: Any, last: tuple[Any, ...]) -> Any:
        """`and` and `or` look at no more than they need."""
        value: Any = None
        if not words and not last:
            raise self.fault(f"wrong number of args for {name}: want at least 1 got 0")
        for word in words:
            value = self._value(word, dot)
            if is_true(value) == (name == "or"):
                return value
        return last[0] if last else value

    def _value(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal():
                return operand.value
            case Dot():
                return dot
            case Variable():
                for name, value in reversed(self._variables):
                    if name == operand.name:
                        return value
                raise self.fault(f"undefined variable: {operand.name}")
            case Function():
                return self._command(Command((operand,)), dot, ())
            case Pipe():
                return self._pipe(operand, dot)
            case Chain():
                value = self._value(operand.operand, dot)
                for name in operand.names:
                    value = self._field(value, name, [])
                return value

    def _field(self, holder: Any, name: str, args: list[Any]) -> Any:
        method = getattr(type(holder), "METHODS", {}).get(name)
        if method is not None:
            return self._invoke(name, getattr(holder, method), args)
        if args:
            raise self.fault(f"{name} has arguments but cannot be invoked as function")
        if isinstance(holder, Record) and name in holder.FIELDS:
            return getattr(holder, holder.FIELDS[name])
        if isinstance(holder, KV):
            return holder.get(name, "")
        if isinstance(holder, dict):
            return holder.get(name)
        if holder is None:
            raise self.fault(f"nil data; no entry for key {name!r}")
        raise self.fault(f"can't evaluate field {name} in type {kind_of(holder)}")

    def _invoke(self, name: str, call: Callable[..., Any], args: list[Any]) -> Any:
        try:
            return call(*args)
        except TemplateFault:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as why:
            raise self.fault(f"error calling {name}: {why}") from None
