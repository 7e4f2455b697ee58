"""Random queries to a real Prometheus and to ours, which were sent the same: the same answers."""

from __future__ import annotations

import subprocess
import time

import cramjam
import httpx
import pytest

from promql_random import MINUTES, Queries, differs, rows, scrapes
from scraping import PROMETHEUS, free_port, needs_prometheus
from serving import Trilens
from storing import until

QUERIES = 100
pytestmark = needs_prometheus
HEADERS = {
    "content-type": "application/x-protobuf", "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}  # fmt: skip


@pytest.fixture(scope="module")
def start_s():
    return int(time.time()) // 60 * 60 - 2 * 3600


@pytest.fixture(scope="module")
def both(tmp_path_factory, start_s):
    """Clients of ours and of Prometheus, with the same samples in both."""
    directory, port = tmp_path_factory.mktemp("random"), free_port()
    (directory / "prometheus.yml").write_text("global: {}\n")
    command = [
        PROMETHEUS, f"--config.file={directory}/prometheus.yml", "--web.enable-remote-write-receiver",
        f"--storage.tsdb.path={directory}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=promql-at-modifier,promql-negative-offset", "--log.level=error",
    ]  # fmt: skip
    with Trilens(directory / "data") as trilens, subprocess.Popen(command) as prometheus:
        try:
            bases = trilens.url, f"http://127.0.0.1:{port}"
            ours, theirs = (
                httpx.Client(base_url=base, trust_env=False, timeout=60) for base in bases
            )
            with ours, theirs:
                until(lambda: _is_ready(theirs))
                for client in (ours, theirs):
                    _send(client, start_s)
                until(lambda: _ended(ours, start_s) == _ended(theirs, start_s) != {})
                yield ours, theirs
        finally:
            prometheus.terminate()


def _send(client: httpx.Client, start_s: int) -> None:
    for message in scrapes(1, start_s * 1000):
        body = bytes(cramjam.snappy.compress_raw(message))
        client.post("/api/v1/write", content=body, headers=HEADERS).raise_for_status()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def _ended(client: httpx.Client, start_s: int) -> dict:
    """What the last scrape brought."""
    asked = {"query": 'timestamp({__name__=~".+"})', "time": str(start_s + MINUTES * 60)}
    return rows(client.post("/api/v1/query", data=asked).json())


@pytest.mark.parametrize("seed", [1, 2, pytest.param(None, marks=pytest.mark.soak)])
def test_the_same_answers(both, start_s, seed):
    version = both[1].get("/api/v1/status/buildinfo").json()["data"]["version"]
    queries = Queries(seed or time.time_ns(), is_for_2=version.startswith("2."))
    wrong = []
    empty = 0
    count = QUERIES if seed else 15 * QUERIES
    for _ in range(count):
        query = queries.vector()
        times = {"start": start_s + 1800, "end": start_s + (MINUTES - 20) * 60, "step": 97}
        for path, more in (("query_range", times), ("query", {"time": start_s + 4000})):
            replies = [
                client.post(f"/api/v1/{path}", data={"query": query, **more}).json()
                for client in both
            ]
            ours, theirs = map(rows, replies)
            empty += not theirs
            if difference := differs(ours, theirs):
                wrong.append(f"{path} {query}\n    {difference}")
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong)
    assert empty < count  # of two answers each
