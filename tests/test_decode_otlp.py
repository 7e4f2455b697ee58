"""What decode/otlp_*.sql make of OTLP, run by the real engine and read through the views."""

import base64
import json
import math
import re
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from trilens.store import any_value, otlp_columns
from trilens.store.engine import EngineError
from trilens.store.engine_embedded import EmbeddedEngine

SCHEMA = Path(any_value.__file__).parent / "schema"
MACROS = {"{{on_cluster}}": "", "{{shard}}": "", "{{MergeTree}}": "MergeTree"}
REFUSED_BY_THROW_IF = 395
T = 1_790_000_000_123_456_789
LEVELS_KEPT = 5


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("decode"), 2_000_000_000)
    embedded.start()
    for name in ("0001_logs.sql", "0002_spans.sql"):
        text = (SCHEMA / name).read_text()
        for macro, value in MACROS.items():
            text = text.replace(macro, value)
        for statement in statements(text):
            embedded.engine.command(statement)
    yield embedded.engine
    embedded.stop()


class Loads:
    """Numbers for loads, and the loader's rule: the fallback on code 395, once more on another."""

    batch = 0

    def __call__(self, engine, name, *messages):
        Loads.batch += 1
        packed = [message.SerializeToString() for message in messages]
        bodies = [b"".join(map(delimited, packed))]
        if name == "otlp_traces.sql":
            bodies = otlp_columns.traces(packed)
        used = name
        while True:
            text = any_value.decode_sql(used)
            try:
                for statement, body in product(statements(text), bodies):
                    engine.insert(statement, body, params={"batch": Loads.batch})
            except EngineError as error:
                fallback = re.search(rf"^{any_value.FALLBACK}(\S+)$", text, re.MULTILINE)
                if error.code != REFUSED_BY_THROW_IF or fallback is None:
                    raise
                used = fallback[1]
            else:
                return used


load = Loads()


def statements(text):
    parts = re.split(r"^;\s*$", text, flags=re.MULTILINE)
    return [part for part in parts if re.sub(r"--[^\n]*|\s", "", part)]


def delimited(body):
    length, head = len(body), bytearray()
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + body


def rows(engine, view, order="timestamp"):
    table = {"spans": "span_rows", "logs": "log_rows"}[view]
    shown = engine.rows(
        f"SELECT * FROM trilens.{view} WHERE (timestamp, ingested_at) IN "
        f"(SELECT timestamp, ingested_at FROM trilens.{table} WHERE _batch = {Loads.batch}) "
        f"ORDER BY {order}"
    )
    return [dict(zip(shown.names, row, strict=True)) for row in shown.rows]


def put(target, value):
    """Fill an AnyValue."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            put(target.array_value.values.add(), item)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, item in value.items():
            pair = target.kvlist_value.values.add(key=key)
            put(pair.value, item)
    return target


def pairs(**values):
    made = []
    for key, value in values.items():
        pair = KeyValue(key=key)
        put(pair.value, value)
        made.append(pair)
    return made


def endless_text(value):
    sign = "-" if math.copysign(1, value) < 0 else ""
    return sign + ("nan" if math.isnan(value) else "inf")


def as_json(value, levels=LEVELS_KEPT):
    """What JSON a value becomes: doubles that JSON lacks as text, deep lists as their bytes."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return endless_text(value)
    if isinstance(value, list | dict) and levels == 0:
        made = put(AnyValue(), value)
        inner = made.array_value if isinstance(value, list) else made.kvlist_value
        return base64.b64encode(inner.SerializeToString()).decode()
    if isinstance(value, list):
        return [as_json(item, levels - 1) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item, levels - 1) for key, item in value.items()}
    return value


def span_request(*spans, resource=(), scope=None):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://resource/1")
    group.resource.attributes.extend(resource)
    inner = group.scope_spans.add()
    if scope:
        inner.scope.CopyFrom(scope)
    inner.spans.extend(spans)
    return request


def log_request(*records, resource=()):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(resource)
    group.scope_logs.add(schema_url="https://scope/2").log_records.extend(records)
    return request


