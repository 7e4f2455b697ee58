"""The rows of one batch: found and removed by their column `_batch`.

What an INSERT wrote before it failed or was killed is unknown, so the rows of a batch that is not
certainly whole are removed before its frames are loaded again (docs/decisions/0008).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from trilens.store.engine import Engine, EngineBusy, EngineError
from trilens.store.schema_sql import kept_table, on_cluster

CUT_SHORT = 33
# With these codes a part cannot be read at all.
UNREADABLE = (CUT_SHORT, 246)
NO_SUCH_PART = 232
# With less room than this, what an INSERT has written is looked at: on a full disk the engine may
# say that it was written, and leave a file empty.
LOW_DISK_BYTES = 256 << 20
END_WAIT_S_MAX = 10.0
END_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


class BatchRows:
    """Any thread may call. Every method raises EngineBusy and EngineError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count(self, tables: Sequence[str], number: int) -> dict[str, int]:
        """Rows of the batch in each of the tables that has any."""
        each = " UNION ALL ".join(
            f"SELECT '{name}' AS name, count() AS rows FROM trilens.{name} "
            "WHERE _batch = {batch:UInt64}"
            for name in tables
        )
        return {str(name): int(rows) for name, rows in self._rows(each, number) if rows}

    def is_whole(self, tables: Sequence[str], number: int) -> bool:
        """Whether all parts with rows of a batch that has just been written can be read.

        They are only looked at where the disk is nearly full, and not on a cluster.
        """
        if self._engine.cluster:
            return True
        room = self._engine.rows("SELECT min(free_space) FROM system.disks").rows[0][0]
        if int(room) > LOW_DISK_BYTES:
            return True
        for name in tables:
            of_batch = f"SELECT DISTINCT _part FROM trilens.{name} WHERE _batch = {{batch:UInt64}}"
            try:
                parts = self._rows(of_batch, number)
                if not all(self._is_whole(name, str(part)) for (part,) in parts):
                    return False
            except EngineError as error:
                if error.code not in UNREADABLE:
                    raise
                return False
        return True

    def _is_whole(self, name: str, part: str) -> bool:
        check = f"CHECK TABLE trilens.{name} PART '{part}'"
        as_one = {"check_query_single_value_result": "1"}
        try:
            ((is_whole,),) = self._engine.rows(check, settings=as_one).rows
        except EngineError as error:
            if error.code != NO_SUCH_PART:
                raise
            return True  # it has been merged meanwhile, and so was read
        return bool(int(is_whole))

    def remove(self, tables: Sequence[str], number: int) -> None:
        """Returns when the batch has no rows in these tables.

        A full disk may have left a part of it that cannot be read: the engine detaches that, which
        keeps its files, and goes on. On a cluster a replica that lags may not show rows that
        another one has, so there all tables are gone through; the replicas apply a DELETE after
        the INSERTs before it.
        """
        cluster = self._engine.cluster
        for name in tables if cluster else self._count_readable(tables, number):
            if not cluster:
                self._drop_parts(name, number)
                if not self.count((name,), number):
                    continue  # a DELETE would go through all other parts
            self._engine.command(
                f"DELETE FROM {kept_table(name, cluster)} {on_cluster(cluster)} "
                "WHERE _batch = {batch:UInt64}",
                params={"batch": number},
            )

    def put_aside_damaged(self, tables: Sequence[str], number: int) -> None:
        """Detach parts of these tables that a full disk has left unreadable; remove nothing else.

        The batch that they are of was not done, so its rows will be written again.
        """
        if tables and not self._engine.cluster:
            self._count_readable(tables, number)

    def _count_readable(self, tables: Sequence[str], number: int) -> dict[str, int]:
        try:
            return self.count(tables, number)
        except EngineError as error:
            if error.code not in UNREADABLE:
                raise
            for name in tables:
                self._detach_damaged(name)
            return self.count(tables, number)

    def _detach_damaged(self, name: str) -> None:
        """Parts as they were inserted that do not even say which batch they hold."""
        # Where rows of one key are merged as they are inserted, the level of such a part is 1.
        inserted = (
            "SELECT name FROM system.parts WHERE active AND min_block_number = max_block_number "
            "AND database = 'trilens' AND table = {table:String}"
        )
        batches = f"SELECT max(_batch) FROM trilens.{name} WHERE _part = {{part:String}}"
        settings = {"use_skip_indexes": "0"}
        for (part,) in self._engine.rows(inserted, params={"table": name}).rows:
            try:
                self._engine.rows(batches, params={"part": part}, settings=settings)
            except EngineError as error:
                if error.code not in UNREADABLE:
                    raise
                self._engine.command(f"ALTER TABLE trilens.{name} DETACH PART '{part}'")
                _log.error(
                    "a damaged part is put aside",
                    extra={"table": name, "part": part, "reason": error.message[:500]},
                )

    def _rows(self, sql: str, number: int) -> Sequence[Sequence[Any]]:
        """Also where a full disk has left a part whose indexes are cut short."""
        params = {"batch": number}
        try:
            return self._engine.rows(sql, params=params).rows
        except EngineError as error:
            if error.code != CUT_SHORT:
                raise
            return self._engine.rows(sql, params=params, settings={"use_skip_indexes": "0"}).rows

    def _drop_parts(self, name: str, number: int) -> None:
        """Those that hold nothing else: nothing is read for that, and none stays broken."""
        of_batch = f"SELECT _part FROM trilens.{name} WHERE _batch = {{batch:UInt64}}"
        whole = (
            f"SELECT _part FROM trilens.{name} WHERE _part IN ({of_batch}) "
            "GROUP BY _part HAVING min(_batch) = max(_batch)"
        )
        for (part,) in self._rows(whole, number):
            try:
                self._engine.command(f"ALTER TABLE trilens.{name} DROP PART '{part}'")
            except EngineError as error:
                if error.code != NO_SUCH_PART:  # it has been merged meanwhile
                    raise

    def end(self, query_id: str) -> None:
        """Returns when no statement of this id runs: one whose connection broke may go on."""
        condition = (
            "query_id = {query_id:String} OR "
            "startsWith(query, concat('/* ', {query_id:String}, ' */'))"
        )
        cluster = self._engine.cluster
        source = "system.processes"
        if cluster:
            source = "clusterAllReplicas({cluster:String}, system.processes)"
        deadline = time.monotonic() + END_WAIT_S_MAX
        while self._engine.rows(
            f"SELECT 1 FROM {source} WHERE {condition}",
            params={"query_id": query_id, "cluster": cluster or ""},
        ).rows:
            if time.monotonic() > deadline:
                raise EngineBusy(0, "a statement that was given up does not end")
            self._engine.kill(query_id)
            time.sleep(END_PAUSE_S)
