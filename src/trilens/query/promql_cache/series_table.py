"""All series of one metric: which identities they have, which match, how they are grouped."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Matcher
from trilens.query.promql.regex import compile_regex
from trilens.query.promql_cache.chunks import Places
from trilens.query.promql_values.labels import group_labels, label_value
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import METRIC_NAME, Flags, Labels

# Of each table, what it has been asked for: so many, as long as they do not take more than this.
REMEMBERED_MAX: Final = 50
_REMEMBERED_BYTES_A_SERIES: Final = 300
_REMEMBERED_BYTES_MIN: Final = 20_000
_FEW_MAX: Final = 200
# Places of a series in arrays; of a selection, or of a group with a tuple of its own.
_PLACE_BYTES: Final = 28
_SELECTED_BYTES: Final = 12
_GROUP_BYTES: Final = 200
_ENTRY_BYTES: Final = 300
# Regular expressions that take longer are for the engine.
_MATCH_S_MAX: Final = 0.5
_TRIED_VALUES: Final = 20
_NO_TEXT: Final = "\ufffd"  # stands for bytes that are none
Matchers: TypeAlias = tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Series that match, in the order of their labels."""

    places: Places
    labels: list[Labels]


@dataclass(frozen=True, slots=True)
class Grouping:
    """`groups` says of each series of a selection which of `labels` its group has."""

    groups: Places
    labels: list[Labels]


@dataclass(frozen=True, slots=True)
class _Column:
    """The values of a label, and which of them each series has."""

    codes: Places
    values: list[str]


