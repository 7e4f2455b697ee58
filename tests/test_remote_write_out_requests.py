"""Bodies of remote write as they are encoded, read again by protobuf's own decoder."""

from __future__ import annotations

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.prometheus_config.remote_write import Queue, RemoteWrite
from trilens.receive.prometheus_schema import V1, V2
from trilens.remote_write_out.rare_points import (
    Point,
    body_v1,
    body_v2,
    exemplar_body,
    metadata_body,
    sample_body,
)
from trilens.remote_write_out.reading import Content
from trilens.remote_write_out.requests import shards_of
from trilens.remote_write_out.series import Series
from trilens.remote_write_out.write_requests import About, LabelTable, Rows, SymbolTable
from writing_out import labels_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABELS = st.dictionaries(
    TEXTS.filter(bool), TEXTS.filter(bool), min_size=1, max_size=5
).map(lambda found: tuple(sorted(found.items())))  # fmt: skip
ABOUT = st.builds(About, st.sampled_from(["unknown", "counter", "stateset"]), TEXTS, TEXTS)
TIMES = st.integers(-(2**62), 2**62)
STARTS = st.one_of(st.just(0), TIMES)
BITS = st.integers(0, 2**64 - 1)
SAMPLES = st.lists(st.tuples(TIMES, STARTS, BITS), min_size=1, max_size=4)
SERIES = st.lists(st.tuples(LABELS, ABOUT, SAMPLES), min_size=1, max_size=6)


def table_and_rows(series, table):
    table.add([(labels, about) for labels, about, _ in series])
    samples = [(place, *one) for place, (_, _, own) in enumerate(series) for one in own]
    places, times, starts, bits = zip(*samples, strict=True)
    values = np.array(bits, np.uint64).view(np.float64)
    return table, Rows(
        np.array(places, np.uint32), np.array(times, np.int64), np.array(starts, np.int64), values
    )


def bits_of(series):
    """Of samples, without a NaN passing through Python."""
    body = series.SerializeToString()
    other = type(series).FromString(body)
    return [int(np.array(one.value, np.float64).view(np.uint64)) for one in other.samples]


def quiet(bits: int) -> int:
    """As protobuf hands a NaN on: Python's decoder makes a signalling one quiet on some machines."""
    return int(np.array(bits, np.uint64).view(np.float64).view(np.uint64))


@given(SERIES)
def test_version_1_says_what_it_was_given(series) -> None:
    table, rows = table_and_rows(series, LabelTable())
    message = V1["WriteRequest"].FromString(table.encode(rows))
    assert len(message.timeseries) == len(series)
    for found, (labels, _, samples) in zip(message.timeseries, series, strict=True):
        assert labels_of(message, found) == labels
        assert [one.timestamp for one in found.samples] == [at_ms for at_ms, _, _ in samples]
        assert bits_of(found) == [quiet(bits) for *_, bits in samples]


@given(SERIES)
def test_version_2_says_what_it_was_given(series) -> None:
    table, rows = table_and_rows(series, SymbolTable())
    message = V2["Request"].FromString(table.encode(rows))
    assert message.symbols[0] == ""
    assert len(set(message.symbols)) == len(message.symbols)
    for found, (labels, about, samples) in zip(message.timeseries, series, strict=True):
        assert labels_of(message, found) == labels
        kinds = {"unknown": 0, "counter": 1, "stateset": 7}
        assert found.metadata.type == kinds[about.kind]
        assert message.symbols[found.metadata.help_ref] == about.help
        assert message.symbols[found.metadata.unit_ref] == about.unit
        assert [(o.timestamp, o.start_timestamp) for o in found.samples] == [
            (at_ms, start_ms) for at_ms, start_ms, _ in samples
        ]
        assert bits_of(found) == [quiet(bits) for *_, bits in samples]


@given(SERIES, SERIES)
def test_a_table_that_grows_says_the_same_of_what_it_had(first, second) -> None:
    for made in (LabelTable, SymbolTable):
        table, rows = table_and_rows(first, made())
        before = table.encode(rows)
        table.add([(labels, about) for labels, about, _ in second] + [(None, About())])
        assert table.encode(rows) == before
        places = np.arange(len(first) + len(second) + 1, dtype=np.uint32)
        assert table.are_kept(places).tolist() == [True] * (len(places) - 1) + [False]


@given(SERIES, LABELS)
def test_points_say_what_they_were_given(series, own) -> None:
    points = []
    for labels, about, samples in series:
        for at_ms, _, bits in samples:
            points.append(Point(labels, about, at_ms, "samples", sample_body(at_ms, bits)))
            body = exemplar_body(at_ms, bits)
            points.append(Point(labels, about, at_ms, "exemplars", body, own))
    for kind, body in (V1["WriteRequest"], body_v1(points)), (V2["Request"], body_v2(points)):
        message = kind.FromString(body)
        found = [
            (labels_of(message, one), sample.timestamp)
            for one in message.timeseries
            for sample in one.samples
        ]
        assert found == [(p.labels, p.time_ms) for p in points if p.kind == "samples"]
        for one in message.timeseries:
            for exemplar in one.exemplars:
                assert labels_of(message, exemplar) == own


def test_metadata_says_all_types() -> None:
    kinds = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info",
             "stateset", "of a later version"]  # fmt: skip
    families = [{"metric": kind, "type": kind, "help": "é", "unit": "s"} for kind in kinds]
    found = V1["WriteRequest"].FromString(metadata_body(families)).metadata
    assert [(one.metric_family_name, one.type) for one in found] == [
        (kind, number % 8) for number, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_shards_have_all_rows_once_and_a_series_has_one_shard(count) -> None:
    table = LabelTable()
    table.add([((("__name__", f"m{n}"),), About()) for n in range(100)])
    places = np.repeat(np.arange(100, dtype=np.uint32), 7)
    times = np.tile(np.arange(7, dtype=np.int64), 100)
    rows = Rows(places, times, np.zeros(700, np.int64), np.arange(700, dtype=np.float64))
    keys = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    shards = shards_of(Content(rows, keys), count, 50, table, is_v2=False)
    found: dict = {}

    for number, shard in enumerate(shards):
        for nth in range(len(shard)):
            request = shard.request(nth)
            assert request.size <= 50
            body = bytes(cramjam.snappy.decompress_raw(request.body))
            for series in V1["WriteRequest"].FromString(body).timeseries:
                own = found.setdefault(labels_of(None, series), ([], set()))
                own[0].extend(sample.timestamp for sample in series.samples)
                own[1].add(number)
    assert len(found) == 100
    assert all(times == list(range(7)) and len(of) == 1 for times, of in found.values())


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), LABELS), unique_by=lambda one: one[0]))
def test_series_are_found_again_by_their_numbers(series) -> None:
    known = Series(RemoteWrite("k", "http://x", queue=Queue()))
    half = len(series) // 2
    for part in (series[:half], series[half:]):
        known.learn((number, (labels, About())) for number, labels in part)
    ids = np.array([number for number, _ in series], np.uint64)
    assert not len(known._unknown(ids))
    places = known.find(ids, None, "", None)
    for place, (_, labels) in zip(places.tolist(), series, strict=True):
        row = Rows(np.array([place], np.uint32), *(np.zeros(1, kind) for kind in
                   (np.int64, np.int64, np.float64)))  # fmt: skip
        message = V1["WriteRequest"].FromString(known.table.encode(row))
        assert labels_of(message, message.timeseries[0]) == labels
