"""A name server for tests, and its messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

from trilens.scrape.dns_lookup import lookup
from trilens.scrape.dns_messages import TYPES, Resolvers

ASKED_AT = 12  # where the name of the question begins: records point there


def packed(name: str) -> bytes:
    labels = name.rstrip(".").split(".")
    return b"".join(bytes([len(one)]) + one.encode() for one in labels) + b"\0"


def record(kind: str, data: bytes) -> bytes:
    return struct.pack("!HHHIH", 0xC000 | ASKED_AT, TYPES[kind], 1, 30, len(data)) + data


def replied(asked: bytes, *records: bytes, code: int = 0, is_truncated: bool = False) -> bytes:
    end = asked.index(b"\0", ASKED_AT) + 5
    flags = 0x8180 | code | (0x0200 if is_truncated else 0)
    head = asked[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0)
    return head + asked[ASKED_AT:end] + b"".join(records)


def pair_of_sockets():
    """Of one port, which another program may have for one of the two."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:
            udp.close()


class Server:
    """A name server on a port of this machine; `answers` are by name, functions of the question."""

    def __init__(self) -> None:
        self.answers = {}
        self.asked = []
        self.udp, self.tcp = pair_of_sockets()
        self.port = self.udp.getsockname()[1]
        for serve in (self._udp, self._tcp):
            threading.Thread(target=serve, daemon=True).start()

    def _answer(self, asked, way):
        at, labels = ASKED_AT, []
        while asked[at]:
            labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
            at += 1 + asked[at]
        name = ".".join(labels) + "."
        self.asked.append((way, name))
        made = self.answers.get(name)
        return replied(asked, code=3) if made is None else made(asked, way)

    def _udp(self):
        with contextlib.suppress(OSError):
            while True:
                asked, sender = self.udp.recvfrom(4096)
                reply = self._answer(asked, "udp")
                if reply:
                    self.udp.sendto(b"\0\0not an answer", sender)
                    self.udp.sendto(reply, sender)

    def _tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                with connection:
                    asked = connection.recv(4096)[2:]
                    reply = self._answer(asked, "tcp")
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)

    def close(self):
        self.udp.close()
        self.tcp.close()

    def look(self, name, kind="SRV", search=("example.org",), servers=("127.0.0.1",)):
        resolvers = Resolvers(servers, search, 1)
        return asyncio.run(lookup(name, kind, resolvers=resolvers, port=self.port))
