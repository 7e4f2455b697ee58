"""Go's regular expressions within a text: `match` and `reReplaceAll` of templates.

Unlike in PromQL they need not match the whole text, and their dot is no line break.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from trilens.go_template.errors import FunctionError
from trilens.go_template.literals import quoted
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.regex import Groups, Regex
from trilens.query.promql.regex_tree import (
    ANY,
    Branches,
    Group,
    Node,
    Repeat,
    Sequence,
    Tree,
    read_regex,
)

TEXT_CHARACTERS_MAX: Final = 65_536
_OWN_GROUPS: Final = 2  # what is before a match, and the match


def finds(pattern: str, text: str) -> bool:
    """Raises FunctionError for what is no regular expression."""
    return _find(pattern, text, 0) is not None


def replace_all(pattern: str, template: str, text: str) -> str:
    """$1, ${name} in the template are groups. Raises FunctionError."""
    try:
        parse_regex(pattern)
    except ValueError as error:
        is_plain = "`" not in pattern and pattern.isprintable()
        shown = f"`{pattern}`" if is_plain else quoted(pattern)
        raise FunctionError(f"regexp: Compile({shown}): {error}") from None
    parts: list[str] = []
    at, copied = 0, 0
    while at <= len(text):
        found = _find(pattern, text, at)
        if found is None:
            break
        groups, regex = found
        start = len(groups[1] or "")
        end = start + len(groups[2] or "")
        parts.append(text[copied:start])
        if end > copied or start == 0:
            parts.append(regex.expand(template, groups[_OWN_GROUPS:]))
        copied = end
        at = max(end, at + 1)
    return "".join(parts) + text[copied:]


def _find(pattern: str, text: str, start: int) -> tuple[Groups, Regex] | None:
    """The first match from `start` on, with groups before, match, and the pattern's own."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise FunctionError(f"text of more than {TEXT_CHARACTERS_MAX} characters")
    try:
        tree = _tree(pattern)
        before = Group(1, Repeat(ANY, start, None, is_greedy=False))
        match = Group(2, _shifted(tree.node))
        behind = Repeat(ANY, 0, None, is_greedy=True)
        names = {name: number + _OWN_GROUPS for name, number in tree.names.items()}
        whole = Tree(Sequence((before, match, behind)), tree.groups + _OWN_GROUPS, names)
        groups = Regex(whole).match(text)
        return None if groups is None else (groups, Regex(tree))
    except ValueError as error:
        raise FunctionError(str(error)) from None


@lru_cache(maxsize=64)
def _tree(pattern: str) -> Tree:
    parse_regex(pattern)
    return read_regex(f"(?-s:{pattern})")


def _shifted(node: Node) -> Node:
    """With room for our groups before its own."""
    match node:
        case Group():
            return Group(node.number + _OWN_GROUPS, _shifted(node.part))
        case Sequence():
            return Sequence(tuple(map(_shifted, node.parts)))
        case Branches():
            return Branches(tuple(map(_shifted, node.options)))
        case Repeat():
            return replace(node, part=_shifted(node.part))
    return node
