"""The admin API: deleting samples, cleaning up, snapshots that can be brought back."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import cramjam
import httpx
import pytest

from presenting import Api
from querying import T0_MS, T0_NS, S, clear, engine, insert, sample, series
from serving import Trilens
from storing import until, writes
from trilens.clock import SystemClock
from trilens.measures import Measures
from trilens.present.prometheus_admin import Admin, AdminSettings
from trilens.present.threads import Threads

T0_S = T0_NS // S
BASE = "/api/v1/admin/tsdb"
CALLS = ("delete_series", "clean_tombstones", "snapshot")


@pytest.fixture(autouse=True)
def rows():
    clear()
    for table in ("histogram_rows", "exemplar_rows"):
        engine().command(f"TRUNCATE TABLE trilens.{table}")
    insert(
        "series_rows",
        [series(1, "up", {"job": "a"}), series(2, "up", {"job": "b"}), series(3, "heat", {})],
    )
    insert(
        "sample_rows",
        [sample(n, name, at_s, 1) for n, name in ((1, "up"), (2, "up"), (3, "heat"))
         for at_s in range(0, 100, 10)],
    )  # fmt: skip
    insert(
        "histogram_rows",
        [
            {"metric": "up", "series_id": n, "timestamp": T0_S, "kind": "native_histogram"}
            for n in (1, 2)
        ],
    )
    insert(
        "exemplar_rows",
        [{"metric": "up", "series_id": n, "timestamp": T0_S} for n in (1, 2)],
    )


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    return tmp_path_factory.mktemp("data") / "snapshots"


@pytest.fixture(scope="module")
def client(snapshots):
    threads = Threads()
    settings = AdminSettings(is_enabled=True, snapshots=snapshots)
    admin = Admin(engine(), Measures(), SystemClock(), threads, settings)
    api = Api(engine(), beside=admin.routes())
    yield api.client
    api.close()
    threads.close()


def counts() -> list[int]:
    """Samples of the three series, histograms, exemplars."""
    (row,) = (
        engine()
        .rows(
            "SELECT countIf(series_id = 1), countIf(series_id = 2), countIf(series_id = 3), "
            "(SELECT count() FROM trilens.histogram_rows), (SELECT count() FROM trilens.exemplar_rows) "
            "FROM trilens.sample_rows"
        )
        .rows
    )
    return list(map(int, row))


def delete(client, **params):
    reply = client.post(f"{BASE}/delete_series", params=params)
    assert (reply.status_code, reply.content) == (204, b"")
    return counts()


def test_off_unless_it_is_set():
    api = Api(engine())
    for base in (BASE, "/workspaces/ws-1/api/v1/admin/tsdb"):
        for call in CALLS:
            reply = api.client.put(f"{base}/{call}", params={"match[]": "up"})
            assert reply.status_code == 500
            assert reply.json() == {
                "status": "error",
                "errorType": "unavailable",
                "error": "admin APIs disabled",
            }
    assert counts() == [10, 10, 10, 2, 2]
    api.close()


def test_series_are_deleted(client):
    assert delete(client, **{"match[]": 'up{job="a"}'}) == [0, 10, 10, 1, 1]
    assert delete(client, **{"match[]": ["heat", '{job=~"b|c"}']}) == [0, 0, 0, 0, 0]
    assert len(engine().rows("SELECT * FROM trilens.series_rows").rows) == 3


def test_a_time_is_deleted(client):
    times = {"start": T0_S + 10, "end": T0_S + 30}
    assert delete(client, **{"match[]": "up"}, **times) == [7, 7, 10, 2, 2]
    left = engine().rows(
        "SELECT toUnixTimestamp64Milli(timestamp) FROM trilens.sample_rows WHERE series_id = 1 "
        "ORDER BY timestamp LIMIT 2"
    ).rows  # fmt: skip
    assert [int(at) - T0_MS for (at,) in left] == [0, 40_000]
    assert delete(client, **{"match[]": "up"}, end=1) == [7, 7, 10, 2, 2]


def test_what_matches_nothing(client):
    assert delete(client, **{"match[]": 'up{job!~"a|b"}'}) == [10, 10, 10, 2, 2]


@pytest.fixture
def otlp():
    own = {"source": "otlp", "resource": {"service.name": "shop"}}
    insert(
        "series_rows",
        [series(11, "http.size", {"code": "2"}, kind="histogram", unit="By", **own),
         series(12, "http.load", {"code": "2"}, kind="gauge", **own)],
    )  # fmt: skip
    insert(
        "histogram_rows",
        [{"metric": "http.size", "series_id": 11, "timestamp": T0_S, "kind": "histogram"}],
    )
    insert("sample_rows", [sample(12, "http.load", 0, 1)])


def of_otlp() -> list[int]:
    sql = (
        "SELECT (SELECT count() FROM trilens.sample_rows WHERE metric = 'http.load'), "
        "(SELECT count() FROM trilens.histogram_rows WHERE metric = 'http.size')"
    )
    return list(map(int, engine().rows(sql).rows[0]))


def test_series_of_otlp_by_the_names_of_promql(client, otlp):
    delete(client, **{"match[]": ["http_load", 'http_size_bytes{code="2"}']})
    assert of_otlp() == [0, 1]
    reply = client.post(
        f"{BASE}/delete_series", params={"match[]": ["up", "http_size_bytes_bucket"]}
    )
    assert (reply.status_code, reply.json()["errorType"]) == (422, "execution")
    assert "http_size_bytes_bucket, http_size_bytes_count" in reply.json()["error"]
    assert (counts()[0], of_otlp()) == (10, [0, 1])
    delete(client, **{"match[]": '{job="shop",__name__=~"http_size.*"}'})
    assert of_otlp() == [0, 0]


def test_a_form_below_a_workspace(client):
    url = "/workspaces/ws-1/api/v1/admin/tsdb/delete_series"
    assert client.post(url, data={"match[]": "heat"}).status_code == 204
    assert counts() == [10, 10, 0, 2, 2]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "no match[] parameter provided"),
        ({"match[]": "up{"}, 'invalid parameter "match[]": 1:4: parse error'),
        ({"match[]": "{job=~'.*'}"}, "must contain at least one non-empty matcher"),
        ({"match[]": 'up{job=~"("}'}, ""),
        ({"match[]": "up", "start": "x"}, 'invalid parameter "start": cannot parse "x"'),
        ({"match[]": "up", "start": "2", "end": "1"}, "end timestamp must not be before start"),
    ],
)
def test_bad_data(client, params, expected):
    reply = client.post(f"{BASE}/delete_series", params=params)
    assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data")
    assert expected in reply.json()["error"]
    assert counts() == [10, 10, 10, 2, 2]


def test_a_body_that_is_too_large(client):
    data = {"match[]": "x" * (1 << 20)}
    reply = client.post(f"{BASE}/delete_series", data=data)
    assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data")


def test_tombstones_are_cleaned(client):
    hidden = (
        "SELECT count() FROM system.parts WHERE database = 'trilens' AND table = 'sample_rows' "
        "AND active AND has_lightweight_delete"
    )
    delete(client, **{"match[]": 'up{job="a"}'})
    assert engine().rows(hidden).rows != [(0,)]
    assert client.put(f"{BASE}/clean_tombstones").status_code == 204
    assert [list(row) for row in engine().rows(hidden).rows] == [[0]]
    assert counts() == [0, 10, 10, 1, 1]


def test_a_snapshot_can_be_brought_back(client, snapshots):
    reply = client.post(f"{BASE}/snapshot", params={"skip_head": "true"})
    assert (reply.status_code, reply.json()["status"]) == (200, "success")
    name = reply.json()["data"]["name"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name)
    found = {path.name for path in (snapshots / name).iterdir()}
    assert found == {"sample_rows", "histogram_rows", "exemplar_rows", "series_rows"}
    assert [path.name for path in snapshots.iterdir()] == [name]
    assert delete(client, **{"match[]": ["up", "heat"]}) == [0, 0, 0, 0, 0]
    for table in ("sample_rows", "histogram_rows", "exemplar_rows"):
        bring_back(snapshots / name / table, table)
    assert counts() == [10, 10, 10, 2, 2]


def bring_back(folder: Path, table: str) -> None:
    engine().command(f"TRUNCATE TABLE trilens.{table}")
    paths = (
        f"SELECT data_paths[1] FROM system.tables WHERE database = 'trilens' AND name = '{table}'"
    )
    detached = Path(engine().rows(paths).rows[0][0]) / "detached"
    for part in folder.iterdir():
        shutil.copytree(part, detached / part.name)
        engine().command(f"ALTER TABLE trilens.{table} ATTACH PART '{part.name}'")


def test_bad_snapshots(client):
    reply = client.post(f"{BASE}/snapshot", params={"skip_head": "maybe"})
    assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data")


def test_one_at_a_time(snapshots):
    threads = Threads()
    admin = Admin(
        engine(),
        Measures(),
        SystemClock(),
        threads,
        AdminSettings(is_enabled=True, snapshots=snapshots),
    )
    api = Api(engine(), beside=admin.routes())
    with admin._one:
        reply = api.client.post(f"{BASE}/clean_tombstones")
    assert (reply.status_code, reply.json()["errorType"]) == (503, "unavailable")
    assert reply.headers["retry-after"] == "1"
    thread = threading.Thread(target=leave, args=(api.url,))
    thread.start()
    thread.join()
    until(lambda: threads.calls._in_hand == 0)
    assert api.client.post(f"{BASE}/clean_tombstones").status_code == 204
    api.close()
    threads.close()


def leave(url):
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}{BASE}/clean_tombstones", timeout=0.001, trust_env=False)


def test_the_program_itself(tmp_path):
    with Trilens(tmp_path / "data", "--enable-admin-api") as trilens:
        body = bytes(cramjam.snappy.compress_raw(writes("made", *range(10))))
        reply = httpx.post(f"{trilens.url}/api/v1/write", content=body, trust_env=False)
        assert reply.status_code == 204, reply.text
        assert trilens.wait_count("samples", 10, "metric = 'made'") == 10
        reply = httpx.post(f"{trilens.url}{BASE}/snapshot", trust_env=False)
        name = reply.json()["data"]["name"]
        parts = tmp_path / "data" / "snapshots" / name / "sample_rows"
        assert list(parts.glob("*/columns.txt"))
        url = f"{trilens.url}{BASE}/delete_series"
        reply = httpx.post(url, params={"match[]": 'made{n=~"[0-4]"}'}, trust_env=False)
        assert reply.status_code == 204, reply.text
        assert trilens.count("samples", "metric = 'made'") == 5
