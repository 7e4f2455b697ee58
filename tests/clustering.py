"""An API server of Kubernetes for tests: lists in pages, watches, and what can go wrong with them."""

from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs, urlsplit

from answering import Answering, Quiet


class ApiServer:
    """`objects` are by path of their list, then by namespace/name."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict]] = {}
        self.events: list[tuple[int, str, str, dict]] = []
        self.version = 100
        self.oldest = 0
        self.status = 200
        self.requests: list[tuple[str, dict, dict]] = []
        self.changed = threading.Condition()
        self.is_over = False
        cluster = self

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def answer(self):
                cluster.answer(self)

        self._server = Answering(Handler)
        self.url = self._server.url

    def close(self) -> None:
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        self._server.close()

    def put(self, path: str, found: dict, kind: str = "") -> None:
        """As somebody who applies it; `kind` DELETED takes it away."""
        with self.changed:
            self.version += 1
            metadata = found["metadata"]
            key = f"{metadata.get('namespace', '')}/{metadata['name']}"
            known = self.objects.setdefault(path, {})
            kind = kind or ("MODIFIED" if key in known else "ADDED")
            made = {**found, "metadata": {**metadata, "resourceVersion": str(self.version)}}
            if kind == "DELETED":
                known.pop(key)
            else:
                known[key] = made
            self.events.append((self.version, path, kind, made))
            self.changed.notify_all()

    def forget(self) -> None:
        """Every version so far is too old to be watched from; watches that are open end."""
        with self.changed:
            self.oldest = self.version + 1
            self.version += 1
            self.changed.notify_all()

    def answer(self, handler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((parts.path, query, dict(handler.headers)))
        if self.status != 200:
            handler.send_response(self.status)
            handler.send_header("content-length", "0")
            handler.end_headers()
        elif "watch" in query:
            self.watch(handler, parts.path, int(query["resourceVersion"]))
        else:
            self.list(handler, parts.path, int(query["limit"]), int(query.get("continue", "0")))

    def list(self, handler, path: str, limit: int, start: int) -> None:
        with self.changed:
            items = list(self.objects.get(path, {}).values())
            following = str(start + limit) if start + limit < len(items) else ""
            body = {
                "metadata": {"resourceVersion": str(self.version), "continue": following},
                "items": items[start : start + limit],
            }
        data = json.dumps(body).encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def watch(self, handler, path: str, version: int) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        seen = version
        while not self.is_over:
            with self.changed:
                if version < self.oldest:
                    self.send(handler, {"type": "ERROR", "object": {"code": 410, "message": "old"}})
                    break
                new = [one for one in self.events if one[0] > seen and one[1] == path]
                if not new:
                    self.changed.wait(0.2)
                    continue
            for number, _, kind, found in new:
                seen = number
                self.send(handler, {"type": kind, "object": found})
            bookmark = {"metadata": {"resourceVersion": str(seen)}}
            self.send(handler, {"type": "BOOKMARK", "object": bookmark})
        handler.wfile.write(b"0\r\n\r\n")

    def send(self, handler, event: dict) -> None:
        line = json.dumps(event).encode() + b"\n"
        half = len(line) // 2  # events do not keep to chunks
        for piece in (line[:half], line[half:]):
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            handler.wfile.flush()
