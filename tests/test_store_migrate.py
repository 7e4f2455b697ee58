"""The schema: run once, in order, again after a kill, never backwards; and its cluster form."""

import logging
import os
import re
import shutil
import signal
import threading
import time

import pytest

from trilens.errors import Broken
from trilens.store import schema_sql
from trilens.store.engine import EngineBusy
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.migrate import migrate

LOG = logging.getLogger("test")
FILES = schema_sql.migrations()
NAMES = [file.name for file in FILES if file.number]
STRANGE = r"it's \a cluster"
OBJECTS = (
    "SELECT name, engine, create_table_query FROM system.tables WHERE database = 'trilens' "
    "ORDER BY name"
)


@pytest.fixture
def embedded(tmp_path):
    embedded = EmbeddedEngine(tmp_path / "engine", 1_000_000_000)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def engine(embedded):
    return embedded.engine


def written(directory, **texts):
    directory.mkdir(exist_ok=True)
    shutil.copy(FILES[0].path, directory)
    for name, text in texts.items():
        (directory / f"{name}.sql").write_text(text)
    return directory


def table(name, columns="x UInt8"):
    return f"CREATE TABLE IF NOT EXISTS trilens.{name} ({columns}) ENGINE = Null\n;\n"


def test_a_new_database_then_nothing_to_do(engine):
    assert migrate(engine, LOG) == NAMES
    before = engine.rows(OBJECTS).rows
    assert migrate(engine, LOG) == []
    assert engine.rows(OBJECTS).rows == before
    recorded = engine.rows("SELECT number, name FROM trilens.migrations ORDER BY number").rows
    assert [name for _, name in recorded] == NAMES


@pytest.mark.parametrize("count", [0, 1, 3, len(NAMES) - 1])
def test_an_upgrade_runs_only_what_is_new(engine, tmp_path, count):
    older = tmp_path / "older"
    older.mkdir()
    for file in FILES[: count + 1]:
        shutil.copy(file.path, older)
    assert migrate(engine, LOG, directory=older) == NAMES[:count]
    assert migrate(engine, LOG) == NAMES[count:]
    engine.rows("SELECT * FROM trilens.logs, trilens.spans, trilens.samples, trilens.series")


def test_every_file_may_be_cut_short_anywhere(engine):
    """Each statement once more, as a run does that finds the first ones done."""
    for file in FILES:
        shown = schema_sql.rendered(file, None)
        for statement in (*shown[: len(shown) // 2 + 1], *shown):
            engine.command(statement)
    assert migrate(engine, LOG) == NAMES


def migrate_for_ever(engine):
    while True:
        migrate(engine, LOG)


def test_an_engine_that_is_killed_meanwhile(embedded):
    pid = embedded.state().pid
    killer = threading.Timer(0.15, os.kill, (pid, signal.SIGKILL))
    killer.start()
    try:
        with pytest.raises(EngineBusy):
            migrate_for_ever(embedded.engine)
    finally:
        killer.join()
    deadline = time.monotonic() + 10
    while True:
        try:
            migrate(embedded.engine, LOG)
            break
        except EngineBusy:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    found = embedded.engine.rows("SELECT DISTINCT number FROM trilens.migrations ORDER BY 1").rows
    assert [number for (number,) in found] == list(range(1, len(NAMES) + 1))


def test_functions_and_tables_are_there_after_a_restart_and_known_series_are_not(tmp_path):
    for is_first in (True, False):
        embedded = EmbeddedEngine(tmp_path, 1_000_000_000)
        embedded.start()
        assert migrate(embedded.engine, LOG) == (NAMES if is_first else [])
        known = embedded.engine.rows(
            "SELECT total_rows, trilens_sample_exponent(1.5) FROM system.tables "
            "WHERE name = 'series_known'"
        )
        assert known.rows == [(0, 2)]
        embedded.engine.command("INSERT INTO trilens.series_known SELECT 1")
        embedded.stop()


def test_a_newer_database_is_refused_untouched(engine, tmp_path):
    newer = written(tmp_path / "newer", **{"0001_a": table("a"), "0007_b": table("b")})
    migrate(engine, LOG, directory=newer)
    older = written(tmp_path / "older", **{"0001_a": table("a"), "0003_c": table("c")})
    with pytest.raises(Broken, match=r"schema 7 \(0007_b\).*up to 3 \(0003_c\).*newer program"):
        migrate(engine, LOG, directory=older)
    assert engine.rows("EXISTS TABLE trilens.c").rows == [(0,)]


def test_a_file_that_fails_is_named_and_not_recorded(engine, tmp_path):
    directory = written(
        tmp_path / "schema", **{"0001_a": table("a"), "0002_b": table("b") + "CREATE TABLE t (\n;"}
    )
    with pytest.raises(Broken, match=r"0002_b\.sql, statement 2: Code: 62"):
        migrate(engine, LOG, directory=directory)
    (directory / "0002_b.sql").write_text(table("b") + table("c"))
    assert migrate(engine, LOG, directory=directory) == ["0002_b"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["0001_a", "0001_b"], "two migrations are numbered 1: 0001_a, 0001_b"),
        (["1_a"], "not a migration: 1_a.sql"),
        (["0001-a"], "not a migration"),
    ],
)
def test_files_with_bad_names(tmp_path, names, reason):
    written(tmp_path / "schema", **dict.fromkeys(names, ""))
    with pytest.raises(Broken, match=reason):
        schema_sql.migrations(tmp_path / "schema")


