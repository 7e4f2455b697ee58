"""What decode/prometheus_write.sql and otlp_metrics.sql make of bodies, in the real engine."""

import json
import math
import re
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from trilens.receive import KnownSeries
from trilens.receive.known_series import COPIES
from trilens.receive.prometheus_schema import V1, V1_KEPT
from trilens.receive.prometheus_split import split
from trilens.store import decoding
from trilens.store.decoding import BODIES_OF, decodes, delimited
from trilens.store.engine import EngineError
from trilens.store.engine_embedded import EmbeddedEngine

SCHEMA = Path(decoding.__file__).parent / "schema"
FILES = ("0003_series", "0004_samples", "0005_histograms", "0006_time_series", "0007_points")
REFUSED_BY_THROW_IF = 395
NOW_MS = 1_790_000_000_000
NOW_NS = NOW_MS * 1_000_000
STALE = 0x7FF0000000000002
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.1, 123.45, -0.005, 1.0005, 1e-6, 1e-9, 1e-10, 2.5e-7, 0.1 + 0.2,
    math.pi, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53,
    2.0**53 + 2, 9e18, -9e18, 9.3e18, 1e19, 9_000_000_000.25, 90_071_992_547_409.91, 8999999999.99,
    math.inf, -math.inf, math.nan,
]  # fmt: skip
BITS = [struct.unpack("<Q", struct.pack("<d", value))[0] for value in FLOATS] + [
    STALE, 0xFFF8000000000001, 0x7FF8000000000123,
]  # fmt: skip


def macros(text):
    text = text.replace("{{on_cluster}}", "").replace("{{shard}}", "")
    return re.sub(r"\{\{(\w*MergeTree)(?:\((.*?)\))?\}\}", lambda m: f"{m[1]}({m[2] or ''})", text)


def statements(text):
    parts = re.split(r"^;\s*$", text, flags=re.MULTILINE)
    return [part for part in parts if re.sub(r"--[^\n]*|\s", "", part)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("decode_metrics"), 2_000_000_000)
    embedded.start()
    for name in FILES:
        for statement in statements(macros((SCHEMA / f"{name}.sql").read_text())):
            embedded.engine.command(statement)
    yield embedded.engine
    embedded.stop()


class Loads:
    """Numbers for loads, and the loader's rules: a statement without input() gets no body; on code
    395 the rows of the load are removed and its fallback is run."""

    batch = 0

    def __call__(self, engine, wire_format, *messages):
        """Returns the file that could read all of them."""
        packed = [one if isinstance(one, bytes) else one.SerializeToString() for one in messages]
        ways = decodes(wire_format)
        for decode in ways:
            Loads.batch += 1
            try:
                for body in BODIES_OF.get(wire_format, delimited)(packed):
                    self._run(engine, decode.statements, body)
            except EngineError as error:
                if error.code != REFUSED_BY_THROW_IF or decode is ways[-1]:
                    raise
            else:
                return decode.name
        return None

    def _run(self, engine, parts, body):
        for part in parts:
            if part.reads is None:
                engine.command(part.sql, params={"batch": Loads.batch})
            elif part.reads == body.format:
                engine.insert(part.sql, body.pieces, params={"batch": Loads.batch})


load = Loads()


def write(engine, *messages, known=None):
    """As the receiver keeps them, each after the one before. Returns how many samples were known."""
    known = KnownSeries() if known is None else known
    kept = []
    for message in messages:
        cut = split(message.SerializeToString(), known)
        cut.learn()
        kept.append(message.SerializeToString() if cut.message is None else cut.message)
    load(engine, "prometheus_write", *kept)
    columns = [V1_KEPT["WriteRequest"].FromString(one).known for one in kept]
    return sum(len(group.values) for groups in columns for group in groups)


def float_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def series(*labels, samples=(), **named):
    """A TimeSeries; samples are (bits of the value, time, start)."""
    message = V1["TimeSeries"]()
    for name, value in [*labels, *named.items()]:
        message.labels.add(name=name, value=value)
    for bits, time_ms, *start in samples:
        sample = message.samples.add(timestamp=time_ms, start_timestamp=start[0] if start else 0)
        sample.value = float_of(bits)
    return message


