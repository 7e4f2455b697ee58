"""What series are called on the other side: labels, external labels, write_relabel_configs.

Each series is looked up and relabelled once, and then known by its identity, which is a hash of
all that its labels are made of. The table begins anew when it is full, and where series bear their
metadata (2.0) when that has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from trilens.prometheus_config.remote_write import RemoteWrite
from trilens.query.ask import Asker, Bound
from trilens.query.promql_store.series import SORTED_LABELS
from trilens.query.promql_values.values import METRIC_NAME
from trilens.query.tables import METADATA, SERIES
from trilens.remote_write_out.write_requests import (
    UNKNOWN,
    About,
    Ids,
    Labels,
    LabelTable,
    Places,
    SeriesTable,
    SymbolTable,
)
from trilens.scrape.relabel import relabel

SERIES_MAX: Final = 2_000_000
TABLE_BYTES_MAX: Final = 256 << 20
FAMILIES_MAX: Final = 100_000
_NAMED_IDS_MAX: Final = 5000
_POINTED_MAX: Final = 50_000  # series whose labels are held as they are, for what is rare
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "counter": ("_total",), "info": ("_info",),
    "histogram": ("_bucket", "_count", "_sum"), "gaugehistogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}  # fmt: skip

Named = tuple[Labels | None, About]


class Series:
    """Of one destination. For one thread at a time."""

    def __init__(self, config: RemoteWrite) -> None:
        self._config = config
        self._families: dict[str, About] = {}
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.table: SeriesTable = SymbolTable() if self._config.is_v2 else LabelTable()
        self._ids: Ids = np.empty(0, np.uint64)  # sorted
        self._places: Places = np.empty(0, np.uint32)
        self._pointed: dict[int, Named] = {}

    def make_room(self) -> None:
        """Before a unit: places that were told of do not count afterwards."""
        if len(self._ids) > SERIES_MAX or self.table.size_bytes > TABLE_BYTES_MAX:
            self._begin_anew()

    def know_families(self, ask: Asker) -> None:
        """What metrics are, for series that say so themselves. Raises SqlFailed."""
        families: dict[str, About] = {}
        for row in families_of(ask):
            about = About(row["type"], row["help"], row["unit"])
            for suffix in ("", *_PARTS.get(row["type"], ())):
                families.setdefault(row["metric"] + suffix, about)
        if families != self._families:
            self._families = families
            self._begin_anew()

    def find(self, ids: Ids, ask: Asker, of_batches: str, bound: Bound) -> Places:
        """Of each identity its place. `of_batches` is a condition for rows of samples, with the
        values of `bound`, that all these have. Raises SqlFailed.
        """
        unknown = self._unknown(np.unique(ids))
        if len(unknown):
            named = labels_of(unknown, ask, of_batches, bound)
            self.learn((number, self.named(named.get(number))) for number in unknown.tolist())
        return self._places[np.searchsorted(self._ids, ids)]

    def find_labels(self, labels: Sequence[Labels]) -> tuple[NDArray[np.uint64], Places]:
        """Hashes and places of series that have no identity of their own."""
        hashes = np.array([_hash(one) for one in labels], np.uint64)
        unknown = set(self._unknown(np.unique(hashes)).tolist())
        pairs = zip(hashes.tolist(), labels, strict=True)
        new = {number: one for number, one in pairs if number in unknown}
        self.learn((number, self.named(dict(one))) for number, one in sorted(new.items()))
        return hashes, self._places[np.searchsorted(self._ids, hashes)]

    def pointed(self, ids: Ids, ask: Asker, of_batches: str, bound: Bound) -> dict[int, Named]:
        """As find(), but the labels themselves."""
        if len(self._pointed) > _POINTED_MAX:
            self._pointed.clear()
        wanted = np.unique(ids).tolist()
        unknown = np.array([one for one in wanted if one not in self._pointed], np.uint64)
        if len(unknown):
            named = labels_of(unknown, ask, of_batches, bound)
            self._pointed |= {one: self.named(named.get(one)) for one in unknown.tolist()}
        return {one: self._pointed[one] for one in wanted}

    def named(self, labels: Mapping[str, str] | None) -> Named:
        """None is dropped by relabelling, has no label left, or is not there any more."""
        if labels is None:
            return None, UNKNOWN
        about = self._families.get(labels.get(METRIC_NAME, ""), UNKNOWN)
        kept = relabel(self._config.relabel, {**dict(self._config.external_labels), **labels})
        return tuple(sorted(kept.items())) if kept else None, about

    def learn(self, series: Iterable[tuple[int, Named]]) -> None:
        """By their identities, none of which is known."""
        ids, named = [], []
        for number, one in series:
            ids.append(number)
            named.append(one)
        first = len(self._ids)
        self.table.add(named)
        every = np.concatenate([self._ids, np.array(ids, np.uint64)])
        order = np.argsort(every, kind="stable")
        places = np.arange(first, first + len(ids), dtype=np.uint32)
        self._places = np.concatenate([self._places, places])[order]
        self._ids = every[order]

    def _unknown(self, ids: Ids) -> Ids:
        at = np.searchsorted(self._ids, ids)
        is_known = at < len(self._ids)
        is_known[is_known] = self._ids[at[is_known]] == ids[is_known]
        found: Ids = ids[~is_known]
        return found


def families_of(ask: Asker) -> list[dict[str, str]]:
    """What metrics are: metric, type, help, unit. Raises SqlFailed."""
    columns = "metric, toString(type) AS type, help, toString(unit) AS unit"
    statement = f"SELECT {columns} FROM {METADATA} ORDER BY metric LIMIT {FAMILIES_MAX}"
    return ask.rows(Bound().statement(statement))


def labels_of(ids: Ids, ask: Asker, of_batches: str, bound: Bound) -> dict[int, Mapping[str, str]]:
    """All labels, of those that have a row. Many are asked for by the batches that they are in."""
    if len(ids) <= _NAMED_IDS_MAX:
        return _labels(f"series_id IN {bound(ids.tolist(), 'Array(UInt64)')}", ask, bound)
    pages = -(-len(ids) // _NAMED_IDS_MAX)
    found: dict[int, Mapping[str, str]] = {}
    wanted = set(ids.tolist())
    for page in range(pages):
        where = f"series_id % {pages} = {page} AND series_id IN ({of_batches})"
        more = _labels(where, ask, bound)
        found |= {number: one for number, one in more.items() if number in wanted}
    return found


def _labels(where: str, ask: Asker, bound: Bound) -> dict[int, Mapping[str, str]]:
    rows = ask.rows(
        bound.statement(
            f"SELECT series_id AS id, any({SORTED_LABELS}) AS shown FROM {SERIES} "
            f"WHERE {where} AND source = 'prometheus' GROUP BY series_id"
        )
    )
    return {int(row["id"]): row["shown"] for row in rows}


def _hash(labels: Labels) -> int:
    digest = xxhash.xxh3_64()
    for name, value in labels:
        for part in (name, value):
            digest.update(part.encode("utf-8", "replace") + b"\xff")
    return digest.intdigest()
