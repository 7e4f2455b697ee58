"""Bytes of a spool file: its header, frames, commit marks. docs/formats/spool.md draws them.

Every checksum begins from a seed made of the stream's salt (random, never shown) and the number
of the file, and every frame and mark holds its own offset. So bytes that a sender chose, or that
belong to another file or place, are never taken for a frame when the reader looks for the next
one behind damage.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from trilens.envelope import Encoding, Envelope
from trilens.spool.disk import Piece

VERSION: Final = 1
MAGIC: Final = b"TRISPOOL"
FRAME_MARK: Final = b"\xabTLf"
COMMIT_MARK: Final = b"\xabTLc"

PAYLOAD_BYTES_MAX: Final = 64 << 20
FILE_BYTES_MAX: Final = 128 << 20

_HEADER = struct.Struct("<8sHHIQQIIqI24s16xI")  # magic .. checksum
_FRAME = struct.Struct("<4sIIIIIqB7x")
_COMMIT = struct.Struct("<4sIIIIIq")
_AFTER_CHECKSUM: Final = 8
_FRAME_BODY = struct.Struct("<IIIIqB7x")  # a frame's header after mark and checksum
_COMMIT_BODY = struct.Struct("<IIIIq")

FILE_HEADER_BYTES: Final = _HEADER.size
FRAME_HEADER_BYTES: Final = _FRAME.size
COMMIT_BYTES: Final = _COMMIT.size

# On disk for ever: append, never renumber.
CODES: Final[dict[Encoding, int]] = {"identity": 0, "gzip": 1, "zstd": 2, "snappy": 3, "lz4": 4}
_ENCODINGS: Final[dict[int, Encoding]] = {code: name for name, code in CODES.items()}

_JOIN_BELOW_BYTES: Final = 32 << 10  # copying less than this is cheaper than one more piece


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """Where a frame starts, or where reading goes on: the number of a file and an offset."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class FileHeader:
    """`previous_*` close the file before: what lies behind that end was never acknowledged."""

    number: int
    salt: int
    origin: int
    format: str
    created_at_ns: int
    previous_number: int
    previous_end: int
    previous_frames: int
    version: int = VERSION

    def pack(self) -> bytes:
        fields = (
            MAGIC, self.version, 0, self.salt, self.number, self.previous_number,
            self.previous_end, self.previous_frames, self.created_at_ns, self.origin,
            self.format.encode(),
        )  # fmt: skip
        unsealed = _HEADER.pack(*fields, 0)[:-4]
        return unsealed + zlib.crc32(unsealed).to_bytes(4, "little")

    @staticmethod
    def unpack(data: bytes) -> FileHeader | None:
        """None where these bytes are not a header, or a damaged one."""
        if len(data) < FILE_HEADER_BYTES or data[:8] != MAGIC:
            return None
        data = data[:FILE_HEADER_BYTES]
        if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            return None
        (_, version, _, salt, number, previous_number, previous_end, previous_frames,
         created_at_ns, origin, name, _) = _HEADER.unpack(data)  # fmt: skip
        return FileHeader(
            number, salt, origin, name.rstrip(b"\0").decode("ascii", "replace"), created_at_ns,
            previous_number, previous_end, previous_frames, version,
        )  # fmt: skip


def seed_of(salt: int, number: int) -> int:
    """What the checksums in file `number` begin from."""
    return zlib.crc32(number.to_bytes(8, "little"), salt)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    offset: int
    payload_bytes: int
    payload_checksum: int
    unpacked_bytes: int
    received_at_ns: int
    encoding: Encoding

    @property
    def payload_offset(self) -> int:
        return self.offset + FRAME_HEADER_BYTES

    @property
    def end(self) -> int:
        return self.offset + FRAME_HEADER_BYTES + self.payload_bytes


@dataclass(frozen=True, slots=True)
class CommitMark:
    """Ends a group. `file_frames` counts all frames of the file up to here."""

    offset: int
    group_start: int
    group_frames: int
    file_frames: int
    last_received_ns: int

    @property
    def end(self) -> int:
        return self.offset + COMMIT_BYTES

    def pack(self, seed: int) -> bytes:
        body = _COMMIT_BODY.pack(
            self.offset, self.group_start, self.group_frames, self.file_frames,
            self.last_received_ns,
        )  # fmt: skip
        return COMMIT_MARK + zlib.crc32(body, seed).to_bytes(4, "little") + body


