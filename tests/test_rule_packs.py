"""Rule packs as they are shipped: nothing without a test, a runbook, or what dashboards need."""

import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml

from querying import engine
from trilens.alert.check import Verdict, check_tests
from trilens.alert.rule_files import duplicates
from trilens.alert.series_notation import labels_of
from trilens.check_files import check
from trilens.query.promql.parser import parse
from trilens.rule_packs.packs import files_of_pack, read_packs
from trilens.rule_packs.runbooks import runbooks
from trilens.settings import RulePack

ROOT = Path(__file__).resolve().parent.parent
PACKS = get_args(RulePack)
TESTS = sorted((ROOT / "tests" / "rule_packs").glob("*/*_test.yml"))
RULES = [rule for group in read_packs(PACKS) for rule in group.rules]
ALERTS = [rule for rule in RULES if rule.is_alert]
RECORDS = [rule for rule in RULES if not rule.is_alert]
SECTIONS = ["Who is hurt", "How to confirm", "Likely causes, the most likely first",
            "How to mend it", "When it is a false alarm"]  # fmt: skip
PROMTOOL = shutil.which("promtool")
# Hours or days of rules over many series. promtool evaluates them at each commit, our own engine at
# each soak; all of them at each commit took a tenth of all tests' time.
LONG = {"apiserver_test", "control_plane_test", "nodes_test", "workloads_test", "storage_test"}

