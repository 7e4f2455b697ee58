"""What all HTTP servers of tests share: a free port, a thread, the end of it, and plain answers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answering(ThreadingHTTPServer):
    """Serves from now on, in a thread of its own, until it is closed."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def handle_error(self, *_: object) -> None:
        """A client that goes away is what many tests are about."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class Quiet(BaseHTTPRequestHandler, ABC):
    """One request; a subclass says how it is answered, whatever its method."""

    @abstractmethod
    def answer(self) -> None: ...

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
