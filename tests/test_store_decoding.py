"""What is read from decode/*.sql, and bodies."""

import gzip

import cramjam
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from trilens.envelope import WIRE_FORMATS
from trilens.spool import Frame, Position
from trilens.store import decoding
from trilens.store.decoding import decodes, delimited, tables_counted, unpacked
from trilens.store.engine import Undecodable

PACK = {
    "identity": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "snappy": lambda payload: bytes(cramjam.snappy.compress_raw(payload)),
    "lz4": lambda payload: bytes(cramjam.lz4.compress_block(payload)),
}


def frame(payload, encoding="identity"):
    return Frame(Position(1, 0), 0, encoding, payload)


def messages(body):
    """The messages of a length-delimited stream."""
    at, found = 0, []
    while at < len(body):
        length = shift = 0
        while True:
            byte = body[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found.append(body[at : at + length])
        at += length
    assert at == len(body)
    return found


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_every_format_has_ways_to_decode(wire_format):
    names = [decode.name for decode in decodes(wire_format)]
    assert names[0] == f"{wire_format}.sql"
    assert len(names) == len(set(names)) > (wire_format in {"otlp_logs", "otlp_metrics"})
    for decode in decodes(wire_format):
        assert decode.statements[0].reads
        for statement in decode.statements:
            assert "{batch:UInt64}" in statement.sql
            assert (statement.reads is not None) == ("input(" in statement.sql)
            assert statement.sql.endswith(f"FORMAT {statement.reads}") or not statement.reads


def test_tables_whose_rows_are_removed():
    points = ("sample_rows", "histogram_rows", "exemplar_rows")
    assert tables_counted("otlp_logs") == ("log_rows",)
    assert tables_counted("otlp_traces") == ("span_rows",)
    assert tables_counted("otlp_metrics") == points
    assert tables_counted("prometheus_write") == points


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(PACK)),
            st.one_of(st.binary(max_size=300), st.integers(0, 400_000).map(bytes)),
        )
    )
)
def test_a_body_is_the_messages_after_their_lengths(sent):
    found = unpacked([frame(PACK[encoding](payload), encoding) for encoding, payload in sent])
    (body,) = delimited(found)
    pieces = list(body.pieces)
    assert messages(b"".join(pieces)) == [payload for _, payload in sent]
    assert all(len(piece) >= decoding.PIECE_BYTES_MIN for piece in pieces[:-1])


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy", "lz4"])
def test_what_cannot_be_unpacked_is_undecodable(encoding):
    with pytest.raises(Undecodable, match=f"not {encoding}"):
        unpacked([frame(b"", "identity"), frame(b"\xff" * 40, encoding)])
