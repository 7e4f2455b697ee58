"""Template text to trees, refused where and as Go's text/template/parse (Go 1.25) refuses it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NoReturn

from trilens.go_template.errors import TemplateError, place_of
from trilens.go_template.lexer import Token, tokens
from trilens.go_template.literals import number_value, quoted, unquoted
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

TEXT_CHARACTERS_MAX: Final = 1 << 20
DEPTH_MAX: Final = 40  # of blocks in blocks and parentheses in parentheses; Go has no limit
BUILTINS: Final = frozenset(
    {
        "and", "or", "not", "len", "index", "slice", "call", "print", "printf", "println", "html",
        "js", "urlquery", "eq", "ne", "lt", "le", "gt", "ge",
    }
)  # fmt: skip
_STARTS_COMMAND: Final = frozenset(
    {"bool", "character", ".", "field", "name", "number", "nil", "raw", "string", "variable", "("}
)
_NO_FIELDS: Final = (String, Number, Nil, Truth, Dot)
_NOT_CALLED: Final = (Truth, Dot, Nil, Number, String)

Trees = dict[str, tuple[Node, ...]]


@dataclass(frozen=True, slots=True)
class Parsed:
    """All templates of one text: the text itself under its `name`, and those it defines."""

    name: str
    text: str
    trees: Trees


def parse(text: str, name: str, functions: AbstractSet[str]) -> Parsed:
    """`functions` are names beside the built-in ones. Raises TemplateError."""
    parser = _Parser(text, name, frozenset(functions) | BUILTINS)
    try:
        parser.parse()
    except RecursionError:
        parser.fail("too deeply nested")
    return Parsed(name, text, parser.trees)


def is_empty(nodes: tuple[Node, ...]) -> bool:
    """Only space: such a definition replaces nothing."""
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)


@dataclass(slots=True)
class _Parser:
    text: str
    name: str
    functions: frozenset[str]
    trees: Trees = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    at: int = 0
    variables: list[str] = field(default_factory=lambda: ["$"])
    range_depth: int = 0
    depth: int = 0

    def parse(self) -> None:
        if len(self.text) > TEXT_CHARACTERS_MAX:
            self.fail(f"template of more than {TEXT_CHARACTERS_MAX} characters")
        self.tokens = list(tokens(self.text))
        nodes: list[Node] = []
        while self._peek().kind != "EOF":
            if self._peek().kind == "{{" and self._after_opening() == "define":
                self._next()
                self._next_non_space()
                self._definition()
                continue
            node = self._text_or_action()
            if isinstance(node, str):
                self.fail(f"unexpected {{{{{node}}}}}")
            nodes.append(node)
        self._add(self.name, tuple(nodes))

    def fail(self, message: str) -> NoReturn:
        position = self.tokens[max(self.at - 1, 0)].at if self.tokens else 0
        line, _ = place_of(self.text, position)
        raise TemplateError(f"template: {self.name}:{line}: {message}")

    # Tokens.

    def _peek(self) -> Token:
        """An error or the end comes again and again."""
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self.at += 1
        return token

    def _next_non_space(self) -> Token:
        while (token := self._next()).kind == "space":
            pass
        return token

    def _peek_non_space(self) -> Token:
        while self._peek().kind == "space":
            self.at += 1
        return self._peek()

    def _after_opening(self) -> str:
        at = self.at + 1
        while at < len(self.tokens) and self.tokens[at].kind == "space":
            at += 1
        return self.tokens[at].kind if at < len(self.tokens) else "EOF"

    def _expect(self, kind: str, context: str) -> Token:
        token = self._next_non_space()
        if token.kind != kind:
            self._unexpected(token, context)
        return token

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind == "error":
            self.fail(token.text)
        self.fail(f"unexpected {token} in {context}")

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            self.fail(f"nested deeper than {DEPTH_MAX}")

    # Lists and what is in them.

    def _add(self, name: str, nodes: tuple[Node, ...]) -> None:
        known = self.trees.get(name)
        if known is None or is_empty(known):
            self.trees[name] = nodes
        elif not is_empty(nodes):
            self.fail(f"template: multiple definition of template {quoted(name)}")

    def _definition(self) -> None:
        context = "define clause"
        name = self._text_of(self._next_non_space(), context)
        self._expect("}}", context)
        outer, self.variables = self.variables, ["$"]
        depth, self.range_depth = self.range_depth, 0
        body, end = self._list()
        if end != "end":
            self.fail(f"unexpected {{{{{end}}}}} in {context}")
        self.variables, self.range_depth = outer, depth
        self._add(name, body)

    def _text_of(self, token: Token, context: str) -> str:
        if token.kind not in {"string", "raw"}:
            self._unexpected(token, context)
        return self._unquoted(token)

    def _unquoted(self, token: Token) -> str:
        try:
            return unquoted(token.text)
        except ValueError as error:
            self.fail(str(error))

    def _list(self) -> tuple[tuple[Node, ...], str]:  # noqa: RET503 - fail raises
        """To {{end}} or {{else}}, and which it was."""
        nodes: list[Node] = []
        while self._peek_non_space().kind != "EOF":
            node = self._text_or_action()
            if isinstance(node, str):
                return tuple(nodes), node
            nodes.append(node)
        self.fail("unexpected EOF")

    def _text_or_action(self) -> Node | str:  # noqa: RET503 - fail raises
        token = self._next_non_space()
        if token.kind == "text":
            return Text(token.at, token.text)
        if token.kind == "{{":
            return self._action()
        self._unexpected(token, "input")

    def _action(self) -> Node | str:  # noqa: PLR0911 - one for each kind
        token = self._next_non_space()
        match token.kind:
            case "if" | "range" | "with":
                return self._control(token)
            case "end":
                self._expect("}}", "end")
                return "end"
            case "else":
                if self._peek_non_space().kind not in {"if", "with"}:
                    self._expect("}}", "else")
                return "else"
            case "template":
                return self._include()
            case "block":
                return self._block()
            case "break" | "continue":
                return self._leave(token)
        self.at -= 1
        pipe = self._pipeline("command", "}}")
        return Action(token.at, pipe)

    def _leave(self, token: Token) -> Leave:
        following = self._next_non_space()
        if following.kind != "}}":
            self._unexpected(following, f"{{{{{token.kind}}}}}")
        if not self.range_depth:
            self.fail(f"{{{{{token.kind}}}}} outside {{{{range}}}}")
        return Leave(token.at, token.kind)

    def _control(self, token: Token) -> Branch:
        self._enter()
        kind, known = token.kind, len(self.variables)
        pipe = self._pipeline(kind, "}}")
        self.range_depth += kind == "range"
        body, end = self._list()
        self.range_depth -= kind == "range"
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            otherwise = self._otherwise(kind)
        del self.variables[known:]
        self.depth -= 1
        return Branch(pipe.at, kind, pipe, body, otherwise)

    def _otherwise(self, kind: str) -> tuple[Node, ...]:
        """`{{else if x}}` is `{{else}}{{if x}}` with one {{end}} for both; so is with."""
        following = self._peek_non_space()
        if kind in {"if", "with"} and following.kind == kind:
            return (self._control(self._next()),)
        if following.kind in {"if", "with"}:
            self.fail(f"unexpected {following} in input")
        body, end = self._list()
        if end != "end":
            self.fail(f"expected end; found {{{{{end}}}}}")
        return body

    def _include(self) -> Include:
        named = self._next_non_space()
        name = self._text_of(named, "template clause")
        pipe = None
        if self._next_non_space().kind != "}}":
            self.at -= 1
            pipe = self._pipeline("template clause", "}}")
        return Include(named.at, quoted(name), name, pipe)

    def _block(self) -> Include:
        self._enter()
        named = self._next_non_space()
        name = self._text_of(named, "block clause")
        pipe = self._pipeline("block clause", "}}")
        outer, self.variables = self.variables, ["$"]
        body, end = self._list()
        if end != "end":
            self.fail(f"unexpected {{{{{end}}}}} in block clause")
        self.variables = outer
        self._add(name, body)
        self.depth -= 1
        return Include(named.at, quoted(name), name, pipe)

    # Pipelines.

    def _pipeline(self, context: str, end: str) -> Pipe:
        self._enter()
        at = self._peek_non_space().at
        declared, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._next_non_space()
            if token.kind == end:
                self._check(commands, context)
                self.depth -= 1
                return Pipe(at, tuple(declared), assigns, tuple(commands))
            if token.kind not in _STARTS_COMMAND:
                self._unexpected(token, context)
            self.at -= 1
            commands.append(self._command())

    def _declarations(self, context: str) -> tuple[list[Variable], bool]:
        """What stands before := or =, and whether it is =."""
        declared: list[Variable] = []
        while self._peek_non_space().kind == "variable":
            start = self.at
            variable = self._next()
            sign = self._peek_non_space()
            if sign.kind in {"declare", "assign"}:
                self._next()
                declared.append(Variable(variable.at, variable.text))
                self.variables.append(variable.text)
                return declared, sign.kind == "assign"
            if sign.kind != ",":
                self.at = start
                break
            self._next()
            declared.append(Variable(variable.at, variable.text))
            self.variables.append(variable.text)
            if context != "range" or len(declared) > 1:
                self.fail(f"too many declarations in {context}")
            if self._peek_non_space().kind not in {"variable", "}}", ")"}:
                self.fail("range can only initialize variables")
        return declared, False

    def _check(self, commands: list[Command], context: str) -> None:
        if not commands:
            self.fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _NOT_CALLED):
                self.fail(f"non executable command in pipeline stage {stage}")

    def _command(self) -> Command:
        at = self._peek_non_space().at
        args: list[Operand] = []
        while True:
            self._peek_non_space()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind in {"}}", ")"}:
                self.at -= 1
            elif token.kind != "pipe":
                self._unexpected(token, "operand")
            break
        if not args:
            self.fail("empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None or self._peek().kind != "field":
            return node
        at, names = self._peek().at, []
        while self._peek().kind == "field":
            names.append(self._next().text[1:])
        if isinstance(node, Field):
            return Field(at, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(at, node.name, tuple(names))
        if isinstance(node, _NO_FIELDS):
            self.fail(f"unexpected . after term {quoted(str(node))}")
        return Chain(at, node, tuple(names))

    def _term(self) -> Operand | None:  # noqa: C901, PLR0911 - one for each kind
        token = self._next_non_space()
        match token.kind:
            case "name":
                if token.text not in self.functions:
                    self.fail(f"function {quoted(token.text)} not defined")
                return Name(token.at, token.text)
            case ".":
                return Dot(token.at)
            case "nil":
                return Nil(token.at)
            case "variable":
                if token.text not in self.variables:
                    self.fail(f"undefined variable {quoted(token.text)}")
                return Variable(token.at, token.text)
            case "field":
                return Field(token.at, (token.text[1:],))
            case "bool":
                return Truth(token.at, token.text == "true")
            case "character" | "number":
                return self._number(token)
            case "(":
                return self._pipeline("parenthesized pipeline", ")")
            case "string" | "raw":
                return String(token.at, token.text, self._unquoted(token))
        self.at -= 1
        return None

    def _number(self, token: Token) -> Number:
        try:
            return Number(token.at, token.text, number_value(token.text))
        except ValueError as error:
            self.fail(str(error))