def full_span():
    span = Span(
        trace_id=bytes(range(16)),
        span_id=b"\xff" * 8,
        parent_span_id=b"\x01" * 8,
        trace_state="a=1,b=2",
        name="GET /",
        kind=3,
        start_time_unix_nano=T,
        end_time_unix_nano=T + 1_500,
        dropped_attributes_count=1,
        dropped_events_count=2,
        dropped_links_count=3,
        flags=0x301,
    )
    span.attributes.extend(
        pairs(
            text="naïve 'quoted' \\ \n\t\0 🙂",
            empty="",
            long="x" * 128,
            longer="y" * 40_000,
            zero=0,
            one=1,
            wide=300,
            lowest=-(2**63),
            highest=2**63 - 1,
            negative=-1,
            time=T,
            yes=True,
            no=False,
            half=0.5,
            nothing_float=0.0,
            not_a_number=math.nan,
            endless=-math.inf,
        )
    )
    span.attributes.add(key="unset").value.SetInParent()
    span.attributes.add(key="absent")
    event = span.events.add(time_unix_nano=T + 5, name="exception", dropped_attributes_count=4)
    event.attributes.extend(pairs(message="oh", count=2))
    span.events.add(name="no time")
    link = span.links.add(
        trace_id=b"\x02" * 16,
        span_id=b"\x03" * 8,
        trace_state="c=3",
        flags=7,
        dropped_attributes_count=5,
    )
    link.attributes.extend(pairs(why="follows"))
    span.status.code = 2
    span.status.message = "it broke"
    return span


RESOURCE = {
    "service.name": "cart", "k8s.cluster.name": "c1", "k8s.node.name": "n1", "host.name": "h1",
    "k8s.namespace.name": "shop", "k8s.statefulset.name": "cart-set", "k8s.pod.name": "cart-0",
    "k8s.container.name": "app", "process.command_args": ["java", "-jar", 'a "b".jar'],
}  # fmt: skip
IDENTITY = {
    "service": "cart", "cluster": "c1", "node": "n1", "namespace": "shop",
    "workload": "cart-set", "pod": "cart-0", "container": "app",
}  # fmt: skip


def at(nanoseconds):
    """A DateTime64(9) as the engine's client gives it."""
    second, rest = divmod(nanoseconds, 10**9)
    start = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
    return f"{start + timedelta(seconds=second)}.{rest:09}"


def is_now(shown):
    age = datetime.now(UTC) - datetime.fromisoformat(shown[:26]).replace(tzinfo=UTC)
    return abs(age) < timedelta(minutes=5)


def test_a_load_builds_the_index_of_attributes(engine):
    """Rows come out of this index alone: the engine fails (code 43) at a part that has none."""
    engine.command("SYSTEM STOP MERGES trilens.span_rows")
    load(engine, "otlp_traces.sql", span_request(Span(attributes=pairs(loaded_by="me"))))
    sql = "SELECT count(), sum(duration_ns) FROM trilens.spans WHERE has(attribute_pairs, {pair:String})"
    assert engine.rows(sql, params={"pair": "loaded_by=me"}).rows == [(1, 0)]
    engine.command("SYSTEM START MERGES trilens.span_rows")


def test_every_field_of_a_span(engine):
    scope = InstrumentationScope(name="lib", version="1.2", attributes=pairs(short=True))
    request = span_request(full_span(), resource=pairs(**RESOURCE), scope=scope)
    load(engine, "otlp_traces.sql", request)
    (row,) = rows(engine, "spans")
    assert row.pop("ingested_at") is not None
    assert row.pop("attribute_pairs")[0].startswith("text=naïve")
    attributes, types = row.pop("attributes"), row.pop("attribute_types")
    assert row == IDENTITY | {
        "timestamp": at(T),
        "duration_ns": 1_500,
        "trace_id": "000102030405060708090a0b0c0d0e0f",
        "span_id": "ff" * 8,
        "parent_span_id": "01" * 8,
        "trace_state": "a=1,b=2",
        "name": "GET /",
        "kind": "CLIENT",
        "status": "ERROR",
        "status_message": "it broke",
        "events": [
            {"timestamp": at(T + 5), "name": "exception", "dropped_attributes_count": 4,
             "attributes": {"message": "oh", "count": "2"}},
            {"timestamp": at(0), "name": "no time", "dropped_attributes_count": 0,
             "attributes": {}},
        ],
        "links": [
            {"trace_id": "02" * 16, "span_id": "03" * 8, "trace_state": "c=3",
             "attributes": {"why": "follows"}, "flags": 7, "dropped_attributes_count": 5},
        ],
        "resource": {**RESOURCE, "process.command_args": '["java","-jar","a \\"b\\".jar"]'},
        "scope_name": "lib",
        "scope_version": "1.2",
        "scope_attributes": {"short": "true"},
        "schema_url": "https://resource/1",
        "flags": 0x301,
        "dropped_attributes_count": 1,
        "dropped_events_count": 2,
        "dropped_links_count": 3,
    }  # fmt: skip
    sent = {pair.key: pair.value for pair in full_span().attributes}
    assert list(attributes) == list(sent)
    assert attributes == {key: scalar_text(value) for key, value in sent.items()}
    names = dict(zip(attributes, types, strict=True))
    assert [names[key] for key in ("empty", "zero", "no", "nothing_float", "unset", "absent")] == [
        "string", "int", "bool", "double", "", "",
    ]  # fmt: skip


