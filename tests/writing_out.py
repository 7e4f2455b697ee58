"""What the tests of remote write out share: a receiver that remembers, and may fail in any way."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cramjam
import httpx
import numpy as np

from trilens.protobuf_wire import FIXED64, block, tag
from trilens.protobuf_wire import number as varint_field
from trilens.receive.prometheus_schema import V1, V2

STALE_BITS = 0x7FF0000000000002

Sample = tuple[tuple[tuple[str, str], ...], int, int]  # labels, ms, bits of the value


class Receiver(ThreadingHTTPServer):
    """Keeps every request that it answers with 2xx, by `answer(number of the request)`."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.taken: list[object] = []
        self.refused = 0
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (204, {})
        self.pause_s = 0.0
        self.knows_2 = True
        self.seen = 0
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Whoever sends may be killed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def series(self) -> Iterator[tuple[tuple[tuple[str, str], ...], object]]:
        """Labels and the TimeSeries, of both versions."""
        with self.lock:
            taken = list(self.taken)
        for message in taken:
            for one in message.timeseries:
                yield labels_of(message, one), one

    def samples(self, name: str | None = None) -> list[Sample]:
        """In the order in which they came."""
        return [
            (labels, sample.timestamp, bits_of(sample.value))
            for labels, one in self.series()
            for sample in one.samples
            if name is None or ("__name__", name) in labels
        ]


def labels_of(message: object, series: object) -> tuple[tuple[str, str], ...]:
    if hasattr(series, "labels"):
        return tuple((one.name, one.value) for one in series.labels)
    refs = [message.symbols[number] for number in series.labels_refs]
    return tuple(zip(refs[::2], refs[1::2], strict=True))


def bits_of(value: float) -> int:
    return int(np.array(value, np.float64).view(np.uint64))


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        receiver = self.server
        with receiver.lock:
            nth, receiver.seen = receiver.seen, receiver.seen + 1
        if receiver.pause_s:
            time.sleep(receiver.pause_s)
        status, headers = receiver.answer(nth)
        if status == 0:  # hang up without a word
            self.close_connection = True
            return
        is_v2 = "v2.Request" in self.headers["content-type"]
        kind = V2["Request"] if is_v2 else V1["WriteRequest"]
        message = kind.FromString(bytes(cramjam.snappy.decompress_raw(body)))
        with receiver.lock:
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            if status // 100 == 2:
                receiver.taken.append(message)
            else:
                receiver.refused += 1
        self.send_response(status)
        if is_v2 and status // 100 == 2 and receiver.knows_2:
            self.send_header("X-Prometheus-Remote-Write-Samples-Written", "1")
        for name, value in headers.items():
            self.send_header(name, value)
        text = b"" if status == 204 else b"because\n"
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def a_receiver(port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """`tls` is a certificate of localhost and its key."""
    server = Receiver(port)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(url: str, body: bytes) -> None:
    """One request of remote write 1.0, until it is acknowledged."""
    headers = {"content-encoding": "snappy", "content-type": "application/x-protobuf"}
    content = bytes(cramjam.snappy.compress_raw(body))
    answer = httpx.post(f"{url}/api/v1/write", content=content, headers=headers, trust_env=False)
    assert answer.status_code == 204, answer.text


def write(url: str, series: list[dict]) -> None:
    post(url, V1["WriteRequest"](timeseries=series).SerializeToString())


def ended(name: str, number: int, at_ms: int) -> bytes:
    """A part of a request that ends a series: Python's protobuf would change the marker's bits."""
    one = V1["WriteRequest"](timeseries=[series_of(name, number, [])]).timeseries[0]
    sample = tag(1, FIXED64) + STALE_BITS.to_bytes(8, "little") + varint_field(2, at_ms)
    return block(1, one.SerializeToString() + block(2, sample))


def series_of(name: str, number: int, samples: list[tuple[int, float]]) -> dict:
    return {
        "labels": [{"name": "__name__", "value": name}, {"name": "n", "value": str(number)}],
        "samples": [{"timestamp": at_ms, "value": value} for at_ms, value in samples],
    }


def measured(url: str, name: str) -> float:
    """The sum over all labels of a metric of the program."""
    found = 0.0
    for line in httpx.get(f"{url}/metrics", trust_env=False).text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            found += float(line.rpartition(" ")[2])
    return found
