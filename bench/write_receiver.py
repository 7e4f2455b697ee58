"""A receiver of remote write that only counts: python -m bench.write_receiver PORT

POST /api/v1/write   204 when it is open, with what was written; before that 503
POST /open           from now on requests are taken
GET  /counts         {"requests": ..., "samples": ..., "bytes": ..., "refused": ...}
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import cramjam
import orjson

from trilens.receive.prometheus_schema import V1, V2


class _Receiver(asyncio.Protocol):
    """Requests of one connection, one after the other."""

    counts: Final = {"requests": 0, "samples": 0, "bytes": 0, "refused": 0}
    is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = bytearray()

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._read[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            whole = end + 4 + int(headers.get("content-length", 0))
            if len(self._read) < whole:
                return
            body = bytes(self._read[end + 4 : whole])
            del self._read[:whole]
            self._answer(first.split(" ")[1], headers, body)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> None:
        counts = self.counts
        if path == "/open":
            _Receiver.is_open = True
        if path != "/api/v1/write":
            self._say("200 OK", orjson.dumps(counts))
        elif not self.is_open:
            counts["refused"] += 1
            self._say("503 Service Unavailable")
        else:
            is_v2 = "v2.Request" in headers.get("content-type", "")
            kind = V2["Request"] if is_v2 else V1["WriteRequest"]
            message: Any = kind.FromString(bytes(cramjam.snappy.decompress_raw(body)))
            samples = sum(len(one.samples) for one in message.timeseries)
            counts["requests"] += 1
            counts["samples"] += samples
            counts["bytes"] += len(body)
            written = f"X-Prometheus-Remote-Write-Samples-Written: {samples}\r\n"
            self._say("204 No Content", more=written)

    def _say(self, status: str, body: bytes = b"", more: str = "") -> None:
        size = "" if status.startswith("204") else f"Content-Length: {len(body)}\r\n"
        self._transport.write(f"HTTP/1.1 {status}\r\n{more}{size}\r\n".encode() + body)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
