"""The functions of Prometheus's templates (3.14, template/template.go).

All that there are, but for tmpl, which is for consoles and not for alerts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus, urlsplit

from trilens.alert.instant_query import Sample
from trilens.go_template.errors import FunctionError
from trilens.go_template.humanize import (
    as_float,
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    unix_ns,
)
from trilens.go_template.regex_search import finds, replace_all
from trilens.go_template.times import go_duration, go_time
from trilens.go_template.values import Function, GoList, GoMap, GoStruct, Value
from trilens.query.promql.durations import parse_duration
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_text import histogram_string

VECTOR: Final = "template.queryResult"
SAMPLE: Final = "*template.sample"
QUERIES_MAX: Final = 100  # of one template
_WORD: Final = re.compile(r"\w+(?:['\u2019.:]\w+)*")
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class Surroundings:
    """What functions are told of the place where a template is expanded.

    `query` is asked for a PromQL expression at the template's moment.
    """

    at_ms: int
    query: Callable[[str], list[Sample]]
    external_url: str = ""
    queries: int = 0

    def ask(self, text: str) -> GoList:
        self.queries += 1
        if self.queries > QUERIES_MAX:
            raise FunctionError(f"more than {QUERIES_MAX} queries in one template")
        try:
            found = self.query(text)
        except PromqlError as error:
            raise FunctionError(str(error)) from None
        return GoList([_go_sample(sample) for sample in found], VECTOR)


def functions_in(surroundings: Surroundings) -> dict[str, Function]:
    """All of them, those that know the moment too."""
    url = surroundings.external_url
    return {
        **_PURE,
        "query": Function(("string",), surroundings.ask),
        "now": Function((), lambda: surroundings.at_ms / 1000.0),
        "externalURL": Function((), lambda: url),
        "pathPrefix": Function((), lambda: urlsplit(url).path),
    }


def _go_sample(sample: Sample) -> GoStruct:
    return GoStruct(
        SAMPLE, {"Labels": GoMap(dict(sample.labels)), "Value": worth(sample)}, native=sample
    )


def worth(sample: Sample) -> Value:
    """The float, or the histogram, which prints itself."""
    if sample.histogram is None:
        return sample.value
    text = histogram_string(sample.histogram)
    return GoStruct("*histogram.FloatHistogram", text=text, native=sample.histogram)


def _first(vector: GoList) -> GoStruct:
    if vector is None or not vector.items:
        raise FunctionError("first() called on vector with no elements")
    found: GoStruct = vector.items[0]
    return found


def _label(name: str, sample: GoStruct) -> str:
    return str(_fields(sample)["Labels"].entries.get(name, ""))


def _fields(sample: GoStruct | None) -> dict[str, Value]:
    if sample is None:
        raise FunctionError("nil pointer evaluating a sample")
    return dict(sample.fields)


def _sort_by_label(name: str, vector: GoList) -> GoList:
    return GoList(sorted(vector.items, key=lambda one: _label(name, one)), VECTOR)


def _title(text: str) -> str:
    """The first letter of each word; Unicode's words are not parted by ' . or :."""
    return _WORD.sub(
        lambda word: _LETTER.sub(lambda letter: letter[0].title(), word[0], count=1), text
    )


def _upper(text: str) -> str:
    """Letter by letter, as Go does it: there is no one letter that is a large \u00df."""
    return "".join(one.upper() if len(one.upper()) == 1 else one for one in text)


def _lower(text: str) -> str:
    return "".join(one.lower() if len(one.lower()) == 1 else one for one in text)


def _host_and_port(text: str) -> tuple[str, str] | None:
    """As net.SplitHostPort; None where that fails."""
    host, colon, port = text.rpartition(":")
    if not colon or "[" in port or "]" in port:
        return None
    if host.startswith("["):
        inner = host[1:-1]
        return (inner, port) if host.endswith("]") and not {"[", "]"} & set(inner) else None
    return None if {":", "[", "]"} & set(host) else (host, port)


def _strip_port(text: str) -> str:
    found = _host_and_port(text)
    return text if found is None else found[0]


def _strip_domain(text: str) -> str:
    host, port = _host_and_port(text) or (text, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.partition(".")[0]
        return f"{name}:{port}" if port else name
    return text


def _parse_duration(text: str) -> float:
    try:
        if text.startswith("-"):
            return -parse_duration(text[1:]) / 1000
        return parse_duration(text) / 1000
    except ValueError as error:
        raise FunctionError(str(error)) from None


def _nanoseconds(seconds: float) -> int:
    """What is beyond them is the least there is, as on Go's usual machines."""
    scaled = seconds * 1e9
    return int(scaled) if abs(scaled) < 2**63 else -(2**63)


def _args(*values: Value) -> GoMap:
    named = {f"arg{number}": value for number, value in enumerate(values)}
    return GoMap(named, "map[string]interface {}", None)


def _link(tab: int) -> Callable[[str], str]:
    return lambda expr: f"/graph?g0.expr={_escaped(expr)}&g0.tab={tab}"


def _escaped(text: str) -> str:
    return quote_plus(text, safe="~")


def graph_path(expr: str) -> str:
    """Where an expression is shown as a table, below the external URL."""
    return _link(1)(expr)


_PURE: Final[dict[str, Function]] = {
    "first": Function((VECTOR,), _first),
    "label": Function(("string", SAMPLE), _label),
    "value": Function((SAMPLE,), lambda sample: _fields(sample)["Value"]),
    "strvalue": Function((SAMPLE,), lambda sample: _label("__value__", sample)),
    "sortByLabel": Function(("string", VECTOR), _sort_by_label),
    "args": Function(("any",), _args, is_variadic=True),
    "reReplaceAll": Function(("string", "string", "string"), replace_all),
    "match": Function(("string", "string"), finds),
    "safeHtml": Function(("string",), lambda text: text),
    "title": Function(("string",), _title),
    "toUpper": Function(("string",), _upper),
    "toLower": Function(("string",), _lower),
    "graphLink": Function(("string",), _link(0)),
    "tableLink": Function(("string",), _link(1)),
    "stripPort": Function(("string",), _strip_port),
    "stripDomain": Function(("string",), _strip_domain),
    "humanize": Function(("any",), humanize),
    "humanize1024": Function(("any",), humanize_1024),
    "humanizeDuration": Function(("any",), humanize_duration),
    "humanizePercentage": Function(("any",), humanize_percentage),
    "humanizeTimestamp": Function(("any",), humanize_timestamp),
    "toTime": Function(("any",), lambda value: go_time(unix_ns(as_float(value)))),
    "toDuration": Function(("any",), lambda value: go_duration(_nanoseconds(as_float(value)))),
    "parseDuration": Function(("string",), _parse_duration),
    "urlQueryEscape": Function(("string",), _escaped),
}
FUNCTION_NAMES: Final = frozenset(_PURE) | {"query", "now", "externalURL", "pathPrefix"}
