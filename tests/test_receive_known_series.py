"""Series that are known, and requests cut in two."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiving import Kept
from trilens.envelope import unpack
from trilens.errors import Refused
from trilens.receive import KnownSeries, Limits, receivers
from trilens.receive.exchange import Request
from trilens.receive.known_series import COPIES
from trilens.receive.prometheus_schema import V1, V1_KEPT
from trilens.receive.prometheus_split import split
from trilens.receive.protobuf_check import PIECE_BYTES

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def writes(*labels: dict[str, str], value: float = 1.5, at_ms: int = NOW_MS) -> bytes:
    message = V1["WriteRequest"]()
    for one in labels:
        series = message.timeseries.add()
        for name, text in one.items():
            series.labels.add(name=name, value=text)
        series.samples.add(value=value, timestamp=at_ms)
    return message.SerializeToString()


def cut(body: bytes, known: KnownSeries, *, learns: bool = True):
    """What is kept, parsed: samples of known series, and the rest."""
    made = split(body, known)
    if learns:
        made.learn()
    message = V1_KEPT["WriteRequest"].FromString(body if made.message is None else made.message)
    return message.known, message.timeseries


def kept(body: bytes, known: KnownSeries) -> None:
    """In as many frames as make its series known."""
    for _ in range(COPIES):
        columns, _ = cut(body, known)
        assert not columns


def test_known_only_after_it_was_kept_twice() -> None:
    known, body = KnownSeries(), writes({"__name__": "up", "job": "a"})
    for _ in range(3):
        columns, rest = cut(body, known, learns=False)
        assert (len(columns), len(rest)) == (0, 1)
    kept(body, known)
    columns, rest = cut(body, known)
    assert (len(rest), columns[0].metric, list(columns[0].values)) == (0, "up", [1.5])
    assert list(columns[0].timestamps) == [NOW_MS]


def test_it_grows_and_is_emptied_when_it_is_full() -> None:
    known = KnownSeries(series_max=30_000)
    labels = [{"__name__": f"m{n % 7}", "n": str(n)} for n in range(29_000)]
    body = writes(*labels)
    kept(body, known)
    columns, rest = cut(body, known)
    assert (len(known), len(rest)) == (29_000, 0)
    assert [(one.metric, len(one.values)) for one in columns][:2] == [("m0", 1_171), ("m1", 1_171)]
    more = writes(*({"__name__": "n", "n": str(n)} for n in range(2_000)))
    kept(more, known)
    assert len(known) == 2_000
    assert len(cut(body, known, learns=False)[1]) == 29_000
    assert len(cut(more, known)[1]) == 0


def test_what_is_kept_of_a_sample_does_not_grow_with_the_series_of_its_metric() -> None:
    known = KnownSeries()
    for n in range(100):
        kept(writes({"__name__": "up", "n": str(n)}), known)
    kept(writes({"__name__": "first", "n": "0"}, {"__name__": "last", "n": "0"}), known)
    sizes = [
        len(split(writes({"__name__": name, "n": "0"}), known).message or b"")
        for name in ("up", "first", "last")
    ]
    assert max(sizes) < 50, "a name, an id, a time and a value"


def test_it_is_emptied_when_something_was_lost() -> None:
    losses = [0]
    known = KnownSeries(lost=lambda: losses[0])
    body = writes({"__name__": "up"})
    kept(body, known)
    assert len(cut(body, known)[0]) == 1
    losses[0] = 1
    kept(body, known)
    assert len(cut(body, known)[0]) == 1


def test_a_series_twice_in_a_frame_is_one_copy() -> None:
    known, body = KnownSeries(), writes({"__name__": "up"}, {"__name__": "up"})
    kept(body, known)
    assert len(cut(body, known)[0][0].values) == 2


def test_new_and_known_series_of_one_request() -> None:
    known = KnownSeries()
    first = [{"__name__": f"m{n % 3}", "n": str(n)} for n in range(10)]
    kept(writes(*first), known)
    columns, rest = cut(writes(*first, {"__name__": "new"}, value=0.0), known)
    assert [(one.metric, len(one.values)) for one in columns] == [("m0", 4), ("m1", 3), ("m2", 3)]
    assert {value for one in columns for value in one.values} == {0.0}
    assert [series.labels[0].value for series in rest] == ["new"]


def test_a_series_is_new_every_day() -> None:
    known, labels = KnownSeries(), {"__name__": "up"}
    kept(writes(labels), known)
    times = range(NOW_MS, NOW_MS + 3 * DAY_MS, 3_600_000)
    new = sum(len(cut(writes(labels, at_ms=at_ms), known)[1]) for at_ms in times)
    assert 3 * COPIES <= new <= 4 * COPIES


@pytest.mark.parametrize("name", ["__name__", "job", "zone"])
def test_a_label_twice_is_never_learnt(name: str) -> None:
    message = V1["WriteRequest"].FromString(writes({"__name__": "up", "job": "a", "zone": "b"}))
    message.timeseries[0].labels.add(name=name, value="other")
    known, body = KnownSeries(), message.SerializeToString()
    for _ in range(COPIES + 2):
        assert len(cut(body, known)[1]) == 1


def test_requests_larger_than_a_piece() -> None:
    known = KnownSeries()
    many = [{"__name__": "m", "n": str(n), "pad": "p" * 200} for n in range(6_000)]
    long = {"__name__": "m", "text": "x" * (PIECE_BYTES + 1)}
    body = writes(*many[:3_000], long, *many[3_000:])
    assert len(body) > 2 * PIECE_BYTES
    kept(body, known)
    columns, rest = cut(body, known)
    assert (sum(len(one.values) for one in columns), len(rest)) == (6_001, 0)


def test_more_fields_than_are_walked() -> None:
    with pytest.raises(Refused, match="more than 4000000 fields") as refused:
        split(b"\x0a\x00" * 4_000_001, KnownSeries())
    assert refused.value.code == "too_large"


def test_metadata_stays_beside_known_samples() -> None:
    message = V1["WriteRequest"].FromString(writes({"__name__": "up"}))
    message.metadata.add(metric_family_name="up", help="h")
    known, body = KnownSeries(), message.SerializeToString()
    kept(body, known)
    made = V1_KEPT["WriteRequest"].FromString(split(body, known).message)
    assert (len(made.known), len(made.timeseries), made.metadata[0].help) == (1, 0, "h")


def test_columns_of_a_sender_are_not_ours() -> None:
    foreign = V1_KEPT["WriteRequest"]()
    foreign.known.add(metric="forged", series_ids=[1], values=[1.0, 2.0])
    body = foreign.SerializeToString() + writes({"__name__": "up"})
    columns, rest = cut(body, KnownSeries())
    assert (len(columns), len(rest)) == (0, 1)
    large = V1_KEPT["WriteRequest"]()
    large.known.add(metric="x" * (PIECE_BYTES + 1))
    assert split(large.SerializeToString(), KnownSeries()).message == b""


@given(st.binary(max_size=60))
def test_bytes_around_a_sample_are_read_as_they_are(junk: bytes) -> None:
    """Whatever is before what looks like a sample, no more is known than the parser finds."""
    tail = b"\x12\x10\x09" + bytes(8) + b"\x10\x80\x80\x80\x80\x80\x34"
    series = junk + tail
    body = b"\x0a" + bytes([len(series)]) + series
    known = KnownSeries()
    for _ in range(COPIES + 1):
        try:
            columns, rest = cut(body, known)
        except Refused:
            continue
        sent = V1["WriteRequest"].FromString(body).timeseries
        assert sum(len(one.values) for one in columns) + len(rest) == 1
        if columns:
            assert (len(sent[0].samples), len(sent[0].exemplars)) == (1, 0)


def test_a_request_that_is_not_on_disk_teaches_nothing() -> None:
    receiver = receivers(KnownSeries())[1]
    body = bytes(cramjam.snappy.compress_raw(writes({"__name__": "up"})))
    request = Request("prometheus_write", "application/x-protobuf", "snappy", body)
    on_disk = Kept()
    for n in range(4):
        accepted = receiver.accept(request, Limits(), 1)
        if n:
            accepted.on_kept()
        on_disk.envelopes += accepted.envelopes
    payloads = [unpack(one.encoding, one.payload) for one in on_disk.envelopes]
    known = [len(V1_KEPT["WriteRequest"].FromString(one).known) for one in payloads]
    assert known == [0, 0, 0, 1]
    encodings = [one.encoding for one in on_disk.envelopes]
    assert encodings == ["snappy", "snappy", "snappy", "identity"]
