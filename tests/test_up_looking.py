"""The API behind the screens Targets and Notifications, on the program itself."""

from __future__ import annotations

import json

import httpx
import pytest

from looking import running
from test_api_console import fits
from trilens.present import openapi
from waiting import wait_until

PATHS = openapi.document()["paths"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with running(tmp_path_factory.mktemp("looking"), (503, b"over its quota")) as found:
        yield found


def checked(made, path, **params):
    answer = made.console(path, **params)
    schema = PATHS[f"/api/console{path}"]["get"]["responses"]["200"]
    fits(answer, schema["content"]["application/json"]["schema"])
    return answer


def test_targets_and_their_pools(made):
    answer = checked(made, "/targets")
    assert answer["file"] == str(made.folder / "prometheus.yml")
    pools = {one["name"]: one for one in answer["pools"]}
    assert [*pools] == ["gone", "node", "pods", "trilens"]
    node = pools["node"]
    assert (node["up"], node["down"], node["unknown"], node["dropped"]) == (1, 1, 0, 1)
    assert node["discoveries"] == ["static"]
    targets = {one["url"]: one for one in answer["targets"]}
    up, down = targets[f"http://{made.node}/metrics"], targets["http://127.0.0.1:1/metrics"]
    assert (up["health"], up["error"], up["labels"]["env"]) == ("up", "", "prod")
    assert up["samples_kept"] == up["samples_scraped"] > 100
    assert up["body_bytes"] > 1000
    assert down["health"] == "down"
    assert down["error"] == 'Get "http://127.0.0.1:1/metrics": connection refused'
    assert down["failures"] == down["scrapes"] > 0
    only = checked(made, "/targets", pool="node")
    assert {one["pool"] for one in only["targets"]} == {"node"}


def test_what_discovery_could_not_do_is_told(made):
    def errors():
        pools = checked(made, "/targets")["pools"]
        return next(one for one in pools if one["name"] == "gone")["errors"]

    wait_until(errors)
    (error,) = errors()
    assert error["source"].startswith("http http://127.0.0.1:1/sd")
    assert "connection refused" in error["error"]


def test_the_steps_of_a_target(made):
    (target,) = [
        one for one in checked(made, "/targets", pool="node")["targets"] if one["health"] == "up"
    ]
    answer = checked(made, "/targets/details", pool="node", id=target["id"])
    assert answer["target"]["url"] == target["url"]
    drop, replace, labeldrop = answer["steps"]
    assert drop["rule"] == {"source_labels": ["env"], "regex": "dev", "action": "drop"}
    assert drop["labels"]["team"] == replace["labels"]["team"] == "core"
    assert replace["labels"]["node"] == "127.0.0.1"
    assert "team" not in labeldrop["labels"]
    assert answer["labels"] == labeldrop["labels"] | {"instance": made.node}
    assert answer["discovered"]["__address__"] == made.node


def test_a_dropped_target_and_where_it_was_dropped(made):
    answer = checked(made, "/targets/dropped")
    assert (answer["found"], answer["kept"], answer["total"]) == (1, 1, 1)
    (dropped,) = answer["targets"]
    assert (dropped["pool"], dropped["address"]) == ("node", "10.0.0.9:9100")
    details = checked(made, "/targets/details", pool="node", id=dropped["id"])
    assert details["target"] is None
    assert [one["labels"] for one in details["steps"]] == [None, None, None]
    assert checked(made, "/targets/dropped", match="ENV=dev")["found"] == 1
    assert checked(made, "/targets/dropped", match="env=prod")["found"] == 0
    assert checked(made, "/targets/dropped", pool="trilens")["total"] == 0


def test_steps_are_those_of_prometheuss_api(made):
    labels = {"__address__": "a:1", "env": "dev"}
    params = {"scrapePool": "node", "labels": json.dumps(labels)}
    steps = made.get("/api/v1/targets/relabel_steps", **params).json()["data"]["steps"]
    assert [(one["keep"], one["output"]) for one in steps] == [(False, {})] * 3


@pytest.mark.parametrize(("path", "params", "status"), [
    ("/targets/details", {"pool": "none", "id": "x"}, 404),
    ("/targets/details", {"pool": "node", "id": "x"}, 404),
    ("/targets/details", {"pool": "node"}, 400),
    ("/targets/dropped", {"limit": "100000"}, 400),
    ("/targets", {"state": "up"}, 400),
    ("/notifications/where", {"labels": "{"}, 400),
    ("/notifications/where", {"labels": "{}"}, 400),
    ("/notifications/where", {"labels": '{"a":1}'}, 400),
    ("/notifications/where", {"labels": json.dumps({"a": "b" * 20_000})}, 413),
    ("/notifications/attempts", {"result": "lost"}, 400),
])  # fmt: skip
def test_bad_questions_are_refused(made, path, params, status):
    reply = made.get(f"/api/console{path}", **params)
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_a_scrape_config_without_its_secrets(made):
    params = {"scrapePool": "trilens"}
    yaml = made.get("/api/v1/scrape_pools/config", **params).json()["data"]["yaml"]
    assert "s3cret" not in yaml
    assert "password: <secret>" in yaml
    assert yaml.startswith("job_name: trilens\nscrape_interval: 500ms\n")
    for params in ({}, {"scrapePool": "none"}):
        assert made.get("/api/v1/scrape_pools/config", **params).status_code == 400


def test_metadata_of_targets(made):
    def asked(**params):
        reply = made.get("/api/v1/targets/metadata", **params)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    one = {"match_target": '{job="node"}', "metric": "node_cpu_seconds_total"}
    wait_until(lambda: asked(**one))
    (row,) = asked(**one)
    assert row["target"] == {
        "env": "prod",
        "instance": made.node,
        "job": "node",
        "node": "127.0.0.1",
    }
    assert (row["type"], row["unit"], "metric" in row) == ("counter", "", False)
    assert row["help"]
    everything = asked(match_target='{job="node"}')
    assert {"node_cpu_seconds_total", "go_gc_duration_seconds"} <= {
        row["metric"] for row in everything
    }
    assert len(asked(limit=1)) > 1, "as in Prometheus, a target is told as a whole"
    assert asked(limit=0) == []
    assert asked(match_target='{job="none"}') == []
    for params in ({"limit": "many"}, {"match_target": "{"}):
        assert made.get("/api/v1/targets/metadata", **params).status_code == 400


def test_receivers_and_their_health(made):
    def health():
        found = checked(made, "/notifications")["receivers"]
        return {one["name"]: one["integrations"][0] for one in found}

    wait_until(lambda: health()["pager"]["failed"] > 1)
    answer = checked(made, "/notifications")
    assert answer["file"] == str(made.folder / "alertmanager.yml")
    assert [one["is_used"] for one in answer["receivers"]] == [True, True, False]
    found = health()
    assert [found[name]["health"] for name in ("ops", "pager", "spare")] == [
        "unused", "failing", "unused"
    ]  # fmt: skip
    assert found["pager"]["error"] == "unexpected status code 503: over its quota"
    assert found["pager"]["failed_in_a_row"] == found["pager"]["failed"]


def test_attempts_say_of_which_alerts(made):
    wait_until(lambda: checked(made, "/notifications/attempts", result="failed")["attempts"])
    answer = checked(made, "/notifications/attempts", result="failed", receiver="pager")
    first = answer["attempts"][0]
    assert first["group_labels"] == {"alertname": "TargetDown"}
    assert first["alert_count"] == len(first["alerts"]) > 0
    assert first["alerts"][0]["labels"]["alertname"] == "TargetDown"
    assert (first["status"], first["integration"]) == (503, "webhook[0]")
    assert first["duration_ms"] > 0
    assert checked(made, "/notifications/attempts", match="quota")["found"] > 0
    assert checked(made, "/notifications/attempts", match="instance=127.0.0.1:1")["found"] > 0
    assert checked(made, "/notifications/attempts", match="nowhere")["found"] == 0
    assert checked(made, "/notifications/attempts", receiver="spare")["found"] == 0
    assert len(checked(made, "/notifications/attempts", limit=1)["attempts"]) == 1


def test_groups_as_they_stand(made):
    wait_until(lambda: checked(made, "/notifications/groups", receiver="pager")["total"])
    (pager,) = checked(made, "/notifications/groups", receiver="pager")["groups"]
    assert pager["labels"] == {"alertname": "TargetDown"}
    assert pager["firing"] == len(pager["alerts"]) > 0
    wait_until(lambda: "quota" in _integration(made)["error"])
    assert _integration(made)["last_sent_ms"] is None
    (flaky,) = checked(made, "/notifications/groups", match="targetflaky")["groups"]
    wait_until(lambda: _inhibited(made) == flaky["firing"])


def _integration(made):
    (pager,) = checked(made, "/notifications/groups", receiver="pager")["groups"]
    return pager["integrations"][0]


def _inhibited(made):
    (flaky,) = checked(made, "/notifications/groups", match="targetflaky")["groups"]
    return sum(bool(one["inhibited_by"]) for one in flaky["alerts"])


def test_the_tree_and_the_way_of_an_alert(made):
    routes = checked(made, "/notifications/routes")["routes"]
    assert [(one["depth"], one["receiver"]) for one in routes] == [
        (0, "ops"),
        (1, "pager"),
        (1, "ops"),
    ]
    assert routes[1]["does_continue"]
    assert routes[2]["muted_by"] == ["always"]

    def where(**labels):
        return checked(made, "/notifications/where", labels=json.dumps(labels))

    wait_until(lambda: checked(made, "/notifications/groups", receiver="pager")["total"])
    answer = where(alertname="TargetDown", severity="critical", team="night")
    assert [(one["receiver"], one["muted_by"]) for one in answer["ways"]] == [
        ("pager", []), ("ops", ["always"]),
    ]  # fmt: skip
    assert answer["passed"] == [one["id"] for one in routes]
    assert answer["ways"][0]["group_labels"] == {"alertname": "TargetDown"}
    assert answer["ways"][0]["group_next_flush_ms"] is not None
    assert where(alertname="New", severity="critical")["ways"][0]["group_next_flush_ms"] is None

    held = where(alertname="TargetFlaky", severity="warning", instance="127.0.0.1:1")
    assert [one["receiver"] for one in held["ways"]] == ["ops"]
    assert held["inhibited_by"]["rule"]["name"] == "critical hides warning"
    assert held["inhibited_by"]["labels"]["alertname"] == "TargetDown"


def test_silences_hold_an_alert_back(made):
    body = {
        "matchers": [{"name": "team", "value": "day", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "kim", "comment": "moving house",
    }  # fmt: skip
    reply = httpx.post(f"{made.url}/api/v2/silences", json=body, trust_env=False)
    assert reply.status_code == 200, reply.text
    found = checked(made, "/notifications/where", labels='{"team":"day"}')["silences"]
    assert [(one["created_by"], one["comment"], one["matchers"]) for one in found] == [
        ("kim", "moving house", ['team="day"'])
    ]  # fmt: skip
    assert checked(made, "/notifications/where", labels='{"team":"x"}')["silences"] == []
    silence_id = reply.json()["silenceID"]
    httpx.delete(f"{made.url}/api/v2/silence/{silence_id}", trust_env=False)
    assert checked(made, "/notifications/where", labels='{"team":"day"}')["silences"] == []


def test_secret_urls_are_not_logged(made):
    wait_until(lambda: made.pager.requests)
    assert not any(made.pager.url in line for line in made.program.logged)
