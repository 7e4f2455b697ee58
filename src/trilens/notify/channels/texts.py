"""Cutting texts to what a service takes."""

from __future__ import annotations

from typing import Any


def shortened(text: str, chars_max: int) -> str:
    """At most `chars_max` characters, the last one then an ellipsis."""
    if len(text) <= chars_max:
        return text
    return text[:chars_max] if chars_max <= 3 else text[: chars_max - 1] + "\u2026"


def without_empty(pairs: dict[str, Any]) -> dict[str, Any]:
    """As Go's omitempty."""
    return {name: value for name, value in pairs.items() if value not in ("", None, [], {}, False)}
