"""The first screen: hosts, volume of logs, slow operations, what arrives.

Hosts are known by node_exporter's metric names; one host is one value of the identity column
`node`, or of the label `instance` where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trilens.query.ask import Bound, Statement
from trilens.query.tables import LOGS, SAMPLE_VALUE, SAMPLES, SERIES, SPANS
from trilens.query.times import NS, TimeRange

HOSTS_MAX = 200
CPU_POINTS = 60
# A gauge is the last sample of this long before the end of the range.
GAUGE_REACH_NS = 300 * NS
CPU_WINDOW_MS = 60_000
_GAUGES = (
    "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", "node_load1",
    "node_filesystem_avail_bytes", "node_filesystem_size_bytes",
)  # fmt: skip
# Their fullness says nothing about the machine.
_PSEUDO_FILESYSTEMS = (
    "tmpfs", "devtmpfs", "overlay", "squashfs", "ramfs", "iso9660", "proc", "sysfs", "cgroup2",
    "nsfs", "fuse.lxcfs", "rootfs", "autofs", "mqueue", "hugetlbfs", "tracefs", "debugfs",
)  # fmt: skip
SIGNALS = {"logs": LOGS, "spans": SPANS, "samples": SAMPLES}

_HOST = "if(node != '', toString(node), labels['instance'])"


def gauges(within: TimeRange) -> Statement:
    """Columns host, metric, mount, value, at_ms: the newest value of each gauge of each host."""
    bound = Bound()
    reach = TimeRange(max(within.from_ns, within.to_ns - GAUGE_REACH_NS), within.to_ns)
    names = bound(list(_GAUGES), "Array(String)")
    pseudo = bound(list(_PSEUDO_FILESYSTEMS), "Array(String)")
    return bound.statement(
        "SELECT s.host AS host, s.metric AS metric, s.mount AS mount, argMax(v.value, v.at) AS "
        "value, max(v.at) AS at_ms FROM ("
        f"SELECT series_id, argMax({SAMPLE_VALUE}, timestamp) AS value, "
        "toUnixTimestamp64Milli(max(timestamp)) AS at "
        f"FROM {SAMPLES} WHERE metric IN {names} AND {reach.condition(bound)} "
        "GROUP BY series_id) AS v ANY INNER JOIN ("
        f"SELECT series_id, {_HOST} AS host, toString(metric) AS metric, "
        "toString(labels['mountpoint']) AS mount "
        f"FROM {SERIES} WHERE metric IN {names} AND labels['fstype'] NOT IN {pseudo}"
        ") AS s ON v.series_id = s.series_id GROUP BY host, metric, mount LIMIT 20000"
    )


def cpu(within: TimeRange) -> Statement:
    """Columns host, points: the share of CPU time that was not idle, NULL where unknown."""
    bound = Bound()
    first_ms, last_ms, step_ms = cpu_grid(within)
    reach = TimeRange(max(0, (first_ms - CPU_WINDOW_MS * 2) * 1_000_000), within.to_ns)
    window_ms = max(CPU_WINDOW_MS, step_ms)
    grid = (
        f"timeSeriesRateToGrid({first_ms / 1000:.3f}, {last_ms / 1000:.3f}, "
        f"{step_ms / 1000:.3f}, {window_ms / 1000:.3f})(timestamp, {SAMPLE_VALUE})"
    )
    idle = "s.mode IN ('idle', 'iowait')"
    return bound.statement(
        "SELECT s.host AS host, arrayMap((busy, total) -> if(total > 0, busy / total, NULL), "
        f"sumForEach(if({idle}, arrayMap(x -> if(isNull(x), NULL, 0.0), v.grid), v.grid)), "
        "sumForEach(v.grid)) AS points FROM ("
        f"SELECT series_id, {grid} AS grid FROM {SAMPLES} "
        f"WHERE metric = 'node_cpu_seconds_total' AND {reach.condition(bound)} "
        f"AND isFinite({SAMPLE_VALUE}) GROUP BY series_id) AS v ANY INNER JOIN ("
        f"SELECT series_id, {_HOST} AS host, toString(labels['mode']) AS mode "
        f"FROM {SERIES} WHERE metric = 'node_cpu_seconds_total') AS s "
        f"ON v.series_id = s.series_id GROUP BY host ORDER BY host LIMIT {HOSTS_MAX}"
    )


def cpu_grid(within: TimeRange) -> tuple[int, int, int]:
    """First step, last step and step, in ms."""
    step_ms = max(within.step_ms(CPU_POINTS), 15_000)
    last_ms = within.to_ns // 1_000_000 // step_ms * step_ms
    count = max(1, min(CPU_POINTS, (within.to_ns - within.from_ns) // (step_ms * 1_000_000)))
    return last_ms - (count - 1) * step_ms, last_ms, step_ms


def hosts(
    gauge_rows: Iterable[dict[str, Any]], cpu_rows: Iterable[dict[str, Any]], within: TimeRange
) -> list[dict[str, Any]]:
    """One entry a host, by name. A value that is not known is None."""
    found: dict[str, dict[str, Any]] = {}
    disks: dict[str, dict[str, dict[str, float]]] = {}
    for row in gauge_rows:
        host = found.setdefault(row["host"], _host(row["host"]))
        host["last_seen_ms"] = max(host["last_seen_ms"] or 0, row["at_ms"])
        if row["metric"].startswith("node_filesystem"):
            mounts = disks.setdefault(row["host"], {})
            mounts.setdefault(row["mount"], {})[row["metric"]] = row["value"]
        else:
            host[row["metric"]] = row["value"]
    first_ms, _, step_ms = cpu_grid(within)
    for row in cpu_rows:
        host = found.setdefault(row["host"], _host(row["host"]))
        host["cpu_points"] = [
            [first_ms + at * step_ms, value] for at, value in enumerate(row["points"])
        ]
        known = [point for point in host["cpu_points"] if point[1] is not None]
        host["cpu_used_ratio"] = known[-1][1] if known else None
    return [_finished(found[name], disks.get(name, {})) for name in sorted(found)[:HOSTS_MAX]]


def _host(name: str) -> dict[str, Any]:
    return {"node": name, "cpu_used_ratio": None, "cpu_points": [], "last_seen_ms": None}


def _finished(host: dict[str, Any], mounts: dict[str, dict[str, float]]) -> dict[str, Any]:
    total = host.pop("node_memory_MemTotal_bytes", None)
    available = host.pop("node_memory_MemAvailable_bytes", None)
    load1 = host.pop("node_load1", None)
    is_known = bool(total) and available is not None
    fullest, ratio = "", None
    for mount, values in sorted(mounts.items()):
        size = values.get("node_filesystem_size_bytes")
        left = values.get("node_filesystem_avail_bytes")
        if size and left is not None and (ratio is None or 1 - left / size > ratio):
            fullest, ratio = mount, 1 - left / size
    return {
        **host,
        "memory_used_ratio": 1 - available / total if is_known else None,
        "memory_total_bytes": total,
        "load1": load1,
        "disk_used_ratio_max": ratio,
        "disk_fullest_mount": fullest,
    }


def arriving(within: TimeRange, signal: str, step_ms: int) -> Statement:
    """Rows of a signal by their own time: columns t_ms, n. `signal` is a key of SIGNALS."""
    bound = Bound()
    step = bound(step_ms, "Int64")
    # Samples have times of ms, the others of ns.
    at_ms = "toUnixTimestamp64Milli(toDateTime64(timestamp, 3, 'UTC'))"
    return bound.statement(
        f"SELECT intDiv({at_ms}, {step}) * {step} AS t_ms, count() AS n "
        f"FROM {SIGNALS[signal]} WHERE {within.condition(bound)} GROUP BY t_ms ORDER BY t_ms"
    )


def arrival(
    signal: str, rows: list[dict[str, Any]], within: TimeRange, step_ms: int
) -> dict[str, Any]:
    """Rates by step; the last, unfinished step is left out of `rate_per_s`."""
    counts = {row["t_ms"]: row["n"] for row in rows}
    first = within.from_ns // 1_000_000 // step_ms
    last = (within.to_ns - 1) // 1_000_000 // step_ms
    points = [
        [at * step_ms, counts.get(at * step_ms, 0) / (step_ms / 1000)]
        for at in range(first, last + 1)
    ]
    whole = points[:-1] or points
    recent = whole[-3:]
    return {
        "signal": signal,
        "points": points,
        "rate_per_s": sum(point[1] for point in recent) / len(recent),
        "total": sum(counts.values()),
    }
