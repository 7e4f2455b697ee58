"""Cutting texts to what a service takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from trilens.notify.go_text import go_json


def shortened(text: str, chars_max: int) -> str:
    """At most `chars_max` characters, the last one then an ellipsis."""
    if len(text) <= chars_max:
        return text
    return text[:chars_max] if chars_max <= 3 else text[: chars_max - 1] + "\u2026"


def without_empty(pairs: dict[str, Any]) -> dict[str, Any]:
    """As Go's omitempty."""
    return {name: value for name, value in pairs.items() if value not in ("", None, [], {}, False)}


def fitting(text: str, message: Callable[[str], Any], bytes_max: int) -> Any:
    """`message` with as much of `text` as makes it no longer than `bytes_max` as JSON."""
    whole = message(text)
    if len(go_json(whole)) <= bytes_max:
        return whole
    most = min(len(text), bytes_max)
    at = bisect_right(
        range(most), bytes_max, key=lambda chars: len(go_json(message(shortened(text, chars))))
    )
    return message(shortened(text, max(at - 1, 0)))
