"""Messages of OTLP as columns: values of any type, blocks and bodies, and bytes that are nothing."""

import base64
import json
import math
import struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from storing import MEMORY_BYTES_MAX, Store, spans
from trilens.protobuf_wire import block, fixed64, number
from trilens.store import otlp_columns
from trilens.store.engine import Undecodable
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.load import Load
from trilens.store.otlp_columns import traces

T = 1_790_000_000_123_456_789
BLOCK_BYTES = 2 << 20
BLOCK_RECORDS_MAX = 16384
LEVELS_MAX = 100
FUZZED = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LOADED = settings(FUZZED, max_examples=8)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("columns"), MEMORY_BYTES_MAX)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def store(tmp_path, embedded):
    store = Store(tmp_path, embedded).start()
    yield store
    store.stop()


def request(*spans_in, resource=b"", scope=b""):
    """Bytes of a request of one scope, of bytes of its spans."""
    group = block(1, scope) + b"".join(block(2, span) for span in spans_in)
    return block(1, block(1, resource) + block(2, group))


def span_of(*values):
    """Bytes of a span with these AnyValues as attributes 0, 1, .."""
    pairs = (block(1, str(n).encode()) + block(2, value) for n, value in enumerate(values))
    return fixed64_field(7, T) + b"".join(block(9, pair) for pair in pairs)


def fixed64_field(field, value):
    return bytes([field << 3 | 1]) + fixed64(value)


def loaded(store, *messages):
    """Rows of spans that were loaded with these, all columns by name."""
    store.engine.command("TRUNCATE TABLE trilens.span_rows")
    written = Load(store.engine, "otlp_traces").run(1, messages)
    shown = store.engine.rows("SELECT * FROM trilens.spans ORDER BY timestamp, name")
    assert written == len(shown.rows)
    return [dict(zip(shown.names, row, strict=True)) for row in shown.rows]


def any_value(value):
    """Bytes of an AnyValue."""
    match value:
        case None:
            return b""
        case bool():
            return number(2, value)
        case int():
            return number(3, value)
        case float():
            return b"\x21" + struct.pack("<d", value)
        case str():
            return block(1, value.encode())
        case bytes():
            return block(7, value)
        case list():
            return block(5, b"".join(block(1, any_value(item)) for item in value))
    pairs = (block(1, key.encode()) + block(2, any_value(of)) for key, of in value.items())
    return block(6, b"".join(block(1, pair) for pair in pairs))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    st.none(), TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(),
    st.binary(max_size=7),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
NAMES = {
    type(None): "", str: "string", bool: "bool", int: "int", float: "double", list: "array",
    dict: "kvlist", bytes: "bytes",
}  # fmt: skip


