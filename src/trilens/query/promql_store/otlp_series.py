"""Which series of OTLP match: names and labels are translated first, then matched.

    families     what metrics there are, once a query; those with a part of a wanted name go on
    identities   rows of series of these metrics, narrowed by the engine where a matcher allows it
    labels       resource columns of identity < attributes < scope < job and instance

The narrowing only leaves out what cannot match; what matches is decided here, on the labels that
PromQL sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trilens.query.ask import Asker, Bound, Statement
from trilens.query.filters import IDENTITY
from trilens.query.promql.ast import Matcher
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.regex import compile_regex
from trilens.query.promql_store.otlp_names import (
    INSTANCE,
    JOB,
    LE,
    QUANTILE,
    SCOPE_PREFIX,
    SERVICE_INSTANCE,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
    TARGET_INFO,
    Family,
    Part,
    labels_of,
    part_names,
    scope_labels,
    target_labels,
)
from trilens.query.promql_store.series import seen_in
from trilens.query.promql_values.values import METRIC_NAME, Labels
from trilens.query.tables import SERIES

FAMILIES_MAX: Final = 100_000
# Labels that points have and identities do not.
POINT_LABELS: Final = frozenset({LE, QUANTILE})
# Labels that are not made of attributes of points alone.
_NOT_ATTRIBUTES: Final = frozenset({METRIC_NAME, JOB, INSTANCE, *POINT_LABELS, *IDENTITY})
IS_OTLP: Final = "source = 'otlp'"
_SENT_COLUMNS: Final = "metric, unit, kind, temporality, is_monotonic"
_FAMILY_COLUMNS: Final = (
    "toString(metric) AS metric, toString(unit) AS unit, toString(kind) AS kind, "
    "temporality = 'delta' AS is_delta, is_monotonic"
)
# What identity_labels reads.
TARGET_COLUMN: Final = (
    f"[toString(resource['{SERVICE_NAME}']), toString(resource['{SERVICE_NAMESPACE}']), "
    f"toString(resource['{SERVICE_INSTANCE}'])] AS target"
)
SCOPE_COLUMNS: Final = (
    "toString(scope_name) AS scope_name, toString(scope_version) AS scope_version, scope_attributes"
)
RESOURCE_COLUMNS: Final = f"[{', '.join(f'toString({name})' for name in IDENTITY)}] AS columns"
_IDENTITY_COLUMNS: Final = (
    f"series_id, {_FAMILY_COLUMNS}, labels, {TARGET_COLUMN}, {SCOPE_COLUMNS}, {RESOURCE_COLUMNS}"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A series as it was sent. `labels` are those of its points but name, le and quantile."""

    series_id: int
    family: Family
    labels: Mapping[str, str]

    def with_name(self, name: str, more: Mapping[str, str] | None = None) -> Labels:
        return tuple(sorted({**self.labels, METRIC_NAME: name, **(more or {})}.items()))


