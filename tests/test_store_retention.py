"""Retention: which days go, and that they go from the real engine while nothing else does."""

import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storing import until
from trilens.measures import Measures
from trilens.store import retention as retention_module
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.migrate import migrate
from trilens.store.retention import Limit, Retention, Trim, drops, excess

LOG = logging.getLogger("test")
DAY_S = 86_400
S = 10**9
NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
TABLES = ("log_rows", "span_rows", "sample_rows", "histogram_rows", "exemplar_rows")


class SetClock:
    """Both clocks, moved by hand."""

    def __init__(self):
        self.wall_ns = int(NOW.timestamp()) * S
        self.steady_ns = 5 * S

    def now_ns(self):
        return self.wall_ns

    def monotonic_ns(self):
        return self.steady_ns

    def pass_s(self, seconds):
        self.wall_ns += seconds * S
        self.steady_ns += seconds * S


def ago(days):
    return TODAY - timedelta(days=days)


def gone(days, **limit):
    return [(drop.day, drop.reason) for drop in drops(days, Limit(**limit), NOW)]


def test_which_days_go():
    days = {ago(n): 10 for n in range(5)}
    assert gone(days) == []
    assert gone({}, time_s=1, size_bytes_max=0) == []
    # The day before yesterday ended 36 hours ago.
    assert gone(days, time_s=36 * 3600) == [(ago(n), "time") for n in (4, 3, 2)]
    assert gone(days, time_s=36 * 3600 + 1) == [(ago(4), "time"), (ago(3), "time")]
    assert gone(days, size_bytes_max=50) == []
    assert gone(days, size_bytes_max=49) == [(ago(4), "size")]
    assert gone(days, size_bytes_max=0) == [(ago(n), "size") for n in (4, 3, 2, 1)]
    assert gone(days, time_s=2 * DAY_S, size_bytes_max=20) == [
        (ago(4), "time"), (ago(3), "time"), (ago(2), "size"),
    ]  # fmt: skip


def test_the_newest_day_and_today_stay():
    assert gone({ago(400): 10}, time_s=1, size_bytes_max=1) == []
    assert gone({ago(0): 10, ago(-1): 1}, time_s=1, size_bytes_max=1) == []
    assert gone({ago(1): 5, ago(0): 10, ago(-1): 1}, size_bytes_max=1) == [(ago(1), "size")]


@given(
    days=st.dictionaries(
        st.dates(date(2026, 1, 1), date(2026, 4, 20)), st.integers(0, 100), max_size=20
    ),
    time_s=st.none() | st.integers(0, 100 * DAY_S),
    size=st.none() | st.integers(0, 1000),
)
def test_what_is_left_keeps_the_limits_or_is_the_newest(days, time_s, size):
    found = drops(days, Limit(time_s, size), NOW)
    left = dict(days)
    for drop in found:
        assert drop.day == min(left)
        assert (sum(left.values()) > size) if drop.reason == "size" else (time_s is not None)
        del left[drop.day]
    assert not days or left
    droppable = [day for day in left if day < min(max(left), TODAY)]
    if size is not None:
        assert sum(left.values()) <= size or not droppable
    if time_s is not None:
        oldest_kept = (NOW - timedelta(seconds=time_s)).date()
        assert all(day >= oldest_kept for day in droppable)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("retention"), 1_000_000_000)
    embedded.start()
    migrate(embedded.engine, LOG)
    yield embedded.engine
    embedded.stop()


@pytest.fixture(autouse=True)
def empty(request):
    if "engine" in request.fixturenames:
        engine = request.getfixturevalue("engine")
        for table in (*TABLES, "series_rows", "metadata_rows", "series_known"):
            engine.command(f"TRUNCATE TABLE trilens.{table}")