def scalar_text(value):
    match value.WhichOneof("value"):
        case None:
            return ""
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "double_value" if math.isfinite(value.double_value):
            return f"{value.double_value:g}"
        case "double_value":
            return endless_text(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case field:
            return str(getattr(value, field))


def test_which_statement_reads_what(engine):
    def used(**values):
        return load(engine, "otlp_logs.sql", log_request(LogRecord(attributes=pairs(**values))))

    assert used(a="b", c=1, d=0.5, e=True) == "otlp_logs.sql"
    assert used(a=["b"]) == "otlp_logs_nested.sql"
    assert used(a={"b": 1}) == "otlp_logs_nested.sql"
    assert used(a=b"bytes") == "otlp_logs_nested.sql"
    assert used(a=[["b"]]) == "otlp_logs_deep.sql"


def test_ids_of_any_length_and_wild_enums_and_times(engine):
    day_ns = 86_400 * 10**9
    records = [
        Span(trace_id=b"", span_id=b"\x01", parent_span_id=b"\x02" * 40, kind=99, name=""),
        Span(name="end only", end_time_unix_nano=T),
        Span(name="backwards", start_time_unix_nano=T, end_time_unix_nano=T - 1),
        Span(name="far", start_time_unix_nano=2**64 - 1, end_time_unix_nano=2**64 - 1),
        Span(name="beyond", start_time_unix_nano=2**63 + 7),
    ]
    records[0].status.code = -5
    records += [
        Span(name="day", start_time_unix_nano=1 + day * day_ns) for day in range(0, 60_000, 150)
    ]
    load(engine, "otlp_traces.sql", span_request(*records))
    named = {row["name"]: row for row in rows(engine, "spans")}
    assert len(rows(engine, "spans")) == len(records)
    first = named[""]
    assert (first["trace_id"], first["span_id"], first["parent_span_id"]) == ("", "01", "02" * 40)
    assert (first["kind"], first["status"]) == ("UNSPECIFIED", "UNSET")
    assert is_now(first["timestamp"])
    assert (named["end only"]["timestamp"], named["end only"]["duration_ns"]) == (at(T), 0)
    assert named["backwards"]["duration_ns"] == 0
    assert named["far"]["timestamp"] == named["beyond"]["timestamp"] == at(2**63 - 1)
    partitions = engine.rows(
        f"SELECT uniqExact(_partition_id) FROM trilens.span_rows WHERE _batch = {Loads.batch}"
    )
    assert partitions.rows[0][0] <= 33


def test_equal_keys_keep_the_first(engine):
    doubled = [*pairs(a=1), *pairs(b="x"), *pairs(a=2)]
    span = Span(attributes=doubled)
    span.events.add(attributes=doubled)
    load(engine, "otlp_traces.sql", span_request(span, resource=doubled))
    (row,) = rows(engine, "spans")
    assert row["attributes"] == row["resource"] == {"a": "1", "b": "x"}
    assert row["events"][0]["attributes"] == {"a": "1", "b": "x"}
    assert row["attribute_types"] == ["int", "string"]
    stored = engine.rows(
        "SELECT length(mapKeys(attributes)), length(mapKeys(resource)) FROM trilens.span_rows "
        f"WHERE _batch = {Loads.batch}"
    )
    assert stored.rows == [(2, 2)]


def test_unknown_fields_do_not_change_values(engine):
    text, number = pairs(a="text")[0], pairs(b=7)[0]
    text.value.MergeFromString(b"\x40\x05")  # string_value_strindex, which profiles have
    number.value.MergeFromString(b"\x40\x05")
    raw = [pair.SerializeToString() for pair in (text, number)]
    # The reference decoder lets the last member of a oneof win: these are both, text then int.
    raw.append(b"\x0a\x01c\x12\x05\x0a\x01x\x18\x05")
    span = Span()
    span.MergeFromString(b"".join(b"\x4a" + bytes([len(pair)]) + pair for pair in raw))
    body = span_request()
    body.resource_spans[0].scope_spans[0].spans.append(span)
    load(engine, "otlp_traces.sql", body)
    (row,) = rows(engine, "spans")
    assert row["attributes"]["c"] == "5"
    assert row["attribute_types"][2] == "int"


def test_every_field_of_a_log_record(engine):
    record = LogRecord(
        time_unix_nano=T,
        observed_time_unix_nano=T + 9_000,
        severity_number=18,
        severity_text="Severe",
        dropped_attributes_count=6,
        flags=1,
        trace_id=b"\x0a" * 16,
        span_id=b"\x0b" * 8,
        event_name="started",
        attributes=pairs(path="/var/log/a.log", line=7),
    )
    record.body.string_value = 'it\'s "here" \\ ' + "long " * 60
    load(engine, "otlp_logs.sql", log_request(record, resource=pairs(**RESOURCE)))
    (row,) = rows(engine, "logs")
    assert row.pop("ingested_at") is not None
    assert row == IDENTITY | {
        "timestamp": at(T),
        "observed_at": at(T + 9_000),
        "severity": "ERROR",
        "severity_text": "Severe",
        "severity_number": 18,
        "body": record.body.string_value,
        "trace_id": "0a" * 16,
        "span_id": "0b" * 8,
        "attributes": {"path": "/var/log/a.log", "line": "7"},
        "attribute_types": ["string", "int"],
        "resource": {**RESOURCE, "process.command_args": '["java","-jar","a \\"b\\".jar"]'},
        "scope_name": "",
        "scope_version": "",
        "scope_attributes": {},
        "schema_url": "https://scope/2",
        "event_name": "started",
        "flags": 1,
        "dropped_attributes_count": 6,
    }


@pytest.mark.parametrize(
    ("number", "text", "severity"),
    [
        (0, "", ""), (0, "nonsense", ""), (0, "Warning", "WARN"), (0, "CRITICAL", "FATAL"),
        (1, "", "TRACE"), (4, "", "TRACE"), (5, "", "DEBUG"), (9, "x", "INFO"), (12, "", "INFO"),
        (13, "", "WARN"), (17, "", "ERROR"), (24, "INFO", "FATAL"), (25, "info", "INFO"),
        (-3, "", ""), (2**31 - 1, "error", "ERROR"),
    ],
)  # fmt: skip
def test_severity(engine, number, text, severity):
    record = LogRecord(time_unix_nano=T, severity_text=text)
    record.MergeFromString(b"\x10" + varint(number & (2**64 - 1)))
    load(engine, "otlp_logs.sql", log_request(record))
    (row,) = rows(engine, "logs")
    assert (row["severity"], row["severity_text"]) == (severity, text)
    assert row["severity_number"] == min(max(number, 0), 255)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def test_times_of_log_records(engine):
    records = [
        LogRecord(observed_time_unix_nano=T, event_name="observed"),
        LogRecord(event_name="none"),
        LogRecord(time_unix_nano=T, event_name="time"),
        LogRecord(time_unix_nano=2**64 - 1, observed_time_unix_nano=1, event_name="wild"),
    ]
    load(engine, "otlp_logs.sql", log_request(*records))
    named = {row["event_name"]: row for row in rows(engine, "logs")}
    assert named["observed"]["timestamp"] == named["observed"]["observed_at"] == at(T)
    assert named["none"]["timestamp"] == named["none"]["observed_at"]
    assert is_now(named["none"]["timestamp"])
    assert named["time"]["timestamp"] == at(T)
    assert named["wild"]["timestamp"] == at(2**63 - 1)
    assert named["wild"]["observed_at"] == at(1)


def test_empty_requests_write_nothing(engine):
    for name, kind in (
        ("otlp_traces.sql", ExportTraceServiceRequest), ("otlp_logs.sql", ExportLogsServiceRequest),
    ):  # fmt: skip
        assert load(engine, name, kind(), kind()) == name
    load(engine, "otlp_traces.sql", span_request())
    assert rows(engine, "spans") == []


def test_a_batch_is_found_and_deleted(engine):
    load(engine, "otlp_logs.sql", log_request(LogRecord(time_unix_nano=T)))
    load(engine, "otlp_logs.sql", log_request(*[LogRecord(time_unix_nano=T)] * 10))
    mine, sql = Loads.batch, "SELECT count() FROM trilens.log_rows"
    before = engine.rows(f"{sql} WHERE _batch != {mine}").rows
    engine.command(f"DELETE FROM trilens.log_rows WHERE _batch = {mine}")
    assert engine.rows(f"{sql} WHERE _batch = {mine}").rows == [(0,)]
    assert engine.rows(f"{sql} WHERE _batch != {mine}").rows == before


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=6)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


def is_same(read, sent):
    """Equal, where a double may be written as an integer of more digits than it has."""
    if isinstance(sent, dict):
        return read.keys() == sent.keys() and all(is_same(read[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(read) == len(sent) and all(map(is_same, read, sent))
    if isinstance(sent, float):
        return float(read) == sent
    return type(read) is type(sent) and read == sent


@given(values=st.lists(TREES, min_size=1, max_size=40))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_tree_of_values_comes_back(engine, values):
    records = []
    for place, value in enumerate(values):
        record = LogRecord(time_unix_nano=T + 1000 * place, attributes=pairs(value=value))
        put(record.body, value)
        records.append(record)
    load(engine, "otlp_logs.sql", log_request(*records))
    for row, value in zip(rows(engine, "logs"), values, strict=True):
        assert row["body"] == row["attributes"]["value"]
        if isinstance(value, list | dict):
            assert is_same(json.loads(row["body"]), as_json(value))
        elif isinstance(value, float) and math.isfinite(value):
            assert float(row["body"]) == value
        else:
            assert row["body"] == scalar_text(put(AnyValue(), value))
