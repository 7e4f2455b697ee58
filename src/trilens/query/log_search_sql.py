"""A tree of the log search -> one condition on the view `logs`.

The body's text index holds lower-case runs of ASCII letters, digits and bytes of other scripts
(tokenizer splitByNonAlpha). A text without any of these (`===`) is looked for as it is.
"""

from __future__ import annotations

import re

from trilens.errors import Refused
from trilens.query.ask import Bound
from trilens.query.filters import LOG_FIELDS, Condition
from trilens.query.log_search import And, FieldIs, Not, Or, Phrase, Prefix, Search
from trilens.query.tables import BODY, BODY_LOWERED

_SEPARATOR = r"[^0-9a-z\x{80}-\x{10ffff}]"
_NOT_TOKEN = re.compile(r"[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")


def search_sql(tree: Search, bound: Bound) -> str:
    """Raises Refused (malformed) for a field that logs do not have, with its position."""
    match tree:
        case And(children):
            return "(" + " AND ".join(search_sql(child, bound) for child in children) + ")"
        case Or(children):
            return "(" + " OR ".join(search_sql(child, bound) for child in children) + ")"
        case Not(child):
            return f"NOT ({search_sql(child, bound)})"
        case Phrase(text):
            return _phrase(text, bound)
        case Prefix(text):
            return _prefix(text, bound)
        case FieldIs():
            return _field(tree, bound)


def _phrase(text: str, bound: Bound) -> str:
    tokens = _tokens(text)
    if not tokens:
        return f"position(body, {bound(text, 'String')}) > 0"
    if len(tokens) == 1:
        return f"hasAllTokens({BODY}, {bound(tokens, 'Array(String)')})"
    return f"hasPhrase({BODY}, {bound(' '.join(tokens), 'String')})"


def _prefix(text: str, bound: Bound) -> str:
    tokens = _tokens(text)
    if not tokens:
        return f"position(body, {bound(text, 'String')}) > 0"
    *whole, start = tokens
    # LIKE asks the index's dictionary; the pattern then says where the word must begin.
    conditions = [f"{BODY_LOWERED} LIKE {bound(f'%{_like(start)}%', 'String')}"]
    if whole:
        conditions.append(f"hasAllTokens({BODY}, {bound(whole, 'Array(String)')})")
    pattern = f"(?:^|{_SEPARATOR})" + f"{_SEPARATOR}+".join(tokens)
    conditions.append(f"match({BODY_LOWERED}, {bound(pattern, 'String')})")
    return "(" + " AND ".join(conditions) + ")"


def _field(tree: FieldIs, bound: Bound) -> str:
    if tree.name == "body" and tree.op in ("=", "prefix"):
        return (_phrase if tree.op == "=" else _prefix)(tree.value, bound)
    try:
        if tree.op != "prefix":
            return Condition(tree.name, tree.op, tree.value).sql(LOG_FIELDS, bound)
        return _field_prefix(tree, bound)
    except Refused as refused:
        raise Refused(refused.code, refused.message, position=tree.position) from None


def _field_prefix(tree: FieldIs, bound: Bound) -> str:
    map_name, dot, key = tree.name.partition(".")
    if dot and key and map_name in LOG_FIELDS.maps:
        column = f"{LOG_FIELDS.maps[map_name]}[{bound(key, 'String')}]"
    elif LOG_FIELDS.columns.get(tree.name, "number") != "number":
        column = tree.name
    else:
        raise Refused("malformed", f"{tree.name!r} is not a field of text")
    value = tree.value.upper() if tree.name == "severity" else tree.value
    return f"startsWith({column}, {bound(value, 'String')})"


def _tokens(text: str) -> list[str]:
    """As the index cuts it. ASCII alone is lowered, as ClickHouse's lower() does."""
    lowered = "".join(sign.lower() if sign.isascii() else sign for sign in text)
    return [token for token in _NOT_TOKEN.split(lowered) if token]


def _like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
