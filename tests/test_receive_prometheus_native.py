"""The machine code of remote write, against dicts and against the walk in Python."""

from __future__ import annotations

import struct
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from trilens.errors import Refused
from trilens.protobuf_wire import block, fixed64, number, tag
from trilens.receive.prometheus_native import (
    FOREIGN,
    MESSAGE,
    SAMPLE,
    SLOT,
    UNKNOWN,
    Reader,
    Table,
)
from trilens.receive.prometheus_schema import V1, V1_KEPT
from trilens.receive.prometheus_split import _identity
from trilens.receive.protobuf_check import _varint, _Walk, runs

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
first = itemgetter(0)
LABELS = block(1, block(1, b"__name__") + block(2, b"up"))
FIELDS = st.one_of(
    st.builds(block, st.integers(1, 40), st.binary(max_size=40)),
    st.builds(number, st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1)),
    st.integers(1, 40).map(lambda field: tag(field, 1) + bytes(8)),
    st.integers(1, 40).map(lambda field: tag(field, 5) + bytes(4)),
)


def found(message: bytes, seed: int = 1):
    """All fields, or None and where it broke off."""
    reader, parts = Reader(message), []
    while not reader.is_at_end:
        read = Table(seed, 8, copies_of_known=2).read(reader)
        if read is None:
            return None, reader.position
        rest, samples = read
        assert samples == b""
        assert reader.found.fields == len(rest)
        parts += list(rest)
    return parts, reader.position


def a_sample(value: float, at_ms: int) -> bytes:
    sample = V1["Sample"](value=value, timestamp=at_ms)
    return block(1, LABELS + block(2, sample.SerializeToString()))


@given(st.lists(FIELDS, max_size=30), st.integers(0, 40))
def test_each_field_is_where_it_was_put(parts: list[bytes], cut: int) -> None:
    message = b"".join(parts)
    assert [message[one["start"] : one["end"]] for one in found(message)[0]] == parts
    assert found(message + bytes((0x0A, cut + 1)) + bytes(cut)) == (None, len(message))


def is_a_field(data: bytes) -> bool:
    try:
        number, _ = _varint(data, 0, len(data))
        next(_Walk(data)._field_ends(0, len(data)))
    except Refused:
        return False
    return 8 <= number < 2**32


@given(st.binary(max_size=80))
@example(b"\x0a" + b"\xff" * 9 + b"\x01")
@example(b"\x0a" + b"\xff" * 10)
@example(b"\x0b\x0c")
@example(b"\x02\x00")
@example(b"\x09\x00")
def test_any_bytes(message: bytes) -> None:
    """What is found can be parsed as fields by others too, one by one."""
    parts, end = found(message)
    if parts is None:
        assert not is_a_field(message[end:])
        return
    position = 0
    for one in parts:
        assert one["start"] == position
        position = int(one["end"])
        assert list(runs(message[one["start"] : position]))
    assert position == len(message)


@given(st.floats(), st.integers(2**35, 2**42 - 1))
def test_a_sample_at_the_end_of_a_series(value: float, at_ms: int) -> None:
    ((one,), _) = found(a_sample(value, at_ms))
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
    assert [one["kind"] for one in found(field)[0]] == [kind]


def test_the_key_is_of_labels_and_day_and_seed() -> None:
    (one, same, later), _ = found(
        a_sample(1, NOW_MS) + a_sample(0, NOW_MS + 1) + a_sample(1, NOW_MS + DAY_MS)
    )
    assert one["key"] == same["key"]
    assert later["key"] != one["key"]
    assert found(a_sample(1, NOW_MS), seed=2)[0][0]["key"] != one["key"]


def test_many_fields() -> None:
    parts, _ = found(block(1, b"") * 20_000)
    assert len(parts) == 20_000


TEXTS = st.sampled_from(["", "__name__", "a", "b", "é", "x" * 130])
HEADS = st.lists(st.tuples(TEXTS, TEXTS), max_size=5).map(
    lambda labels: b"".join(
        block(1, block(1, name.encode()) + block(2, value.encode())) for name, value in labels
    )
)