def request(*time_series):
    return V1["WriteRequest"](timeseries=time_series)


def stored_samples(engine, batch=None):
    """The samples of the newest load: (metric, labels, bits of the value, time, start)."""
    found = engine.rows(
        "SELECT sample.metric, toString(mapSort(series.labels)), "
        "toString(reinterpretAsUInt64(trilens_sample_value(mantissa, exponent))), "
        "toString(toUnixTimestamp64Milli(timestamp)), "
        "toString(toUnixTimestamp64Milli(start_timestamp)) "
        "FROM trilens.sample_rows AS sample LEFT ANY JOIN trilens.series_rows AS series "
        "ON sample.metric = series.metric AND sample.series_id = series.series_id "
        f"WHERE sample._batch = {batch or Loads.batch}"
    ).rows
    return sorted((row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in found)


def map_text(engine, labels):
    """How the engine prints a map, so that quoting is its matter."""
    keys, values = list(labels), list(labels.values())
    (row,) = engine.rows(
        "SELECT toString(CAST((JSONExtract({keys:String}, 'Array(String)'), "
        "JSONExtract({values:String}, 'Array(String)')), 'Map(String, String)'))",
        params={"keys": json.dumps(keys), "values": json.dumps(values)},
    ).rows
    return row[0]


def expected_samples(engine, *messages):
    rows = []
    for message in messages:
        for sent in message.timeseries:
            labels = {label.name: label.value for label in sent.labels if label.value}
            metric = labels.pop("__name__", "")
            text = map_text(engine, dict(sorted(labels.items(), key=lambda kv: kv[0].encode())))
            rows += [
                (metric, text, bits_of(s.value), s.timestamp, s.start_timestamp)
                for s in sent.samples
            ]
    return sorted(rows)


def check_known(engine, message):
    """New, then known: two ways into the tables, the same rows. Returns how many were known then."""
    known = KnownSeries()
    counts = []
    for _ in range(COPIES + 1):
        counts.append(write(engine, message, known=known))
        assert stored_samples(engine) == expected_samples(engine, message)
    assert not any(counts[:COPIES])
    ids = f"SELECT uniqExact(series_id) FROM trilens.sample_rows WHERE _batch IN ({Loads.batch}"
    assert engine.rows(f"{ids})").rows == engine.rows(f"{ids}, {Loads.batch - 1})").rows
    return counts[COPIES]


class TestPrometheusWrite:
    def test_floats_survive_bit_for_bit(self, engine):
        sent = [
            series(__name__="floats", n=str(n), samples=[(bits, NOW_MS + n)])
            for n, bits in enumerate(BITS)
        ]
        assert check_known(engine, request(*sent)) == len(BITS)

    def test_new_series_and_several_samples(self, engine):
        sent = series(
            __name__="several", a="1", samples=[(bits, NOW_MS + n) for n, bits in enumerate(BITS)]
        )
        assert check_known(engine, request(sent)) == 0

    def test_start_timestamps(self, engine):
        sent = series(__name__="started", samples=[(bits_of(1.5), NOW_MS, NOW_MS - 9)])
        zero = series(__name__="started", a="0", samples=[(0, NOW_MS, NOW_MS - 9)])
        assert check_known(engine, request(sent, zero)) == 0

    @pytest.mark.parametrize("time_ms", [0, 5, -1, -(2**63), 2**63 - 1, 9_223_372_036_854])
    def test_wild_times(self, engine, time_ms):
        check_known(engine, request(series(__name__="wild", samples=[(bits_of(2.5), time_ms)])))

    def test_many_days_make_few_partitions(self, engine):
        day = 86_400_000
        sent = [
            series(__name__="days", n=str(n), samples=[(bits_of(1.0), NOW_MS + n * day)])
            for n in range(-4000, 4000, 7)
        ]
        check_known(engine, request(*sent))
        ((partitions,),) = engine.rows(
            f"SELECT uniqExact(_partition_id) FROM trilens.sample_rows WHERE _batch = {Loads.batch}"
        ).rows
        assert partitions <= 33

    @pytest.mark.parametrize(
        "labels",
        [
            {"__name__": "m", "path": "/a?b=c&d"},
            {"__name__": "m", "quote": 'it\'s "so" \\ and\nnew\ttab'},
            {"__name__": "größe", "ключ": "значение", "emoji": "🦊"},
            {"__name__": "m", "long": "x" * 200},
            {"__name__": "m", "longer": "y" * 20_000},
            {"__name__": "m" * 115, "a": "1"},
            {"__name__": "m" * 116, "a": "1"},
            {"__name__": "m" * 300},
            {"a": "no name"},
            {"Upper": "sorts before the name", "__name__": "m"},
            {"__name__": "m", "dropped": "", "kept": "1"},
            {"z": "2", "a": "1", "__name__": "unsorted"},
            {},
            {"__name__": "many", **{f"l{n:03d}": str(n) for n in range(80)}},
        ],
        ids=lambda labels: next(iter(labels), "none"),
    )
    def test_labels(self, engine, labels):
        check_known(engine, request(series(*labels.items(), samples=[(bits_of(7.25), NOW_MS)])))

    def test_order_and_empty_values_do_not_make_a_series(self, engine):
        ways = [
            [("__name__", "one"), ("a", "1"), ("b", "2")],
            [("b", "2"), ("a", "1"), ("__name__", "one")],
            [("__name__", "one"), ("a", "1"), ("aa", ""), ("b", "2")],
        ]
        ids = set()
        for labels in ways:
            write(engine, request(series(*labels, samples=[(bits_of(1.0), NOW_MS)])))
            ids |= {
                row[0]
                for row in engine.rows(
                    "SELECT toString(series_id) FROM trilens.sample_rows "
                    f"WHERE _batch = {Loads.batch}"
                ).rows
            }
        assert len(ids) == 1

    def test_what_only_looks_like_a_sample(self, engine):
        disguise = "\x12\x10\x09abcdefgh\x10€\x80a"
        assert len(disguise.encode()) == 18
        head = series(__name__="disguise", z="", samples=[(bits_of(1.0), NOW_MS)])
        known = KnownSeries()
        for _ in range(COPIES):
            write(engine, request(head), known=known)
        assert write(engine, request(series(__name__="disguise", z=disguise)), known=known) == 0
        assert stored_samples(engine) == []
        check_known(engine, request(series(__name__="disguise", z=disguise, samples=[(0, NOW_MS)])))

    def test_empty_requests_and_series_without_samples(self, engine):
        # Rows of one identity may be merged at any moment.
        count = "SELECT count() FROM trilens.series_rows FINAL"
        before = engine.rows(count).rows
        write(engine, request(), request(series(__name__="nothing")))
        assert stored_samples(engine) == []
        assert engine.rows(count).rows == before

    def test_the_same_sample_twice_is_two_rows(self, engine):
        sent = series(__name__="twice", samples=[(bits_of(3.0), NOW_MS)])
        check_known(engine, request(sent, sent))

    def test_a_load_without_new_series_writes_none(self, engine):
        message = request(series(__name__="known", samples=[(bits_of(1.0), NOW_MS)]))
        known = KnownSeries()
        written = [write(engine, message, known=known) for _ in range(COPIES + 1)]
        assert written == [0] * COPIES + [1]
        found = f"SELECT count() FROM trilens.series_rows WHERE _batch = {Loads.batch}"
        assert engine.rows(found).rows == [(0,)]

    def test_what_is_forgotten_costs_nothing_but_work(self, engine):
        message = request(series(__name__="forgotten", samples=[(bits_of(1.0), NOW_MS)]))
        known = KnownSeries()
        write(engine, message, known=known)
        known.forget()
        assert write(engine, message, known=known) == 0
        found = "SELECT count() FROM trilens.series WHERE metric = 'forgotten'"
        assert engine.rows(found).rows == [(1,)]

    def test_series_times_and_identity_columns(self, engine):
        day = 86_400_000
        labels = {
            "__name__": "seen", "cluster": "c", "container": "k", "job": "j", "namespace": "n",
            "node": "o", "pod": "p", "workload": "w",
        }  # fmt: skip
        known = KnownSeries()
        for time_ms in (NOW_MS, NOW_MS + day):
            write(engine, request(series(*labels.items(), samples=[(0, time_ms)])), known=known)
        columns = "cluster, node, namespace, workload, pod, container, service, source"
        (row,) = engine.rows(
            "SELECT toUnixTimestamp64Milli(first_seen), toUnixTimestamp64Milli(last_seen), "
            f"{columns} FROM trilens.series WHERE metric = 'seen'"
        ).rows
        assert [int(row[0]), int(row[1])] == [NOW_MS, NOW_MS + day]
        assert row[2:] == ("c", "o", "n", "w", "p", "k", "j", "prometheus")

    def test_metadata(self, engine):
        message = V1["WriteRequest"](timeseries=[series(__name__="lat_bucket", samples=[(0, 1)])])
        message.metadata.add(type=3, metric_family_name="lat", help='how "long"\n', unit="s")
        message.metadata.add(type=99, metric_family_name="odd")
        only = V1["WriteRequest"]()
        only.metadata.add(type=1, metric_family_name="alone", help="h")
        write(engine, message, only)
        shown = "SELECT metric, type, unit, help FROM trilens.metadata WHERE metric IN "
        assert engine.rows(f"{shown} ('lat', 'odd', 'alone') ORDER BY metric").rows == [
            ("alone", "counter", "", "h"),
            ("lat", "histogram", "s", 'how "long"\n'),
            ("odd", "unknown", "", ""),
        ]
        kinds = "SELECT kind, unit, help FROM trilens.series WHERE metric = 'lat_bucket'"
        assert engine.rows(kinds).rows == [("histogram", "s", 'how "long"\n')]

    def test_exemplars(self, engine):
        sent = series(__name__="exemplified", a="1", samples=[(bits_of(2.0), NOW_MS)])
        labels = [("trace_id", "4bf9"), ("span_id", "00f0"), ("user", "ü")]
        made = sent.exemplars.add(value=0.1 + 0.2, timestamp=NOW_MS - 3)
        for name, value in labels:
            made.labels.add(name=name, value=value)
        check_known(engine, request(sent))
        (row,) = engine.rows(
            "SELECT metric, labels['a'], value, trace_id, span_id, toString(attributes), "
            "toUnixTimestamp64Milli(timestamp) FROM trilens.exemplars "
            f"WHERE series_id IN (SELECT series_id FROM trilens.exemplar_rows "
            f"WHERE _batch = {Loads.batch}) LIMIT 1"
        ).rows
        assert row[:6] == ("exemplified", "1", 0.1 + 0.2, "4bf9", "00f0", "{'user':'ü'}")
        assert int(row[6]) == NOW_MS - 3

    def test_native_histograms(self, engine):
        sent = series(__name__="native")
        whole = sent.histograms.add(
            count_int=12, sum=math.nan, schema=3, zero_threshold=1e-128, zero_count_int=2,
            positive_deltas=[3, -1, 2, -4], negative_deltas=[1], reset_hint=2, timestamp=NOW_MS,
            start_timestamp=NOW_MS - 5,
        )  # fmt: skip
        whole.positive_spans.add(offset=-4, length=3)
        whole.positive_spans.add(offset=7, length=1)
        whole.negative_spans.add(offset=0, length=1)
        sent.histograms.add(
            count_float=2.5, sum=-1.5, schema=-53, zero_count_float=0.5, custom_values=[0.1, 5.0],
            positive_counts=[0.5, 1.5], timestamp=NOW_MS + 1,
        )  # fmt: skip
        write(engine, request(sent))
        first, second = engine.rows(
            "SELECT is_float, count, isNaN(sum), scale, zero_threshold, zero_count, "
            "toString(positive_spans), positive_counts, negative_spans, negative_counts, "
            "reset_hint, toUnixTimestamp64Milli(start_timestamp), bounds, sum, min "
            "FROM trilens.histograms WHERE metric = 'native' ORDER BY timestamp"
        ).rows
        assert [bool(first[0]), first[1], bool(first[2]), first[3]] == [False, 12, True, 3]
        assert (first[4], first[5], first[6]) == (1e-128, 2, "[(-4,3),(7,1)]")
        assert list(first[7]) == [3, 2, 4, 0]
        assert (list(first[9]), first[10], int(first[11])) == ([1], 2, NOW_MS - 5)
        assert [bool(second[0]), second[1], second[3], second[5]] == [True, 2.5, -53, 0.5]
        assert (list(second[7]), list(second[12]), second[13], second[14]) == (
            [0.5, 1.5], [0.1, 5.0], -1.5, None,
        )  # fmt: skip


names = st.text(min_size=1, max_size=6)
label_lists = st.lists(
    st.tuples(names, st.text(max_size=8) | st.text("xy", min_size=120, max_size=140)),
    max_size=5,
    unique_by=lambda label: label[0],
)
times = st.integers(NOW_MS - 10**9, NOW_MS + 10**9)
any_times = times | st.integers(-(2**63), 2**63 - 1)
all_bits = (
    st.sampled_from(BITS)
    | st.integers(0, 2**64 - 1)
    | st.decimals(-(10**9), 10**9, places=3).map(lambda number: bits_of(float(number)))
)
sample_lists = st.lists(st.tuples(all_bits, times), min_size=1, max_size=1) | st.lists(
    st.tuples(all_bits, any_times, any_times), max_size=3
)
requests = st.lists(
    st.builds(lambda labels, samples: series(*labels, samples=samples), label_lists, sample_lists),
    max_size=6,
).map(lambda sent: request(*sent))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=requests)
@example(message=request())
def test_any_request_comes_back(engine, message):
    check_known(engine, message)


