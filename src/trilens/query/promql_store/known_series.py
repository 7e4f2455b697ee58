"""Which series selectors have found before: shared by all queries, for as long as it holds.

Nothing here says that it still holds: whoever uses it compares its version with that of a statement
of his own (Asker.series_version).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trilens.query.promql.ast import Matcher
from trilens.query.promql_store.otlp_names import Family
from trilens.query.promql_store.samples import Found

# Series of all selectors together, with their labels.
SERIES_MAX: Final = 20_000
HEAVY_MAX: Final = 2_000
Matchers: TypeAlias = tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Known:
    version: str
    found: Found


@dataclass(frozen=True, slots=True)
class KnownFamilies:
    """What OTLP metrics there are."""

    version: str = ""
    families: Sequence[Family] = ()


@dataclass(slots=True)
class KnownSeries:
    """May be used by several threads; what was not asked for the longest goes first."""

    families: KnownFamilies = field(default_factory=KnownFamilies)
    _known: OrderedDict[Matchers, Known] = field(default_factory=OrderedDict)
    _heavy: OrderedDict[Matchers, None] = field(default_factory=OrderedDict)
    _series: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, matchers: Matchers) -> Known | None:
        with self._lock:
            known = self._known.get(matchers)
            if known is not None:
                self._known.move_to_end(matchers)
            return known

    def put(self, matchers: Matchers, known: Known) -> None:
        with self._lock:
            before = self._known.pop(matchers, None)
            self._known[matchers] = known
            self._series += len(known.found.ids) - (len(before.found.ids) if before else 0)
            while self._series > SERIES_MAX:
                _, oldest = self._known.popitem(last=False)
                self._series -= len(oldest.found.ids)

    def is_heavy(self, matchers: Matchers) -> bool:
        with self._lock:
            return matchers in self._heavy

    def put_heavy(self, matchers: Matchers) -> None:
        """A guess about what they will find: it may be wrong, and costs only time then."""
        with self._lock:
            self._heavy[matchers] = None
            if len(self._heavy) > HEAVY_MAX:
                self._heavy.popitem(last=False)
