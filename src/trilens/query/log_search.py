"""The free-text language of the log search: text -> tree, and back.

    timeout upstream            both words, in any order
    "connection reset"          these words, next to each other, in this order
    timeout -health             without the word; NOT is the same
    (timeout OR refused) api    one or the other; AND binds closer than OR
    conn*                       a word that begins so
    service:checkout            a column or attributes.KEY, resource.KEY: is equal to
    service:check*   k8s.x:*    begins with; is there at all
    attributes.http.status:>=500    as a number: > >= < <=;  severity:>=warn in their order
    body:timeout                the same as the word alone

Words ignore case; they are runs of letters and digits, so user-id=5 is three words next to each
other. A colon belongs to a field, quote it to look for one. str() of a tree parses to an equal
tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from trilens.errors import Refused

QUERY_LENGTH_MAX = 4_096
NESTING_MAX = 50
TERMS_MAX = 200

FieldOp = Literal["=", "prefix", "exists", ">", ">=", "<", "<="]

_TOKEN = re.compile(
    r"""(?P<gap>\s+)
    |(?P<open>\() | (?P<close>\)) | (?P<minus>-(?=[^\s)]))
    |(?P<field>[A-Za-z_][\w.\-/]*(?:"(?:[^"\\]|\\.)*")?:)
    |(?P<phrase>"(?:[^"\\]|\\.)*")
    |(?P<word>[^\s()"]+)""",
    re.VERBOSE | re.DOTALL,
)
_VALUE = re.compile(
    r"""(?P<op>>=|<=|>|<)?(?:(?P<phrase>"(?:[^"\\]|\\.)*")|(?P<word>[^\s()"]+))""", re.DOTALL
)
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.\-/]*")
_KEYWORDS = ("AND", "OR", "NOT")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words next to each other; a single word is a phrase of one."""

    text: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return _as_word(self.text)


@dataclass(frozen=True, slots=True)
class Prefix:
    text: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{_as_word(self.text)}*"


@dataclass(frozen=True, slots=True)
class FieldIs:
    """`name` is a column, or attributes.KEY and resource.KEY with any KEY."""

    name: str
    op: FieldOp
    value: str = ""
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        name = self.name
        if not _PLAIN_KEY.fullmatch(name):
            map_name, _, key = name.partition(".")
            name = f"{map_name}.{_quoted(key)}"
        if self.op == "exists":
            return f"{name}:*"
        if self.op == "prefix":
            return f"{name}:{_quoted(self.value)}*"
        operator = "" if self.op == "=" else self.op
        return f"{name}:{operator}{_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Not:
    child: Search

    def __str__(self) -> str:
        return f"-{_in_group(self.child)}"


@dataclass(frozen=True, slots=True)
class And:
    """Two children or more, none of them an And."""

    children: tuple[Search, ...]

    def __str__(self) -> str:
        return " ".join(_in_group(child) for child in self.children)


@dataclass(frozen=True, slots=True)
class Or:
    """Two children or more, none of them an Or."""

    children: tuple[Search, ...]

    def __str__(self) -> str:
        return " OR ".join(str(child) for child in self.children)


Search = Phrase | Prefix | FieldIs | Not | And | Or


def parse(text: str) -> Search | None:
    """The tree, None for a text without terms. Raises Refused with the position."""
    if len(text) > QUERY_LENGTH_MAX:
        raise Refused("too_large", f"the search is longer than {QUERY_LENGTH_MAX} characters")
    tokens = _lex(text)
    if not tokens:
        return None
    parser = _Parser(tokens, len(text))
    tree = parser.any_of(0)
    if (rest := parser.peek()) is not None:
        raise Refused("malformed", f"unexpected {rest.text!r}", position=rest.position)
    return tree


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int
    term: Search | None = None

    def is_keyword(self, word: str) -> bool:
        return self.kind == "word" and self.text == word


def _lex(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Refused("malformed", 'the quote " is never closed', position=at)
        kind, start, at = match.lastgroup or "", at, match.end()
        if kind == "gap":
            continue
        if len(tokens) >= TERMS_MAX:
            raise Refused("too_large", f"more than {TERMS_MAX} words", position=start)
        if kind in ("open", "close", "minus"):
            tokens.append(_Token(kind, match[0], start))
            continue
        term, at = _term(text, kind, match, start)
        tokens.append(_Token("word" if kind == "word" else "term", text[start:at], start, term))
    return tokens


def _term(text: str, kind: str, match: re.Match[str], start: int) -> tuple[Search, int]:
    if kind == "field":
        return _field(text, match[0][:-1], start, match.end())
    if kind == "phrase":
        said = _unquoted(match[0])
        if not said.strip():
            raise Refused("malformed", "nothing stands between the quotes", position=start)
        if text.startswith("*", match.end()):
            return Prefix(said, start), match.end() + 1
        return Phrase(said, start), match.end()
    word = match[0]
    if ":" in word and word.strip(":"):
        raise Refused(
            "malformed",
            f"{word!r} is neither a word nor field:value; quote it to look for it",
            position=start,
        )
    if word.endswith("*") and word.strip("*"):
        return Prefix(word[:-1], start), match.end()
    return Phrase(word, start), match.end()


def _field(text: str, name: str, start: int, at: int) -> tuple[Search, int]:
    match = _VALUE.match(text, at)
    if match is None:
        raise Refused(
            "malformed",
            f"a value is missing after {name}: (to look for a colon, quote it)",
            position=at,
        )
    if '"' in name:
        head, _, key = name.partition('"')
        name = head + _unquoted('"' + key)
    op, end = match["op"], match.end()
    if match["phrase"] is not None:
        value, is_prefix = _unquoted(match["phrase"]), text.startswith("*", end)
        end += is_prefix
    else:
        value = match["word"]
        is_prefix = value.endswith("*")
        value = value[:-1] if is_prefix else value
    if op is not None and is_prefix:
        raise Refused("malformed", f"{op} and * do not go together", position=at)
    if is_prefix and not value and match["phrase"] is None:
        return FieldIs(name, "exists", "", start), end
    kind: FieldOp = (
        "prefix" if is_prefix else next(o for o in get_args(FieldOp) if o == (op or "="))
    )
    return FieldIs(name, kind, value, start), end


class _Parser:
    """One method a level of binding. Lists are flat, so equal questions are equal trees."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._length = length
        self._at = 0

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def any_of(self, depth: int) -> Search:
        children = [self._all_of(depth)]
        while (token := self.peek()) is not None and token.is_keyword("OR"):
            self._at += 1
            children.append(self._all_of(depth))
        return _joined(Or, children)

    def _all_of(self, depth: int) -> Search:
        children = [self._one(depth)]
        while (token := self.peek()) is not None:
            if token.kind == "close" or token.is_keyword("OR"):
                break
            if token.is_keyword("AND"):
                self._at += 1
            children.append(self._one(depth))
        return _joined(And, children)

    def _one(self, depth: int) -> Search:
        token = self.peek()
        if token is None:
            raise Refused("malformed", "something is missing at the end", position=self._length)
        if depth > NESTING_MAX:
            raise Refused("too_large", "nested too deeply", position=token.position)
        self._at += 1
        if token.kind == "minus" or token.is_keyword("NOT"):
            return Not(self._one(depth + 1))
        if token.kind == "open":
            return self._group(token, depth)
        if token.term is None or token.text in _KEYWORDS:
            raise Refused("malformed", f"unexpected {token.text!r}", position=token.position)
        return token.term

    def _group(self, opening: _Token, depth: int) -> Search:
        tree = self.any_of(depth + 1)
        token = self.peek()
        if token is None or token.kind != "close":
            raise Refused("malformed", "this ( is never closed", position=opening.position)
        self._at += 1
        return tree


def _joined(kind: type[And | Or], children: list[Search]) -> Search:
    flat: list[Search] = []
    for child in children:
        flat.extend(child.children if isinstance(child, kind) else [child])
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _in_group(child: Search) -> str:
    return f"({child})" if isinstance(child, And | Or) else str(child)


def _as_word(text: str) -> str:
    is_plain = re.fullmatch(r"[^\s()\":*\\-][^\s()\":*\\]*", text) and text not in _KEYWORDS
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
