"""The program with a rule pack: its rules in the API, evaluated over what arrives, and its pages."""

import time

import httpx
import pytest

from serving import Trilens
from trilens.alert.recent_samples import Recorded
from trilens.alert.write_bodies import bodies
from waiting import wait_until

FILE = "rule_packs/kubernetes/storage.yml"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    (folder / "prometheus.yml").write_text("global: {evaluation_interval: 1s}\n")
    with Trilens(
        folder / "data", "--rule-packs", "kubernetes", "--external-url", "http://trilens.example/",
        "--prometheus-config", str(folder / "prometheus.yml"),
    ) as started:  # fmt: skip
        yield started


def asked(program, path, **params):
    reply = httpx.get(f"{program.url}{path}", params=params, trust_env=False)
    return reply.status_code, reply.json()


def write(program, *series):
    at_ms = int(time.time() * 1000)
    for body in bodies(Recorded(tuple(sorted(labels.items())), at_ms, 1.0) for labels in series):
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        url = f"{program.url}/api/v1/write"
        reply = httpx.post(url, content=body, headers=headers, trust_env=False)
        assert reply.status_code < 300, reply.text


def alerts(program):
    return asked(program, "/api/v1/alerts")[1]["data"]["alerts"]


def test_rules_are_listed_under_a_name_that_stays(program):
    _, answer = asked(program, "/api/v1/rules", **{"file[]": FILE})
    (group,) = answer["data"]["groups"]
    assert (group["file"], group["name"]) == (FILE, "kubernetes-storage")


def test_an_alert_and_a_recorded_series_come_of_what_arrives_and_a_reload_keeps_them(program):
    write(
        program,
        {"__name__": "kube_pod_info", "namespace": "a", "pod": "p", "node": "n", "instance": "k"},
        {"__name__": "kube_persistentvolume_status_phase", "persistentvolume": "v",
         "phase": "Failed", "instance": "k"},
    )  # fmt: skip
    wait_until(lambda: alerts(program))
    (alert,) = alerts(program)
    assert alert["labels"]["alertname"] == "KubePersistentVolumeErrors"
    assert alert["annotations"]["runbook_url"] == (
        "http://trilens.example/runbooks/KubePersistentVolumeErrors"
    )
    query = {"query": "node_namespace_pod:kube_pod_info:"}
    wait_until(lambda: asked(program, "/api/v1/query", **query)[1]["data"]["result"])
    reloaded = httpx.post(f"{program.url}/-/reload", trust_env=False, timeout=30)
    assert reloaded.status_code == 200, reloaded.text
    time.sleep(2)
    (again,) = alerts(program)
    assert again["activeAt"] == alert["activeAt"]


def test_every_rule_can_be_evaluated(program):
    def unwell():
        groups = asked(program, "/api/v1/rules")[1]["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) > 100
        return [rule for rule in rules if rule["health"] != "ok" and rule.get("lastError")]

    assert unwell() == []


def test_its_pages_are_served(program):
    _, answer = asked(program, "/api/console/runbooks")
    names = [one["name"] for one in answer["runbooks"]]
    assert names == sorted(names)
    assert "KubePodCrashLooping" in names
    status, page = asked(program, "/api/console/runbooks/KubePodCrashLooping")
    assert status == 200
    assert page["text"].startswith("# KubePodCrashLooping\n")
    assert page["pack"] == "kubernetes"


@pytest.mark.parametrize("name", ["Nothing", "..%2F..%2Fpacks", "%00", "KubePodCrashLooping.md"])
def test_a_page_that_is_none_is_not_found(program, name):
    status, answer = asked(program, f"/api/console/runbooks/{name}")
    assert (status, answer["error"]["code"]) == (404, "not_found")


def test_a_pack_that_is_none_keeps_it_from_starting(tmp_path):
    with pytest.raises(AssertionError, match=r"rule_packs = .*kubernetes"):
        Trilens(tmp_path / "data", "--rule-packs", "docker").start()
