"""Samples of known series as one block: against Python's sort, and against what the engine reads."""

from __future__ import annotations

import struct
from operator import itemgetter

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from querying import T0_MS, engine
from trilens.protobuf_wire import block
from trilens.query.promql_store.samples import sample_values
from trilens.receive.prometheus_schema import V1_KEPT
from trilens.store.decoding import BODIES_OF, decodes
from trilens.store.engine import Undecodable
from trilens.store.known_samples import block_of_known_samples

NATIVE = decodes("prometheus_write")[0].statements[0]
ROWS = (
    "SELECT metric, series_id, toUnixTimestamp64Milli(timestamp), mantissa, exponent, _batch "
    "FROM trilens.sample_rows ORDER BY metric, series_id, timestamp, mantissa"
)
Sample = tuple[int, int, int]
IDS = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1), st.integers(2**63, 2**63 + 3))
SAMPLES = st.lists(st.tuples(IDS, st.integers(-(2**63), 2**63 - 1), st.integers(0, 99)))
GROUPS = st.lists(st.tuples(st.sampled_from([b"", b"up", b"a", b"a\0", b"b" * 300]), SAMPLES))
REST = st.sampled_from([b"", block(1, b""), block(3, b"abc"), block(1, bytes(300)), b"\x10\x05"])


def known(metric: bytes, samples: list[Sample]) -> bytes:
    fields = [block(1, metric)]
    for place, kind in enumerate("Qqq"):
        column = [sample[place] for sample in samples]
        fields.append(block(2 + place, struct.pack(f"<{len(column)}{kind}", *column)))
    return block(16, b"".join(fields))


