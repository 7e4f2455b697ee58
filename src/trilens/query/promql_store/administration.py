"""What may be done to samples beside asking for them: deleting some, keeping a copy of all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from trilens.errors import Broken
from trilens.query.ask import Asker, AskLimits, Bound
from trilens.query.promql.ast import Matcher
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.otlp_names import part_names
from trilens.query.promql_store.otlp_series import (
    POINT_LABELS,
    Asked,
    Families,
    Identity,
    identities,
)
from trilens.query.promql_store.series import in_time, series_condition
from trilens.query.sql_errors import from_engine
from trilens.query.tables import SERIES
from trilens.store.engine import Engine, EngineError
from trilens.store.schema_sql import kept_table, on_cluster

SAMPLE_TABLES: Final = ("sample_rows", "histogram_rows", "exemplar_rows")
SERIES_TABLES: Final = ("series_rows", "metadata_rows")
STATEMENT_S_MAX: Final = 3600.0
QUESTION_S_MAX: Final = 60.0
IDENTITIES_MAX: Final = 200_000
IDS_A_STATEMENT: Final = 500


class Administration:
    """Methods block until it is done. They raise Refused and PromqlError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def delete(
        self, matcher_sets: Sequence[tuple[Matcher, ...]], start_ms: int, end_ms: int
    ) -> None:
        """Samples, histograms and exemplars of the series that match, from start to end.

        The series stay: whoever sends them may do so without their labels. Rows are hidden at
        once, and gone from the disk when their parts merge, or after `clean`.
        """
        deletions = [
            deletion
            for matchers in matcher_sets
            for deletion in self._deletions(matchers, start_ms, end_ms)
        ]
        for where, bound in deletions:
            for table in SAMPLE_TABLES:
                self._command(
                    f"DELETE FROM {kept_table(table, self._engine.cluster)} "
                    f"{on_cluster(self._engine.cluster)} "
                    f"WHERE {where} AND {in_time(start_ms - 1, end_ms, bound)}",
                    bound,
                )

    def clean(self) -> None:
        """Write parts with deleted rows anew, without these."""
        for table in SAMPLE_TABLES:
            self._command(
                f"ALTER TABLE {kept_table(table, self._engine.cluster)} "
                f"{on_cluster(self._engine.cluster)} APPLY DELETED MASK"
            )

    def snapshot(self, name: str, directory: Path | None) -> None:
        """All parts of all samples and series as they are now, as hard links.

        They lie in `directory`/name/table/part; where that is None (the engine is elsewhere) in
        shadow/ among the engine's files, with `_` for `-` in the name.
        """
        tables = (*SAMPLE_TABLES, *SERIES_TABLES)
        for table in tables:
            self._command(
                f"ALTER TABLE {kept_table(table, self._engine.cluster)} "
                f"{on_cluster(self._engine.cluster)} FREEZE WITH NAME '{_frozen(name)}'"
            )
        if directory is not None:
            self._move(name, directory, tables)

    def _move(self, name: str, directory: Path, tables: Sequence[str]) -> None:
        (disk,) = self._rows("SELECT path FROM system.disks WHERE name = 'default'")
        frozen = Path(disk[0]) / "shadow" / _frozen(name)
        folders = self._rows(
            "SELECT toString(uuid), name, total_rows > 0 FROM system.tables "
            "WHERE database = 'trilens' AND name IN {names:Array(String)}",
            {"names": list(tables)},
        )
        if not frozen.is_dir() and any(has_rows for *_, has_rows in folders):
            raise Broken(f"nothing was frozen at {frozen}")
        unfinished = directory / f"{name}.unfinished"
        unfinished.mkdir(parents=True)
        for uuid, table, _ in folders:
            parts = frozen / "store" / uuid[:3] / uuid
            if parts.is_dir():
                shutil.move(parts, unfinished / table)
        unfinished.rename(directory / name)
        shutil.rmtree(frozen, ignore_errors=True)

    def _deletions(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int
    ) -> Iterator[tuple[str, Bound]]:
        """Conditions for rows of samples."""
        ask = Asker(self._engine, AskLimits(seconds=QUESTION_S_MAX))
        bound = Bound()
        where = series_condition(matchers, start_ms, end_ms, bound)
        # A bad regular expression is refused here: in a deletion it would fail later.
        if ask.rows(bound.statement(f"SELECT 1 FROM {SERIES} WHERE {where} LIMIT 1")):
            # Both tables lie in shards by series_id: each shard looks at its own rows.
            series = kept_table("series_rows", self._engine.cluster)
            yield (
                f"(metric, series_id) IN (SELECT metric, series_id FROM {series} WHERE {where})",
                bound,
            )
        found = _of_otlp(ask, matchers, (start_ms, end_ms))
        for start in range(0, len(found), IDS_A_STATEMENT):
            some, bound = found[start : start + IDS_A_STATEMENT], Bound()
            metrics = bound(sorted({one.family.metric for one in some}), "Array(String)")
            ids = bound([one.series_id for one in some], "Array(UInt64)")
            yield f"metric IN {metrics} AND series_id IN {ids}", bound

    def _rows(self, sql: str, params: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        try:
            return [tuple(row) for row in self._engine.rows(sql, params=params).rows]
        except EngineError as error:
            raise from_engine(error, "") from error

    def _command(self, sql: str, bound: Bound | None = None) -> None:
        try:
            self._engine.command(
                sql,
                params=bound.params if bound else None,
                settings={"allow_nondeterministic_mutations": "1"},
                timeout_s=STATEMENT_S_MAX,
            )
        except EngineError as error:
            raise from_engine(error, "") from error


def _of_otlp(
    ask: Asker, matchers: tuple[Matcher, ...], within_ms: tuple[int, int]
) -> list[Identity]:
    """A row of a histogram or summary is several series: all of them are meant, or none.

    Raises PromqlError where only some are.
    """
    asked = Asked(matchers)
    families = Families(ask).wanted(asked)
    found = identities(ask, asked, families, within_ms, IDENTITIES_MAX)
    names_points = any(matcher.name in POINT_LABELS for matcher in matchers)
    for family in {one.family for one in found}:
        every = part_names(family)
        if len(every) > 1 and (names_points or len(asked.parts(family)) < len(every)):
            names = ", ".join(name for _, name in every)
            raise PromqlError(f"these can only be deleted together, with all their points: {names}")
    return found


def _frozen(name: str) -> str:
    """The engine writes other characters than these in its own way."""
    return name.replace("-", "_")
