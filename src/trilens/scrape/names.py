"""Which names labels and metrics may have: any UTF-8, or only the letters of before 3.0."""

from __future__ import annotations

import re
from typing import Final

_LEGACY_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LEGACY_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LEGACY_TEMPLATE: Final = re.compile(
    r"(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))(?:\w|\$(?:\{\w+\}|\w+))*", re.ASCII
)


def is_label_name(name: str, *, legacy: bool) -> bool:
    return _is_name(name, _LEGACY_LABEL, legacy=legacy)


def is_metric_name(name: str, *, legacy: bool) -> bool:
    return _is_name(name, _LEGACY_METRIC, legacy=legacy)


def is_label_template(name: str, *, legacy: bool) -> bool:
    """As a label's name, and with $1 or ${name} in it."""
    return _is_name(name, _LEGACY_TEMPLATE, legacy=legacy)


def _is_name(name: str, pattern: re.Pattern[str], *, legacy: bool) -> bool:
    if legacy:
        return pattern.fullmatch(name) is not None
    return name != "" and not any("\ud800" <= character <= "\udfff" for character in name)