def pairs(**values):
    made = []
    for key, value in values.items():
        pair = KeyValue(key=key)
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        elif isinstance(value, bytes):
            pair.value.bytes_value = value
        elif isinstance(value, list):
            pair.value.array_value.SetInParent()
            for item in value:
                pair.value.array_value.values.add(string_value=item)
        else:
            pair.value.string_value = value
        made.append(pair)
    return made


def export(**resource):
    """A request with one scope, and that scope's list of metrics."""
    message = ExportMetricsServiceRequest()
    sent = message.resource_metrics.add(schema_url="r-schema")
    sent.resource.attributes.extend(pairs(**resource))
    scope = sent.scope_metrics.add()
    scope.scope.name, scope.scope.version = "meter", "1.2"
    scope.scope.attributes.extend(pairs(lib="x"))
    return message, scope.metrics


def shown(engine, columns, view, where):
    return engine.rows(f"SELECT {columns} FROM trilens.{view} WHERE {where}").rows


class TestOtlpMetrics:
    def test_numbers(self, engine):
        message, metrics = export(**{"service.name": "cart", "k8s.pod.name": "cart-1"})
        metric = metrics.add(name="otlp.sum", unit="By", description="how much")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
        values = [("as_int", 2**63 - 1), ("as_int", 0), ("as_int", -5), ("as_double", 0.0)]
        values += [("as_double", float_of(bits)) for bits in BITS]
        for n, (field, value) in enumerate(values):
            point = metric.sum.data_points.add(
                time_unix_nano=NOW_NS + 1_000_000 * n, start_time_unix_nano=NOW_NS
            )
            setattr(point, field, value)
            point.attributes.extend(pairs(zone="eu"))
        for n in range(2):
            assert load(engine, "otlp_metrics", message) == "otlp_metrics.sql"
            found = engine.rows(
                "SELECT toString(reinterpretAsUInt64(trilens_sample_value(mantissa, exponent))) "
                f"FROM trilens.sample_rows WHERE _batch = {Loads.batch} ORDER BY timestamp"
            ).rows
            assert [int(row[0]) for row in found] == [bits_of(float(v)) for _, v in values], n
        exact = engine.rows(
            "SELECT toString(mantissa) FROM trilens.sample_rows "
            f"WHERE _batch = {Loads.batch} ORDER BY timestamp LIMIT 1"
        ).rows
        assert exact == [(str(2**63 - 1),)]
        columns = (
            "toString(labels), toString(resource), scope_name, scope_version, "
            "toString(scope_attributes), schema_url, kind, temporality, is_monotonic, unit, help, "
            "source, service, pod"
        )
        (row,) = shown(engine, columns, "series", "metric = 'otlp.sum'")
        assert row[:8] == (
            "{'zone':'eu'}", "{'k8s.pod.name':'cart-1','service.name':'cart'}", "meter", "1.2",
            "{'lib':'x'}", "r-schema", "sum", "cumulative",
        )  # fmt: skip
        assert (bool(row[8]), *row[9:]) == (True, "By", "how much", "otlp", "cart", "cart-1")
        assert shown(engine, "type, unit, help", "metadata", "metric = 'otlp.sum'") == [
            ("counter", "By", "how much")
        ]

    def test_no_recorded_value_is_the_stale_marker(self, engine):
        message, metrics = export()
        metric = metrics.add(name="otlp.stale")
        metric.gauge.data_points.add(time_unix_nano=NOW_NS, as_double=1.0, flags=1)
        metric.gauge.data_points.add(time_unix_nano=NOW_NS + 1_000_000)
        load(engine, "otlp_metrics", message)
        found = shown(
            engine, "toString(reinterpretAsUInt64(value)), flags", "samples",
            "metric = 'otlp.stale' ORDER BY timestamp",
        )  # fmt: skip
        assert found == [(str(STALE), 1), (str(STALE), 0)]

    @pytest.mark.parametrize(
        ("value", "text", "used"),
        [
            ("it's", "it's", "otlp_metrics.sql"),
            (True, "true", "otlp_metrics.sql"),
            (-7, "-7", "otlp_metrics.sql"),
            (0.5, "0.5", "otlp_metrics.sql"),
            (b"\x00\xff", "AP8=", "otlp_metrics_nested.sql"),
            (["a", "b"], '["a","b"]', "otlp_metrics_nested.sql"),
        ],
    )
    def test_attributes_of_every_type(self, engine, value, text, used):
        message, metrics = export()
        name = f"otlp.attribute.{type(value).__name__}"
        point = metrics.add(name=name).gauge.data_points.add(time_unix_nano=NOW_NS, as_int=1)
        point.attributes.extend(pairs(a=value))
        assert load(engine, "otlp_metrics", message) == used
        assert shown(engine, "labels['a'], value", "samples", f"metric = '{name}'") == [(text, 1)]

    def test_identity_is_of_all_that_names_a_series(self, engine):
        count = 0
        for resource in ({}, {"service.name": "other"}):
            for unit in ("", "s"):
                for kind in ("gauge", "sum"):
                    message, metrics = export(**resource)
                    metric = metrics.add(name="otlp.identity", unit=unit)
                    points = getattr(metric, kind).data_points
                    for labels in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}):
                        point = points.add(time_unix_nano=NOW_NS, as_int=1)
                        point.attributes.extend(pairs(**labels))
                    load(engine, "otlp_metrics", message)
                    count += 1
        assert shown(engine, "count()", "series", "metric = 'otlp.identity'") == [(count,)]

    def test_histograms(self, engine):
        message, metrics = export()
        metric = metrics.add(name="otlp.classic")
        metric.histogram.aggregation_temporality = 1
        metric.histogram.data_points.add(
            time_unix_nano=NOW_NS, count=2**63, sum=0.0, min=0.0, bucket_counts=[0, 2**63],
            explicit_bounds=[0.5],
        )  # fmt: skip
        metric.histogram.data_points.add(time_unix_nano=NOW_NS + 1_000_000, count=1)
        load(engine, "otlp_metrics", message)
        columns = (
            "kind, toString(count), sum, min, max, bounds, toString(bucket_counts), temporality"
        )
        first, second = shown(
            engine, columns, "histograms", "metric = 'otlp.classic' ORDER BY timestamp"
        )
        assert first[0] == "histogram"
        assert first[2:] == (0.0, 0.0, None, [0.5], f"[0,{2**63}]", "delta")
        assert second[2:6] == (None, None, None, [])

    def test_exponential_histograms(self, engine):
        message, metrics = export()
        metric = metrics.add(name="otlp.exponential")
        metric.exponential_histogram.aggregation_temporality = 2
        point = metric.exponential_histogram.data_points.add(
            time_unix_nano=NOW_NS, count=6, sum=1.5, scale=-2, zero_count=3, zero_threshold=0.25,
            max=9.0,
        )  # fmt: skip
        point.positive.offset = -7
        point.positive.bucket_counts.extend([1, 0, 2])
        load(engine, "otlp_metrics", message)
        columns = (
            "kind, count, sum, min, max, scale, zero_count, zero_threshold, "
            "toString(positive_spans), positive_counts, negative_counts"
        )
        assert shown(engine, columns, "histograms", "metric = 'otlp.exponential'") == [
            ("exponential_histogram", 6, 1.5, None, 9.0, -2, 3, 0.25, "[(-7,3)]", [1, 0, 2], [])
        ]

    def test_summaries(self, engine):
        message, metrics = export()
        point = metrics.add(name="otlp.summary").summary.data_points.add(
            time_unix_nano=NOW_NS, count=4, sum=2.5
        )
        point.quantile_values.add(quantile=0.5, value=1.0)
        point.quantile_values.add(quantile=0.99, value=7.5)
        load(engine, "otlp_metrics", message)
        columns = "kind, count, sum, bounds, quantile_values"
        assert shown(engine, columns, "histograms", "metric = 'otlp.summary'") == [
            ("summary", 4, 2.5, [0.5, 0.99], [1.0, 7.5])
        ]

    def test_exemplars(self, engine):
        message, metrics = export()
        point = metrics.add(name="otlp.exemplified").gauge.data_points.add(
            time_unix_nano=NOW_NS, as_double=1.0
        )
        whole = point.exemplars.add(
            time_unix_nano=NOW_NS + 2_000_000, as_int=2**60 + 1, trace_id=b"\x01" * 16,
            span_id=b"\xab" * 8,
        )  # fmt: skip
        whole.filtered_attributes.extend(pairs(user="u"))
        point.exemplars.add(time_unix_nano=NOW_NS, as_double=-0.0)
        load(engine, "otlp_metrics", message)
        columns = "toString(reinterpretAsUInt64(value)), trace_id, span_id, toString(attributes)"
        assert shown(
            engine, columns, "exemplars", "metric = 'otlp.exemplified' ORDER BY timestamp"
        ) == [
            (str(bits_of(-0.0)), "", "", "{}"),
            (str(bits_of(float(2**60 + 1))), "01" * 16, "ab" * 8, "{'user':'u'}"),
        ]

    def test_metrics_without_data_or_points(self, engine):
        message, metrics = export()
        metrics.add(name="otlp.nothing")
        metrics.add(name="otlp.no.points").gauge.SetInParent()
        load(engine, "otlp_metrics", message, ExportMetricsServiceRequest())
        assert shown(engine, "count()", "series", "metric LIKE 'otlp.no%'") == [(0,)]

    def test_times_of_zero_and_behind_the_end(self, engine):
        message, metrics = export()
        points = metrics.add(name="otlp.times").gauge.data_points
        points.add(as_int=1)
        points.add(as_int=2, time_unix_nano=2**64 - 1)
        load(engine, "otlp_metrics", message)
        found = shown(
            engine, "toUnixTimestamp64Milli(timestamp)", "samples",
            "metric = 'otlp.times' ORDER BY value",
        )  # fmt: skip
        assert int(found[0][0]) > NOW_MS - 10**12
        assert int(found[1][0]) == (2**64 - 1) // 1_000_000


def test_a_metric_is_found_by_the_sort_key(engine):
    plan = "\n".join(
        row[0]
        for row in engine.rows(
            "EXPLAIN indexes = 1 SELECT labels, value FROM trilens.samples "
            "WHERE metric = 'floats' AND timestamp >= '2026-01-01 00:00:00'"
        ).rows
    )
    assert plan.count("metric in ['floats', 'floats']") == 2
