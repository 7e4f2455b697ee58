"""label_replace and label_join."""

from __future__ import annotations

from trilens.query.promql.errors import PromqlError
from trilens.query.promql.regex import compile_regex
from trilens.query.promql_values.context import Function, Site
from trilens.query.promql_values.labels import (
    drops_of,
    is_label_name,
    label_value,
    merge_same,
    set_labels,
)
from trilens.query.promql_values.values import METRIC_NAME, Labels, Text, Value, Vector


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
        regex = compile_regex(pattern)
    except ValueError as error:
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
            groups = regex.match(value)
            replaced[value] = None if groups is None else regex.expand(template, groups)
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
