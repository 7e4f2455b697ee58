"""All series of one metric: which identities they have, which match, how they are grouped."""

from __future__ import annotations

from collections.abc import Mapping
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

# Of each table, what it has been asked for.
REMEMBERED_MAX: Final = 50
_FEW_MAX: Final = 200
# What a series costs beside its samples: places in arrays, and a tuple of pairs that are shared.
SERIES_BYTES: Final = 400
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


@dataclass(slots=True)
class SeriesTable:
    """`ids` and `labels` by place. Series are added by making another table: see grown()."""

    metric: str
    ids: NDArray[np.uint64]
    labels: list[Labels]
    known_ids: NDArray[np.uint64] = field(init=False)  # ascending
    known_places: Places = field(init=False)
    _columns: dict[str, tuple[NDArray[np.int64], list[str]]] = field(default_factory=dict)
    _found: dict[Any, Any] = field(default_factory=dict)

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
        return SeriesTable(self.metric, ids, labels)

    def __len__(self) -> int:
        return len(self.labels)

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
            found = self._remember(matchers, Selection(np.array(order, np.uint32), labels))
        return found

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
            found = self._remember(key, Grouping(groups, labels))
        return found

    def _matches(self, matcher: Matcher) -> Flags:
        if matcher.name == METRIC_NAME:
            return np.full(len(self), _is_match(matcher, self.metric))
        codes, values = self._column(matcher.name)
        is_match = np.array([_is_match(matcher, value) for value in values], np.bool_)
        return is_match[codes] if len(codes) else np.zeros(0, np.bool_)

    def _column(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """The values there are, and which of them each series has."""
        column = self._columns.get(name)
        if column is None:
            number: dict[str, int] = {}
            own = (label_value(one, name) for one in self.labels)
            codes = [number.setdefault(value, len(number)) for value in own]
            column = self._columns[name] = np.array(codes, np.int64), list(number)
        return column

    def _remember(self, key: object, found: Any) -> Any:
        if len(self._found) >= REMEMBERED_MAX:
            self._found.clear()
        self._found[key] = found
        return found


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
