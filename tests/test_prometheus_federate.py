"""Federation: what is written, and a real Prometheus that scrapes it."""

from __future__ import annotations

import subprocess
import time
from functools import cache

import httpx
import pytest

from presenting import Api
from querying import S, clear, engine, insert, series
from scraping import PROMETHEUS, SERIES, a_prometheus, a_shop, free_port, needs_prometheus
from serving import Trilens
from storing import until
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.routes import QueryLimits

STALE_MARK = {"exponent": 127, "mantissa": 0x7FF0000000000002}


@cache
def now_s() -> int:
    """When the first row was made: a whole suite may run between the import and that."""
    return time.time_ns() // S


def a_series(number, metric, labels, **more):
    return series(
        number, metric, labels, **{"first_seen": now_s() - 3600, "last_seen": now_s(), **more}
    )


def a_sample(number, metric, ago_s, value=1, **more):
    return {"metric": metric, "series_id": number, "timestamp": now_s() - ago_s,
            "mantissa": value * 1000, "exponent": 3, **more}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert(
        "series_rows",
        [a_series(1, "up", {"job": "b", "instance": "x"}), a_series(2, "up", {"job": "a"}),
         a_series(3, "ended", {}), a_series(4, "old", {}), a_series(5, "big", {"job": "a"}),
         a_series(6, "http.odd", {"a b": 'c"\\\n', "é": "ü", "1x": "y"}),
         a_series(7, "sizes", {"job": "a"}), a_series(8, "native", {"job": "a"}),
         a_series(9, "", {"job": "nameless"})],
    )  # fmt: skip
    insert(
        "sample_rows",
        [a_sample(1, "up", ago_s, ago_s) for ago_s in (10, 25, 40)]
        + [a_sample(2, "up", 20), a_sample(3, "ended", 30), a_sample(3, "ended", 15, **STALE_MARK),
           a_sample(4, "old", 320), a_sample(5, "big", 5, 1_000_000), a_sample(6, "http.odd", 5, 2),
           a_sample(9, "", 5)],
    )  # fmt: skip
    insert(
        "histogram_rows",
        [{"metric": "sizes", "series_id": 7, "timestamp": now_s() - 5, "kind": "native_histogram",
          "scale": -53, "bounds": [0.5, 1, 2.5], "count": 7, "sum": 9.5,
          "positive_spans": [{"offset": 0, "length": 1}, {"offset": 1, "length": 2}],
          "positive_counts": [1, 2, 4]},
         {"metric": "native", "series_id": 8, "timestamp": now_s() - 5, "kind": "native_histogram",
          "count": 3, "sum": 4.5, "positive_spans": [{"offset": 0, "length": 1}],
          "positive_counts": [3]}],
    )  # fmt: skip


@pytest.fixture(scope="module")
def client():
    api = Api(engine())
    yield api.client
    api.close()


def lines(client, *match, accept="text/plain"):
    reply = client.get("/federate", params={"match[]": match}, headers={"Accept": accept})
    assert reply.status_code == 200, reply.text
    return reply.text.splitlines()


def ms(ago_s):
    return (now_s() - ago_s) * 1000


def test_the_newest_sample_of_each_series(client):
    assert lines(client, "up") == [
        "# TYPE up untyped",
        f'up{{instance="x",job="b"}} 10 {ms(10)}',
        f'up{{job="a",instance=""}} 1 {ms(20)}',
    ]


def test_its_form(client):
    reply = client.get("/federate", params={"match[]": "up"})
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.text.endswith("\n")


def test_several_selectors_together(client):
    found = lines(client, 'up{job="a"}', "big", '{job=~"a",__name__="up"}')
    assert found == [
        "# TYPE big untyped",
        f'big{{job="a",instance=""}} 1e+06 {ms(5)}',
        "# TYPE up untyped",
        f'up{{job="a",instance=""}} 1 {ms(20)}',
    ]


def test_what_has_ended_or_is_old_is_left_out(client):
    assert lines(client, "ended", "old", "nothing") == []
    assert lines(client) == []