def test_an_unknown_macro_is_refused(tmp_path):
    directory = written(tmp_path / "schema", **{"0001_a": "SELECT {{nothing}}\n;"})
    with pytest.raises(Broken, match=r"unknown macro in the schema: \{\{nothing\}\}"):
        schema_sql.rendered(schema_sql.migrations(directory)[1], None)


def test_statements_end_at_lines_of_their_own():
    text = "-- only words; here\n;\nSELECT ';\n'\n;\n\n;\nSELECT 2 -- ;\n;\n"
    assert schema_sql.statements(text) == ["SELECT ';\n'", "SELECT 2 -- ;"]


def test_every_table_with_parts_says_where_its_rows_lie(engine):
    migrate(engine, LOG)
    kept = engine.rows(
        "SELECT name FROM system.tables WHERE database = 'trilens' AND engine LIKE '%MergeTree'"
    ).rows
    assert {name for (name,) in kept} == set(schema_sql.tables())
    idempotent = {table.name for table in schema_sql.tables().values() if table.is_idempotent}
    assert idempotent == {"series_rows", "metadata_rows"}


@pytest.mark.parametrize("cluster", ["c", STRANGE])
def test_every_statement_for_a_cluster_parses(engine, cluster):
    quoted = "'" + cluster.replace("\\", "\\\\").replace("'", "\\'") + "'"
    shown = [text for file in FILES for text in schema_sql.rendered(file, cluster)]
    for text in shown:
        assert engine.explain_ast(text).startswith("Create")
        assert f"ON CLUSTER {quoted}" in text
        assert re.search(r"(?<!Replicated)(Aggregating|Replacing|= )MergeTree", text) is None
    for name, table in schema_sql.tables().items():
        (local,) = [t for t in shown if f"CREATE TABLE IF NOT EXISTS trilens.{name}_shard " in t]
        above = shown[shown.index(local) + 1]
        assert f"Distributed({quoted}, 'trilens', '{name}_shard', {table.sharding_key})" in above


def two_shards(engine, cluster):
    """Two databases as two shards, as far as one process can be a cluster.

    remote() to this process without a port stands for Distributed, a view of both databases that
    asks for the number of its shard for the table of one. A view has no FINAL and no aliases.
    """
    for database in ("one", "two"):
        engine.command(f"CREATE DATABASE {database}")
    engine.command("CREATE DATABASE IF NOT EXISTS trilens")
    for text in (text for file in FILES for text in schema_sql.rendered(file, cluster)):
        plain = text.replace(f"ON CLUSTER '{cluster}'", "").replace("Replicated", "")
        if shard := re.search(r"CREATE TABLE IF NOT EXISTS trilens\.(\w+_shard)", text):
            for database in ("one", "two"):
                engine.command(plain.replace("trilens.", f"{database}."))
            columns = "*, attribute_pairs" if shard[1] == "span_rows_shard" else "*"
            engine.command(
                f"CREATE VIEW trilens.{shard[1]} AS "
                f"SELECT {columns} FROM one.{shard[1]} WHERE shardNum() = 1 UNION ALL "
                f"SELECT {columns} FROM two.{shard[1]} WHERE shardNum() = 2"
            )
        elif above := re.search(r"ENGINE = Distributed\('\w+', 'trilens', '(\w+)_shard'", text):
            engine.command(
                f"CREATE TABLE trilens.{above[1]} AS "
                f"remote('127.0.0.1,127.0.0.1', trilens, {above[1]}_shard)"
            )
        else:
            engine.command(plain.replace(" FINAL", ""))


def test_views_read_the_shards_of_a_cluster(engine):
    two_shards(engine, "c")
    for number, database in ((1, "one"), (2, "two")):
        identity = "('m', {n:UInt64}, '2026-03-01 12:00:00'"
        rows = {
            "series_rows_shard (metric, series_id, last_seen, labels, source, service)":
                f"{identity}, map('k', 'v{number}'), 'prometheus', 's')",
            "sample_rows_shard (metric, series_id, timestamp, mantissa, exponent)":
                f"{identity}, {number}, 0)",
            "exemplar_rows_shard (metric, series_id, timestamp)": f"{identity})",
            "histogram_rows_shard (metric, series_id, timestamp, kind, count)":
                f"{identity}, 'summary', 7)",
            "span_rows_shard (trace_id, name)": "('t', {n:String})",
            "log_rows_shard (body)": "({n:String})",
        }  # fmt: skip
        for table_columns, values in rows.items():
            sql = f"{table_columns} VALUES {values}"
            engine.command(f"INSERT INTO {database}.{sql}", params={"n": number})

    def read(sql):
        return engine.rows(sql).rows

    assert read("SELECT metric, labels['k'], value FROM trilens.samples ORDER BY value") == [
        ("m", "v1", 1), ("m", "v2", 2),
    ]  # fmt: skip
    assert read("SELECT service, sum(value) FROM trilens.samples GROUP BY service") == [("s", 3)]
    assert read("SELECT labels['k'], count FROM trilens.histograms ORDER BY 1") == [
        ("v1", 7), ("v2", 7),
    ]  # fmt: skip
    assert read("SELECT uniqExact(labels['k']) FROM trilens.exemplars") == [(2,)]
    assert read("SELECT series_id, source FROM trilens.series ORDER BY 1") == [
        (1, "prometheus"), (2, "prometheus"),
    ]  # fmt: skip
    assert read("SELECT name FROM trilens.spans WHERE trace_id = 't' ORDER BY 1") == [
        ("1",), ("2",),
    ]  # fmt: skip
    assert read("SELECT groupArraySorted(9)(body) FROM trilens.logs") == [(["1", "2"],)]
