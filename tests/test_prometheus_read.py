"""Remote read: both forms of an answer, what is refused, and a real Prometheus that reads."""

from __future__ import annotations

import struct
import subprocess
import time

import cramjam
import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenting import Api
from querying import T0_MS, T0_NS, S, clear, engine, insert, sample, series
from scraping import PROMETHEUS, SERIES, a_prometheus, a_shop, free_port, needs_prometheus
from serving import Trilens
from storing import until
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.remote_read.chunks import (
    FLOAT_HISTOGRAM,
    XOR,
    histogram_chunk,
    spans,
    xor_chunks,
)
from trilens.present.remote_read.frames import FRAME_BYTES, FRAME_BYTES_MAX, _crc32c, stream
from trilens.present.remote_read.samples import samples_fields
from trilens.present.routes import QueryLimits
from trilens.query.promql_histograms.histograms import (
    CUSTOM_SCHEMA,
    Histogram,
    ResetHint,
    buckets_of_spans,
)
from trilens.query.promql_values.values import RawSeries
from trilens.receive.prometheus_schema import _HISTOGRAM
from trilens.receive.protobuf_schema import message_classes

READ = message_classes(
    "trilens.remote_read",
    {
        **_HISTOGRAM,
        "LabelMatcher": ("1 int32 type", "2 string name", "3 string value"),
        "Hints": ("1 int64 step_ms", "2 string func", "3 int64 start_ms"),
        "Query": ("1 int64 start", "2 int64 end", "3 LabelMatcher[] matchers", "4 Hints hints"),
        "ReadRequest": ("1 Query[] queries", "2 int32[] accepted"),
        "Label": ("1 string name", "2 string value"),
        "Sample": ("1 double value", "2 int64 timestamp"),
        "TimeSeries": ("1 Label[] labels", "2 Sample[] samples", "4 Histogram[] histograms"),
        "QueryResult": ("1 TimeSeries[] timeseries",),
        "ReadResponse": ("1 QueryResult[] results",),
        "Chunk": ("1 int64 first_ms", "2 int64 last_ms", "3 int32 type", "4 bytes data"),
        "ChunkedSeries": ("1 Label[] labels", "2 Chunk[] chunks"),
        "ChunkedReadResponse": ("1 ChunkedSeries[] series", "2 int64 query_index"),
    },
)
T0_S = T0_NS // S
PATH = "/api/v1/read"
STALE = 0x7FF0000000000002


# --- readers, bit by bit


class Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, width: int) -> int:
        self._left -= width
        assert self._left >= 0
        return self._number >> self._left & (1 << width) - 1

    def ones(self, most: int) -> int:
        for count in range(most):
            if not self.take(1):
                return count
        return most

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.take(8)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def signed(self, widths) -> int:
        """A number behind a prefix of ones that tells its width."""
        width = (0, *widths)[self.ones(len(widths))]
        number = self.take(width) if width else 0
        return number - (1 << width) if width and number > 1 << (width - 1) else number

    def float(self) -> float:
        return struct.unpack(">d", self.take(64).to_bytes(8, "big"))[0]


def unpacked(data: bytes) -> list[tuple[int, int]]:
    """(time, bits of the value) of each sample of an XOR chunk."""
    bits = Bits(data)
    samples = []
    at_ms = delta = value = leading = trailing = 0
    for n in range(bits.take(16)):
        if n == 0:
            number = bits.varint()
            at_ms, value = number >> 1 ^ -(number & 1), bits.take(64)
        else:
            delta = bits.varint() if n == 1 else delta + bits.signed((14, 17, 20, 64))
            at_ms += delta
            if bits.take(1):
                if bits.take(1):
                    leading, width = bits.take(5), bits.take(6) or 64
                    trailing = 64 - leading - width
                value ^= bits.take(64 - leading - trailing) << trailing
        samples.append((at_ms, value))
    return samples