# Every recorded series that kube-prometheus's rendered dashboards read, and the labels by which
# they choose, group or join it. Measured over manifests/grafana-dashboardDefinitions.yaml of
# kube-prometheus 4d719f1 (2026-08-10): expr, query and definition of every panel and variable, names
# with a colon. `cluster` is read everywhere. Of instance:* and instance_device:* all labels are
# kept, `job` among them.
OF_POD = {"cluster", "namespace", "pod", "container", "node"}
OF_WINDOWS_POD = {"cluster", "namespace", "pod", "container"}
READ_BY_DASHBOARDS = {
    ":node_memory_MemAvailable_bytes:sum": {"cluster"},
    "apiserver_request:availability30d": {"cluster", "verb"},
    "cluster:namespace:pod_cpu:active:kube_pod_container_resource_limits": OF_POD,
    "cluster:namespace:pod_cpu:active:kube_pod_container_resource_requests": OF_POD,
    "cluster:namespace:pod_memory:active:kube_pod_container_resource_limits": OF_POD,
    "cluster:namespace:pod_memory:active:kube_pod_container_resource_requests": OF_POD,
    "cluster:node_cpu:ratio_rate5m": {"cluster"},
    "cluster_quantile:apiserver_request_sli_duration_seconds:histogram_quantile":
        {"cluster", "verb", "resource"},
    "code_resource:apiserver_request_total:rate5m": {"cluster", "verb", "code", "resource"},
    "instance:node_cpu_utilisation:rate5m": {"cluster", "job", "instance"},
    "instance:node_load1_per_cpu:ratio": {"cluster", "job", "instance"},
    "instance:node_memory_utilisation:ratio": {"cluster", "job", "instance"},
    "instance:node_network_receive_bytes_excluding_lo:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_receive_bytes_physical:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_receive_drop_excluding_lo:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_receive_drop_physical:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_transmit_bytes_excluding_lo:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_transmit_bytes_physical:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_transmit_drop_excluding_lo:rate5m": {"cluster", "job", "instance"},
    "instance:node_network_transmit_drop_physical:rate5m": {"cluster", "job", "instance"},
    "instance:node_num_cpu:sum": {"cluster", "job", "instance"},
    "instance:node_vmstat_pgmajfault:rate5m": {"cluster", "job", "instance"},
    "instance_device:node_disk_io_time_seconds:rate5m": {"cluster", "job", "instance", "device"},
    "instance_device:node_disk_io_time_weighted_seconds:rate5m":
        {"cluster", "job", "instance", "device"},
    "namespace_cpu:kube_pod_container_resource_limits:sum": {"cluster", "namespace"},
    "namespace_cpu:kube_pod_container_resource_requests:sum": {"cluster", "namespace"},
    "namespace_memory:kube_pod_container_resource_limits:sum": {"cluster", "namespace"},
    "namespace_memory:kube_pod_container_resource_requests:sum": {"cluster", "namespace"},
    "namespace_workload_pod:kube_pod_owner:relabel":
        {"cluster", "namespace", "pod", "workload", "workload_type"},
    "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m": OF_POD,
    "node_namespace_pod_container:container_memory_cache": OF_POD,
    "node_namespace_pod_container:container_memory_rss": OF_POD,
    "node_namespace_pod_container:container_memory_swap": OF_POD,
    "node_namespace_pod_container:container_memory_working_set_bytes": OF_POD,
    # Recorded for the dashboards on Windows, also under names without a colon.
    ":windows_node_memory_MemFreeCached_bytes:sum": {"cluster"},
    ":windows_node_memory_MemTotal_bytes:sum": {"cluster"},
    "kube_pod_windows_container_resource_cpu_cores_limit": OF_WINDOWS_POD,
    "kube_pod_windows_container_resource_cpu_cores_request": OF_WINDOWS_POD,
    "kube_pod_windows_container_resource_memory_limit": OF_WINDOWS_POD,
    "kube_pod_windows_container_resource_memory_request": OF_WINDOWS_POD,
    "namespace_pod_container:windows_container_cpu_usage_seconds_total:sum_rate": OF_WINDOWS_POD,
    "node:windows_node:sum": {"cluster"},
    "node:windows_node_cpu_utilisation:avg1m": {"cluster", "instance"},
    "node:windows_node_disk_utilisation:avg_irate": {"cluster", "instance"},
    "node:windows_node_filesystem_usage:": {"cluster", "instance", "volume"},
    "node:windows_node_memory_swap_io_pages:irate": {"cluster", "instance"},
    "node:windows_node_memory_totalCached_bytes:sum": {"cluster", "instance"},
    "node:windows_node_memory_utilisation:": {"cluster", "instance"},
    "node:windows_node_memory_utilisation:ratio": {"cluster", "instance"},
    "node:windows_node_net_saturation:sum_irate": {"cluster", "instance"},
    "node:windows_node_net_utilisation:sum_irate": {"cluster", "instance"},
    "node:windows_node_num_cpu:sum": {"cluster", "instance"},
    "windows_container_network_received_bytes_total": OF_WINDOWS_POD,
    "windows_container_network_transmitted_bytes_total": OF_WINDOWS_POD,
    "windows_container_private_working_set_usage": OF_WINDOWS_POD,
    "windows_pod_container_available": OF_WINDOWS_POD,
}  # fmt: skip


@cache
def unit_tests():
    """(expression, labels of the samples it is to give) of every expectation."""
    found = []
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for one in test["promql_expr_test"]:
                samples = [dict(labels_of(sample["labels"])) for sample in one["exp_samples"]]
                found.append((one["expr"], samples))
    return found


def firing(alert):
    """The series of ALERTS that unit tests of an alert expect, a list an expectation."""
    return [samples for expr, samples in unit_tests() if f'alertname="{alert}"' in expr]


def test_each_pack_is_a_folder_and_a_choice_of_the_setting():
    folders = {path.parent.name for path in (ROOT / "src/trilens/rule_packs").glob("*/*.yml")}
    assert folders == set(PACKS)
    assert files_of_pack("no such pack") == []


def test_files_are_named_alike_wherever_they_are_installed():
    files = {group.file for group in read_packs(["kubernetes"])}
    assert "rule_packs/kubernetes/workloads.yml" in files
    assert all(re.fullmatch(r"rule_packs/kubernetes/[a-z_]+\.yml", file) for file in files)


def test_no_rule_is_there_twice():
    assert duplicates(read_packs(PACKS)) == []


