"""Bodies made to use up memory or time: refused early, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import cramjam
import pytest
import zstandard

from receiving import MESSAGES
from trilens.errors import Refused
from trilens.receive import bodies
from trilens.receive.protobuf_check import FIELDS_MAX, PIECE_BYTES, checked

MIB = 1 << 20
TRACES = MESSAGES["otlp_traces"]


def field(tag: bytes, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return tag + length + bytes([size]) + content


def spans(content: bytes) -> bytes:
    """A trace request whose only scope holds `content`."""
    return field(b"\x0a", field(b"\x12", content))


def test_a_large_message_is_checked_whole_in_pieces() -> None:
    span = field(b"\x12", field(b"\x2a", b"name" * 20))
    body = spans(span * (3 * PIECE_BYTES // len(span)))
    assert checked(TRACES, body) is None
    with pytest.raises(Refused, match="not a valid protobuf") as error:
        checked(TRACES, body[:-4] + b"\xc3\x28me")
    assert error.value.code == "malformed"
    with pytest.raises(Refused, match="cut short"):
        checked(TRACES, body[:-1])


def test_a_large_field_is_walked_and_large_text_is_not() -> None:
    name = field(b"\x2a", b"x" * (2 * PIECE_BYTES))
    assert checked(TRACES, spans(field(b"\x12", name))) is None
    assert checked(TRACES, spans(field(b"\x12", field(b"\xfa\x7f", b"x" * (2 * MIB))))) is None
    with pytest.raises(Refused) as error:
        checked(TRACES, spans(field(b"\x12", field(b"\x2a", b"\xff" * (2 * PIECE_BYTES)))))
    assert error.value.code == "malformed"


def test_millions_of_empty_records_are_too_many() -> None:
    with pytest.raises(Refused) as error:
        checked(TRACES, spans(b"\x12\x00" * (FIELDS_MAX + 1)))
    assert error.value.code == "too_large"


def test_a_list_of_numbers_larger_than_a_piece_is_too_large() -> None:
    buckets = field(b"\x12", b"\x01" * (2 * PIECE_BYTES))  # a histogram's positive.bucket_counts
    point = field(b"\x0a", field(b"\x42", buckets))
    metric = field(b"\x12", field(b"\x52", point))
    with pytest.raises(Refused) as error:
        checked(MESSAGES["otlp_metrics"], field(b"\x0a", field(b"\x12", metric)))
    assert error.value.code == "too_large"


@pytest.mark.parametrize("tail", [b"\x0b", b"\x0f", b"\xff" * 11, b"\x0a\xff\xff\xff\xff\x7f"])
def test_a_large_message_with_damage_between_its_fields(tail: bytes) -> None:
    with pytest.raises(Refused) as error:
        checked(TRACES, spans(b"\x12\x00" * PIECE_BYTES) + tail)
    assert error.value.code == "malformed"


def zeros(size_bytes: int) -> dict[str, bytes]:
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(MIB)
    return {
        "gzip": b"".join(gzip.compress(piece) for _ in range(size_bytes // MIB)) + gzip.flush(),
        "zstd": zstandard.ZstdCompressor(write_content_size=False).compress(bytes(size_bytes)),
        "snappy": bytes(cramjam.snappy.compress_raw(bytes(size_bytes))),
    }


BOMB = """
import resource, sys
from trilens.errors import Refused
from trilens.receive import bodies
encoding, path = sys.argv[1:]
body = open(path, "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    bodies.unpacked(encoding, body, size_bytes_max=16 << 20)
except Refused as refused:
    print(refused.code, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    for encoding, body in zeros(512 * MIB).items():
        (tmp_path / encoding).write_bytes(body)
        result = subprocess.run(
            [sys.executable, "-c", BOMB, encoding, str(tmp_path / encoding)],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        code, grown_mib = result.stdout.split()
        assert (code, int(grown_mib) < 100) == ("too_large", True), (encoding, grown_mib)


def test_a_zstd_frame_that_asks_for_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(Refused) as error:
        bodies.unpacked("zstd", body, size_bytes_max=MIB)
    assert error.value.code == "malformed"


def test_many_gzip_members_are_refused() -> None:
    member = zlib.compress(b"", wbits=31)
    assert bodies.unpacked("gzip", member * 16, size_bytes_max=MIB) == b""
    with pytest.raises(Refused) as error:
        bodies.unpacked("gzip", member * 17, size_bytes_max=MIB)
    assert error.value.code == "too_large"


def test_empty_records_are_checked_in_bounded_memory(tmp_path: Path) -> None:
    """6 MiB of empty spans cost 530 MiB when parsed at once."""
    script = BOMB.replace("bodies.unpacked(encoding, body, size_bytes_max=16 << 20)", CHECK)
    (tmp_path / "spans").write_bytes(spans(b"\x12\x00" * (3 * MIB)))
    result = subprocess.run(
        [sys.executable, "-c", script, "", str(tmp_path / "spans")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert int(result.stdout) < 150


CHECK = """
    from trilens.receive import otlp, protobuf_check
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    protobuf_check.checked(otlp.SIGNALS["otlp_traces"].request, body)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
""".strip()