def fill(engine, table, day, rows=10):
    """Rows of a day, loaded at its noon."""
    loaded = "loaded_on" if table not in ("log_rows", "span_rows") else "ingested_at"
    engine.command(
        f"INSERT INTO trilens.{table} (timestamp, {loaded}) "
        f"SELECT toDateTime64('{day} 12:00:00', 3, 'UTC'), toDate('{day}') FROM numbers({rows})"
    )


def held(engine, table):
    found = engine.rows(
        "SELECT DISTINCT partition FROM system.parts "
        f"WHERE active AND database = 'trilens' AND table = '{table}' ORDER BY 1"
    )
    return [date.fromisoformat(day) for (day,) in found.rows]


def made(engine, clock=None, **limits):
    measures = Measures()
    return Retention(engine, limits, measures, clock or SetClock(), LOG), measures


def test_days_go_by_age_from_all_tables_of_a_signal(engine):
    for table in TABLES:
        for days in (0, 1, 5, 9):
            fill(engine, table, ago(days))
    retention, measures = made(
        engine, logs=Limit(time_s=3 * DAY_S), samples=Limit(time_s=7 * DAY_S)
    )
    retention.run_once()
    assert held(engine, "log_rows") == [ago(1), ago(0)]
    assert held(engine, "span_rows") == [ago(9), ago(5), ago(1), ago(0)]
    for table in ("sample_rows", "histogram_rows", "exemplar_rows"):
        assert held(engine, table) == [ago(5), ago(1), ago(0)]
    name = "trilens_retention_dropped_bytes_total"
    assert measures.value(name, "logs", "time") > 0
    assert measures.value(name, "samples", "time") > 0
    assert measures.value(name, "spans", "time") == 0
    retention.run_once()
    assert held(engine, "log_rows") == [ago(1), ago(0)]


def test_days_go_by_size_the_oldest_first(engine):
    for days in (0, 1, 2, 3):
        fill(engine, "span_rows", ago(days))
    fill(engine, "span_rows", ago(3), rows=50_000)
    size = engine.rows(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'span_rows' "
        f"AND partition != '{ago(3)}'"
    ).rows[0][0]
    retention, measures = made(engine, spans=Limit(size_bytes_max=size))
    retention.run_once()
    assert held(engine, "span_rows") == [ago(2), ago(1), ago(0)]
    assert measures.value("trilens_retention_dropped_bytes_total", "spans", "size") > 0
    made(engine, spans=Limit(size_bytes_max=1))[0].run_once()
    assert held(engine, "span_rows") == [ago(0)]


def test_a_clock_that_jumps_ahead_drops_nothing_by_age_for_an_hour(engine):
    for days in (0, 1, 2):
        fill(engine, "log_rows", ago(days))
    clock = SetClock()
    retention, _ = made(engine, clock, logs=Limit(time_s=30 * DAY_S))
    retention.run_once()
    clock.wall_ns += 400 * DAY_S * S
    for _ in range(3):
        retention.run_once()
        clock.pass_s(60)
    assert held(engine, "log_rows") == [ago(2), ago(1), ago(0)]
    clock.wall_ns -= 400 * DAY_S * S
    retention.run_once()
    clock.pass_s(3700)
    retention.run_once()
    assert held(engine, "log_rows") == [ago(2), ago(1), ago(0)]
    clock.wall_ns += 400 * DAY_S * S
    retention.run_once()
    clock.pass_s(3700)
    retention.run_once()
    assert held(engine, "log_rows") == [ago(0)]


def series(engine, number, metric, days_ago):
    engine.command(
        "INSERT INTO trilens.series_rows (metric, series_id, source, first_seen, last_seen) "
        f"VALUES ('{metric}', {number}, 'prometheus', '{ago(99)} 12:00:00', "
        f"'{ago(days_ago)} 12:00:00')"
    )