def test_what_is_shipped_is_in_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert {"rule_packs/**/*.yml", "rule_packs/**/*.md"} <= set(patterns["package-data"]["trilens"])


def _ours(path):
    return pytest.param(path, id=path.name, marks=[pytest.mark.soak] if path.stem in LONG else [])


@pytest.mark.parametrize("path", [_ours(path) for path in TESTS])
def test_unit_tests_hold(path):
    verdict = Verdict(str(path))
    check_tests(path, verdict)
    assert verdict.is_well, "\n".join(verdict.lines)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_unit_tests_hold_in_promtool(path):
    said = subprocess.run(
        [PROMTOOL, "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("path", files_of_pack("kubernetes"), ids=lambda path: path.name)
def test_files_are_right(path):
    assert check(path).is_well
    if PROMTOOL is not None:
        said = subprocess.run(
            [PROMTOOL, "check", "rules", path], capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("name", sorted({rule.name for rule in RECORDS}))
def test_every_recorded_series_has_a_test(name):
    assert any(expr == name and samples for expr, samples in unit_tests())


@pytest.mark.parametrize("rule", RECORDS, ids=lambda rule: rule.name)
def test_labels_that_a_rule_adds_are_tested(rule):
    given = [one for expr, samples in unit_tests() if expr == rule.name for one in samples]
    assert any(one.items() >= dict(rule.labels).items() for one in given)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not(rule):
    expected = firing(rule.name)
    of_rule = [one for samples in expected for one in samples]
    assert any(one.items() >= dict(rule.labels).items() for one in of_rule)
    assert [] in expected


@pytest.mark.parametrize("name", READ_BY_DASHBOARDS)
def test_what_dashboards_read_is_recorded_with_the_labels_that_they_need(name):
    labels = {"__name__", *READ_BY_DASHBOARDS[name]}
    given = [one for expr, samples in unit_tests() if expr == name for one in samples]
    assert given
    # Where a test is about metrics without a cluster there is none.
    assert any(labels <= one.keys() or labels - {"cluster"} <= one.keys() for one in given)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_an_alert_says_what_whom_and_where_to_read_on(rule):
    said = dict(rule.annotations)
    assert set(said) == {"summary", "description", "runbook_url"}
    assert said["runbook_url"] == "{{ $externalURL }}/runbooks/" + rule.name
    assert dict(rule.labels)["severity"] in {"critical", "warning", "info"}
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(said.values())))
    fired = [one for samples in firing(rule.name) for one in samples]
    assert all(named <= one.keys() | {"node"} for one in fired), "a label that is not there"
    assert rule.name in runbooks()


def test_no_runbook_is_without_an_alert():
    assert set(runbooks()) == {rule.name for rule in ALERTS}


@pytest.mark.parametrize("page", runbooks().values(), ids=lambda page: page.name)
def test_a_runbook_has_all_its_parts(page):
    assert page.text.startswith(f"# {page.name}\n\n")
    assert re.findall(r"^## (.+)$", page.text, re.MULTILINE) == SECTIONS
    assert 20 < len(page.title) < 200
    assert page.title.endswith(".")
    for section in re.split(r"^## .+$", page.text, flags=re.MULTILINE):
        assert section.strip()
    for target in re.findall(r"\]\(([^)]+)\)", page.text):
        assert target.removeprefix("/runbooks/") in runbooks()


@pytest.mark.parametrize("page", runbooks().values(), ids=lambda page: page.name)
def test_what_a_runbook_asks_can_be_asked(page):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.text, re.MULTILINE | re.DOTALL)
    assert any(language == "promql" for language, _ in blocks)
    for language, code in blocks:
        assert language in {"promql", "sql", "sh"}
        if language == "promql":
            parse(code)
        elif language == "sql":
            engine().command(
                f"EXPLAIN SELECT * FROM ({code})".replace("FROM logs", "FROM trilens.logs").replace(
                    "FROM spans", "FROM trilens.spans"
                )
            )