def test_histograms(client):
    assert lines(client, "sizes", "native") == [
        "# TYPE sizes histogram",
        f'sizes_bucket{{job="a",instance="",le="0.5"}} 1 {ms(5)}',
        f'sizes_bucket{{job="a",instance="",le="1"}} 1 {ms(5)}',
        f'sizes_bucket{{job="a",instance="",le="2.5"}} 3 {ms(5)}',
        f'sizes_bucket{{job="a",instance="",le="+Inf"}} 7 {ms(5)}',
        f'sizes_sum{{job="a",instance=""}} 9.5 {ms(5)}',
        f'sizes_count{{job="a",instance=""}} 7 {ms(5)}',
    ]


def test_foreign_names(client):
    value = 'c\\"\\\\\\n'
    assert lines(client, '{"http.odd"}') == [
        "# TYPE http_odd untyped",
        f'http_odd{{_x="y",a_b="{value}",_="ü",instance=""}} 2 {ms(5)}',
    ]
    accept = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5"
    assert lines(client, '{"http.odd"}', accept=accept) == [
        '# TYPE "http.odd" untyped',
        f'{{"http.odd","1x"="y","a b"="{value}","é"="ü",instance=""}} 2 {ms(5)}',
    ]


def test_everything(client):
    types = [line for line in lines(client, "{}") if line.startswith("#")]
    assert [line.split()[2] for line in types] == ["big", "http_odd", "sizes", "up"]


@pytest.mark.parametrize(
    ("match", "expected"),
    [("up{", "parse error"), ("", "parse error"), ("rate(up[1m])", "parse error"),
     ('up{job=~"("}', "error parsing regexp")],
)  # fmt: skip
def test_bad_selectors(client, match, expected):
    reply = client.get("/federate", params={"match[]": match})
    assert (reply.status_code, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert expected in reply.text


def test_too_much():
    api = Api(engine(), limits=QueryLimits(promql=PromqlLimits(samples=2)))
    reply = api.client.get("/federate", params={"match[]": "up"})
    assert (reply.status_code, "too many samples" in reply.text) == (422, True)
    reply = api.client.get("/federate?" + "&".join(["match[]=up"] * 1001))
    assert reply.status_code == 400
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{api.url}/federate?match[]=up", timeout=0.0001, trust_env=False)
    until(lambda: api.threads.promql._in_hand == 0)
    api.close()


# --- a real Prometheus

SCRAPER = """
global: {{scrape_interval: 500ms}}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{__name__=~"shop_.*"}}']}}
    static_configs: [{{targets: ["{host}"]}}]
"""


@pytest.fixture
def trilens(tmp_path):
    with Trilens(tmp_path / "data") as started:
        yield started


@pytest.fixture
def shop():
    with a_shop() as made:
        yield made


@pytest.fixture
def writer(tmp_path, trilens, shop):
    directory = tmp_path / "writer"
    directory.mkdir()
    with a_prometheus(directory, trilens.url, shop) as client:
        yield client


@pytest.fixture
def scraper(tmp_path, trilens):
    directory = tmp_path / "scraper"
    directory.mkdir()
    host = trilens.url.removeprefix("http://")
    directory.joinpath("prometheus.yml").write_text(SCRAPER.format(host=host))
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        yield client
    process.terminate()
    assert process.wait(20) == 0, (directory / "log").read_text()


def found(client, query):
    try:
        reply = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return reply.json()["data"]["result"] if reply.status_code == 200 else []


@needs_prometheus
def test_a_real_prometheus_scrapes_it(writer, scraper):
    until(lambda: len(found(scraper, "count_over_time(shop_requests_total[1m]) > 3")) == SERIES, 60)
    assert found(scraper, "up")[0]["value"][1] == "1"
    kept = found(scraper, "shop_requests_total[1m]")
    own = {
        one["metric"]["code"]: {tuple(pair) for pair in one["values"]}
        for one in found(writer, "shop_requests_total[5m]")
    }
    for one in kept:
        labels = one["metric"]
        assert (labels["job"], labels["cluster"]) == ("shop", "test")
        assert {tuple(pair) for pair in one["values"]} <= own[labels["code"]]
    (heat,) = found(scraper, "shop_heat")
    assert heat["value"][1] == "-0.25"