@dataclass(slots=True)
class SeriesTable:
    """`ids` and `labels` by place. Series are added by making another table: see grown()."""

    metric: str
    ids: NDArray[np.uint64]
    labels: list[Labels]
    own_bytes: int = 0  # without what it has been asked for
    known_ids: NDArray[np.uint64] = field(init=False)  # ascending
    known_places: Places = field(init=False)
    _columns: dict[str, _Column] = field(default_factory=dict)
    _found: dict[Any, Any] = field(default_factory=dict)
    _remembered_bytes: int = 0

    def __post_init__(self) -> None:
        order = np.argsort(self.ids)
        self.known_ids = self.ids[order]
        self.known_places = order.astype(np.uint32)

    @classmethod
    def of(cls, metric: str, shown: Mapping[int, Mapping[str, str]]) -> SeriesTable | None:
        """Labels without the name by identity; None where two identities have the same labels."""
        table = cls(metric, np.empty(0, np.uint64), [])
        return table.grown(shown)

    def grown(self, shown: Mapping[int, Mapping[str, str]]) -> SeriesTable | None:
        """With these as well; those that are known stay as they are.

        None also where a label is no text: then what is shown is not what matchers are about.
        """
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        known = set(self.ids.tolist())
        shown = {number: one for number, one in shown.items() if number not in known}
        added = [_labels(self.metric, one, pairs) for one in shown.values()]
        labels = [*self.labels, *added]
        if len(set(labels)) < len(labels) or any(_NO_TEXT in value for _, value in pairs):
            return None
        ids = np.concatenate([self.ids, np.fromiter(shown, np.uint64, len(shown))])
        return SeriesTable(self.metric, ids, labels, self.own_bytes + _own_bytes(added, pairs))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size_bytes(self) -> int:
        return self.own_bytes + self._remembered_bytes

    @property
    def digest(self) -> tuple[int, int]:
        """How many identities there are, and all of them in one number."""
        return len(self.ids), int(np.bitwise_xor.reduce(self.ids, initial=np.uint64(0)))

    def unknown(self, ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return np.setdiff1d(ids, self.known_ids)

    def is_at_hand(self, matchers: Matchers) -> bool:
        """Whether a selection takes no time: an expression over many values may take seconds."""
        return matchers in self._found or len(self) <= _FEW_MAX

    def selection(self, matchers: Matchers) -> Selection:
        found: Selection | None = self._found.get(matchers)
        if found is None:
            is_match = np.ones(len(self), np.bool_)
            for matcher in matchers:
                is_match &= self._matches(matcher)
            places = np.flatnonzero(is_match).astype(np.uint32)
            order = sorted(places.tolist(), key=self.labels.__getitem__)
            labels = [self.labels[place] for place in order]
            found = Selection(np.array(order, np.uint32), labels)
            self._remember(self._found, matchers, found, _SELECTED_BYTES * len(labels))
        return found

    def is_matched_here(self, matchers: Matchers) -> bool:
        """Where an expression over many values may take seconds the engine is to match."""
        if matchers in self._found:
            return True
        try:
            return sum(map(self._match_s, matchers)) <= _MATCH_S_MAX
        except ValueError:  # the expression is too large for us
            return False

    def _match_s(self, matcher: Matcher) -> float:
        """About how long an expression takes, judged by some values."""
        if matcher.op in ("=", "!="):
            return 0.0
        values = self._column(matcher.name).values
        some = values[:: max(1, len(values) // _TRIED_VALUES)]
        _is_match(matcher, "")  # the first time it is compiled
        began_s = time.perf_counter()
        for value in some:
            _is_match(matcher, value)
        return (time.perf_counter() - began_s) * len(values) / max(1, len(some))

    def grouping(self, query: GridQuery) -> Grouping:
        """Of the selection of its matchers. Groups are in the order of their labels."""
        key = query.matchers, query.grouping, query.without
        found: Grouping | None = self._found.get(key)
        if found is None:
            every = [
                group_labels(one, query.grouping, without=query.without)
                for one in self.selection(query.matchers).labels
            ]
            labels = sorted(set(every))
            number = {one: place for place, one in enumerate(labels)}
            groups = np.fromiter((number[one] for one in every), np.uint32, len(every))
            found = Grouping(groups, labels)
            size_bytes = groups.nbytes + _GROUP_BYTES * len(labels)
            self._remember(self._found, key, found, size_bytes)
        return found

    def _matches(self, matcher: Matcher) -> Flags:
        if matcher.name == METRIC_NAME:
            return np.full(len(self), _is_match(matcher, self.metric))
        column = self._column(matcher.name)
        is_match = np.array([_is_match(matcher, value) for value in column.values], np.bool_)
        return is_match[column.codes] if len(column.codes) else np.zeros(0, np.bool_)

    def _column(self, name: str) -> _Column:
        column = self._columns.get(name)
        if column is None:
            number: dict[str, int] = {}
            own = (label_value(one, name) for one in self.labels)
            codes = [number.setdefault(value, len(number)) for value in own]
            column = _Column(np.array(codes, np.uint32), list(number))
            self._remember(self._columns, name, column, column.codes.nbytes + 8 * len(number))
        return column

    def _remember(self, among: dict[Any, Any], key: object, found: object, size_bytes: int) -> None:
        """Several threads may do so at once: then the number of bytes is about right."""
        most_bytes = _REMEMBERED_BYTES_MIN + _REMEMBERED_BYTES_A_SERIES * len(self)
        is_full = len(self._found) + len(self._columns) >= REMEMBERED_MAX
        if is_full or self._remembered_bytes + size_bytes > most_bytes:
            self._found.clear()
            self._columns.clear()
            self._remembered_bytes = 0
        among[key] = found
        self._remembered_bytes += size_bytes + _ENTRY_BYTES


def _own_bytes(added: Iterable[Labels], pairs: Iterable[tuple[str, str]]) -> int:
    """Of series and their pairs, which others share."""
    of_series = sum(sys.getsizeof(labels) + _PLACE_BYTES for labels in added)
    return of_series + sum(sys.getsizeof(pair) + sys.getsizeof(pair[1]) for pair in pairs)


def _labels(
    metric: str, shown: Mapping[str, str], pairs: dict[tuple[str, str], tuple[str, str]]
) -> Labels:
    """Sorted, with the name; equal pairs are one object."""
    named = sorted({**shown, METRIC_NAME: metric}.items())
    return tuple(pairs.setdefault(pair, pair) for pair in named)


def _is_match(matcher: Matcher, value: str) -> bool:
    match matcher.op:
        case "=":
            return value == matcher.value
        case "!=":
            return value != matcher.value
        case "=~":
            return compile_regex(matcher.value).match(value) is not None
        case _:
            return compile_regex(matcher.value).match(value) is None