def unpacked_histogram(data: bytes) -> dict:
    steps = (3, 6, 9, 12, 18, 25, 56, 64)

    def unsigned():
        width = (0, *steps)[bits.ones(8)]
        return bits.take(width) if width else 0

    bits = Bits(data)
    assert bits.take(16) == 1
    flags = bits.take(8) >> 6
    threshold = bits.take(8)
    zero_threshold = (
        bits.float() if threshold == 255 else threshold and 0.5 * 2.0 ** (threshold - 243)
    )
    schema = bits.signed(steps)
    sides = [[(unsigned(), bits.signed(steps)) for _ in range(unsigned())] for _ in range(2)]
    custom = []
    if schema == CUSTOM_SCHEMA:
        for _ in range(unsigned()):
            assert unsigned() == 0
            custom.append(bits.float())
    at_ms = bits.signed(steps)
    count, zero_count, total = bits.float(), bits.float(), bits.float()
    counts = [[bits.float() for _ in range(sum(n for n, _ in side))] for side in sides]
    return {
        "flags": flags, "zero_threshold": zero_threshold, "schema": schema, "custom": custom,
        "at_ms": at_ms, "count": count, "zero_count": zero_count, "sum": total, "counts": counts,
        "spans": [[(offset, n) for n, offset in side] for side in sides],
    }  # fmt: skip


def frames(body: bytes) -> list:
    """Messages of a stream whose checksums are right."""
    found, at = [], 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        crc, message = body[at : at + 4], body[at + 4 : at + 4 + size]
        assert int.from_bytes(crc, "big") == slow_crc32c(message)
        assert len(message) == size <= FRAME_BYTES_MAX + 1000
        found.append(READ["ChunkedReadResponse"].FromString(message))
        at += 4 + size
    return found