def parsed(data: bytes, at: int, *, offset: int, seed: int) -> FrameHeader | CommitMark | None:
    """What starts at data[at:], which lies at `offset` of its file; None where it is damaged."""
    mark = data[at : at + 4]
    size_bytes = FRAME_HEADER_BYTES if mark == FRAME_MARK else COMMIT_BYTES
    if mark not in (FRAME_MARK, COMMIT_MARK) or len(data) < at + size_bytes:
        return None
    body = data[at + _AFTER_CHECKSUM : at + size_bytes]
    if zlib.crc32(body, seed) != int.from_bytes(data[at + 4 : at + 8], "little"):
        return None
    if mark == COMMIT_MARK:
        commit = CommitMark(*_COMMIT_BODY.unpack(body))
        return commit if commit.offset == offset else None
    own_offset, size, checksum, unpacked, received_at_ns, code = _FRAME_BODY.unpack(body)
    if own_offset != offset or code not in _ENCODINGS or size > PAYLOAD_BYTES_MAX:
        return None
    return FrameHeader(offset, size, checksum, unpacked, received_at_ns, _ENCODINGS[code])


class Group:
    """The bytes of one group commit, from `start` of a file on; payloads are not copied."""

    def __init__(self, seed: int, start: int, file_frames: int) -> None:
        self.frames = 0
        self.end = start
        self.frames_end = start
        self.first_received_ns = 0
        self.last_received_ns = 0
        self.pieces: list[Piece] = []
        self._seed = seed
        self._start = start
        self._file_frames = file_frames
        self._small = bytearray()

    def add(self, envelope: Envelope) -> None:
        payload = envelope.payload
        size_bytes = len(payload)
        body = _FRAME_BODY.pack(
            self.end, size_bytes, zlib.crc32(payload, self._seed),
            unpacked_bytes(envelope.encoding, payload), envelope.received_at_ns,
            CODES[envelope.encoding],
        )  # fmt: skip
        small = self._small
        small += FRAME_MARK
        small += zlib.crc32(body, self._seed).to_bytes(4, "little")
        small += body
        if size_bytes < _JOIN_BELOW_BYTES:
            small += payload
        else:
            self.pieces += (small, payload)
            self._small = bytearray()
        self.end += FRAME_HEADER_BYTES + size_bytes
        if not self.frames:
            self.first_received_ns = envelope.received_at_ns
        self.last_received_ns = envelope.received_at_ns
        self.frames += 1

    def close(self) -> None:
        """Add the commit mark: nothing more may be added."""
        self.frames_end = self.end
        mark = CommitMark(
            self.end, self._start, self.frames, self._file_frames + self.frames,
            self.last_received_ns,
        )  # fmt: skip
        self._small += mark.pack(self._seed)
        self.pieces.append(self._small)
        self.end = mark.end


def unpacked_bytes(encoding: Encoding, payload: bytes) -> int:
    """How large the message in `payload` is: never less than the truth, and mostly exact.

    snappy and lz4 say it in front, zstd mostly (else its blocks are counted, each at the most
    it can hold), gzip at its end. A body that may be several gzip members, or has more zstd
    blocks than are worth counting, is taken for the largest that a receiver lets in.
    """
    size_bytes = len(payload)
    if encoding == "snappy":
        size_bytes = _varint(payload)
    elif encoding == "lz4":
        size_bytes = int.from_bytes(payload[:4], "little")
    elif encoding == "gzip":
        size_bytes = _gzip_bytes(payload)
    elif encoding == "zstd":
        size_bytes = _zstd_bytes(payload)
    return min(size_bytes, 0xFFFFFFFF)


def _varint(data: bytes) -> int:
    value = 0
    for shift, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            break
    return value


def _gzip_bytes(payload: bytes) -> int:
    """ISIZE of RFC 1952, unless another member may begin inside: then it is of the last only."""
    if payload.find(b"\x1f\x8b\x08", 1) >= 0:
        return PAYLOAD_BYTES_MAX
    return int.from_bytes(payload[-4:], "little")


_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK_BYTES_MAX: Final = 128 << 10
_ZSTD_BLOCKS_MAX: Final = 4096


def _zstd_bytes(payload: bytes) -> int:
    """RFC 8878, 3.1.1: the frame content size, or the sum of what the blocks can hold."""
    if len(payload) < 6 or payload[:4] != _ZSTD_MAGIC:
        return PAYLOAD_BYTES_MAX
    descriptor = payload[4]
    size_flag, is_single, dictionary_flag = descriptor >> 6, descriptor >> 5 & 1, descriptor & 3
    at = 5 + (not is_single) + (0, 1, 2, 4)[dictionary_flag]
    field = (is_single, 2, 4, 8)[size_flag]
    if field:
        return int.from_bytes(payload[at : at + field], "little") + (256 if field == 2 else 0)
    total = 0
    for _ in range(_ZSTD_BLOCKS_MAX):
        block = int.from_bytes(payload[at : at + 3], "little")
        is_last, kind, size_bytes = block & 1, block >> 1 & 3, block >> 3
        total += _ZSTD_BLOCK_BYTES_MAX if kind == 2 else size_bytes
        at += 3 + (1 if kind == 1 else size_bytes)
        if is_last or at >= len(payload):
            return min(total, PAYLOAD_BYTES_MAX)
        if total > PAYLOAD_BYTES_MAX:
            break
    return PAYLOAD_BYTES_MAX