def test_series_and_families_that_nobody_sends_go(engine):
    for number, (metric, days_ago) in enumerate(
        (("old_total", 20), ("old_total", 15), ("half", 20), ("half", 1), ("new_bucket", 0))
    ):
        series(engine, number % 4, metric, days_ago)
    for metric in ("old", "half", "new", "gone"):
        engine.command(f"INSERT INTO trilens.metadata_rows (metric) VALUES ('{metric}')")
    engine.command("INSERT INTO trilens.series_known SELECT number FROM numbers(10)")
    clock = SetClock()
    retention, _ = made(engine, clock, samples=Limit(time_s=7 * DAY_S))
    retention.run_once()
    left = engine.rows("SELECT metric FROM trilens.series_rows ORDER BY 1").rows
    assert left == [("half",), ("new_bucket",)]
    families = engine.rows("SELECT metric FROM trilens.metadata_rows ORDER BY 1").rows
    assert families == [("half",), ("new",)]
    known = "SELECT total_rows FROM system.tables WHERE name = 'series_known'"
    assert engine.rows(known).rows == [(0,)]
    # Once an hour.
    series(engine, 9, "old", 50)
    clock.pass_s(60)
    retention.run_once()
    assert engine.rows("SELECT count() FROM trilens.series_rows").rows == [(3,)]
    clock.pass_s(3600)
    retention.run_once()
    assert engine.rows("SELECT count() FROM trilens.series_rows").rows == [(2,)]


def test_known_series_are_emptied_when_there_are_many(engine, monkeypatch):
    monkeypatch.setattr(retention_module, "SERIES_KNOWN_MAX", 100)
    retention, _ = made(engine)
    known = "SELECT total_rows FROM system.tables WHERE name = 'series_known'"
    engine.command("INSERT INTO trilens.series_known SELECT number FROM numbers(100)")
    retention.run_once()
    assert engine.rows(known).rows == [(100,)]
    engine.command("INSERT INTO trilens.series_known SELECT number FROM numbers(101)")
    retention.run_once()
    assert engine.rows(known).rows == [(0,)]


def test_parts_that_pile_up_are_measured_and_said_once(engine, monkeypatch, caplog):
    monkeypatch.setattr(retention_module, "PARTS_MAX", 2)
    engine.command("SYSTEM STOP MERGES trilens.log_rows")
    try:
        for _ in range(4):
            fill(engine, "log_rows", TODAY)
        retention, measures = made(engine)
        retention.run_once()
        retention.run_once()
    finally:
        engine.command("SYSTEM START MERGES trilens.log_rows")
    assert measures.value("trilens_engine_parts", "log_rows") == 4
    assert [record.message for record in caplog.records].count("merges do not keep up") == 1


def spread(engine, table, start, hours, rows):
    """Rows that are even over so many hours, loaded today. Samples are of random bytes."""
    value, number = ("", "") if table in ("log_rows", "span_rows") else (", mantissa", ", rand64()")
    loaded = "loaded_on" if table not in ("log_rows", "span_rows") else "ingested_at"
    at = f"toDateTime64('{start:%Y-%m-%d %H:%M:%S}', 3, 'UTC') + number * {hours * 3600 / rows}"
    engine.command(
        f"INSERT INTO trilens.{table} (timestamp, {loaded}{value}) "
        f"SELECT {at}, toDate('{TODAY}'){number} FROM numbers({rows})"
    )


def left(engine, table):
    """Rows, and hours from the oldest of them until now."""
    ((count, oldest_s),) = engine.rows(
        f"SELECT count(), toUnixTimestamp(min(timestamp)) FROM trilens.{table}"
    ).rows
    return count, (NOW.timestamp() - oldest_s) / 3600


