"""Rows of one batch: counted and removed, also from parts that a full disk has damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from querying import T0_MS, clear, engine, insert, span
from receiving import MESSAGES
from trilens.store import batch_rows
from trilens.store.batch_rows import CUT_SHORT, UNREADABLE, BatchRows
from trilens.store.engine import EngineError
from trilens.store.load import Load

TABLES = ("span_rows", "log_rows")
SETTINGS = "ALTER TABLE trilens.span_rows"


@pytest.fixture(autouse=True)
def rows():
    clear()
    # Both batches keep a part of their own. Without merges at all, deleting would wait.
    engine().command(f"{SETTINGS} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1")
    for batch in (5, 6):
        insert("span_rows", [span(n, f"{n:032x}", f"{n:016x}", _batch=batch) for n in range(100)])
    yield BatchRows(engine())
    merge_again()
    clear()


def merge_again() -> None:
    engine().command(f"{SETTINGS} RESET SETTING max_bytes_to_merge_at_max_space_in_pool")


def paths() -> list[Path]:
    found = engine().rows(
        "SELECT path FROM system.parts WHERE active AND table = 'span_rows' "
        "ORDER BY min_block_number"
    )
    return [Path(path) for (path,) in found.rows]


def test_parts_of_their_own_are_dropped_and_others_stay(rows):
    assert rows.count(TABLES, 5) == {"span_rows": 100}
    rows.remove(TABLES, 5)
    assert (rows.count(TABLES, 5), rows.count(TABLES, 6)) == ({}, {"span_rows": 100})
    assert len(paths()) == 1


def test_rows_are_removed_from_a_part_with_others(rows):
    merge_again()
    engine().command("OPTIMIZE TABLE trilens.span_rows FINAL")
    rows.remove(TABLES, 5)
    assert (rows.count(TABLES, 5), rows.count(TABLES, 6)) == ({}, {"span_rows": 100})


@pytest.mark.parametrize("batch", [5, 6])
@pytest.mark.parametrize("left_bytes", [0, 100])
def test_indexes_that_are_cut_short(rows, batch, left_bytes):
    os.truncate(paths()[batch - 5] / "skp_idx.packed", left_bytes)
    engine().command("SYSTEM DROP MARK CACHE")
    with pytest.raises(EngineError) as failed:
        engine().rows(f"SELECT count() FROM trilens.span_rows WHERE _batch = {batch}")
    assert failed.value.code == CUT_SHORT
    assert rows.count(TABLES, batch) == {"span_rows": 100}
    rows.remove(TABLES, batch)
    found = engine().rows("SELECT _batch, count() FROM trilens.span_rows GROUP BY ALL").rows
    assert found == [(11 - batch, 100)]
    left = engine().rows(f"SELECT count() FROM trilens.span_rows WHERE _batch = {11 - batch}").rows
    assert left == [(100,)]


@pytest.mark.parametrize("batch", [5, 6])
@pytest.mark.parametrize("file", ["data.cmrk4", "data.bin"])
def test_a_part_that_cannot_be_read_is_put_aside(rows, batch, file):
    part = paths()[batch - 5]
    os.truncate(part / file, 0)
    engine().command("SYSTEM DROP MARK CACHE")
    with pytest.raises(EngineError) as failed:
        rows.count(TABLES, batch)
    assert failed.value.code in UNREADABLE
    rows.remove(TABLES, batch)
    found = engine().rows("SELECT _batch, count() FROM trilens.span_rows GROUP BY ALL").rows
    assert found == [(11 - batch, 100)]
    aside = engine().rows("SELECT name FROM system.detached_parts WHERE table = 'span_rows'").rows
    assert (part.name,) in aside


@pytest.mark.parametrize("file", ["data.cmrk4", "data.bin", "skp_idx.packed"])
@pytest.mark.parametrize("left_bytes", [0, 30])
def test_what_is_not_whole_is_noticed_when_the_disk_is_nearly_full(
    rows, monkeypatch, file, left_bytes
):
    assert rows.is_whole(TABLES, 5)
    monkeypatch.setattr(batch_rows, "LOW_DISK_BYTES", 1 << 60)
    assert rows.is_whole(TABLES, 5)
    os.truncate(paths()[0] / file, left_bytes)
    engine().command("SYSTEM DROP MARK CACHE")
    assert not rows.is_whole(TABLES, 5)
    assert rows.is_whole(TABLES, 6)


def test_damaged_facts_are_put_aside_and_written_again(monkeypatch):
    """Else no load of metrics would ever succeed again: each looks into all parts of the series."""
    clear()
    engine().command("TRUNCATE TABLE trilens.series_known")
    load = Load(engine(), "otlp_metrics")
    message = gauge_of("one").SerializeToString()
    assert load.run(1, [message]) == 1
    (path,) = (
        engine()
        .rows("SELECT path FROM system.parts WHERE active AND table = 'series_rows'")
        .rows[0]
    )
    for file in (*Path(path).glob("skp_idx*"), Path(path) / "data.cmrk4"):
        os.truncate(file, 0)
    engine().command("SYSTEM DROP MARK CACHE")
    monkeypatch.setattr(batch_rows, "LOW_DISK_BYTES", 1 << 60)
    with pytest.raises(EngineError):
        load.run(2, [gauge_of("two").SerializeToString()])
    load.remove(2)
    engine().command("TRUNCATE TABLE trilens.series_known")
    assert load.run(3, [gauge_of("two").SerializeToString(), message]) == 2
    names = engine().rows("SELECT DISTINCT metric FROM trilens.series_rows ORDER BY metric").rows
    assert names == [("one",), ("two",)]


def gauge_of(name):
    request = MESSAGES["otlp_metrics"]()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.gauge.data_points.add(time_unix_nano=T0_MS * 10**6, as_double=1.5)
    return request
