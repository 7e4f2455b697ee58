"""Whatever comes in: accepted or Refused, nothing else, and soon."""

from __future__ import annotations

import json
import time
import zlib

import cramjam
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiving import MESSAGES
from trilens.envelope import unpack
from trilens.errors import Refused
from trilens.receive import KnownSeries, Limits, receivers
from trilens.receive.exchange import Request
from trilens.receive.prometheus_schema import V2

RECEIVERS = receivers(KnownSeries())
LIMITS = Limits(message_size_bytes_max=1 << 20, json_size_bytes_max=1 << 20)
SECONDS_MAX = 2.0
TARGETS = [
    (receiver, wire_format) for receiver in RECEIVERS for wire_format in receiver.paths.values()
]
TYPES = [
    "application/x-protobuf",
    "application/json",
    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "application/grpc",
    "text/plain",
    ";;=",
    "",
]
PACK = {
    "": bytes,
    "identity": bytes,
    "gzip": lambda body: zlib.compress(body, wbits=31),
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
}

SAMPLE = {"value": 1.5, "timestamp": 1700000000000}
SEEDS = {
    "otlp_traces": MESSAGES["otlp_traces"](
        resource_spans=[{"scope_spans": [{"spans": [{"name": "a", "trace_id": bytes(16)}]}]}]
    ),
    "otlp_logs": MESSAGES["otlp_logs"](
        resource_logs=[{"scope_logs": [{"log_records": [{"body": {"string_value": "é"}}]}]}]
    ),
    "otlp_metrics": MESSAGES["otlp_metrics"](
        resource_metrics=[
            {"scope_metrics": [{"metrics": [{"gauge": {"data_points": [{"as_double": 1}]}}]}]}
        ]
    ),
    "prometheus_write": MESSAGES["prometheus_write"](
        timeseries=[{"labels": [{"name": "__name__", "value": "up"}], "samples": [SAMPLE]}]
    ),
}
SEED_2 = V2["Request"](
    symbols=["", "__name__", "up", "job"],
    timeseries=[
        {"labels_refs": [1, 2, 3, 2], "samples": [SAMPLE], "metadata": {"type": 1}},
        {"labels_refs": [1, 2], "histograms": [{"schema": 3, "positive_deltas": [1]}]},
        {"labels_refs": [1, 2], "samples": [SAMPLE, SAMPLE], "created_timestamp": -7},
    ],
)


def outcome(receiver, request: Request) -> object:
    """Accepted, with an envelope that can be read again, or Refused in the protocol's form."""
    started_s = time.monotonic()
    try:
        accepted = receiver.accept(request, LIMITS, 1)
    except Refused as refused:
        result: object = refused
        assert receiver.refuse(request, refused).status >= 400
    else:
        for envelope in accepted.envelopes:
            MESSAGES[envelope.format].FromString(unpack(envelope.encoding, envelope.payload))
        result = accepted
    assert time.monotonic() - started_s < SECONDS_MAX
    return result


def mutated(data: st.DataObject, body: bytes) -> bytes:
    """`body` with some bytes changed, dropped, doubled or inserted."""
    out = bytearray(body)
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(0, len(out)))
        change = data.draw(st.sampled_from(["set", "drop", "double", "insert"]))
        if change == "insert":
            out[position:position] = data.draw(st.binary(max_size=8))
        elif change == "drop":
            del out[position : position + data.draw(st.integers(1, 4))]
        elif change == "double":
            out[position:position] = out[position : position + data.draw(st.integers(1, 64))]
        elif position < len(out):
            out[position] = data.draw(st.integers(0, 255))
    return bytes(out)


quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@pytest.mark.parametrize(("receiver", "wire_format"), TARGETS, ids=lambda x: str(x)[:20])
@quick
@given(data=st.data())
def test_random_bytes(receiver, wire_format: str, data: st.DataObject) -> None:
    content_type = data.draw(st.sampled_from(TYPES))
    encoding = data.draw(st.sampled_from([*PACK, "br", "gzip, gzip"]))
    body = data.draw(st.binary(max_size=400))
    if data.draw(st.booleans()) and encoding in PACK:
        body = PACK[encoding](body)
    outcome(receiver, Request(wire_format, content_type, encoding, body))


@pytest.mark.parametrize(("receiver", "wire_format"), TARGETS, ids=lambda x: str(x)[:20])
@quick
@given(data=st.data())
def test_valid_messages_with_damage(receiver, wire_format: str, data: st.DataObject) -> None:
    encoding = (
        "snappy" if wire_format == "prometheus_write" else data.draw(st.sampled_from([*PACK]))
    )
    body = mutated(data, SEEDS[wire_format].SerializeToString())
    body = PACK[encoding](body)
    if data.draw(st.integers(0, 3)) == 0:
        body = mutated(data, body)
    outcome(receiver, Request(wire_format, "application/x-protobuf", encoding, body))


@quick
@given(data=st.data())
def test_remote_write_2_with_damage(data: st.DataObject) -> None:
    body = PACK["snappy"](mutated(data, SEED_2.SerializeToString()))
    request = Request("prometheus_write", TYPES[2], "snappy", body)
    outcome(RECEIVERS[1], request)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["stringValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue",
             "values", "key", "value", "attributes", "name", "kind", "traceId", "spanId", "events",
             "startTimeUnixNano", "status", "code", "links", "flags", "gauge", "sum", "dataPoints",
             "asDouble", "asInt", "count", "exemplars", "body", "severityNumber", "bucketCounts"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
OUTER = {
    "otlp_traces": ("resourceSpans", "scopeSpans", "spans"),
    "otlp_logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "otlp_metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


@quick
@given(wire_format=st.sampled_from(sorted(OUTER)), record=JSON_VALUES)
def test_json_of_known_names_and_any_values(wire_format: str, record: object) -> None:
    outer, middle, inner = OUTER[wire_format]
    body = json.dumps({outer: [{middle: [{inner: [record]}]}]}).encode()
    outcome(RECEIVERS[0], Request(wire_format, "application/json", "", body))


@pytest.mark.parametrize("depth", [10, 100, 1000, 100_000])
def test_json_nested_to_any_depth(depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
    body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + value + "}]}]}]}"
    result = outcome(
        RECEIVERS[0], Request("otlp_logs", "application/json", "", body.encode()[: 1 << 20])
    )
    assert isinstance(result, Refused) == (depth > 30)