def test_what_has_to_go_of_today():
    assert excess({}, Limit(size_bytes_max=1), NOW) is None
    assert excess({ago(0): 100}, Limit(), NOW) is None
    assert excess({ago(0): 100, ago(1): 900}, Limit(size_bytes_max=100), NOW) is None
    assert excess({ago(0): 120}, Limit(size_bytes_max=100), NOW) == Trim(ago(0), 40 / 120)
    assert excess({ago(0): 100}, Limit(size_bytes_max=0), NOW) == Trim(ago(0), 1)
    # A record from tomorrow.
    assert excess({ago(0): 10, ago(-1): 500}, Limit(size_bytes_max=100), NOW) == Trim(ago(0), 1)


def test_of_a_day_that_is_over_the_limit_of_size_the_oldest_rows_go(engine):
    for table in ("sample_rows", "exemplar_rows"):
        spread(engine, table, NOW - timedelta(hours=10), 10, 20_000)
    engine.command(
        "INSERT INTO trilens.histogram_rows (timestamp, loaded_on) "
        f"VALUES ('{NOW - timedelta(hours=10):%Y-%m-%d %H:%M:%S}', '{TODAY}')"
    )
    fill(engine, "sample_rows", ago(1))
    size = engine.rows(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'trilens' "
        f"AND partition = '{TODAY}'"
    ).rows[0][0]
    retention, measures = made(engine, samples=Limit(size_bytes_max=int(size / 1.2)))
    retention.run_once()
    until(lambda: not engine.rows("SELECT 1 FROM system.mutations WHERE NOT is_done").rows)
    assert left(engine, "histogram_rows")[0] == 0
    for table in ("sample_rows", "exemplar_rows"):
        count, hours = left(engine, table)
        assert count == pytest.approx(20_000 * 0.667, rel=0.05)
        assert hours == pytest.approx(6.67, rel=0.05)
    assert measures.value("trilens_retention_dropped_bytes_total", "samples", "size") > size / 4
    before = left(engine, "sample_rows")
    retention.run_once()
    assert left(engine, "sample_rows") == before, "it fits now"


def test_a_short_limit_of_age_is_kept_within_the_day(engine):
    spread(engine, "log_rows", NOW - timedelta(hours=10), 10, 1000)
    spread(engine, "span_rows", NOW - timedelta(hours=10), 10, 1000)
    clock = SetClock()
    retention, _ = made(engine, clock, logs=Limit(time_s=4 * 3600), spans=Limit(time_s=12 * 3600))
    retention.run_once()
    until(lambda: left(engine, "log_rows")[0] == 400)
    clock.pass_s(20 * 60)
    retention.run_once()
    clock.pass_s(10 * 60)
    retention.run_once()
    until(lambda: left(engine, "log_rows")[0] == 350)
    assert left(engine, "span_rows")[0] == 1000


def test_what_is_being_deleted_is_waited_for(engine):
    spread(engine, "log_rows", NOW - timedelta(hours=10), 10, 1000)
    engine.command("SYSTEM STOP MERGES trilens.log_rows")
    try:
        retention, measures = made(engine, logs=Limit(size_bytes_max=1))
        retention.run_once()
        dropped = measures.value("trilens_retention_dropped_bytes_total", "logs", "size")
        retention.run_once()
    finally:
        engine.command("SYSTEM START MERGES trilens.log_rows")
    assert measures.value("trilens_retention_dropped_bytes_total", "logs", "size") == dropped > 0
    until(lambda: left(engine, "log_rows")[0] <= 1)


def test_it_runs_beside_the_engine_and_survives_its_absence(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(retention_module, "EVERY_S", 0.05)
    embedded = EmbeddedEngine(tmp_path, 1_000_000_000)
    retention, measures = made(embedded.engine)
    retention.start()
    embedded.start()
    try:
        migrate(embedded.engine, LOG)
        fill(embedded.engine, "log_rows", TODAY)
        for _ in range(200):
            if measures.value("trilens_engine_parts", "log_rows"):
                break
            retention._stopping.wait(0.05)
        assert measures.value("trilens_engine_parts", "log_rows") == 1
    finally:
        retention.stop()
        embedded.stop()
    assert "retention failed" in caplog.text
