"""label_replace and label_join; and RE2's regular expressions and templates, by Python's own.

What RE2 has and Python has not is rewritten: flags in the middle of a group hold to its end, text
in the quotes of Perl is literal, [[:alpha:]] and its like are spelled out.
"""

from __future__ import annotations

import re
from functools import lru_cache

from trilens.query.promql.context import Function, Site
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.labels import (
    drops_of,
    is_label_name,
    label_value,
    merge_same,
    set_labels,
)
from trilens.query.promql.values import METRIC_NAME, Labels, Text, Value, Vector

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t-\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
}
_TOKEN = re.compile(
    r"\\Q(?P<literal>.*?)(?:\\E|$)"
    r"|(?P<escape>\\.)"
    r"|\[:(?P<class>\w+):\]"
    r"|\(\?(?P<flags>[imsU]+)\)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_TEMPLATE = re.compile(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})", re.ASCII)


@lru_cache(maxsize=256)
def compile_whole(pattern: str) -> re.Pattern[str]:
    """For `fullmatch`, as Prometheus matches: `.` is any character. Raises re.error."""
    return re.compile(_rewritten(pattern), re.DOTALL)


def _rewritten(pattern: str) -> str:
    """The same expression in Python's syntax."""
    parts: list[str] = []
    scopes = [0]  # how many groups of flags are open in each open group
    in_class = False
    for token in _TOKEN.finditer(pattern):
        if token["literal"] is not None:
            parts.append(re.escape(token["literal"]))
        elif token["escape"] is not None:
            parts.append({"\\z": "\\Z", "\\C": "."}.get(token["escape"], token["escape"]))
        elif token["class"] is not None and in_class:
            parts.append(_CLASSES.get(token["class"], token[0]))
        elif token["flags"] is not None and not in_class:
            parts.append(f"(?{token['flags'].replace('U', '')}:")
            scopes[-1] += 1
        else:
            in_class = _class_goes_on(token[0], parts, in_class=in_class)
            parts.append(_bracket(token[0], scopes, in_class=in_class))
    return "".join(parts) + ")" * scopes[0]


def _class_goes_on(text: str, parts: list[str], *, in_class: bool) -> bool:
    if in_class:
        return text != "]" or (bool(parts) and parts[-1] in {"[", "[^"})
    return text == "["


def _bracket(text: str, scopes: list[int], *, in_class: bool) -> str:
    """A parenthesis opens a scope of flags, or closes it with all that were set in it."""
    if in_class or text not in {"(", ")"}:
        return text
    if text == "(":
        scopes.append(0)
        return text
    closing = scopes.pop() if len(scopes) > 1 else 0
    return ")" * closing + text


def expand(template: str, match: re.Match[str]) -> str:
    """$1, ${1}, $name and ${name} are what the groups matched, unknown ones nothing; $$ is $."""

    def group(reference: re.Match[str]) -> str:
        name = reference["name"] or reference["braced"]
        if name is None:
            return "$"
        if name.isdigit():
            number = int(name)
            return (match[number] or "") if number <= (match.re.groups or 0) else ""
        return (match[name] or "") if name in match.re.groupindex else ""

    return _TEMPLATE.sub(group, template)


def _texts(args: list[Value]) -> list[str]:
    texts = []
    for value in args:
        assert isinstance(value, Text)  # the parser checked it
        texts.append(value.value)
    return texts


def _replace(site: Site, args: list[Value]) -> Value:
    vector = args[0]
    assert isinstance(vector, Vector)
    target, template, source, pattern = _texts(args[1:])
    try:
        regex = compile_whole(pattern)
    except re.error as error:
        raise PromqlError(
            f"invalid regular expression in label_replace(): {pattern}", site.node.args[4].span
        ) from error
    _check_target(site, target, "label_replace")
    replaced: dict[str, str | None] = {}
    labels: list[Labels] = []
    drops = drops_of(vector).copy()
    for row, series in enumerate(vector.labels):
        value = label_value(series, source)
        if value not in replaced:
            match = regex.fullmatch(value)
            replaced[value] = None if match is None else expand(template, match)
        text = replaced[value]
        labels.append(series if text is None else set_labels(series, {target: text}))
        if text is not None and target == METRIC_NAME:
            drops[row] = False
    return merge_same(Vector(labels, vector.values, vector.is_there, vector.histograms, drops))


def _join(site: Site, args: list[Value]) -> Value:
    vector = args[0]
    assert isinstance(vector, Vector)
    target, separator, *sources = _texts(args[1:])
    for source in sources:
        if not is_label_name(source):
            raise PromqlError(
                f"invalid source label name in label_join(): {source}", site.node.span
            )
    _check_target(site, target, "label_join")
    labels = [
        set_labels(series, {target: separator.join(label_value(series, name) for name in sources)})
        for series in vector.labels
    ]
    drops = drops_of(vector)
    if target == METRIC_NAME:
        drops = drops & False
    return merge_same(Vector(labels, vector.values, vector.is_there, vector.histograms, drops))


def _check_target(site: Site, target: str, function: str) -> None:
    if not is_label_name(target):
        raise PromqlError(
            f"invalid destination label name in {function}(): {target}", site.node.args[1].span
        )


LABEL_FUNCTIONS: dict[str, Function] = {"label_join": _join, "label_replace": _replace}
