"""The bytes of the spool: what docs/formats/spool.md draws, sizes when unpacked, and the dump."""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from pathlib import Path

import cramjam
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spooling import FORMAT, appended, envelope, opened
from trilens.envelope import ENCODINGS, Encoding, unpack
from trilens.errors import Refused
from trilens.spool import Position
from trilens.spool.dump import dump, write_payload
from trilens.spool.frame import (
    CODES,
    CommitMark,
    FileHeader,
    FrameHeader,
    Group,
    parsed,
    seed_of,
    unpacked_bytes,
)
from trilens.spool.ledger import Record, replayed

PAGE = Path(__file__).parents[1] / "docs/formats/spool.md"


def packed(encoding: Encoding, message: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.compress(message)
    if encoding == "zstd":
        return zstandard.compress(message)
    if encoding == "snappy":
        return bytes(cramjam.snappy.compress_raw(message))
    if encoding == "lz4":
        return bytes(cramjam.lz4.compress_block(message))
    return message


@given(encoding=st.sampled_from(ENCODINGS), message=st.binary(max_size=3000) | st.builds(
    lambda piece, times: piece * times, st.binary(min_size=1, max_size=9), st.integers(1, 90_000)))  # fmt: skip
def test_the_unpacked_size_is_known_without_unpacking(encoding: Encoding, message: bytes) -> None:
    payload = packed(encoding, message)
    assert unpack(encoding, payload) == message
    size_bytes = unpacked_bytes(encoding, payload)
    # Three bytes inside may look like another gzip member: then it is the largest there can be.
    assert size_bytes == len(message) or (encoding == "gzip" and size_bytes == 64 << 20)


def test_a_zstd_frame_without_its_size_is_bounded_by_its_blocks() -> None:
    message = os.urandom(500_000) + b"a" * 500_000
    for pieces in (1, 7):
        compressor = zstandard.ZstdCompressor().compressobj()
        step = len(message) // pieces + 1
        payload = b"".join(
            compressor.compress(message[at : at + step])
            + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
            for at in range(0, len(message), step)
        )
        payload += compressor.flush()
        assert zstandard.frame_content_size(payload) == -1
        assert len(message) <= unpacked_bytes("zstd", payload) < 3 * len(message)


def test_two_gzip_members_are_taken_for_the_largest_message() -> None:
    payload = gzip.compress(b"a" * 10_000) + gzip.compress(b"")
    assert unpacked_bytes("gzip", payload) == 64 << 20


@given(encoding=st.sampled_from(ENCODINGS), payload=st.binary(max_size=100))
def test_the_unpacked_size_of_garbage_is_some_number(encoding: Encoding, payload: bytes) -> None:
    assert 0 <= unpacked_bytes(encoding, payload) < 1 << 32


TIMES = st.integers(0, (1 << 63) - 1)
OFFSETS = st.integers(0, (1 << 32) - 1)


@given(header=st.builds(
    FileHeader, number=TIMES, salt=OFFSETS, origin=OFFSETS,
    format=st.sampled_from(["otlp_logs", "prometheus_write"]), created_at_ns=TIMES,
    previous_number=TIMES, previous_end=OFFSETS, previous_frames=OFFSETS), flip=OFFSETS)  # fmt: skip
def test_a_file_header_reads_back_or_not_at_all(header: FileHeader, flip: int) -> None:
    data = bytearray(header.pack())
    assert FileHeader.unpack(bytes(data)) == header
    data[flip % len(data)] ^= 1 << flip % 8
    assert FileHeader.unpack(bytes(data)) is None


@given(record=st.builds(
    Record, kind=st.sampled_from(["head", "begin", "finish", "abandon"]), number=TIMES,
    start=st.builds(Position, TIMES, OFFSETS), end=st.builds(Position, TIMES, OFFSETS),
    frames=OFFSETS, origin=OFFSETS, salt=OFFSETS, written_at_ns=TIMES),
    index=OFFSETS, flip=OFFSETS)  # fmt: skip
def test_a_record_reads_back_or_not_at_all(record: Record, index: int, flip: int) -> None:
    data = bytearray(record.pack(index))
    assert Record.unpack(bytes(data), index) == record
    assert Record.unpack(bytes(data), index ^ 1) is None
    data[flip % len(data)] ^= 1 << flip % 8
    assert Record.unpack(bytes(data), index) is None


@given(data=st.binary(max_size=1000))
def test_any_bytes_are_a_ledger(data: bytes) -> None:
    assert replayed(data).sequence >= 1


def test_a_file_of_one_group_is_what_the_format_page_says() -> None:
    seed = seed_of(salt=0x01020304, number=7)
    assert seed == zlib.crc32((7).to_bytes(8, "little"), 0x01020304)
    group = Group(seed, 96, 10)
    group.add(envelope(b"hello", received_at_ns=5))
    group.close()
    data = b"".join(group.pieces)
    body = bytes.fromhex(
        "60000000 05000000" + zlib.crc32(b"hello", seed).to_bytes(4, "little").hex()
        + "05000000 0500000000000000 00 00000000000000"
    )  # fmt: skip
    mark = bytes.fromhex("8d000000 60000000 01000000 0b000000 0500000000000000")
    assert data == (
        b"\xabTLf" + zlib.crc32(body, seed).to_bytes(4, "little") + body + b"hello"
        + b"\xabTLc" + zlib.crc32(mark, seed).to_bytes(4, "little") + mark
    )  # fmt: skip
    frame = parsed(data, 0, offset=96, seed=seed)
    assert frame == FrameHeader(96, 5, zlib.crc32(b"hello", seed), 5, 5, "identity")
    assert parsed(data, 45, offset=141, seed=seed) == CommitMark(141, 96, 1, 11, 5)
    assert parsed(data, 0, offset=97, seed=seed) is None
    assert parsed(data, 0, offset=96, seed=seed + 1) is None


def test_the_format_page_has_the_sizes_and_codes_of_the_code() -> None:
    page = PAGE.read_text()
    tables = re.findall(r"^\| (\d+) \| (\d+) \|", page, re.MULTILINE)
    ends = [int(at) + int(size) for at, size in tables]
    starts = [*[int(at) for at, _ in tables][1:], 0]
    # Within a table each field begins where the one before ends; a table ends where one starts.
    sizes = [end for end, start in zip(ends, starts, strict=True) if start != end]
    assert sizes == [96, 40, 32, 64]
    assert f"{' '.join(f'{code} {name}' for name, code in CODES.items())}" in page


def test_the_dump_shows_frames_marks_damage_and_tails(tmp_path: Path) -> None:
    spool = opened(directory=tmp_path / "spool")
    for payload in (b"first", b"second" * 100, b"third"):
        assert appended(spool, payload) == [None]
    stream = spool.stream(FORMAT)
    run = stream.read(Position(0, 0), unpacked_bytes_max=5)
    batch = stream.begin(run.start, run.end)
    spool.close()
    path = tmp_path / "spool" / FORMAT / "0000000001.frames"
    with path.open("r+b") as file:
        file.seek(300)
        file.write(b"?")
        file.seek(0, 2)
        file.write(b"torn")
    text = "\n".join(dump(tmp_path / "spool"))
    assert text.count(".frames ") == 1
    assert "format=otlp_logs number=1" in text
    assert re.search(r" 96 frame received=1970-01-01T00:00:00.000000001Z encoding=identity "
                     r"payload=5 unpacked=5 checksum=[0-9a-f]{8} ok", text)  # fmt: skip
    assert re.search(r" 173 frame .* payload=600 .* DAMAGED", text)
    assert text.count(" commit group=1 ") == 3
    assert "4 bytes behind the last commit mark" in text
    assert f"begin batch={batch.number} sequence=1 1:96 to 1:141 frames=1" in text
    assert next(iter(dump(path))).endswith(f"{path.stat().st_size} bytes")

    out = io.BytesIO()
    write_payload(path, 96, out)
    assert out.getvalue() == b"first"
    for offset, reason in ((97, "no frame"), (173, "checksum"), (0, "no frame"), (9**9, "no")):
        with pytest.raises(Refused, match=reason):
            write_payload(path, offset, out)


def test_the_dump_is_in_the_order_of_the_file_around_damage_too(tmp_path: Path) -> None:
    spool = opened(directory=tmp_path / "spool")
    for payload in (b"first", b"second", b"third"):
        assert appended(spool, payload) == [None]
    spool.close()
    path = tmp_path / "spool" / FORMAT / "0000000001.frames"
    with path.open("r+b") as file:
        file.seek(173 + 5)  # in the header of the second frame
        file.write(b"?")
    found = [re.match(r" +(\d+) (\w+)", line) for line in dump(path)]
    places = [(int(match[1]), match[2]) for match in found if match]
    assert places == [
        (96, "frame"), (141, "commit"), (173, "damaged"), (219, "commit"), (251, "frame"),
        (296, "commit"),
    ]  # fmt: skip


def test_the_dump_says_what_is_not_there_or_not_its_own(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no"):
        list(dump(tmp_path / "none"))
    (tmp_path / "0000000001.frames").write_bytes(b"x" * 50)
    (tmp_path / "notes.txt").write_bytes(b"x")
    assert "header damaged" in "\n".join(dump(tmp_path))
    assert "neither" in "\n".join(dump(tmp_path / "notes.txt"))
