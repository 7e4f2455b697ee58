"""OTLP/JSON is re-framed without loss: any message, written as JSON, comes back the same."""

from __future__ import annotations

import base64
import math

import orjson
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiving import MESSAGES
from trilens.errors import Refused
from trilens.receive.otlp_json import VALUE_DEPTH_MAX, reframed

F = FieldDescriptor
HEX = ("trace_id", "span_id", "parent_span_id")
TEXT = st.text(max_size=6)
DEPTH_MAX = 12
SCALARS = {
    F.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    F.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    F.CPPTYPE_ENUM: st.integers(0, 30),
    F.CPPTYPE_BOOL: st.booleans(),
    # JSON has one NaN; floats() makes others, with bits that it cannot say.
    F.CPPTYPE_DOUBLE: st.floats(allow_nan=False) | st.just(math.nan),
}
WIDE = (F.CPPTYPE_INT64, F.CPPTYPE_UINT64)
FORMATS = ["otlp_logs", "otlp_metrics", "otlp_traces"]
quick = settings(
    max_examples=120, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def fill(draw, message, depth: int = 0) -> None:
    """Some fields of a message, lists among them, as deep as DEPTH_MAX."""
    chosen = set()
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if draw(st.integers(0, 2)) == 0 or (oneof is not None and oneof.name in chosen):
            continue
        if field.message_type is not None and depth >= DEPTH_MAX:
            continue
        if oneof is not None:
            chosen.add(oneof.name)
        put(draw, message, field, depth)


def put(draw, message, field, depth: int) -> None:
    if field.message_type is not None and field.is_repeated:
        for _ in range(draw(st.integers(0, 2))):
            fill(draw, getattr(message, field.name).add(), depth + 1)
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
        fill(draw, getattr(message, field.name), depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(scalar(field), max_size=3)))
    else:
        setattr(message, field.name, draw(scalar(field)))


def scalar(field) -> st.SearchStrategy:
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=9)
    return SCALARS.get(field.cpp_type, TEXT)


def as_json(draw, message) -> dict:
    """The message as a sender may write it, choosing among the forms that are allowed."""
    document = {}
    for field, value in message.ListFields():
        items = list(value) if field.is_repeated else [value]
        shown = [written(draw, field, item) for item in items]
        document[field.json_name] = shown if field.is_repeated else shown[0]
    if draw(st.booleans()):
        document["aNameOfTomorrow"] = {"x": [1, None]}
    return document


def written(draw, field, value):
    if field.message_type is not None:
        return as_json(draw, value)
    if field.type == F.TYPE_BYTES and field.name in HEX:
        return value.hex().upper() if draw(st.booleans()) else value.hex()
    if field.type == F.TYPE_BYTES:
        encode = draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
        text = encode(value).decode()
        return text.rstrip("=") if draw(st.booleans()) else text
    if field.cpp_type == F.CPPTYPE_DOUBLE and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if field.cpp_type in WIDE:  # as text it never loses digits; numbers are taken too
        return value if -(2**53) < value < 2**53 and draw(st.booleans()) else str(value)
    return value


@pytest.mark.parametrize("wire_format", FORMATS)
@quick
@given(data=st.data())
def test_any_message_comes_back(wire_format: str, data: st.DataObject) -> None:
    message = MESSAGES[wire_format]()
    fill(data.draw, message)
    text = orjson.dumps(as_json(data.draw, message))
    back = reframed(MESSAGES[wire_format], text)
    assert back.SerializeToString(deterministic=True) == message.SerializeToString(
        deterministic=True
    )


def attribute(value: str) -> bytes:
    return (
        '{"resourceLogs":[{"resource":{"attributes":[{"key":"k","value":' + value + "}]}}]}"
    ).encode()


@pytest.mark.parametrize(
    ("value", "field", "meaning"),
    [
        ('{"intValue":"-9223372036854775808"}', "int_value", -(2**63)),
        ('{"intValue":9223372036854775807}', "int_value", 2**63 - 1),
        ('{"intValue":1.0}', "int_value", 1),
        ('{"intValue":"007"}', "int_value", 7),
        ('{"doubleValue":"1.5"}', "double_value", 1.5),
        ('{"doubleValue":"-Infinity"}', "double_value", -math.inf),
        ('{"doubleValue":3}', "double_value", 3.0),
        ('{"boolValue":false}', "bool_value", False),
        ('{"bytesValue":"_-8"}', "bytes_value", b"\xff\xef"),
        ('{"stringValue":"\\ud83d\\ude00\\u0000"}', "string_value", "😀\0"),
        ('{"stringValue":"x","intValue":null}', "string_value", "x"),
    ],
)
def test_forms_that_are_taken(value: str, field: str, meaning) -> None:
    message = reframed(MESSAGES["otlp_logs"], attribute(value))
    got = message.resource_logs[0].resource.attributes[0].value
    assert (got.WhichOneof("value"), getattr(got, field)) == (field, meaning)


@pytest.mark.parametrize(
    "value",
    ['{"intValue":"9223372036854775808"}', '{"intValue":1.5}', '{"intValue":true}',
     '{"intValue":"1e3"}', '{"intValue":""}', '{"intValue":"--1"}', '{"intValue":"٣x"}',
     '{"doubleValue":"x"}', '{"doubleValue":"nan"}', '{"doubleValue":true}', '{"boolValue":1}',
     '{"boolValue":"true"}', '{"bytesValue":"***"}', '{"bytesValue":5}', '{"stringValue":5}',
     '{"stringValue":["x"]}', '{"arrayValue":[]}', '{"arrayValue":{"values":{}}}', "[]", '"x"',
     '{"stringValue":"a","intValue":"1"}', '{"doubleValue":1e999}'],
)  # fmt: skip
def test_forms_that_are_not(value: str) -> None:
    with pytest.raises(Refused) as refused:
        reframed(MESSAGES["otlp_logs"], attribute(value))
    assert refused.value.code == "malformed"


def test_depth_has_a_limit_that_protobuf_can_read_back() -> None:
    def nested(depth: int) -> bytes:
        inner = '{"kvlistValue":{"values":[{"key":"k","value":' * depth + "{}" + "}]}}" * depth
        return attribute(inner)

    deepest = reframed(MESSAGES["otlp_logs"], nested(VALUE_DEPTH_MAX - 1))
    assert MESSAGES["otlp_logs"].FromString(deepest.SerializeToString()) == deepest
    with pytest.raises(Refused):
        reframed(MESSAGES["otlp_logs"], nested(VALUE_DEPTH_MAX))
