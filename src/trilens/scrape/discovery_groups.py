"""What discovery finds: targets that were found together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

TARGETS_MAX: Final = 200_000  # of a discoverer


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that were found together. `source` names it among those of one discoverer."""

    source: str
    targets: tuple[Mapping[str, str], ...]
    labels: Mapping[str, str] = field(default_factory=dict)
