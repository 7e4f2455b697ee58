"""`trilens up`: this machine's numbers, its log lines each once, and Trilens itself."""

from __future__ import annotations

import time

from serving import Trilens

LINES = 200


def write(path, first, count):
    with path.open("a") as file:
        for number in range(first, first + count):
            file.write(f"2026-03-01T12:00:00Z line {number} of {path.name}\n")
            if number % 20 == 0:
                file.flush()
                time.sleep(0.01)


def test_this_machine_is_seen_within_seconds_and_each_line_once(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    write(logs / "app.log", 0, LINES)
    trilens = Trilens(tmp_path / "data", "--watch-logs", str(logs), verb="up").start()
    began = time.monotonic()
    for name in ("node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_load1",
                 "node_filesystem_avail_bytes", "node_network_receive_bytes_total"):  # fmt: skip
        while not trilens.count("samples", f"metric = '{name}'"):
            assert time.monotonic() - began < 25, name
            time.sleep(0.2)
    assert trilens.wait_count("logs", LINES, "body LIKE '%of app.log'") == LINES
    (logs / "app.log").rename(logs / "app.log.1")
    write(logs / "app.log", LINES, LINES)
    assert trilens.wait_count("logs", 2 * LINES, "body LIKE '%of app.log'") == 2 * LINES
    assert trilens.wait_count("logs", 0, "service = 'trilens'", timeout_s=0.1) > 0
    assert trilens.stop() == 0

    write(logs / "app.log", 2 * LINES, LINES)
    trilens.start()
    assert trilens.wait_count("logs", 3 * LINES, "body LIKE '%of app.log'") == 3 * LINES
    trilens.kill()
    write(logs / "app.log", 3 * LINES, LINES)
    trilens.start()
    everything = "body LIKE '%of app.log'"
    assert trilens.wait_count("logs", 4 * LINES, everything, timeout_s=60) == 4 * LINES
    distinct = trilens.sql(f"SELECT uniqExact(body) FROM logs WHERE {everything}")[0][0]
    assert int(distinct) == 4 * LINES
    assert trilens.stop() == 0