def as_read(value):
    """A value of JSON, or the text of a scalar."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            sign = "-" if math.copysign(1, value) < 0 else ""
            return sign + ("nan" if math.isnan(value) else "inf")
        case list():
            return [as_read(item) for item in value]
        case dict():
            return {key: as_read(item) for key, item in value.items()}
    return value


def scalar_text(value):
    if value is None:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return str(value).lower() if isinstance(value, bool) else str(as_read(value))


def is_same(read, sent):
    """Equal, where a double may be written like an integer."""
    if isinstance(sent, dict):
        return read.keys() == sent.keys() and all(is_same(read[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(read) == len(sent) and all(map(is_same, read, sent))
    if isinstance(sent, float):
        return float(read) == sent
    return type(read) is type(sent) and read == sent


@given(st.lists(TREES, min_size=1, max_size=60))
@example([{"a": [[[[[[["deep", {"b": [b"x", None, 1e300]}]]]]]]]}])
@LOADED
def test_any_tree_of_values_comes_back(store, values):
    (row,) = loaded(store, request(span_of(*map(any_value, values))))
    assert row["attribute_types"] == [NAMES[type(value)] for value in values]
    for text, value in zip(row["attributes"].values(), values, strict=True):
        if isinstance(value, list | dict):
            assert is_same(json.loads(text), as_read(value))
        elif isinstance(value, float) and math.isfinite(value):
            assert float(text) == value
        else:
            assert text == scalar_text(value)


ROUND = st.builds(math.ldexp, st.integers(-(2**53), 2**53), st.integers(-1074, 970))
DECIMAL = st.builds(lambda digits, places: float(f"{digits}e{places}"),
                    st.integers(-(10**6), 10**6), st.integers(-30, 30))  # fmt: skip


@given(st.lists(st.floats() | ROUND | DECIMAL, min_size=1, max_size=500))
@example([0.0, -0.0, 1e20, 1e21, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, 2.0**60, 0.1, 100.0])
@LOADED
def test_doubles_are_written_as_the_engine_writes_them(store, values):
    (row,) = loaded(store, request(span_of(*map(any_value, values))))
    words = [struct.unpack("<q", struct.pack("<d", value))[0] for value in values]
    sql = "SELECT arrayMap(x -> toString(reinterpretAsFloat64(x)), {words:Array(Int64)})"
    ((engines,),) = store.engine.rows(sql, params={"words": words}).rows
    assert list(row["attributes"].values()) == engines


def test_doubles_that_json_lacks(store):
    values = [math.nan, -math.nan, math.inf, -math.inf]
    (row,) = loaded(store, request(span_of(any_value(values), *map(any_value, values))))
    listed, *plain = row["attributes"].values()
    assert listed == '["nan","-nan","inf","-inf"]'
    assert plain == ["nan", "nan", "inf", "-inf"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=40))
@example(["".join(map(chr, range(256))), "\u2027\u2028\u2029\u202a", "a/b", "\u2028" * 3])
@LOADED
def test_texts_in_lists_are_written_as_the_engine_writes_json(store, texts):
    (row,) = loaded(store, request(span_of(*(any_value([text]) for text in texts))))
    sql = (
        "SELECT arrayMap(x -> toJSONString([unhex(x)]), {texts:Array(String)}) "
        "SETTINGS output_format_json_escape_forward_slashes = 0"
    )
    texts_hex = [text.encode().hex() for text in texts]
    ((engines,),) = store.engine.rows(sql, params={"texts": texts_hex}).rows
    assert list(row["attributes"].values()) == engines


def test_of_equal_fields_the_last_counts_and_messages_in_parts_are_one(store):
    span = span_of(any_value("first") + any_value(2)) + block(5, b"no") + block(5, b"name")
    span += block(15, number(3, 1)) + block(15, block(2, b"told"))
    group = block(2, span) + block(1, block(1, b"lib")) + block(1, block(2, b"1")) + block(3, b"s")
    pair = block(1, b"service.name") + block(2, any_value("late"))
    (row,) = loaded(store, block(1, block(2, group) + block(3, b"r") + block(1, block(1, pair))))
    assert (row["attributes"], row["attribute_types"]) == ({"0": "2"}, ["int"])
    assert (row["name"], row["status"], row["status_message"]) == ("name", "OK", "told")
    assert (row["scope_name"], row["scope_version"], row["schema_url"]) == ("lib", "1", "s")
    assert (row["resource"], row["service"]) == ({"service.name": "late"}, "late")


def test_unknown_fields_of_every_type_are_passed_over(store):
    group = b"\xa3\x06" + number(1, 1) + b"\xab\x06\xac\x06" + b"\xa4\x06"
    other = number(99, 2**64 - 1) + fixed64_field(9, 1) + b"\x55" + bytes(4) + group
    # A known number with another wire type is unknown too.
    span = other + number(5, 7) + block(7, b"time") + block(5, b"name") + number(11, 3)
    message = other + request(span, scope=other, resource=other)
    (row,) = loaded(store, message)
    assert (row["name"], row["events"], row["resource"]) == ("name", [], {})


def nested(levels):
    value = any_value("x")
    for _ in range(levels):
        value = block(5, block(1, value))
    return request(span_of(value))


def test_lists_in_lists_end_where_the_receiver_ends_too(store):
    (row,) = loaded(store, nested(LEVELS_MAX - 1))
    assert row["attributes"]["0"] == "[" * 99 + '"x"' + "]" * 99
    for levels in (LEVELS_MAX, 100_000):
        with pytest.raises(Undecodable):
            list(traces([nested(levels)]))


def test_a_request_of_many_spans_is_many_blocks_that_know_where_they_belong(store):
    count = 3 * BLOCK_RECORDS_MAX + 7
    many = [fixed64_field(7, T) + block(5, str(n).encode()) for n in range(count)]
    pair = block(1, b"service.name") + block(2, any_value("cart"))
    message = request(*many, resource=block(1, pair), scope=block(1, b"lib")) + request(b"")
    (blocks,) = traces([message, request(b""), b""])
    assert len(blocks) == 4
    assert len(loaded(store, message, request(b""), b"")) == count + 2
    sql = "SELECT service, scope_name, count(), uniqExact(name) FROM trilens.spans GROUP BY ALL"
    assert sorted(store.rows(sql)) == [("", "", 2, 1), ("cart", "lib", count, count)]


def test_blocks_and_bodies_have_a_size(store, monkeypatch):
    """However much larger than the message its columns are."""
    monkeypatch.setattr(otlp_columns, "BODY_BYTES_MIN", 3 << 20)
    message = request(*[b""] * 100_000)
    assert len(message) < 300_000
    bodies = list(traces([message, message]))
    assert len(bodies) > 2
    assert all(len(block) <= 1.5 * BLOCK_BYTES for blocks in bodies for block in blocks)
    assert all(3 << 20 <= sum(map(len, blocks)) <= 6 << 20 for blocks in bodies[:-1])
    assert Load(store.engine, "otlp_traces").run(1, [message, message]) == 200_000
    assert store.counts() == {"span_rows": 200_000}


def test_usual_spans_are_one_body():
    message = request(*[span_of(*[any_value("a value of some length")] * 11)] * 1000)
    (blocks,) = traces([message] * 60)
    assert sum(map(len, blocks)) < 60 * len(message)


def test_a_name_more_than_the_width_of_its_number_has_room_for(store):
    for count in (255, 256, 257, 65_535, 65_536, 65_537):
        pairs = (block(1, f"k{n}".encode()) + block(2, any_value(n)) for n in range(count))
        (row,) = loaded(store, request(b"".join(block(9, pair) for pair in pairs)))
        assert row["attributes"] == {f"k{n}": str(n) for n in range(count)}


def test_a_frame_that_is_no_request_becomes_a_dead_letter(store):
    store.loader.stop(10)
    for payload in (spans("a", "b"), spans("c")[:-1], nested(100), spans("d"), b"", b"\xff"):
        store.put("otlp_traces", payload)
    store.start_loader()
    store.until_idle()
    assert store.letters.totals() == {"otlp_traces": 3}
    assert store.rows("SELECT name FROM trilens.spans ORDER BY name") == [("a",), ("b",), ("d",)]


WHOLE = request(
    span_of(*map(any_value, ["text", 1, -1, True, 0.5, b"xyz", None, [1, "a", {"k": [2.5]}], {}]))
    + block(1, bytes(16)) + block(11, fixed64_field(1, T) + block(2, b"event"))
    + block(13, block(1, bytes(16))) + block(15, number(3, 2)),
    resource=block(1, block(1, b"service.name") + block(2, any_value("cart"))),
    scope=block(1, b"lib") + block(2, b"1.2"),
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 4), st.binary(max_size=6)),
    min_size=1, max_size=6,
)  # fmt: skip


@given(CHANGES)
@settings(FUZZED, max_examples=3000)
def test_changed_bytes_are_read_or_refused(changes):
    """What the reference decoder reads is read, and nothing ends the process."""
    message = WHOLE
    for place, removed, inserted in changes:
        message = message[:place] + inserted + message[place + removed :]
    try:
        ExportTraceServiceRequest.FromString(message)
    except Exception:  # noqa: BLE001 - upb has errors of its own
        try:
            list(traces([message]))
        except Undecodable:
            return
    else:
        list(traces([message]))


def test_every_part_of_a_request_alone():
    for end in range(len(WHOLE)):
        for part in (WHOLE[:end], WHOLE[end:]):
            try:
                list(traces([part]))
            except Undecodable:
                continue


@given(SCALARS)
def test_any_value_is_what_the_schema_says(value):
    """The helper of these tests agrees with the reference encoder."""
    parsed = AnyValue.FromString(any_value(value))
    field = parsed.WhichOneof("value")
    assert (field is None) == (value is None)
    if field and not (isinstance(value, float) and math.isnan(value)):
        assert getattr(parsed, field) == value