@dataclass(slots=True)
class Asked:
    """Matchers, ready to be asked. Raises PromqlError where one is no regular expression."""

    matchers: tuple[Matcher, ...]
    _tests: list[tuple[str, Callable[[str], bool]]] = field(init=False)
    _parts: dict[Family, list[tuple[Part, str]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._tests = [(matcher.name, _test(matcher)) for matcher in self.matchers]

    def is_name(self, name: str) -> bool:
        return all(test(name) for label, test in self._tests if label == METRIC_NAME)

    def is_identity(self, labels: Mapping[str, str]) -> bool:
        """Of labels without those that name and point give."""
        return all(
            test(labels.get(label, ""))
            for label, test in self._tests
            if label != METRIC_NAME and label not in POINT_LABELS
        )

    def is_point(self, label: str, value: str) -> bool:
        """Of `le` or `quantile`; '' where a series has none."""
        return all(test(value) for name, test in self._tests if name == label)

    def is_all(self, labels: Mapping[str, str]) -> bool:
        return all(test(labels.get(label, "")) for label, test in self._tests)

    def parts(self, family: Family) -> list[tuple[Part, str]]:
        """The parts of a metric whose name is wanted."""
        known = self._parts.get(family)
        if known is None:
            known = [(part, name) for part, name in part_names(family) if self.is_name(name)]
            self._parts[family] = known
        return known


def _test(matcher: Matcher) -> Callable[[str], bool]:
    wanted, op = matcher.value, matcher.op
    if op in ("=", "!="):
        return lambda value: (value == wanted) is (op == "=")
    try:
        regex = compile_regex(wanted)
    except ValueError as error:
        message = f"error parsing regexp: {error}"
        raise PromqlError(message, matcher.span, error_type="bad_data") from None
    known: dict[str, bool] = {}

    def test(value: str) -> bool:
        if value not in known:
            known[value] = (regex.match(value) is not None) is (op == "=~")
        return known[value]

    return test


def _families_statement(condition: str, bound: Bound) -> Statement:
    """Few rows; columns become text only then."""
    return bound.statement(
        f"SELECT {_FAMILY_COLUMNS} FROM (SELECT DISTINCT {_SENT_COLUMNS} FROM {SERIES} "
        f"PREWHERE {IS_OTLP} WHERE {condition} LIMIT {FAMILIES_MAX})"
    )


@dataclass(slots=True)
class Families:
    """What OTLP metrics there are; the engine is asked once."""

    ask: Asker
    _known: list[Family] | None = None

    @property
    def is_known(self) -> bool:
        return self._known is not None

    def take(self, families: Sequence[Family]) -> None:
        """Somebody else has asked."""
        self._known = list(families)

    def all(self) -> list[Family]:
        """Of all times."""
        if self._known is None:
            self._known = self._read("1", Bound())
        return self._known

    def seen_in(self, start_ms: int, end_ms: int) -> list[Family]:
        """Those that may have samples in the time."""
        bound = Bound()
        return self._read(seen_in(start_ms, end_ms, bound), bound) if self.all() else []

    def _read(self, condition: str, bound: Bound) -> list[Family]:
        return [_family(row) for row in self.ask.rows(_families_statement(condition, bound))]

    def wanted(self, asked: Asked) -> list[Family]:
        return [family for family in self.all() if asked.parts(family)]

    def has(self, asked: Asked) -> bool:
        """Is anything of OTLP asked for?"""
        known = self.all()
        return bool(known) and (asked.is_name(TARGET_INFO) or bool(self.wanted(asked)))


def _family(row: Mapping[str, Any]) -> Family:
    return Family(
        row["metric"], row["unit"], row["kind"], bool(row["is_delta"]), bool(row["is_monotonic"])
    )


def identities(
    ask: Asker, asked: Asked, families: Sequence[Family], within_ms: tuple[int, int], limit: int
) -> list[Identity]:
    """Those that match; not more than `limit` are looked at."""
    if not families:
        return []
    bound = Bound()
    wanted = set(families)
    where = identity_condition(asked, families, within_ms, bound)
    rows = ask.rows(
        bound.statement(
            f"SELECT {_IDENTITY_COLUMNS} FROM {SERIES} WHERE {where} "
            f"LIMIT 1 BY series_id LIMIT {bound(limit, 'UInt64')}"
        )
    )
    found = (Identity(int(row["series_id"]), _family(row), identity_labels(row)) for row in rows)
    return [one for one in found if one.family in wanted and asked.is_identity(one.labels)]


def identities_of(ask: Asker, ids: Sequence[int]) -> list[Identity]:
    """Those of these numbers that OTLP has sent."""
    bound = Bound()
    rows = ask.rows(
        bound.statement(
            f"SELECT {_IDENTITY_COLUMNS} FROM {SERIES} WHERE {IS_OTLP} "
            f"AND series_id IN {bound(list(ids), 'Array(UInt64)')} LIMIT 1 BY series_id"
        )
    )
    return [Identity(int(row["series_id"]), _family(row), identity_labels(row)) for row in rows]


def identity_condition(
    asked: Asked, families: Iterable[Family], within_ms: tuple[int, int], bound: Bound
) -> str:
    """For rows of SERIES: no more than those that may match."""
    metrics = bound(sorted({family.metric for family in families}), "Array(String)")
    narrowed = identity_narrowing(asked, None, bound)
    return f"metric IN {metrics} AND {narrowed} AND {seen_in(*within_ms, bound)}"


def identity_narrowing(asked: Asked, names: frozenset[str] | None, bound: Bound) -> str:
    """What the engine can decide, of matchers of these names (or all)."""
    wanted = [one for one in asked.matchers if names is None or one.name in names]
    narrowed = (_narrowed(matcher, bound) for matcher in wanted)
    return " AND ".join([IS_OTLP, *filter(None, narrowed)])


def _narrowed(matcher: Matcher, bound: Bound) -> str | None:
    """Of values that are joined, nobody knows where they came from."""
    name, value = matcher.name, matcher.value
    if matcher.op != "=" or not value or ";" in value:
        return None
    text = bound(value, "String")
    of_attributes = f"has(mapValues(labels), {text})"
    service, group = f"resource['{SERVICE_NAME}']", f"resource['{SERVICE_NAMESPACE}']"
    if name == JOB:
        whole = f"if({group} = '', {service}, concat({group}, '/', {service}))"
        return f"if({service} = '', {of_attributes}, {whole} = {text})"
    if name == INSTANCE:
        instance = f"resource['{SERVICE_INSTANCE}']"
        return f"if({instance} = '', {of_attributes}, {instance} = {text})"
    if name in _NOT_ATTRIBUTES or name.startswith(SCOPE_PREFIX):
        return None
    return of_attributes


def identity_labels(row: Mapping[str, Any]) -> dict[str, str]:
    """Of a row with labels and the columns above; what it does not have gives no labels."""
    columns = {
        name: value for name, value in zip(IDENTITY, row.get("columns", ()), strict=False) if value
    }
    target = dict(zip((SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE), row.get("target", ()),
                      strict=False))  # fmt: skip
    scope = scope_labels(
        row.get("scope_name", ""), row.get("scope_version", ""), row.get("scope_attributes", {})
    )
    return {**columns, **labels_of(row["labels"]), **scope, **target_labels(target)}