@given(st.one_of(HEADS, st.tuples(HEADS, st.binary(max_size=6)).map(b"".join)))
@example(block(1, b"\x0a\x81\x00a" + block(2, b"b")))
@example(block(1, block(1, b"a") + block(2, b"b") + block(3, b"")))
@example(block(1, block(1, b"b") + block(2, b"b")) + block(1, block(1, b"a") + block(2, b"b")))
def test_labels_that_look_as_usual_are_told_apart(head: bytes) -> None:
    sample = V1["Sample"](value=1, timestamp=NOW_MS).SerializeToString()
    message = block(1, head + block(2, sample))
    ((one,), _) = found(message)
    if one["metric_end"]:
        metric = message[one["metric_start"] : one["metric_end"]]
        assert _identity(head) == (xxh3_64_intdigest(head), block(1, metric))


def test_labels_as_usual() -> None:
    usual = [(b"__name__", b"up"), (b"job", b"a" * 200)]
    head = b"".join(block(1, block(1, name) + block(2, value)) for name, value in usual)
    sample = V1["Sample"](value=1, timestamp=NOW_MS).SerializeToString()
    message = block(1, head + block(2, sample))
    ((one,), _) = found(message)
    assert message[one["metric_start"] : one["metric_end"]] == b"up"


SLOTS = 128
# Few slots are wanted by many.
KEYS = st.integers(0, 20).map(lambda n: n * SLOTS + 5) | st.integers(1, 2**64 - 1)
TOLD = st.lists(st.tuples(KEYS, st.integers(0, 2**64 - 1), st.integers(0, 9)), max_size=20)


@given(st.lists(TOLD, max_size=5), st.booleans())
def test_the_table_is_a_dict(batches: list[list[tuple[int, int, int]]], grows: bool) -> None:
    table, model = Table(1, SLOTS, copies_of_known=2), {}
    for told in batches:
        new = {}
        for key, series_id, metric in told:
            if key not in model:
                new.setdefault(key, (series_id, metric, 1))
        again = [key for key, *_ in told if key in model]
        table.mark(np.array([key for key, _, _ in told], np.uint64), 2)
        assert table.insert(np.array([(*one, 1) for one in told], SLOT)) == len(new)
        model |= new | {key: (*model[key][:2], 2) for key in again}
        if grows:
            table.grow(2 * table.count)
        held = {key: tuple(others) for key, *others in table.slots.tolist()}
        held.pop(0, None)
        assert held == model


def test_metrics_have_numbers() -> None:
    table = Table(1, 8, copies_of_known=1)
    names = [block(1, str(n).encode()) for n in range(200)]
    assert [table.metric(name) for name in names + names] == [*range(200), *range(200)]


LABELS_OF = [block(1, block(1, b"n") + block(2, str(n).encode())) for n in range(40)]
SENT = st.tuples(st.integers(0, 39), st.integers(2**35, 2**35 + 2**27 - 1), st.floats())


@given(st.lists(st.lists(SENT, max_size=60), max_size=3), st.integers(1, 3))
def test_columns_of_known_samples(
    messages: list[list[tuple[int, int, float]]], copies: int
) -> None:
    """The series of odd numbers are known, each third of them is of the same metric."""
    table = Table(1, 128, copies_of_known=copies)
    names = [f"metric{n}" * n for n in range(3)]
    for n in range(40):
        for day in range(3):
            reader = Reader(series_of(n, (2**35 + (day << 26)), 1.0))
            (one,), _ = table.read(reader)
            metric = table.metric(block(1, names[n % 3].encode()))
            table.insert(np.array([(one["key"], 100 + n, metric, copies - 1 + n % 2)], SLOT))
    for sent in messages:
        reader = Reader(b"".join(series_of(*one) for one in sent))
        rest, samples = table.read(reader)
        assert reader.is_at_end
        groups = V1_KEPT["WriteRequest"].FromString(samples).known
        assert len({group.metric for group in groups}) == len(groups)
        rows = [
            (group.metric, series_id, at_ms, struct.pack("<d", value))
            for group in groups
            for series_id, at_ms, value in zip(
                group.series_ids, group.timestamps, group.values, strict=True
            )
        ]
        known = [(n, at_ms, struct.pack("<d", v)) for n, at_ms, v in sent if n % 2]
        wanted = [(names[n % 3], 100 + n, *one) for n, *one in known]
        assert [sorted(rows, key=first), len(rest)] == [
            sorted(wanted, key=first),
            len(sent) - len(known),
        ]


def series_of(n: int, at_ms: int, value: float) -> bytes:
    sample = V1["Sample"](value=value, timestamp=at_ms)
    return block(1, LABELS_OF[n] + block(2, sample.SerializeToString()))
