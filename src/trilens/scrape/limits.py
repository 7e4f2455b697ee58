"""Bounds of what one scrape may bring, as a scrape config has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one scrape; 0 is no limit."""

    samples: int = 0
    labels: int = 0
    label_name_bytes: int = 0
    label_value_bytes: int = 0
