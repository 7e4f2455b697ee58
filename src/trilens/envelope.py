"""What crosses the spool: one payload as it came, and what is needed to read it again."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Literal, get_args

import cramjam
import zstandard

WireFormat = Literal["otlp_traces", "otlp_logs", "otlp_metrics", "prometheus_write"]
Encoding = Literal["identity", "gzip", "zstd", "snappy", "lz4"]

WIRE_FORMATS: tuple[WireFormat, ...] = get_args(WireFormat)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One accepted request body.

    `payload` is byte for byte what the sender sent, still compressed as `encoding` says:
    snappy is the raw block format, lz4 a block with its size in front (ours, for bodies that
    came uncompressed). Decompressed it is one protobuf message of `format`. Requests of remote
    write, of which most has been kept before, are re-framed by their receiver.
    """

    format: WireFormat
    received_at_ns: int
    encoding: Encoding
    payload: bytes


def unpack(encoding: Encoding, payload: bytes) -> bytes:
    """The message inside. The receiver has bounded its size before it was accepted."""
    if encoding == "identity":
        return payload
    if encoding == "snappy":
        return bytes(cramjam.snappy.decompress_raw(payload))
    if encoding == "lz4":
        return bytes(cramjam.lz4.decompress_block(payload))
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(payload)
    return gzip.decompress(payload)
