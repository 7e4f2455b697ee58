"""Targets for scrapers, in a process of their own: python -m bench.scrape_targets PORT COUNT

Each listens on an address of its own, 127.1.0.1 and up. Bodies are made and compressed before the
first scrape, so that one costs this process next to nothing: LAYOUTS nodes that differ in their
pods, at MOMENTS moments one after the other. SERIES series in each, half of them shaped like
cAdvisor's (ids, images and names of containers), half like a kubelet's histograms.

GET /arrivals on 127.0.0.1 answers [[target, wall_ns], ...]: every scrape since the start, by the
moment at which its request was there.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Final

import orjson

SERIES: Final = 2_000
LAYOUTS: Final = 20
MOMENTS: Final = 24
CONTAINERS: Final = 40
BOUNDS: Final = (*(f"{0.005 * 1.6**n:.4g}" for n in range(17)), "+Inf")
ARRIVALS_MAX: Final = 1_000_000
_COUNTERS: Final = (
    "cpu_usage_seconds", "cpu_system_seconds", "cpu_user_seconds", "cpu_cfs_periods",
    "cpu_cfs_throttled_periods", "cpu_cfs_throttled_seconds", "fs_reads", "fs_reads_bytes",
    "fs_writes", "fs_writes_bytes", "network_receive_bytes", "network_receive_packets",
    "network_transmit_bytes", "network_transmit_packets", "memory_failures", "oom_events",
)  # fmt: skip
_GAUGES: Final = (
    "memory_rss", "memory_cache", "memory_swap", "memory_usage_bytes", "memory_working_set_bytes",
    "memory_max_usage_bytes", "processes", "sockets", "threads",
)  # fmt: skip
_OPERATIONS: Final = ("create", "start", "stop", "remove", "status", "list", "exec", "pull", "sync",
                      "mount")  # fmt: skip
_HISTOGRAMS: Final = ("runtime_operations", "pod_worker", "storage_operation", "rest_client",
                      "cgroup_manager")  # fmt: skip


def host(target: int) -> str:
    return f"127.1.{target // 250}.{target % 250 + 1}"


def metrics() -> list[str]:
    """Names of all that is exposed."""
    parts = ("bucket", "sum", "count")
    return [
        *(f"container_{name}_total" for name in _COUNTERS),
        *(f"container_{name}" for name in _GAUGES),
        *(f"kubelet_{name}_duration_seconds_{part}" for name in _HISTOGRAMS for part in parts),
    ]


def bodies(layout: int) -> Iterator[bytes]:
    """What one node exposes at one moment after the other, compressed as gzip."""
    draw = random.Random(layout)
    families = [*_containers(draw), *_histograms(draw)]
    assert sum(len(lines) for _, lines in families) == SERIES
    for moment in range(MOMENTS):
        text = bytearray()
        for head, lines in families:
            text += head
            for start, first, step in lines:
                # A third of all counters and gauges stand still, as they do.
                text += b"%s %.6g\n" % (start, first + step * moment)
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        yield packer.compress(bytes(text)) + packer.flush()


Lines = list[tuple[bytes, float, float]]  # series, value at first, rise


def _containers(draw: random.Random) -> Iterator[tuple[bytes, Lines]]:
    labels = []
    for number in range(CONTAINERS):
        uid, ident = f"{draw.getrandbits(128):032x}", f"{draw.getrandbits(256):064x}"
        labels.append(
            f'container="app",id="/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod'
            f'{uid}.slice/cri-containerd-{ident}.scope",image="registry.example/shop/app-{number}:'
            f'1.{number}",name="{ident}",namespace="shop-{number % 7}",'
            f'pod="app-{number}-{uid[:10]}-{uid[10:15]}"'
        )
    for is_counter, names in ((True, _COUNTERS), (False, _GAUGES)):
        for name in names:
            full = f"container_{name}_total" if is_counter else f"container_{name}"
            kind = "counter" if is_counter else "gauge"
            head = f"# HELP {full} Of cgroups.\n# TYPE {full} {kind}\n".encode()
            yield head, [_line(f"{full}{{{one}}}", draw) for one in labels]


def _histograms(draw: random.Random) -> Iterator[tuple[bytes, Lines]]:
    for name in _HISTOGRAMS:
        full = f"kubelet_{name}_duration_seconds"
        lines: Lines = []
        for operation in _OPERATIONS:
            of = f'operation_type="{operation}"'
            first, step = draw.randrange(10**6), draw.choice((0, 3, 40))
            for place, bound in enumerate(BOUNDS, 1):
                series = f'{full}_bucket{{{of},le="{bound}"}}'.encode()
                lines.append((series, first * place // 18, step * place // 18))
            lines.append((f"{full}_sum{{{of}}}".encode(), first / 7, step / 7))
            lines.append((f"{full}_count{{{of}}}".encode(), first, step))
        yield f"# HELP {full} Of operations.\n# TYPE {full} histogram\n".encode(), lines


def _line(series: str, draw: random.Random) -> tuple[bytes, float, float]:
    return series.encode(), draw.randrange(10**9) / 8, draw.choice((0, 1, 1000)) * draw.random()


class _Target(asyncio.Protocol):
    """Requests of one connection; each is one GET without a body."""

    made: Final[list[list[bytes]]] = []
    arrivals: Final[list[tuple[int, int]]] = []
    served: Final[dict[int, int]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = transport.get_extra_info("sockname")[0]
        _, network, high, low = map(int, address.split("."))
        self._target = high * 250 + low - 1 if network else None
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            self._read = self._read[end + 4 :]
            self._answer()

    def _answer(self) -> None:
        if self._target is None:
            body, more = orjson.dumps(self.arrivals), b"application/json"
        else:
            if len(self.arrivals) < ARRIVALS_MAX:
                self.arrivals.append((self._target, time.time_ns()))
            count = self.served.get(self._target, self._target // LAYOUTS)
            self.served[self._target] = count + 1
            body = self.made[self._target % len(self.made)][count % MOMENTS]
            more = b"text/plain; version=0.0.4; charset=utf-8\r\nContent-Encoding: gzip"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (more, len(body)) + body)


async def _serve(port: int, count: int) -> None:
    _Target.made.extend(list(bodies(layout)) for layout in range(min(LAYOUTS, count)))
    loop = asyncio.get_running_loop()
    hosts = ["127.0.0.1", *map(host, range(count))]
    server = await loop.create_server(_Target, hosts, port, backlog=64)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
