"""Bounds of what one scrape may bring, as a scrape config has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Of native histograms: the finest has 2**8 buckets where a value doubles.
SCHEMA_MIN: Final = -4
SCHEMA_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one scrape; 0 is no limit."""

    samples: int = 0
    labels: int = 0
    label_name_bytes: int = 0
    label_value_bytes: int = 0
    buckets: int = 0  # of a native histogram
