"""Every request in tests/cases/receive gets exactly its reply, and leaves exactly its envelope."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

import cramjam
import httpx
import pytest
import zstandard
from google.protobuf import text_format
from starlette.applications import Starlette

from receiving import MESSAGES, Kept, an_intake
from trilens.envelope import unpack
from trilens.receive import Limits, google_status
from trilens.receive.listener import routes
from trilens.receive.prometheus_schema import V1, V2

CASES = Path(__file__).parent / "cases" / "receive"
NAMED = {
    "traces": MESSAGES["otlp_traces"],
    "logs": MESSAGES["otlp_logs"],
    "metrics": MESSAGES["otlp_metrics"],
    "write1": V1["WriteRequest"],
    "write2": V2["Request"],
    "status": google_status._CLASSES["Status"],
}


def gzipped(body: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compressor.compress(body) + compressor.flush()


CHANGES = {
    "gzip": lambda body, _: gzipped(body),
    "deflate": lambda body, _: zlib.compress(body),
    "zstd": lambda body, _: zstandard.compress(body),
    "snappy": lambda body, _: bytes(cramjam.snappy.compress_raw(body)),
    "cut": lambda body, count: body[: -int(count)],
    "add": lambda body, text: body + bytes.fromhex(text),
    "nest": lambda body, count: nested(body, int(count)),
}


def nested(body: bytes, depth: int) -> bytes:
    """A log record whose body is an AnyValue `depth` lists deep, around the bytes in `body`."""
    for tag in [b"\x0a", b"\x2a"] * depth + [b"\x2a", b"\x12", b"\x12", b"\x0a"]:
        size, length = len(body), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        body = tag + length + bytes([size]) + body
    return body


def body_of(lines: list[str]) -> bytes:
    body = b""
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "|":
            name, _, argument = rest.partition(" ")
            body = CHANGES[name](body, argument)
        elif word == "text":
            body += rest.encode()
        elif word == "hex":
            body += bytes.fromhex(rest)
        elif word == "zeros":
            body += bytes(int(rest))
        else:
            body += text_format.Parse(rest, NAMED[word]()).SerializeToString()
    return body


def blocks(path: Path) -> tuple[list[str], list[str], list[str]]:
    lines = [line for line in path.read_text().split("\n") if not line.startswith("#")]
    first = lines.index("---")
    second = lines.index("---", first + 1)
    return lines[:first], lines[first + 1 : second], [x for x in lines[second + 1 :] if x]


def headers_and_body(lines: list[str]) -> tuple[dict[str, str], bytes]:
    end = lines.index("")
    headers = dict(line.split(": ", 1) for line in lines[:end] if ": " in line)
    return headers, body_of([line for line in lines[end:] if line])


async def sent(request: list[str], limits: Limits, kept: Kept) -> tuple[httpx.Response, bytes]:
    intake = an_intake(kept, limits=limits)
    method, path = request[0].split()
    headers, body = headers_and_body(request[1:])
    transport = httpx.ASGITransport(Starlette(routes=routes(intake)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.request(method, path, headers=headers, content=body)
    intake.close()
    return answer, body


@pytest.mark.parametrize("path", sorted(CASES.rglob("*.http")), ids=lambda p: p.stem)
def test_the_exact_reply_and_what_is_kept(path: Path) -> None:
    request, reply, keeps = blocks(path)
    limit = next((int(x.split()[1]) for x in request if x.startswith("limit ")), None)
    limits = Limits() if limit is None else Limits(limit, limit)
    kept = Kept()
    answer, body = asyncio.run(sent(request, limits, kept))
    headers, content = headers_and_body(reply[1:])
    given = {k: v for k, v in answer.headers.items() if k != "content-length"}
    assert (answer.status_code, given, answer.content) == (int(reply[0]), headers, content)
    if keeps == ["nothing"]:
        assert kept.envelopes == []
        return
    (envelope,) = kept.envelopes
    wire_format, encoding, *inside = keeps[0].split(" ", 2)
    assert (envelope.format, envelope.encoding) == (wire_format, encoding)
    if inside == ["as sent"]:
        assert envelope.payload == body
    else:
        message = MESSAGES[wire_format].FromString(unpack(envelope.encoding, envelope.payload))
        assert message == text_format.Parse("\n".join(inside + keeps[1:]), type(message)())


def test_every_receiver_has_the_cases_that_the_spec_demands() -> None:
    for protocol in ("otlp", "prometheus_write"):
        names = {path.stem for path in (CASES / protocol).glob("*.http")}
        for demanded in ("empty", "truncated", "oversized", "unknown_field", "duplicate"):
            assert any(demanded in name for name in names), (protocol, demanded)
