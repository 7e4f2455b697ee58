"""schema/*.sql as statements for one server or for a cluster.

What a file may say beside SQL:

    {{on_cluster}}              ON CLUSTER '<name>', or nothing
    {{shard}}                   after the name of a table: _shard, or nothing
    {{MergeTree}}               ReplicatedMergeTree with the server's default path and macros, or
                                MergeTree; so for ReplacingMergeTree(x) and AggregatingMergeTree
    -- distributed: T by E      table T lies in shards, a row in the one that E says
    -- idempotent: why          after the line before: rows of a load in doubt may stay

On a cluster each CREATE TABLE of `T{{shard}}` is followed by a Distributed table T over it, so that
all other SQL says T. A view names `T{{shard}}` in a JOIN whose two sides are sharded alike: it
then runs on each shard with the rows that lie there.

Files are append-only: a change is a new file. Each statement MUST be repeatable (IF NOT EXISTS, OR
REPLACE), since a file whose run was cut short is run again whole. ALTER TABLE of a column is
written twice, with and without {{shard}}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from trilens.errors import Broken

SCHEMA_DIRECTORY: Final = Path(__file__).parent / "schema"
SHARD_SUFFIX: Final = "_shard"
_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")
_MACRO = re.compile(r"\{\{(\w+)((?:\([^)}]*\))?)\}\}")
_COMMENT = re.compile(r"--[^\n]*")
_DISTRIBUTED = re.compile(r"-- distributed: (?P<table>\w+) by (?P<key>.+)")
_SHARDED_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS trilens\.(\w+)\{\{shard\}\}")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema. `number` is the start of its name."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Table:
    """A table that keeps rows."""

    name: str
    sharding_key: str
    is_idempotent: bool


def migrations(directory: Path = SCHEMA_DIRECTORY) -> list[Migration]:
    """The files in the order of their numbers. Raises Broken when two share one."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise Broken(f"not a migration: {path.name}; it looks like 0012_words.sql")
        number = int(match[1])
        if number in found:
            raise Broken(f"two migrations are numbered {number}: {found[number].name}, {path.stem}")
        found[number] = Migration(number, path)
    return list(found.values())


@cache
def tables(directory: Path = SCHEMA_DIRECTORY) -> dict[str, Table]:
    """What the comments say of the tables that keep rows, by name."""
    found: dict[str, Table] = {}
    name = ""
    for migration in migrations(directory):
        for line in migration.path.read_text(encoding="utf-8").splitlines():
            if match := _DISTRIBUTED.fullmatch(line):
                name = match["table"]
                found[name] = Table(name, match["key"], is_idempotent=False)
            elif line.startswith("-- idempotent:"):
                found[name] = Table(name, found[name].sharding_key, is_idempotent=True)
    return found


def statements(text: str) -> list[str]:
    """The statements of a file, which end with a line that is `;`."""
    parts = re.split(r"^;\s*$", text, flags=re.MULTILINE)
    return [part.strip() for part in parts if _COMMENT.sub("", part).strip()]


def rendered(migration: Migration, cluster: str | None) -> list[str]:
    """The statements of a file for one server, or for the cluster of this name."""
    shown: list[str] = []
    for statement in statements(migration.path.read_text(encoding="utf-8")):
        shown.append(_expanded(statement, cluster))
        table = _SHARDED_TABLE.search(statement)
        if cluster is not None and table is not None:
            shown.append(_distributed(tables(migration.path.parent)[table[1]], cluster))
    return shown


def on_cluster(cluster: str | None) -> str:
    return f"ON CLUSTER {_quoted(cluster)}" if cluster else ""


def kept_table(name: str, cluster: str | None) -> str:
    """The table whose parts hold the rows of `name`: what ALTER, DELETE and TRUNCATE must name."""
    return f"trilens.{name}{SHARD_SUFFIX if cluster else ''}"


def system_table(name: str, cluster: str | None) -> str:
    """system.<name>, on a cluster that of one replica of each shard together."""
    return f"cluster({_quoted(cluster)}, system.{name})" if cluster else f"system.{name}"


def _expanded(statement: str, cluster: str | None) -> str:
    def replaced(match: re.Match[str]) -> str:
        macro, arguments = match[1], match[2]
        if macro == "on_cluster":
            return on_cluster(cluster)
        if macro == "shard":
            return SHARD_SUFFIX if cluster else ""
        if macro.endswith("MergeTree"):
            return f"{'Replicated' if cluster else ''}{macro}{arguments}"
        raise Broken(f"unknown macro in the schema: {match[0]}")

    return _MACRO.sub(replaced, statement)


def _distributed(table: Table, cluster: str) -> str:
    shard = table.name + SHARD_SUFFIX
    return (
        f"CREATE TABLE IF NOT EXISTS trilens.{table.name} {on_cluster(cluster)} "
        f"AS trilens.{shard}\n"
        f"ENGINE = Distributed({_quoted(cluster)}, 'trilens', '{shard}', {table.sharding_key})"
    )


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
