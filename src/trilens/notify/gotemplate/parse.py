"""Pieces of a template to its nodes, and to the templates that it defines."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Final

from trilens.notify.go_text import unquote
from trilens.notify.gotemplate.scan import Piece, Token, scan
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

DEPTH_MAX: Final = 100
SOURCE_CHARS_MAX: Final = 4_000_000
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_ENDS: Final = ("end", "else")


def parse_template(
    source: str, name: str, functions: Container[str]
) -> tuple[Body, dict[str, Body]]:
    """The template's own body, and those that it defines. Raises TemplateFault."""
    if len(source) > SOURCE_CHARS_MAX:
        raise TemplateFault(name, 1, f"longer than {SOURCE_CHARS_MAX} characters")
    parser = _Parser(scan(source, name), name, functions)
    body = parser.whole()
    return body, parser.defined


class _Parser:
    def __init__(self, pieces: list[Piece], name: str, functions: Container[str]) -> None:
        self._pieces = pieces
        self._at = 0
        self._name = name
        self._functions = functions
        self._variables = ["$"]
        self._ranges = 0
        self._depth = 0
        self.defined: dict[str, Body] = {}

    def whole(self) -> Body:
        body, end = self._body(is_top=True)
        if end is not None:
            raise self._fault(end, f"unexpected {{{{{end.text}}}}}")
        return body

    def _body(self, *, is_top: bool = False) -> tuple[Body, Token | None]:
        """Until `end` or `else`, whose word it returns; the rest of `else` is left to be read."""
        self._depth += 1
        steps: list[Step] = []
        if self._depth > DEPTH_MAX:
            raise TemplateFault(self._name, 1, f"nested deeper than {DEPTH_MAX}")
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece.tokens is None:
                steps.append(Text(piece.text))
                continue
            words = _Words(piece.tokens, piece.line, self._name)
            first = words.peek()
            if first is not None and first.kind == "word" and first.text in _ENDS:
                self._rest = words
                words.next()
                self._depth -= 1
                return tuple(steps), first
            step = self._action(words, is_top=is_top)
            if step is not None:
                steps.append(step)
        self._depth -= 1
        if not is_top:
            raise TemplateFault(self._name, self._pieces[-1].line, "unexpected EOF: no {{end}}")
        return tuple(steps), None

    def _action(self, words: _Words, *, is_top: bool) -> Step | None:
        first = words.peek()
        kind = first.text if first is not None and first.kind == "word" else ""
        match kind:
            case "if" | "with" | "range":
                words.next()
                return self._branch(kind, words)
            case "define":
                words.next()
                self._define(words, is_top=is_top)
                return None
            case "block":
                words.next()
                return self._block(words)
            case "template":
                words.next()
                return self._call(words)
            case "break" | "continue":
                words.next()
                words.expect_end(kind)
                if not self._ranges:
                    raise words.fault(f"{{{{{kind}}}}} outside {{{{range}}}}")
                return Jump(kind)
        pipe = self._pipe(words, "command")
        words.expect_end("command")
        return Action(pipe)

    def _branch(self, kind: str, words: _Words) -> Branch:
        known = len(self._variables)
        pipe = self._pipe(words, kind, is_range=kind == "range")
        words.expect_end(kind)
        self._ranges += kind == "range"
        body, end = self._body()
        self._ranges -= kind == "range"
        other: Body = ()
        assert end is not None
        if end.text == "else":
            other = self._else(kind)
        else:
            self._rest.expect_end("end")
        del self._variables[known:]
        return Branch(kind, pipe, body, other)

    def _else(self, kind: str) -> Body:
        words = self._rest
        following = words.peek()
        if following is not None and following.text == kind and kind in {"if", "with"}:
            words.next()
            return (self._branch(kind, words),)
        words.expect_end("else")
        other, end = self._body()
        assert end is not None
        if end.text == "else":
            raise self._fault(end, "expected end; found {{else}}")
        self._rest.expect_end("end")
        return other

    def _define(self, words: _Words, *, is_top: bool) -> None:
        if not is_top:
            raise words.fault("unexpected {{define}}")
        name = self._quoted(words, "define")
        words.expect_end("define")
        self.defined[name] = self._definition()

    def _definition(self) -> Body:
        variables, ranges = self._variables, self._ranges
        self._variables, self._ranges = ["$"], 0
        body, end = self._body()
        self._variables, self._ranges = variables, ranges
        assert end is not None
        if end.text != "end":
            raise self._fault(end, "unexpected {{else}} in define")
        self._rest.expect_end("end")
        return body

    def _block(self, words: _Words) -> Call:
        line, name = words.line, self._quoted(words, "block")
        pipe = self._pipe(words, "block")
        words.expect_end("block")
        self.defined.setdefault(name, self._definition())
        return Call(line, name, pipe)

    def _call(self, words: _Words) -> Call:
        line, name = words.line, self._quoted(words, "template")
        pipe = None if words.peek() is None else self._pipe(words, "template")
        words.expect_end("template")
        return Call(line, name, pipe)

    def _quoted(self, words: _Words, where: str) -> str:
        token = words.next()
        if token is None or token.kind not in {"string", "raw"}:
            raise words.fault(f"a name in quotes must follow {where}")
        return self._string(token)

    def _string(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError as error:
            raise self._fault(token, str(error)) from None

    def _pipe(self, words: _Words, where: str, *, is_range: bool = False) -> Pipe:
        names, is_set = self._declared(words, is_range=is_range)
        commands = [self._command(words, where)]
        while words.accept("|"):
            commands.append(self._command(words, where))
        for command in commands[1:]:
            if isinstance(command.words[0], Literal | Dot):
                raise words.fault("a value cannot stand after | in a pipeline")
        if not is_set:
            self._variables += names
        return Pipe(words.line, tuple(commands), tuple(names), is_set)

    def _declared(self, words: _Words, *, is_range: bool) -> tuple[list[str], bool]:
        texts = [token.text for token in words.ahead(4)]
        if len(texts) > 1 and texts[0].startswith("$") and texts[1] in {":=", "="}:
            names, operator, count = texts[:1], texts[1], 2
        elif (
            is_range and len(texts) == 4 and texts[0].startswith("$") and texts[1] == ","
            and texts[2].startswith("$") and texts[3] in {":=", "="}
        ):  # fmt: skip
            names, operator, count = [texts[0], texts[2]], texts[3], 4
        else:
            return [], False
        for _ in range(count):
            words.next()
        for name in names:
            if operator == "=" and name not in self._variables:
                raise words.fault(f"undefined variable {name!r}")
        return names, operator == "="

    def _command(self, words: _Words, where: str) -> Command:
        found: list[Operand] = []
        while (token := words.peek()) is not None and token.text not in {"|", ")"}:
            if found and not token.has_space:
                raise words.fault(f"unexpected {token.text!r} in operand")
            found.append(self._operand(words))
        if not found:
            raise words.fault(f"missing value for {where}")
        return Command(tuple(found))

    def _operand(self, words: _Words) -> Operand:
        token = words.next()
        assert token is not None
        operand = self._term(token, words)
        names: list[str] = []
        while (following := words.peek()) is not None and following.kind == "field":
            if following.has_space:
                break
            names.append(following.text[1:])
            words.next()
        if not names:
            return operand
        if isinstance(operand, Literal):
            raise words.fault(f"unexpected .{names[0]} after a constant")
        if isinstance(operand, Chain):
            return Chain(operand.operand, (*operand.names, *names))
        return Chain(operand, tuple(names))

    def _term(self, token: Token, words: _Words) -> Operand:  # noqa: C901, PLR0911 - one case a kind
        match token.kind:
            case "string" | "raw":
                return Literal(self._string(token))
            case "char":
                return Literal(ord(self._string(token)))
            case "number":
                return Literal(_number(token, self._name))
            case "field":
                return Chain(Dot(), (token.text[1:],))
            case "variable":
                if token.text not in self._variables:
                    raise self._fault(token, f"undefined variable {token.text!r}")
                return Variable(token.text)
            case "word" if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            case "word":
                if token.text not in self._functions:
                    raise self._fault(token, f"function {token.text!r} not defined")
                return Function(token.text)
        if token.text == "(":
            return self._parenthesis(words)
        if token.text == ".":
            return Dot()
        raise self._fault(token, f"unexpected {token.text!r}")

    def _parenthesis(self, words: _Words) -> Pipe:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise words.fault(f"nested deeper than {DEPTH_MAX}")
        pipe = self._pipe(words, "parenthesized pipeline")
        self._depth -= 1
        if not words.accept(")"):
            raise words.fault("unclosed left paren")
        return pipe

    def _fault(self, token: Token, text: str) -> TemplateFault:
        return TemplateFault(self._name, token.line, text)


class _Words:
    """The tokens of one action."""

    def __init__(self, tokens: tuple[Token, ...], line: int, name: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._name = name
        self.line = line

    def peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def next(self) -> Token | None:
        token = self.peek()
        self._at += 1
        return token

    def ahead(self, count: int) -> tuple[Token, ...]:
        return self._tokens[self._at : self._at + count]

    def accept(self, text: str) -> bool:
        token = self.peek()
        if token is None or token.kind != "punct" or token.text != text:
            return False
        self._at += 1
        return True

    def expect_end(self, where: str) -> None:
        token = self.peek()
        if token is not None:
            raise self.fault(f"unexpected {token.text!r} in {where}")

    def fault(self, text: str) -> TemplateFault:
        token = self.peek()
        return TemplateFault(self._name, self.line if token is None else token.line, text)


def _number(token: Token, name: str) -> int | float:
    text = token.text
    digits = text.lstrip("+-")
    try:
        if len(digits) > 1 and digits[0] == "0" and digits[1:].isdecimal():
            whole = int(digits, 8) * (-1 if text.startswith("-") else 1)
        else:
            whole = int(text, 0)
    except ValueError:
        pass
    else:
        if -(2**63) <= whole < 2**63:
            return whole
        raise TemplateFault(name, token.line, f"integer overflow: {text}")
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise TemplateFault(name, token.line, f"bad number syntax: {text!r}")
    return number
