"""The machine code that finds the fields of a request, against the walk in Python."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trilens.errors import Refused
from trilens.protobuf_wire import block, fixed64, number, tag
from trilens.receive.prometheus_schema import V1
from trilens.receive.protobuf_check import runs
from trilens.receive.write_fields import FOREIGN, MESSAGE, SAMPLE, UNKNOWN, fields

NOW_MS = 1_790_000_000_000
LABELS = block(1, block(1, b"__name__") + block(2, b"up"))
FIELDS = st.one_of(
    st.builds(block, st.integers(1, 40), st.binary(max_size=40)),
    st.builds(number, st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1)),
    st.integers(1, 40).map(lambda field: tag(field, 1) + bytes(8)),
    st.integers(1, 40).map(lambda field: tag(field, 5) + bytes(4)),
)


def found(message: bytes, seed: int = 1):
    return [one for some in fields(message, seed) for one in some]


def a_sample(value: float, at_ms: int) -> bytes:
    sample = V1["Sample"](value=value, timestamp=at_ms)
    return block(1, LABELS + block(2, sample.SerializeToString()))


@given(st.lists(FIELDS, max_size=30), st.integers(0, 40))
def test_each_field_is_where_it_was_put(parts: list[bytes], cut: int) -> None:
    message = b"".join(parts)
    assert [message[one["start"] : one["end"]] for one in found(message)] == parts
    message += bytes((0x0A, cut + 1)) + bytes(cut)
    with pytest.raises(Refused, match=f"at byte {len(b''.join(parts))} "):
        found(message)


@given(st.binary(max_size=80))
@example(b"\x0a" + b"\xff" * 9 + b"\x01")
@example(b"\x0a" + b"\xff" * 10)
@example(b"\x0b\x0c")
@example(b"\x02\x00")
@example(b"\x09\x00")
def test_any_bytes(message: bytes) -> None:
    """What is found can be parsed as fields by others too, one by one."""
    try:
        parts = found(message)
    except Refused as refused:
        assert refused.code == "malformed"
        return
    position = 0
    for one in parts:
        assert one["start"] == position
        position = int(one["end"])
        assert list(runs(message[one["start"] : position]))
    assert position == len(message)


@given(st.floats(), st.integers(2**35, 2**42 - 1))
def test_a_sample_at_the_end_of_a_series(value: float, at_ms: int) -> None:
    (one,) = found(a_sample(value, at_ms))
    assert (one["kind"], one["time_ms"]) == (SAMPLE, at_ms)
    assert struct.pack("<d", one["value"]) == struct.pack("<d", value)
    assert one["head_end"] - one["head_start"] == len(LABELS)


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (a_sample(1, NOW_MS), SAMPLE),
        (a_sample(0, NOW_MS), SAMPLE),
        (a_sample(1, 2**35 - 1), MESSAGE),
        (a_sample(1, 2**42), MESSAGE),
        (a_sample(1, -1), MESSAGE),
        (block(1, LABELS), MESSAGE),
        (block(1, b""), MESSAGE),
        (block(3, b"any"), MESSAGE),
        (block(16, b"any"), FOREIGN),
        (number(16, 1), FOREIGN),
        (block(2, b"any"), UNKNOWN),
        (tag(1, 1) + fixed64(1), UNKNOWN),
    ],
)
def test_kinds(field: bytes, kind: int) -> None:
    assert [one["kind"] for one in found(field)] == [kind]


def test_the_hash_is_of_the_labels_and_of_the_seed() -> None:
    one, other = found(a_sample(1, NOW_MS) + a_sample(0, NOW_MS + 1))
    assert one["hash"] == other["hash"]
    assert found(a_sample(1, NOW_MS), seed=2)[0]["hash"] != one["hash"]


def test_many_fields() -> None:
    field = block(1, b"")
    assert len(found(field * 100_000)) == 100_000
    with pytest.raises(Refused, match="more than 4000000 fields"):
        for _ in fields(field * 4_010_000, 1):
            pass
