"""OTLP spans of 11 attributes, by gRPC and by HTTP, until a query counts them; then their size.

2 million spans each way in requests of about 1,000 spans, uncompressed, over 4 connections.
Published for Jaeger on ClickHouse, on 4 cores: 52,000 spans/s, 76 bytes a span.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.bodies import made
from bench.load import load
from bench.program import Trilens
from bench.report import Figure
from bench.send import Protocol, Task

SPANS = 2_000_000
GOAL_PER_S, GOAL_BYTES = 120_000, 80
PEER, PEER_PER_S, PEER_BYTES = "Jaeger on ClickHouse, 4 cores", 52_000, 76
WAYS: tuple[tuple[Protocol, str], ...] = (("otlp_grpc", "gRPC"), ("otlp_http", "HTTP"))


def run(scale: float) -> Iterator[Figure]:
    paths = [str(path) for path in made("spans", int(SPANS * scale))]
    with Trilens("spans") as program:
        for key, (protocol, name) in enumerate(WAYS, 1):
            port = program.grpc_port if protocol == "otlp_grpc" else program.otlp_port
            task = Task(protocol, "spans", port, paths, key=key)
            loaded = load(task, program)
            yield Figure(
                f"OTLP {name}, until visible", loaded.records_per_s, "spans/s", "more",
                GOAL_PER_S, PEER, PEER_PER_S, is_published=True, details=loaded.details,
            )  # fmt: skip
        merge_s = program.merge("span_rows")
        size = program.tables()["span_rows"] / program.count("spans")
        yield Figure(
            "on disk, merged", size, "bytes/span", "less", GOAL_BYTES, PEER, PEER_BYTES,
            is_published=True, details={"merge_s": round(merge_s, 1)},
        )  # fmt: skip
