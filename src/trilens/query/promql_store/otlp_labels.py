"""Names and values of labels of many series of OTLP, without looking at each of them.

Only what differs in the columns that a label is made of is read: most series share all but their
own attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from trilens.query.ask import Asker, Bound
from trilens.query.filters import IDENTITY
from trilens.query.promql_store.catalog import ROWS_MAX
from trilens.query.promql_store.otlp_names import INSTANCE, JOB, SCOPE_PREFIX, label_name
from trilens.query.promql_store.otlp_series import (
    RESOURCE_COLUMNS,
    SCOPE_COLUMNS,
    TARGET_COLUMN,
    identity_labels,
)
from trilens.query.tables import SERIES

# Which rows of SERIES.
Condition: TypeAlias = Callable[[Bound], str]
_KEYS: Final = "groupUniqArrayArray(mapKeys(labels)) AS keys"


def label_names_of(ask: Asker, condition: Condition) -> set[str]:
    """All but those of names and points."""
    bound = Bound()
    statement = bound.statement(
        f"SELECT DISTINCT {TARGET_COLUMN}, {SCOPE_COLUMNS}, {RESOURCE_COLUMNS} FROM {SERIES} "
        f"WHERE {condition(bound)} LIMIT {ROWS_MAX}"
    )
    names = {label_name(key) for key in _keys(ask, condition)}
    for row in ask.rows(statement):
        names |= identity_labels({**row, "labels": {}}).keys()
    return names - {""}


def label_values_of(ask: Asker, condition: Condition, name: str) -> set[str]:
    """Of any label but that of the name, and those of points."""
    bound = Bound()
    keys = bound([key for key in _keys(ask, condition) if label_name(key) == name], "Array(String)")
    columns = [f"mapFilter((key, value) -> has({keys}, key), labels) AS labels"]
    if name in (JOB, INSTANCE):
        columns.append(TARGET_COLUMN)
    if name.startswith(SCOPE_PREFIX):
        columns.append(SCOPE_COLUMNS)
    if name in IDENTITY:
        columns.append(RESOURCE_COLUMNS)
    rows = ask.rows(
        bound.statement(
            f"SELECT DISTINCT {', '.join(columns)} FROM {SERIES} "
            f"WHERE {condition(bound)} LIMIT {ROWS_MAX}"
        )
    )
    return {identity_labels(row).get(name, "") for row in rows} - {""}


def _keys(ask: Asker, condition: Condition) -> list[str]:
    """Of attributes of points."""
    bound = Bound()
    (row,) = ask.rows(bound.statement(f"SELECT {_KEYS} FROM {SERIES} WHERE {condition(bound)}"))
    keys: list[Any] = row["keys"]
    return [str(key) for key in keys]
