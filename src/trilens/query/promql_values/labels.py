"""Sets of labels: what is dropped, what is kept, what two series have in common.

Labels are tuples of (name, value), sorted by name; a label with an empty value is no label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import xxhash
from numpy.typing import NDArray

from trilens.query.promql.ast import Matrix, Paren, Selector, Subquery
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.values import METRIC_NAME, Flags, Labels, Times, Vector

# What describes a metric and not its origin: gone after arithmetic.
METADATA = frozenset({METRIC_NAME, "__type__", "__unit__"})
SAME_LABELSET = "vector cannot contain metrics with the same labelset"
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_BYTE_SIZE_MAX = 254

Groups: TypeAlias = Times  # [series]: which group a series belongs to, from 0 on


def label_value(labels: Labels, name: str) -> str:
    """The value of a label, empty if there is none."""
    for known, value in labels:
        if known == name:
            return value
    return ""


def keep_labels(labels: Labels, names: Iterable[str]) -> Labels:
    wanted = frozenset(names)
    return tuple(pair for pair in labels if pair[0] in wanted)


def drop_labels(labels: Labels, names: Iterable[str]) -> Labels:
    unwanted = frozenset(names)
    return tuple(pair for pair in labels if pair[0] not in unwanted)


def drop_metadata(labels: Labels) -> Labels:
    return tuple([pair for pair in labels if pair[0] not in METADATA])


def set_labels(labels: Labels, changes: Mapping[str, str]) -> Labels:
    """Labels with others set; one set to nothing goes."""
    merged = {**dict(labels), **changes}
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def match_labels(labels: Labels, names: Iterable[str], *, on: bool) -> Labels:
    """What counts when series look for their partners: `on` these names, or all but these.

    The metric's name counts only if asked for; its type and unit are labels like others.
    """
    if on:
        return keep_labels(labels, names)
    return drop_labels(labels, {METRIC_NAME, *names})


def group_labels(labels: Labels, names: Iterable[str], *, without: bool) -> Labels:
    """The labels that an aggregation `by` or `without` these names leaves."""
    return match_labels(labels, names, on=not without)


def number_groups(keys: Iterable[Labels]) -> tuple[Groups, list[Labels]]:
    """Each key's number in the order of first appearance, and the keys by their numbers."""
    numbers: dict[Labels, int] = {}
    of_series = [numbers.setdefault(key, len(numbers)) for key in keys]
    return np.array(of_series, dtype=np.int64), list(numbers)


def hash_labels(labels: Labels) -> int:
    """64 bits: XXH64 over names and values, each behind its length, as Prometheus hashes them."""
    parts = bytearray()
    for pair in labels:
        for text in pair:
            encoded = text.encode("utf-8", "surrogateescape")
            if len(encoded) <= _BYTE_SIZE_MAX:
                parts.append(len(encoded))
            else:
                parts += b"\xff" + len(encoded).to_bytes(3, "little")
            parts += encoded
    return int(xxhash.xxh64_intdigest(bytes(parts)))


def quoted(text: str) -> str:
    """In double quotes with the escapes of Go, which show bytes that are no UTF-8 in hex."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character if character.isprintable() else f"\\x{code:02x}"


def is_label_name(name: str) -> bool:
    """Any text of UTF-8 that is not empty."""
    try:
        return bool(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def labels_text(labels: Labels) -> str:
    """`{a="b", c="d"}`, a name that is no identifier in quotes."""
    pairs = (
        f"{name if name.isidentifier() and name.isascii() else quoted(name)}={quoted(value)}"
        for name, value in labels
    )
    return "{" + ", ".join(pairs) + "}"


def absent_labels(expr: object) -> Labels:
    """What `absent(expr)` answers with: the values that a selector says by `=`, each name once."""
    while isinstance(expr, Paren):
        expr = expr.expr
    if isinstance(expr, Matrix):
        expr = expr.selector
    if not isinstance(expr, Selector) or isinstance(expr, Subquery):
        return ()
    said: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in expr.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            said[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            said.pop(matcher.name, None)
    return set_labels((), said)


def histogram_flags(histograms: NDArray[np.object_]) -> Flags:
    """Of the same shape: where there is one."""
    flags = np.fromiter((one is not None for one in histograms.flat), np.bool_, histograms.size)
    return flags.reshape(histograms.shape)


def has_histogram(vector: Vector) -> Flags:
    """[series, step]: where the vector is a histogram."""
    if vector.histograms is None:
        return np.zeros(vector.is_there.shape, dtype=np.bool_)
    return vector.is_there & histogram_flags(vector.histograms)


def drops_of(vector: Vector) -> Flags:
    """[series]: whose name goes at the end."""
    if vector.drops_name is None:
        return np.zeros(len(vector.labels), dtype=np.bool_)
    return vector.drops_name


def take_rows(vector: Vector, rows: Times | Flags) -> Vector:
    """The series of a vector with these numbers, in this order (or those that are flagged)."""
    numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    return Vector(
        labels=[vector.labels[number] for number in numbers],
        values=vector.values[numbers],
        is_there=vector.is_there[numbers],
        histograms=None if vector.histograms is None else vector.histograms[numbers],
        drops_name=None if vector.drops_name is None else vector.drops_name[numbers],
    )


def without_empty_rows(vector: Vector) -> Vector:
    """Without the series that are nowhere."""
    is_somewhere: Flags = np.asarray(vector.is_there.any(axis=1))
    return vector if is_somewhere.all() else take_rows(vector, is_somewhere)


def drop_flagged_names(vector: Vector) -> Vector:
    """Names that were to go, gone; series that are one by that are merged."""
    if vector.drops_name is None or not vector.drops_name.any():
        return vector
    labels = [
        drop_metadata(series) if drops else series
        for series, drops in zip(vector.labels, vector.drops_name, strict=True)
    ]
    return merge_same(
        Vector(labels=labels, values=vector.values, is_there=vector.is_there,
               histograms=vector.histograms)
    )  # fmt: skip


def merge_same(vector: Vector) -> Vector:
    """Series with equal labels become one. Raises where two of them are there at a step."""
    groups, labels = number_groups(vector.labels)
    if len(labels) == len(vector.labels):
        return vector
    steps = vector.is_there.shape[1]
    count = np.zeros((len(labels), steps), dtype=np.int64)
    np.add.at(count, groups, vector.is_there)
    if (count > 1).any():
        raise PromqlError(SAME_LABELSET)
    rows, columns = np.nonzero(vector.is_there)
    targets = groups[rows]
    values = np.full((len(labels), steps), np.nan)
    values[targets, columns] = vector.values[rows, columns]
    histograms = None
    if vector.histograms is not None:
        histograms = np.full((len(labels), steps), None, dtype=object)
        histograms[targets, columns] = vector.histograms[rows, columns]
    drops = np.zeros(len(labels), dtype=np.bool_)
    np.logical_or.at(drops, groups, drops_of(vector))
    return Vector(labels=labels, values=values, is_there=count > 0, histograms=histograms,
                  drops_name=drops)  # fmt: skip