class Native:
    """A block of five columns, read by the format's rules; mantissa and exponent are one value."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def rows(self) -> list[tuple[bytes, int, int, int]]:
        columns, rows = self.varint(), self.varint()
        assert columns == 5
        assert self.header() == (b"metric", b"LowCardinality(String)")
        version, kind, keys = self.numbers(3, "Q")
        assert version == 1
        assert kind >> 8 == 2
        names = [self.text() for _ in range(keys)]
        assert len(set(names)) == keys
        assert self.numbers(1, "Q") == (rows,)
        metrics = [names[key] for key in self.numbers(rows, "BHI"[kind & 255])]
        assert self.header() == (b"series_id", b"UInt64")
        ids = self.numbers(rows, "Q")
        assert self.header() == (b"timestamp", b"DateTime64(3, 'UTC')")
        times = self.numbers(rows, "q")
        assert self.header() == (b"mantissa", b"Int64")
        mantissas = np.array(self.numbers(rows, "q"), np.int64)
        assert self.header() == (b"exponent", b"Int8")
        exponents = np.array(self.numbers(rows, "b"), np.int8)
        values = sample_values(mantissas, exponents).view(np.int64).tolist()
        assert self.at == len(self.data)
        return list(zip(metrics, ids, times, values, strict=True))

    def header(self) -> tuple[bytes, bytes]:
        return self.text(), self.text()

    def text(self) -> bytes:
        size = self.varint()
        self.at += size
        return self.data[self.at - size : self.at]

    def numbers(self, count: int, kind: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"<{count}{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{kind}")
        return found

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


@given(st.lists(st.tuples(GROUPS, REST)))
def test_samples_are_sorted_and_all_else_is_left(messages: list) -> None:
    sent = [b"".join(known(*group) for group in groups) + rest for groups, rest in messages]
    made, rests = block_of_known_samples(sent)
    assert rests == [rest for _, rest in messages if rest]
    samples = [
        (metric, *sample) for groups, _ in messages for metric, some in groups for sample in some
    ]
    assert made.samples == len(samples)
    if not samples:
        assert not made.pieces
        return
    # Python's sort keeps equals in order, and so must the block.
    assert Native(b"".join(made.pieces)).rows() == sorted(samples, key=itemgetter(0, 1, 2))


@pytest.mark.parametrize("metrics", [256, 257, 65_536, 65_537])
def test_the_number_of_a_metric_is_as_wide_as_needed(metrics: int) -> None:
    sent = [known(str(number).encode(), [(number, T0_MS, 1)]) for number in range(metrics)]
    rows = Native(b"".join(block_of_known_samples(sent)[0].pieces)).rows()
    assert [int(row[0]) for row in rows] == [row[1] for row in rows]
    assert rows == sorted(rows)
    assert len(rows) == metrics


@pytest.mark.parametrize("shift", [0, 50])
def test_many_samples_of_one_metric(shift: int) -> None:
    """Of ids that fill all buckets, and of ids that all fall into one."""
    samples = [((7919 * n % 1000 << 54) >> shift, 31 * n % 97, n) for n in range(50_000)]
    rows = Native(b"".join(block_of_known_samples([known(b"up", samples)])[0].pieces)).rows()
    assert rows == [(b"up", *sample) for sample in sorted(samples, key=itemgetter(0, 1))]


SOUND = known(b"up", [(1, T0_MS, 2), (3, T0_MS, 4)])


@pytest.mark.parametrize(
    "message",
    [
        SOUND[:-1],
        block(1, b"") + SOUND,  # behind all else it would be overlooked
        SOUND + b"\x0a",
        SOUND + b"\x0b",
        block(16, block(1, b"up") + block(2, bytes(8)) + block(3, bytes(8))),
        block(16, block(1, b"up") + b"".join(block(number, bytes(7)) for number in (2, 3, 4))),
        block(16, block(5, b"")),
        block(16, b"\x08\x01"),
        b"\x82\x01" + b"\xff" * 10,
    ],
)
def test_a_damaged_message_is_named(message: bytes) -> None:
    with pytest.raises(Undecodable, match="message 1 of 3"):
        block_of_known_samples([SOUND, message, SOUND])


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: SOUND + tail)))
@example(b"")
def test_any_bytes(message: bytes) -> None:
    try:
        made, rests = block_of_known_samples([message])
    except Undecodable:
        return
    rows = Native(b"".join(made.pieces)).rows() if made.samples else []
    kept = message[: len(message) - len(b"".join(rests))]
    try:
        groups = V1_KEPT["WriteRequest"].FromString(kept).known
    except DecodeError:
        return  # a metric that is no UTF-8: the receiver would have refused it
    assert len(rows) == sum(len(group.series_ids) for group in groups)


@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255))
def test_a_byte_that_is_another_one(place: int, byte: int) -> None:
    test_any_bytes.hypothesis.inner_test(SOUND[:place] + bytes((byte,)) + SOUND[place + 1 :])


def test_the_engine_reads_it_so() -> None:
    engine().command("TRUNCATE TABLE trilens.sample_rows")
    values = [0.0, -0.0, 1.5, 0.01, 1e300, float("inf"), 3.0]
    bits = [bits_of(value) for value in values]
    samples = [(2**64 - 1 - n, T0_MS + n, value) for n, value in enumerate(bits)]
    (body,) = BODIES_OF["prometheus_write"]([known(b"up", samples), known(b"down", samples)])
    engine().insert(NATIVE.sql, body.pieces, params={"batch": 7})
    assert body.records == 14
    scaled = [(0, 0), (bits[1], 127), (150, 2), (1, 2), (bits[4], 127), (bits[5], 127), (3, 0)]
    wanted = [
        (metric, 2**64 - 1 - n, T0_MS + n, *scaled[n], 7)
        for metric in ("down", "up")
        for n in reversed(range(7))
    ]
    assert [tuple(row) for row in engine().rows(ROWS).rows] == wanted


def bits_of(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def odd_values() -> list[float]:
    """Decimals of all lengths and their neighbours, halves, the ends of ranges, any bits."""
    draw = np.random.default_rng(11)
    wholes = draw.integers(-(10**11), 10**11, 3000) // 10 ** draw.integers(0, 11, 3000)
    decimals = wholes / 10.0 ** draw.integers(0, 12, 3000)
    ends = np.array([0.5, 1.5, 2.5, 2.0**51, 2.0**52, 2.0**53, 9e9, 9e18, 2.0**63, 1e300, 5e-324])
    ends = np.concatenate([ends, ends - 0.5, ends * 3, [np.nan, np.inf, 0.005, 0.0005, 1e-9]])
    near = np.concatenate([np.nextafter(decimals, np.inf), np.nextafter(ends, 0), ends + 0.0005])
    wild = draw.integers(-(2**63), 2**63 - 1, 3000).view(np.float64)
    both = np.concatenate([decimals, ends, near, wild])
    return np.concatenate([both, -both]).tolist()


def test_values_are_scaled_as_the_engine_would() -> None:
    values = odd_values()
    samples = [(1, T0_MS + n, bits_of(value)) for n, value in enumerate(values)]
    engine().command("TRUNCATE TABLE trilens.sample_rows")
    (body,) = BODIES_OF["prometheus_write"]([known(b"up", samples)])
    engine().insert(NATIVE.sql, body.pieces, params={"batch": 7})
    made = engine().rows("SELECT mantissa, exponent FROM trilens.sample_rows ORDER BY timestamp")
    wanted = engine().rows(
        "SELECT trilens_sample_mantissa(reinterpretAsFloat64(bits), exponent), "
        "trilens_sample_exponent(reinterpretAsFloat64(bits)) AS exponent "
        "FROM (SELECT arrayJoin({bits:Array(Int64)}) AS bits)",
        params={"bits": [bits for _, _, bits in samples]},
    )
    assert made.rows == wanted.rows
    assert len({exponent for _, exponent in made.rows}) == 6


def test_nothing_has_a_body_for_each_statement() -> None:
    bodies = list(BODIES_OF["prometheus_write"]([b""]))
    statements = decodes("prometheus_write")[0].statements
    assert [body.format for body in bodies] == [statement.reads for statement in statements]
    assert [body.records for body in bodies] == [0, None]
    for body, statement in zip(bodies, statements, strict=True):
        assert engine().insert(statement.sql, body.pieces, params={"batch": 8}) == 0
