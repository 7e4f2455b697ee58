"""What may be done to samples beside asking for them: deleting some, keeping a copy of all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from trilens.errors import Broken
from trilens.query.ask import Bound
from trilens.query.promql.ast import Matcher
from trilens.query.promql_store.series import in_time, series_condition
from trilens.query.sql_errors import from_engine
from trilens.query.tables import SERIES
from trilens.store.engine import Engine, EngineError
from trilens.store.schema_sql import kept_table, on_cluster

SAMPLE_TABLES: Final = ("sample_rows", "histogram_rows", "exemplar_rows")
SERIES_TABLES: Final = ("series_rows", "metadata_rows")
STATEMENT_S_MAX: Final = 3600.0


class Administration:
    """Methods block until it is done. They raise Refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def delete(
        self, matcher_sets: Sequence[tuple[Matcher, ...]], start_ms: int, end_ms: int
    ) -> None:
        """Samples, histograms and exemplars of the series that match, from start to end.

        The series stay: whoever sends them may do so without their labels. Rows are hidden at
        once, and gone from the disk when their parts merge, or after `clean`.
        """
        for matchers in matcher_sets:
            bound = Bound()
            # Both tables lie in shards by series_id: each shard looks at its own rows.
            series = kept_table("series_rows", self._engine.cluster)
            where = series_condition(matchers, start_ms, end_ms, bound)
            if not self._is_any(where, bound):
                continue
            for table in SAMPLE_TABLES:
                self._command(
                    f"DELETE FROM {kept_table(table, self._engine.cluster)} "
                    f"{on_cluster(self._engine.cluster)} WHERE (metric, series_id) IN "
                    f"(SELECT metric, series_id FROM {series} WHERE {where}) "
                    f"AND {in_time(start_ms - 1, end_ms, bound)}",
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

    def _is_any(self, where: str, bound: Bound) -> bool:
        """A bad regular expression is refused here: in a deletion it would fail later."""
        return bool(self._rows(f"SELECT 1 FROM {SERIES} WHERE {where} LIMIT 1", bound.params))

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


def _frozen(name: str) -> str:
    """The engine writes other characters than these in its own way."""
    return name.replace("-", "_")
