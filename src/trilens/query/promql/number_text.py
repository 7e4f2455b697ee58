"""How Prometheus writes numbers, and reads those of `le` labels: as Go does."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEXADECIMAL: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_WORD: Final = re.compile(r"[+-]?(inf|infinity)|nan", re.IGNORECASE)
_SHORT_EXPONENT_END: Final = 6  # 1e+06 is written so
_JSON_EXPONENT_END: Final = 21


def short_number(value: float) -> str:
    """As %g: 0.5, 100000, 1e+06, 1.5e-05, +Inf."""
    return _text(value, -4, _SHORT_EXPONENT_END)


def json_number(value: float) -> str:
    """As the API writes values: 0.5, 1000000, 1e+21, 1e-07, +Inf."""
    text = float.__repr__(value)
    if text[-1].isdigit() and "e" not in text:  # nearly all are written as Python does
        return text.removesuffix(".0")
    return _text(value, -6, _JSON_EXPONENT_END)


def label_number(value: float) -> str:
    """As OpenMetrics has it in labels: 1.0, 0.25, 1e+06, NaN."""
    text = short_number(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def _text(value: float, exponent_min: int, exponent_end: int) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign = "-" if value < 0 else ""
    _, digits_of, exponent_of = Decimal(float.__repr__(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, digits_of))
    point = len(digits) + int(exponent_of)
    if not exponent_min < point <= exponent_end:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def read_number(text: str) -> float | None:
    """None for what is no number, or one beyond all floats."""
    if _WORD.fullmatch(text):
        return float(text)
    if _DECIMAL.fullmatch(text):
        value = float(text)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            value = float.fromhex(text)
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return value if math.isfinite(value) else None
