"""What OTLP's metrics and attributes are called in PromQL: pure text.

The rules are those of OpenTelemetry's compatibility specification in the way that Prometheus
takes by default, UnderscoreEscapingWithSuffixes:

    http.server.duration  ms, histogram   http_server_duration_milliseconds_bucket, _count, _sum
    requests              1, counter      requests_total
    load                  1, gauge        load_ratio
    speed                 By/s, gauge     speed_bytes_per_second
    http.status_code      attribute       http_status_code

A name is cut into words at whatever is no letter, digit or colon, and words that the unit and the
kind say are put behind it, unless they are there. Attributes with the same name share a label:
their values are joined with `;` in the order of their own names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["", "gauge", "sum", "histogram", "exponential_histogram", "summary"]
# Which part of a metric a series is.
Part: TypeAlias = Literal["value", "native", "bucket", "count", "sum", "quantile"]

TARGET_INFO: Final = "target_info"
JOB: Final = "job"
INSTANCE: Final = "instance"
LE: Final = "le"
QUANTILE: Final = "quantile"
SCOPE_NAME: Final = "otel_scope_name"
SCOPE_VERSION: Final = "otel_scope_version"
SCOPE_PREFIX: Final = "otel_scope_"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_INSTANCE: Final = "service.instance.id"
# They are job and instance already.
IDENTIFYING: Final = frozenset({SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE})

_UNITS: Final = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes",
    "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes", "KBy": "kilobytes",
    "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes", "m": "meters", "V": "volts",
    "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz",
    "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS: Final = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_WORD: Final = re.compile(r"[a-zA-Z0-9:]+")
_NO_WORD: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_PARTS: Final[dict[str, tuple[tuple[Part, str], ...]]] = {
    "histogram": (("bucket", "_bucket"), ("count", "_count"), ("sum", "_sum")),
    "summary": (("quantile", ""), ("count", "_count"), ("sum", "_sum")),
    "exponential_histogram": (("native", ""),),
}
_VALUE: Final[tuple[tuple[Part, str], ...]] = (("value", ""),)


@dataclass(frozen=True, slots=True)
class Family:
    """What a metric is, as it was sent."""

    metric: str
    unit: str
    kind: Kind
    is_delta: bool = False
    is_monotonic: bool = False


@lru_cache(maxsize=4096)
def metric_name(family: Family) -> str:
    """Without the suffix of a part; '' where nothing is left of the name."""
    words = _WORD.findall(family.metric)
    for word in _unit_words(family.unit):
        if word and word not in words:
            words.append(word)
    if family.kind == "sum" and family.is_monotonic:
        words = [word for word in words if word != "total"] + ["total"]
    if family.kind == "gauge" and family.unit == "1":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    name = "_".join(words)
    return f"_{name}" if name[:1].isdigit() else name


def unit_name(unit: str) -> str:
    """As the metadata says it."""
    return "_".join(filter(None, _unit_words(unit))).rstrip("_")


def part_names(family: Family) -> list[tuple[Part, str]]:
    """All that PromQL sees of a metric. Empty if it has no name."""
    name = metric_name(family)
    parts = _PARTS.get(family.kind, _VALUE)
    return [(part, name + suffix) for part, suffix in parts] if name else []


def _unit_words(unit: str) -> tuple[str, str]:
    """What is measured, and per what. What stands in braces is for people."""
    main, _, per = (piece.strip() for piece in unit.partition("/"))
    per_word = _unit_word(per, _PER_UNITS).rstrip("_")
    main_word = _unit_word(main, _UNITS)
    return (main_word.rstrip("_"), f"per_{per_word}") if per_word else (main_word, "")


def _unit_word(unit: str, known: Mapping[str, str]) -> str:
    """An underscore at its end stays."""
    if "{" in unit or "}" in unit:
        return ""
    return _NO_WORD.sub("_", known.get(unit, unit)).lstrip("_")


@lru_cache(maxsize=16384)
def label_name(attribute: str) -> str:
    """Underscores stay as many as they are; '' where nothing else is left."""
    name = _NO_LABEL.sub("_", attribute)
    if not name.strip("_"):
        return ""
    if name[0].isdigit():
        return f"key_{name}"
    return f"key{name}" if name[0] == "_" and not name.startswith("__") else name


def labels_of(attributes: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    """Of attributes, joined where names collide; those without a value are none."""
    labels: dict[str, str] = {}
    for attribute in sorted(attributes):
        value = attributes[attribute]
        name = label_name(prefix + attribute)
        if name and value:
            labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def scope_labels(name: str, version: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Its name and version have the last word over attributes called like them."""
    labels = labels_of(attributes, SCOPE_PREFIX)
    labels |= {SCOPE_NAME: name, SCOPE_VERSION: version}
    return {label: value for label, value in labels.items() if value}


def target_labels(resource: Mapping[str, str]) -> dict[str, str]:
    """Labels job and instance, where the resource says who it is."""
    service, group = resource.get(SERVICE_NAME, ""), resource.get(SERVICE_NAMESPACE, "")
    job = f"{group}/{service}" if group and service else service
    instance = resource.get(SERVICE_INSTANCE, "")
    return {name: value for name, value in ((JOB, job), (INSTANCE, instance)) if value}


def target_info_labels(resource: Mapping[str, str]) -> dict[str, str] | None:
    """None where there is nobody to tell of, or nothing to tell."""
    target = target_labels(resource)
    told = labels_of({key: value for key, value in resource.items() if key not in IDENTIFYING})
    return told | target if target and told else None


def bound_text(bound: float) -> str:
    """A value of `le` or `quantile`: never with an exponent, whole numbers without a point."""
    if bound == float("inf"):
        return "+Inf"
    if bound == float("-inf"):
        return "-Inf"
    if bound != bound:  # noqa: PLR0124 (NaN)
        return "NaN"
    text = f"{Decimal(repr(float(bound))):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
