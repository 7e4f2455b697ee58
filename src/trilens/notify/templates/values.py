"""Labels, pairs and lists as templates see them (Alertmanager 0.34, template/template.go); JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trilens.go_template.times import ZERO_NS, Moment, go_time
from trilens.go_template.values import MISSING, Function, GoList, GoMap, GoStruct, Value
from trilens.notify.instants import print_instant

TEXTS: Final = "[]string"
PAIRS: Final = "template.Pairs"
TIME: Final = "time.Time"


class SafeText(str):
    """Text that html/template leaves as it is (template.HTML)."""

    __slots__ = ()


class SafeUrl(str):
    """A URL of any scheme, to html/template (template.URL)."""

    __slots__ = ()


def labels_value(labels: Mapping[str, str]) -> GoMap:
    """template.KV. A name that is not there is empty text."""
    ordered = in_order(labels)
    return GoMap(
        labels,
        "template.KV",
        methods={
            "SortedPairs": Function((), lambda: pairs_value(labels, ordered)),
            "Remove": Function((TEXTS,), lambda names: _without(labels, names.items)),
            "Names": Function((), lambda: texts_value(ordered)),
            "Values": Function((), lambda: texts_value([labels[name] for name in ordered])),
            "String": Function((), lambda: _pairs_text(labels, ordered)),
        },
        text=_pairs_text(labels, ordered),
    )


def in_order(labels: Mapping[str, str]) -> list[str]:
    """By name, alertname first."""
    return sorted(labels, key=lambda name: (name != "alertname", name))


def _without(labels: Mapping[str, str], names: Sequence[Value]) -> GoMap:
    left_out = set(names)
    return labels_value({name: one for name, one in labels.items() if name not in left_out})


def pairs_value(labels: Mapping[str, str], names: Sequence[str]) -> GoList:
    pairs: list[Value] = [
        GoStruct("template.Pair", {"Name": name, "Value": labels[name]}) for name in names
    ]
    return GoList(
        pairs,
        PAIRS,
        methods={
            "Names": Function((), lambda: texts_value(names)),
            "Values": Function((), lambda: texts_value([labels[name] for name in names])),
            "String": Function((), lambda: _pairs_text(labels, names)),
        },
        text=_pairs_text(labels, names),
    )


def _pairs_text(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={labels[name]}" for name in names)


def texts_value(texts: Sequence[str]) -> GoList:
    join = Function(("string",), lambda separator: separator.join(texts))
    return GoList(list(texts), TEXTS, methods={"Join": join})


def time_value(at_ns: int) -> GoStruct:
    """0 is Go's zero time."""
    return go_time(at_ns or ZERO_NS, None, TIME)


def plain_json(value: Value) -> Any:  # noqa: PLR0911 - one for each kind
    """What encoding/json would write."""
    match value:
        case GoStruct(native=Moment(ns=ns)):
            return print_instant(0 if ns == ZERO_NS else ns)
        case GoStruct(native=int() as ns):
            return ns
        case GoStruct():
            shown = getattr(value.native, "as_json", None)
            own = value.fields if shown is None else shown()
            return {name: plain_json(one) for name, one in own.items()}
        case GoMap():
            return plain_json(dict(value.entries))
        case GoList():
            return [plain_json(one) for one in value.items]
        case dict():
            return {str(key): plain_json(value[key]) for key in sorted(value, key=str)}
        case list() | tuple():
            return [plain_json(one) for one in value]
        case str():
            return str(value)
    shown = getattr(value, "as_json", None)
    if shown is not None:
        return {name: plain_json(one) for name, one in shown().items()}
    return None if value is MISSING else value
