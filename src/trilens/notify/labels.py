"""Label sets: identity, text, the names that are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from trilens.query.promql.literals import quote

_OFFSET: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = 0xFFFFFFFFFFFFFFFF
_SEPARATOR: Final = b"\xff"


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a, 64 bits, over each name, 0xff, value, 0xff in order of names: 16 hex digits.

    As prometheus/common's model.LabelSet.Fingerprint.
    """
    total = _OFFSET
    for name in sorted(labels):
        body = name.encode() + _SEPARATOR + labels[name].encode() + _SEPARATOR
        for byte in body:
            total = ((total ^ byte) * _PRIME) & _MASK
    return f"{total:016x}"


def text_of(labels: Mapping[str, str]) -> str:
    """{a="1", b="2"}, in order of names: how Prometheus prints a label set."""
    return "{" + ", ".join(f"{name}={quote(labels[name])}" for name in sorted(labels)) + "}"


def order_of(labels: Mapping[str, str]) -> tuple[object, ...]:
    """By what label sets are sorted: how many there are; then, at the first difference, the one
    that lacks the name comes first (prometheus/common, model.LabelSet.Before).
    """
    pairs = tuple((_backwards(name), labels[name]) for name in sorted(labels))
    return len(labels), pairs


@lru_cache(maxsize=10_000)
def _backwards(name: str) -> tuple[int, ...]:
    return (*(-ord(char) for char in name), 1)


def is_label_name(name: str) -> bool:
    """UTF-8 and not empty (Alertmanager 0.27 and newer)."""
    return bool(name) and not any("\ud800" <= char <= "\udfff" for char in name)