def slow_crc32c(message: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# --- chunks

TIMES = st.lists(
    st.one_of(st.integers(1, 20_000), st.integers(1, 2_000_000), st.integers(1, 10**9)),
    min_size=1,
    max_size=300,
)
BITS = st.one_of(
    st.integers(0, 2**64 - 1), st.sampled_from([0, 1 << 63, STALE, 0x3FF0000000000000])
)


def a_run(start_ms, steps, values):
    times_ms = start_ms + np.cumsum(np.array(steps, np.int64)) - steps[0]
    bits = np.resize(np.array(values, np.uint64), len(steps))
    return times_ms, bits.view(np.float64)


RUNS = st.lists(
    st.builds(
        a_run,
        st.sampled_from([0, -5, T0_MS, -2_208_988_800_000]),
        TIMES,
        st.lists(BITS, min_size=1, max_size=20),
    ),
    min_size=1,
    max_size=4,
)


@given(runs=RUNS)
@settings(max_examples=60, deadline=None)
def test_a_chunk_comes_back_bit_for_bit(runs):
    for (times_ms, values), chunks in zip(runs, xor_chunks(runs), strict=True):
        found = [unpacked(chunk.data) for chunk in chunks]
        expected = list(zip(times_ms.tolist(), values.view(np.uint64).tolist(), strict=True))
        assert [one for samples in found for one in samples] == expected
        assert [(c.first_ms, c.last_ms) for c in chunks] == [(s[0][0], s[-1][0]) for s in found]
        assert max(map(len, found)) <= 120
        assert {chunk.kind for chunk in chunks} == {XOR}


@pytest.mark.parametrize("step", [-524288, -524287, -65536, -65535, -8192, -8191, 8192, 8193, 65536,
                                  65537, 524288, 524289])  # fmt: skip
def test_changes_at_the_edges_of_their_widths(step):
    steps = [10**6, 10**6, 10**6 + step, 10**6 + step, 10**6]
    run = a_run(T0_MS, steps, [1])
    ((chunk,),) = xor_chunks([run])
    assert [at for at, _ in unpacked(chunk.data)] == run[0].tolist()


def test_steady_samples_take_two_bits_each():
    times_ms = T0_MS + 15_000 * np.arange(120)
    ((chunk,),) = xor_chunks([(times_ms, np.ones(120))])
    assert len(chunk.data) <= 2 + 6 + 8 + 3 + 2 * 120 // 8


@pytest.mark.parametrize(
    ("histogram", "at_ms"),
    [
        (Histogram(), 0),
        (Histogram(3, 7.5, -1.0, 2.0**-128, 1.0, buckets_of_spans([(-3, 2), (70_000, 1)], [1, 2, 3]),
                   buckets_of_spans([(5, 1)], [0.5]), hint=ResetHint.GAUGE), T0_MS),
        (Histogram(-4, 1.0, float("nan"), 0.001, 0.0, hint=ResetHint.RESET), -1),
        (Histogram(CUSTOM_SCHEMA, 3.0, 1.5, 0, 0, buckets_of_spans([(0, 1), (2, 1)], [1.0, 2.0]),
                   custom_values=(0.1, 1.0, 2.5), hint=ResetHint.NOT_RESET), 2**55),
    ],
)  # fmt: skip
def test_a_histogram_comes_back(histogram, at_ms):
    chunk = histogram_chunk(at_ms, histogram)
    found = unpacked_histogram(chunk.data)
    assert (chunk.kind, chunk.first_ms, chunk.last_ms) == (FLOAT_HISTOGRAM, at_ms, at_ms)
    assert found["flags"] == {0: 0, 1: 2, 2: 1, 3: 3}[histogram.hint]
    for name in ("schema", "zero_threshold", "count", "zero_count"):
        assert found[name] == getattr(histogram, name)
    assert found["at_ms"] == at_ms
    assert struct.pack("d", found["sum"]) == struct.pack("d", histogram.sum)
    assert found["custom"] == list(histogram.custom_values)
    sides = (histogram.positive, histogram.negative)
    assert found["spans"] == [spans(side) for side in sides]
    assert found["counts"] == [side.counts.tolist() for side in sides]


def test_checksums():
    assert _crc32c(b"123456789") == 0xE3069283
    for size in (0, 1, 65_536, 65_537):
        assert _crc32c(bytes(size)) == slow_crc32c(bytes(size))


def test_large_series_are_cut_into_frames():
    times_ms = T0_MS + 15_000 * np.arange(20_000)
    values = np.random.default_rng(1).random(20_000)
    labels = (("__name__", "m"),)
    many = frames(b"".join(stream([[], [RawSeries(labels, times_ms, values)]])))
    assert len(many) > 2
    assert all(one.ByteSize() <= FRAME_BYTES + 100 for one in many)
    assert {one.query_index for one in many} == {1}
    found = [p for one in many for c in one.series[0].chunks for p in unpacked(c.data)]
    assert [at for at, _ in found] == times_ms.tolist()
    long = (("__name__", "m"), ("x", "é" * 70_000))
    (one,) = frames(b"".join(stream([[RawSeries(long, times_ms[:500], values[:500])]])))
    assert len(one.series[0].chunks) == 5


@pytest.mark.parametrize("first_ms", [-(10**12), -1, 0, 126, 16_382, T0_MS, 2**41 - 2])
def test_samples_of_all_lengths_of_times(first_ms):
    times_ms = first_ms + np.arange(5)
    fields = samples_fields(times_ms, times_ms / 3)
    found = READ["TimeSeries"].FromString(fields).samples
    assert [(one.timestamp, one.value) for one in found] == [
        (at, at / 3) for at in times_ms.tolist()
    ]


# --- the endpoint


@pytest.fixture(scope="module")
def rows():
    clear()
    insert(
        "series_rows",
        [series(1, "up", {"job": "a", "instance": "x"}), series(2, "up", {"job": "b"}),
         series(4, "latency", {"job": "a"})],
    )  # fmt: skip
    insert(
        "sample_rows", [sample(n, "up", s, n - 1 + s) for n in (1, 2) for s in range(0, 601, 15)]
    )
    insert(
        "histogram_rows",
        [{"metric": "latency", "series_id": 4, "timestamp": T0_S + at_s, "kind": "native_histogram",
          "count": 3 + at_s, "sum": 4.5, "scale": 2, "zero_threshold": 0.001, "zero_count": 1,
          "positive_spans": [{"offset": -3, "length": 2}], "positive_counts": [1 + at_s, 1]}
         for at_s in (0, 60)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(rows):
    api = Api(engine())
    yield api.client
    api.close()


def matcher(name, kind, value):
    return {"name": name, "type": kind, "value": value}


UP = [matcher("__name__", 0, "up")]


def a_query(*matchers, start_s=0, end_s=600):
    return {"start": T0_MS + 1000 * start_s, "end": T0_MS + 1000 * end_s, "matchers": matchers,
            "hints": {"step_ms": 15_000, "func": "rate"}}  # fmt: skip


def packed(message) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def ask(client, *queries, accepted=(), path=PATH):
    body = packed(READ["ReadRequest"](queries=queries, accepted=accepted))
    return client.post(path, content=body, headers={"Content-Encoding": "snappy"})


def results(reply) -> list:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/x-protobuf"
    assert reply.headers["content-encoding"] == "snappy"
    body = bytes(cramjam.snappy.decompress_raw(reply.content))
    return [list(one.timeseries) for one in READ["ReadResponse"].FromString(body).results]


def labels_of(one) -> dict:
    return {label.name: label.value for label in one.labels}


@pytest.mark.parametrize("path", [PATH, "/workspaces/ws-1/api/v1/read"])
def test_samples(client, path):
    (found,) = results(ask(client, a_query(*UP), path=path))
    assert [labels_of(one) for one in found] == [
        {"__name__": "up", "instance": "x", "job": "a"},
        {"__name__": "up", "job": "b"},
    ]
    expected = [(T0_MS + 1000 * s, float(s)) for s in range(0, 601, 15)]
    assert [(one.timestamp, one.value) for one in found[0].samples] == expected


def test_both_ends_are_included(client):
    (found,) = results(ask(client, a_query(*UP, start_s=15, end_s=30)))
    assert [one.timestamp - T0_MS for one in found[0].samples] == [15_000, 30_000]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [(0, "a", {"a"}), (1, "a", {"b"}), (2, "a|c", {"a"}), (3, "a|c", {"b"}), (0, "", set())],
)
def test_matchers(client, kind, value, expected):
    (found,) = results(ask(client, a_query(*UP, matcher("job", kind, value))))
    assert {labels_of(one)["job"] for one in found} == expected


def test_several_queries_each_have_a_result(client):
    nothing = a_query(matcher("__name__", 0, "nothing"))
    found = results(ask(client, nothing, a_query(*UP), nothing))
    assert [len(one) for one in found] == [0, 2, 0]
    assert results(ask(client)) == []


def test_histograms_as_samples(client):
    (((one,)),) = results(ask(client, a_query(matcher("__name__", 0, "latency"))))
    assert not one.samples
    first, last = one.histograms
    assert (first.timestamp, last.timestamp) == (T0_MS, T0_MS + 60_000)
    assert (last.count_float, last.sum, last.schema) == (63, 4.5, 2)
    assert (last.zero_threshold, last.zero_count_float) == (0.001, 1)
    assert [(s.offset, s.length) for s in last.positive_spans] == [(-3, 2)]
    assert list(last.positive_counts) == [61, 1]


def test_chunks(client):
    reply = ask(client, a_query(matcher("__name__", 2, "up|latency")), accepted=[1, 0])
    media = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    assert (reply.status_code, reply.headers["content-type"]) == (200, media)
    found = [series for one in frames(reply.content) for series in one.series]
    assert [labels_of(one)["__name__"] for one in found] == ["latency", "up", "up"]
    assert [chunk.type for chunk in found[0].chunks] == [FLOAT_HISTOGRAM] * 2
    assert unpacked_histogram(found[0].chunks[1].data)["counts"] == [[61, 1], []]
    (chunk,) = found[1].chunks
    samples = [
        (at, struct.unpack("d", struct.pack("Q", value))[0]) for at, value in unpacked(chunk.data)
    ]
    assert samples == [(T0_MS + 1000 * s, float(s)) for s in range(0, 601, 15)]
    assert (chunk.first_ms, chunk.last_ms) == (T0_MS, T0_MS + 600_000)


def test_the_first_form_that_is_known_is_taken(client):
    assert len(results(ask(client, a_query(*UP), accepted=[0, 1]))[0]) == 2
    assert frames(ask(client, a_query(*UP), accepted=[7, 1]).content)
    reply = ask(client, a_query(*UP), accepted=[7])
    assert reply.status_code == 400
    assert "does not support any of the requested response types" in reply.text


def test_nothing_found_is_an_empty_stream(client):
    reply = ask(client, a_query(matcher("__name__", 0, "nothing")), accepted=[1])
    assert (reply.status_code, reply.content) == (200, b"")


def snapped(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"garbage", 400),
        (b"\xff" * 100, 400),
        (snapped(b"\x0a"), 400),
        (snapped(b"\x0a\x05abc"), 400),
        (snapped(b"\x08\x01"), 400),
        (snapped(b"\x0b"), 400),
        (snapped(b"\x0a\x04\x1a\x02\x12\x00"[:5]), 400),
        (snapped(b"\x0a\x05\x1a\x03\x12\x01\xff"), 400),
        (snapped(b"\x0a\x03\x1a\x01\x08"), 400),
        (b"\xff\xff\xff\xff\x0f", 413),
        (bytes((1 << 20) + 1), 413),
        (snapped(b"\x0a\x00" * 101), 413),
        (snapped(bytes((1 << 20) + 1)), 413),
    ],
)
def test_what_is_no_request(client, body, status):
    reply = client.post(PATH, content=body)
    assert (reply.status_code, reply.headers["content-type"]) == (
        status,
        "text/plain; charset=utf-8",
    )
    assert reply.text.strip()


