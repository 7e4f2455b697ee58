"""Prometheus remote write beside VictoriaMetrics (and Prometheus): the same bodies, the same run.

20,000 series, 2,000 samples a request, 4 connections. Visible means that a query finds them. We
sync to disk before we answer; the peers do not. Sizes are those after each has merged everything.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench import peers
from bench.bodies import made
from bench.generate_metrics import SERIES
from bench.load import Loaded, load
from bench.machine import directory_bytes
from bench.program import Trilens
from bench.report import Details, Figure
from bench.send import Task

SAMPLES = 12_000_000
# Prometheus takes so much longer that a part of it says enough.
PROMETHEUS_SHARE = 0.25
GOAL_RATIO = 1.5


def run(scale: float) -> Iterator[Figure]:
    count = int(SAMPLES * scale) // SERIES * SERIES
    path = str(made("writes", count)[0])
    rival = _victoria_metrics(path, count) if peers.is_installed("victoria-metrics") else None
    with Trilens("remote_write") as program:
        task = Task("remote_write", "writes", program.http_port, [path])
        loaded = load(task, program)
        merge_s = program.merge("sample_rows", "series_rows")
        tables = program.tables()
    ours = tables["sample_rows"] + tables["series_rows"]
    name, rate, size, details = rival or ("", None, None, {"victoria-metrics": "not installed"})
    yield Figure(
        "20,000 series, until visible", loaded.records_per_s, "samples/s", "more",
        rate and GOAL_RATIO * rate, name, rate, details=loaded.details | details,
    )  # fmt: skip
    yield Figure(
        "on disk, merged, series included", ours / count, "bytes/sample", "less",
        size, name, size,
        details={"sample_bytes": tables["sample_rows"], "series_bytes": tables["series_rows"],
                 "merge_s": round(merge_s, 1)} | details,
    )  # fmt: skip
    if peers.is_installed("prometheus"):
        yield _beside_prometheus(path, count, loaded)


def _victoria_metrics(path: str, count: int) -> tuple[str, float, float, Details]:
    """Its name, samples/s, bytes a sample, and details."""
    with peers.VictoriaMetrics() as peer:
        task = Task("remote_write", "writes", peer.port, [path])
        loaded = load(task, peer)
        sizes = peer.merged_bytes()
    details = {f"peer_{key}": value for key, value in loaded.details.items()}
    details |= {f"peer_{key}_bytes": value for key, value in sizes.items()}
    name = f"victoria-metrics {peers.version('victoria-metrics')}"
    size = sum(sizes.values()) / count
    return name, loaded.records_per_s, size, details


def _beside_prometheus(path: str, count: int, ours: Loaded) -> Figure:
    part = count * PROMETHEUS_SHARE
    with peers.Prometheus() as peer:
        seconds_max = max(30.0, part / 50_000)
        task = Task("remote_write", "writes", peer.port, [path], seconds_max=seconds_max)
        loaded = load(task, peer)
        size = directory_bytes(peer.data / "data")
    return Figure(
        "beside Prometheus", ours.records_per_s, "samples/s", "more",
        peer=f"prometheus {peers.version('prometheus')}", peer_value=loaded.records_per_s,
        details=loaded.details | {"peer_unmerged_bytes": size},
    )  # fmt: skip
