"""Selectors that find few samples, and what is remembered of them, on the real engine."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from querying import T0_MS, asker, clear, engine, insert, sample, series
from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql_store import light
from trilens.query.promql_store.known_series import SERIES_MAX, Known, KnownSeries
from trilens.query.promql_store.light import OutgrownError
from trilens.query.promql_store.samples import Found, sample_values
from trilens.query.promql_store.source import EngineSource
from trilens.store.engine_front_lanes import RECORD_TABLES

LIGHT_STATEMENTS = 1
_ids = count(1000)


@pytest.fixture(scope="module", autouse=True)
def tables():
    clear()


def selector(metric: str, **labels: str) -> Selector:
    matchers = [Matcher("__name__", "=", metric)]
    matchers += [Matcher(name, "=", value) for name, value in labels.items()]
    return Selector("", tuple(matchers))


def histogram(number: int, metric: str, at_s: float) -> dict:
    return {"metric": metric, "series_id": number, "timestamp": T0_MS / 1000 + at_s,
            "kind": "native_histogram", "count": 3, "sum": 4.5}  # fmt: skip


@dataclass
class Dashboard:
    """Queries one after the other that remember."""

    known: KnownSeries = field(default_factory=KnownSeries)
    statements: int = 0

    def see(self, wanted: Selector, end_s: int = 60) -> list:
        """Labels, values and whether there are histograms, of each series."""
        source = EngineSource(asker(), known=self.known)
        found = self._selected(source, wanted, end_s)
        self.statements = len(source.ask.asked)
        return found

    def _selected(self, source: EngineSource, wanted: Selector, end_s: int) -> list:
        try:
            return shown(source.select(wanted, T0_MS - 60_000, T0_MS + end_s * 1000))
        except OutgrownError:
            return self._selected(source, wanted, end_s)


def shown(found: list) -> list:
    return [
        (dict(one.labels), one.times_ms.tolist(), one.values.tolist(), one.histograms is not None)
        for one in found
    ]


def unremembered(wanted: Selector, end_s: int = 60) -> list:
    source = EngineSource(asker(), light_samples_max=0)
    return shown(source.select(wanted, T0_MS - 60_000, T0_MS + end_s * 1000))


def a_series(metric: str, *samples: float, **labels: str) -> int:
    number = next(_ids)
    insert("series_rows", [series(number, metric, labels)])
    for at_s, value in enumerate(samples):
        insert("sample_rows", [sample(number, metric, at_s, value)])
    return number


def test_what_was_asked_before_takes_one_statement():
    a_series("again", 1, 2, host="a")
    board = Dashboard()
    first = board.see(selector("again"))
    assert board.statements > LIGHT_STATEMENTS
    assert board.see(selector("again")) == first == unremembered(selector("again"))
    assert board.statements == LIGHT_STATEMENTS


def test_new_samples_leave_it_at_one_statement():
    number = a_series("more", 1, host="a")
    board = Dashboard()
    board.see(selector("more"))
    insert("sample_rows", [sample(number, "more", 30, 7)])
    ((_, _, values, _),) = board.see(selector("more"))
    assert values == [1, 7]
    assert board.statements == LIGHT_STATEMENTS


def test_a_new_series_is_seen_at_once():
    a_series("new", 1, host="a")
    board = Dashboard()
    assert len(board.see(selector("new"))) == 1
    a_series("new", 1, host="b")
    assert len(board.see(selector("new"))) == 2
    assert board.see(selector("new")) == unremembered(selector("new"))
    assert board.statements == LIGHT_STATEMENTS


def test_the_first_series_of_a_metric_is_seen_at_once():
    board = Dashboard()
    assert board.see(selector("first")) == []
    a_series("first", 1)
    assert len(board.see(selector("first"))) == 1


def test_a_first_histogram_is_seen_at_once():
    number = a_series("turned", 1)
    board = Dashboard()
    board.see(selector("turned"))
    insert("histogram_rows", [histogram(number, "turned", 20)])
    ((_, _, _, has_histograms),) = board.see(selector("turned"))
    assert has_histograms


def test_a_first_series_of_otlp_is_seen_at_once():
    a_series("load_ratio", 1)
    board = Dashboard()
    board.see(selector("load_ratio"))
    number = next(_ids)
    insert("series_rows", [series(number, "load", {}, source="otlp", kind="gauge", unit="1")])
    insert("sample_rows", [sample(number, "load", 0, 5)])
    found = board.see(selector("load_ratio"))
    assert found == unremembered(selector("load_ratio"))
    assert len(found) == 1
    assert 5 in found[0][2]


def test_what_has_outgrown_is_evaluated_again():
    a_series("grown", 1, host="a")
    board = Dashboard()
    board.see(selector("grown"))
    numbers = [next(_ids) for _ in range(light.SERIES_MAX)]
    insert("series_rows", [series(n, "grown", {"host": str(n)}) for n in numbers])
    insert("sample_rows", [sample(n, "grown", 0, 1) for n in numbers])
    with pytest.raises(OutgrownError):
        EngineSource(asker(), known=board.known).select(selector("grown"), T0_MS - 60_000, T0_MS)
    assert len(board.see(selector("grown"))) == light.SERIES_MAX + 1


def test_more_samples_than_expected_are_read_another_way(monkeypatch):
    a_series("dense", *range(5))
    monkeypatch.setattr(light, "READ_MAX", 3)
    assert Dashboard().see(selector("dense")) == unremembered(selector("dense"))


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["series", "sample", "histogram", "see", "see", "see"]),
            st.integers(0, 2),
        ),
        min_size=4,
        max_size=14,
    )
)
def test_remembering_changes_no_answer(steps):
    """Whatever comes between two queries."""
    metric, board, at_s = f"m{uuid.uuid4().hex}", Dashboard(), count()
    numbers: dict[int, int] = {}
    for what, n in steps:
        wanted = selector(metric, host=f"h{n}") if n else selector(metric)
        if what == "see":
            assert board.see(wanted) == unremembered(wanted)
        elif n not in numbers or what == "series":
            numbers[n] = a_series(metric, host=f"h{n}")
        elif what == "sample":
            insert("sample_rows", [sample(numbers[n], metric, next(at_s), n)])
        else:
            insert("histogram_rows", [histogram(numbers[n], metric, next(at_s))])


def test_values_are_those_of_the_engine():
    draw = np.random.default_rng(3)
    mantissas = draw.integers(-(2**63), 2**63 - 1, 2000, dtype=np.int64)
    mantissas[::2] >>= draw.integers(0, 60, 1000)
    exponents = draw.choice(np.array([0, 2, 3, 6, 9, 127], np.int8), 2000)
    rows = engine().rows(
        "SELECT reinterpretAsInt64(trilens_sample_value(m, e)) FROM (SELECT "
        "arrayJoin(arrayZip({m:Array(Int64)}, {e:Array(Int8)})) AS pair, pair.1 AS m, pair.2 AS e)",
        params={"m": mantissas.tolist(), "e": exponents.tolist()},
    )
    assert [bits for (bits,) in rows.rows] == sample_values(mantissas, exponents).view(
        np.int64
    ).tolist()


def test_it_remembers_only_so_many_series():
    known = KnownSeries()
    found = Found([], np.arange(light.SERIES_MAX, dtype=np.uint64), np.zeros(0), [], False)
    keys = [selector(f"m{n}").matchers for n in range(SERIES_MAX // light.SERIES_MAX + 3)]
    for key in keys:
        known.put(key, Known("1", found))
    assert [known.get(key) is not None for key in keys] == [False] * 3 + [True] * (len(keys) - 3)


# --- the engine's version of series


def version(sql: str = "SELECT 1") -> str:
    with engine().raw(sql, fmt="TabSeparated") as stream:
        list(stream)
        return stream.series_version


def test_the_version_stays_while_nothing_is_told_of_series():
    before = version()
    assert before
    insert("sample_rows", [sample(1, "any", 0, 1)])
    insert("log_rows", [{"body": "x", "timestamp": T0_MS / 1000}])
    engine().rows("SHOW TABLES FROM trilens")
    engine().kill("nobody")
    assert version() == before
    # Answered in pieces.
    assert version("SELECT number FROM system.numbers LIMIT 1000000") == before


@pytest.mark.parametrize("table", ["series_rows", "histogram_rows", "metadata_rows"])
def test_the_version_changes_with_what_is_told_of_series(table):
    before = version()
    insert(table, [{"metric": "told"}])
    assert version() not in {before, ""}


def test_the_version_changes_with_any_other_statement():
    seen = [version()]
    for sql in ("ALTER TABLE trilens.series_rows DELETE WHERE metric = 'told'",
                "DELETE FROM trilens.sample_rows WHERE metric = 'told'",
                "TRUNCATE TABLE trilens.metadata_rows"):  # fmt: skip
        engine().command(sql)
        seen.append(version())
    assert len(set(seen)) == len(seen)
    assert all(seen)


def test_there_is_no_version_while_something_is_written():
    slow = (
        "INSERT INTO trilens.metadata_rows (metric) "
        "SELECT toString(sleepEachRow(0.25)) FROM numbers(8) SETTINGS max_block_size = 1"
    )
    writer = threading.Thread(target=engine().command, args=(slow,))
    before = version()
    writer.start()
    try:
        seen = []
        while writer.is_alive():
            seen.append(version())
    finally:
        writer.join()
    during = [one for one in seen if one not in {before, version()}]
    assert "" in during
    assert set(during) == {""}


def test_nothing_of_series_is_made_of_records():
    views = engine().rows(
        "SELECT database || '.' || name, arrayMap((d, t) -> d || '.' || t, "
        "dependencies_database, dependencies_table) FROM system.tables WHERE database = 'trilens'"
    )
    readers = dict(views.rows)
    targets = dict(
        engine()
        .rows(
            "SELECT database || '.' || name, extract(create_table_query, ' TO (trilens\\\\.\\\\w+)') "
            "FROM system.tables WHERE engine = 'MaterializedView'"
        )
        .rows
    )
    for table in RECORD_TABLES:
        assert table in readers
        assert {targets[view] for view in readers[table]} <= RECORD_TABLES