@given(body=st.binary(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_answered(client, body):
    for content in (body, snapped(body)):
        assert client.post(PATH, content=content).status_code in (200, 400, 413)


def test_bad_matchers(client):
    reply = ask(client, a_query(*UP, matcher("job", 9, "a")))
    assert (reply.status_code, reply.text) == (400, "invalid matcher type 9\n")
    assert ask(client, a_query(*UP, matcher("job", -1, "a"))).status_code == 400
    reply = ask(client, a_query(*UP, matcher("job", 2, "a(")))
    assert (reply.status_code, "error parsing regexp" in reply.text) == (400, True)


@pytest.mark.parametrize("accepted", [[], [1]])
def test_too_many_samples(rows, accepted):
    api = Api(engine(), limits=QueryLimits(promql=PromqlLimits(samples=50)))
    reply = ask(api.client, a_query(*UP), accepted=accepted)
    assert (reply.status_code, "too many samples" in reply.text) == (400, True)
    api.close()


def test_a_client_that_leaves(rows):
    api = Api(engine())
    body = packed(READ["ReadRequest"](queries=[a_query(*UP)] * 50))
    with pytest.raises(httpx.TransportError):
        httpx.post(api.url + PATH, content=body, timeout=0.02, trust_env=False)
    until(lambda: api.threads.promql._in_hand == 0)
    assert len(results(ask(api.client, a_query(*UP)))[0]) == 2
    api.close()


@pytest.fixture
def many(rows):
    """200 series of 2,000 samples without any pattern."""
    columns = "metric, series_id, timestamp, mantissa, exponent"
    engine().command(
        f"INSERT INTO trilens.sample_rows ({columns}) SELECT 'many', 1000 + number % 200, "
        f"fromUnixTimestamp64Milli(toInt64({T0_MS} + 1000 * intDiv(number, 200))), "
        "toInt64(rand(number)), 3 FROM numbers(400000)"
    )
    insert("series_rows", [series(1000 + n, "many", {"n": str(n)}) for n in range(200)])
    yield a_query(matcher("__name__", 0, "many"), end_s=2000)
    engine().command("DELETE FROM trilens.series_rows WHERE metric = 'many'")


def test_a_client_that_leaves_in_the_middle_of_a_stream(many):
    api = Api(engine())
    body = packed(READ["ReadRequest"](queries=[many], accepted=[1]))
    with httpx.stream("POST", api.url + PATH, content=body, trust_env=False) as reply:
        assert next(reply.iter_raw())
    until(lambda: api.threads.promql._in_hand == 0)
    whole = ask(api.client, many, accepted=[1])
    found = [series for one in frames(whole.content) for series in one.series]
    labels = [tuple(labels_of(one).items()) for one in found]
    assert labels == sorted(labels)
    assert len(set(labels)) == 200
    assert sum(len(unpacked(c.data)) for one in found for c in one.chunks) == 400_000
    api.close()


def test_what_came_by_otlp_has_its_names_of_promql(client):
    own = {"source": "otlp", "resource": {"service.name": "shop"}}
    insert("series_rows", [series(900, "http.load", {"code": "2"}, kind="gauge", **own)])
    insert("sample_rows", [sample(900, "http.load", 0, 1.5)])
    (found,) = results(ask(client, a_query(matcher("__name__", 0, "http_load"))))
    assert [labels_of(one) for one in found] == [
        {"__name__": "http_load", "code": "2", "job": "shop"}
    ]
    assert [one.value for one in found[0].samples] == [1.5]


# --- a real Prometheus

READER = """
global: {{scrape_interval: 1h, external_labels: {{cluster: test}}}}
remote_read:
  - url: {url}/api/v1/read
    read_recent: true
"""


# Fixtures end what they began, also when the test has failed.


@pytest.fixture
def trilens(tmp_path):
    with Trilens(tmp_path / "data") as started:
        yield started


@pytest.fixture
def shop():
    with a_shop() as made:
        yield made


@pytest.fixture
def writer(tmp_path, trilens, shop):
    directory = tmp_path / "writer"
    directory.mkdir()
    with a_prometheus(directory, trilens.url, shop) as client:
        yield client


@pytest.fixture
def reader(tmp_path, trilens):
    """A Prometheus that has nothing of its own: all that it knows it reads from Trilens."""
    directory = tmp_path / "reader"
    directory.mkdir()
    directory.joinpath("prometheus.yml").write_text(READER.format(url=trilens.url))
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=native-histograms",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        until(lambda: is_ready(client))
        yield client
    process.terminate()
    assert process.wait(20) == 0, (directory / "log").read_text()


def is_ready(client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def answer(client, query, at_s):
    reply = client.get("/api/v1/query", params={"query": query, "time": at_s}).json()
    assert reply["status"] == "success", reply
    return {
        tuple(sorted(one["metric"].items())): one.get(
            "value", one.get("values", one.get("histogram"))
        )
        for one in reply["data"]["result"]
    }


# Without histograms: Prometheus reads them from remote since 2.44, Debian's is older.
QUERIES = (
    "shop_requests_total[30s]",
    "shop_requests_total",
    "sum by (job) (rate(shop_requests_total[5s]))",
    'count({__name__=~"shop_requests.+|shop_heat",code!~"1.*"})',
    "count_over_time(up[30s])",
)


@needs_prometheus
def test_a_real_prometheus_reads_what_another_wrote(trilens, writer, reader):
    until(lambda: trilens.count("samples", "metric = 'shop_requests_total'") >= 20 * SERIES, 60)
    until(lambda: trilens.count("histograms", "metric = 'shop_seconds'") >= 10, 60)
    at_s = round(time.time() - 1, 3)
    newest = "SELECT toUnixTimestamp64Milli(max(timestamp)) FROM samples WHERE metric = 'shop_heat'"
    until(lambda: int(trilens.sql(newest)[0][0]) > (at_s + 1) * 1000, 60)
    for query in QUERIES:
        own = answer(writer, query, at_s)
        assert own, query
        assert answer(reader, query, at_s) == own, query
    kept = answer(reader, "shop_requests_total[1h]", at_s)
    assert len(kept) == SERIES
    until_then = f"toUnixTimestamp64Milli(timestamp) <= {round(at_s * 1000)}"
    # A scrape that was too slow leaves a stale marker in each series, which no range holds.
    ours = f"metric = 'shop_requests_total' AND NOT isNaN(value) AND {until_then}"
    count = trilens.count("samples", ours)
    assert sum(map(len, kept.values())) == count > 10 * SERIES
    found = reader.get("/api/v1/series", params={"match[]": "shop_requests_total"}).json()
    assert len(found["data"]) == SERIES
