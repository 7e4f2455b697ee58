"""prometheus.yml: what is accepted and what is refused, with its line; and as promtool has it."""

from __future__ import annotations

import contextlib
import math
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilens.config_files.aws_config import AwsAccess
from trilens.config_files.http_config import Secret
from trilens.config_files.problems import FileRefused
from trilens.prometheus_config.file import load
from trilens.scrape.discovery_config import DnsDiscovery, FileDiscovery, HttpDiscovery
from trilens.scrape.scrape_config import PROTOCOLS_DEFAULT, Histograms, schema_of

PROMTOOL = shutil.which("promtool")
JOB = "scrape_configs:\n- job_name: a\n"
AM = "alerting:\n  alertmanagers:\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "prometheus.yml"
    path.write_text(textwrap.dedent(text))
    return path


def problems(folder: Path, text: str) -> list[tuple[int, str]]:
    try:
        load(written(folder, text), {})
    except FileRefused as refused:
        assert refused.problems
        return [(one.place.line, one.message) for one in refused.problems]
    return []


def only_job(folder: Path, text: str):
    (job,) = load(written(folder, text), {}).scraping.jobs
    return job


def test_everything_of_a_job(tmp_path) -> None:
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "more.yml").write_text("groups: [{name: g}]")
    config = load(written(tmp_path, """\
        global:
          scrape_interval: 30s
          evaluation_interval: 20s
          external_labels: {cluster: "${CLUSTER}-x", price: "$$5", none: "$NONE"}
          label_limit: 7
        rule_files: [rules/*.yml, more.yml]
        alerting: {alertmanagers: [{static_configs: [{targets: [am:9093]}]}]}
        scrape_configs:
        - job_name: node
          scrape_timeout: 5s
          scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]
          fallback_scrape_protocol: PrometheusText0.0.4
          metrics_path: /m
          scheme: https
          params: {"collect[]": [cpu, mem], x: [1]}
          honor_labels: true
          honor_timestamps: no
          track_timestamps_staleness: yes
          enable_compression: false
          authorization: {type: Token, credentials_file: token}
          tls_config: {insecure_skip_verify: true, server_name: me, min_version: TLS12}
          proxy_url: http://proxy:3128
          no_proxy: .local
          http_headers: {X-One: {values: [a, b]}}
          follow_redirects: false
          body_size_limit: 1KB
          sample_limit: 10
          label_name_length_limit: 20
          label_value_length_limit: 30
          target_limit: 4
          keep_dropped_targets: 2
          metric_name_validation_scheme: legacy
          extra_scrape_metrics: true
          scrape_native_histograms: true
          static_configs:
          - targets: ["a:1", "b:2"]
            labels: {env: prod}
          file_sd_configs: [{files: [sd/*.json], refresh_interval: 1m}]
          http_sd_configs: [{url: "http://sd/x", basic_auth: {username: u, password: p}}]
          dns_sd_configs: [{names: [a.b], type: A, port: 9}]
          relabel_configs:
          - {source_labels: [__address__], target_label: instance, regex: "(.*):.*"}
          metric_relabel_configs:
          - {action: Drop, source_labels: [__name__], regex: "go_.*"}
        """), {"CLUSTER": "c1"})  # fmt: skip
    assert config.scraping.external_labels == {"cluster": "c1-x", "price": "$5", "none": ""}
    assert config.evaluation_ms == 20_000
    assert [group.name for group in config.groups] == ["g"]
    (outside,) = config.alerting.sets
    assert outside.discoveries[0].groups[0].targets == ({"__address__": "am:9093"},)
    (job,) = config.scraping.jobs
    assert (job.interval_ms, job.timeout_ms) == (30_000, 5000)
    assert job.protocols == ("PrometheusText0.0.4", "OpenMetricsText1.0.0")
    assert job.params == {"collect[]": ("cpu", "mem"), "x": ("1",)}
    assert (job.honor_labels, job.honor_timestamps, job.track_timestamps) == (True, False, True)
    assert job.client.credentials == Secret(path=tmp_path / "token")
    assert job.client.credentials.read() == "secret"
    assert job.client.authorization_type == "Token"
    assert job.client.tls.server_name == "me"
    assert job.client.proxy is not None
    assert job.client.headers["X-One"] == (Secret("a"), Secret("b"))
    assert (job.limits.samples, job.limits.labels) == (10, 7)
    assert (job.limits.label_name_bytes, job.limits.label_value_bytes) == (20, 30)
    assert (job.body_bytes_max, job.targets_max, job.dropped_targets_kept) == (1024, 4, 2)
    assert job.legacy_names
    assert job.escaping == "underscores"
    assert not job.client.follow_redirects
    static, files, http, dns = job.discoveries
    assert static.groups[0].targets == ({"__address__": "a:1"}, {"__address__": "b:2"})
    assert files == FileDiscovery((tmp_path / "sd/*.json",), 60_000)
    assert isinstance(http, HttpDiscovery)
    assert http.client.has_basic
    assert dns == DnsDiscovery(("a.b",), "A", 9, 30_000)
    assert [rule.action for rule in (*job.relabel, *job.metric_relabel)] == ["replace", "drop"]
    assert "secret" not in repr(config)


def test_defaults(tmp_path) -> None:
    job = only_job(tmp_path, JOB)
    assert (job.interval_ms, job.timeout_ms) == (60_000, 10_000)
    assert job.protocols == PROTOCOLS_DEFAULT
    assert (job.metrics_path, job.scheme, job.honor_timestamps) == ("/metrics", "http", True)
    job = only_job(tmp_path, JOB + "  scrape_interval: 4s\n")
    assert (job.interval_ms, job.timeout_ms) == (4000, 4000)
    job = only_job(tmp_path, JOB + "  scrape_native_histograms: true\n")
    assert job.protocols == ("PrometheusProto", *PROTOCOLS_DEFAULT)
    job = only_job(tmp_path, JOB + "  <<: {scheme: https}\n")
    assert job.scheme == "https"


def test_histograms(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    common = (
        """global: {convert_classic_histograms_to_nhcb: true, scrape_failure_log_file: a/f}\n"""
    )
    job = only_job(tmp_path, common + JOB + "  native_histogram_bucket_limit: 10\n")
    assert job.histograms == Histograms(custom_buckets=True)
    assert (job.limits.buckets, job.failure_log) == (10, tmp_path / "a/f")
    job = only_job(
        tmp_path,
        common + JOB + "  convert_classic_histograms_to_nhcb: false\n"
        "  always_scrape_classic_histograms: true\n  native_histogram_min_bucket_factor: 1.1\n"
        "  scrape_failure_log_file: f2\n",
    )
    assert job.histograms == Histograms(keeps_classic=True, schema_max=2)
    assert job.failure_log == tmp_path / "f2"


def test_the_schema_of_a_factor() -> None:
    """As the table in Prometheus's documentation of native_histogram_min_bucket_factor."""
    factors = {0: 8, 1: 8, 1.002: 8, 1.005: 7, 1.01: 6, 1.02: 5, 1.04: 4, 1.09: 3, 1.1: 2, 1.4: 1,
               2: 0, 4: -1, 16: -2, 256: -3, 65536: -4, 1e300: -4, math.inf: -4, -1: 8}  # fmt: skip
    assert {factor: schema_of(factor) for factor in factors} == factors


NOT_DONE = [
    ("  consul_sd_configs: [{server: x}]\n", 3, "consul_sd_configs is not supported"),
    ("  scrape_class: x\n", 3, "scrape classes are of the Prometheus Operator"),
    ("scrape_classes: [{name: x}]\n", 3, "scrape classes are of the Prometheus Operator"),
    ("  proxy_url: socks5://x\n", 3, "only http and https"),
    ("  authorization:\n    credentials_ref: x\n", 4, "credentials_ref is not supported"),
    (
        AM + "  - {sigv4: {use_fips_sts_endpoint: true}}\n",
        5,
        "use_fips_sts_endpoint is not supported",
    ),
    ("storage: {tsdb: {retention: {time: 1d}}}\n", 3, "retention is not supported"),
]


@pytest.mark.parametrize(("text", "line", "why"), NOT_DONE)
def test_what_is_known_but_not_done_is_named_with_its_line(tmp_path, text, line, why) -> None:
    ((found_line, found),) = problems(tmp_path, JOB + text)
    assert (found_line, why in found) == (line, True), found


# What promtool 2.42 knows too. None: accepted.
BOTH = [
    (JOB, None),
    ("", None),
    ("global: {}\n", None),
    ("global:\n" + JOB, None),
    (JOB + "  static_configs: [{targets: [a:1], labels: {x: y}}]\n", None),
    (JOB + "  static_configs:\n  - targets: a:1\n", 4),
    (JOB + "  honor_labels: yes\n", None),
    (JOB + "  sample_limit: 5\n", None),
    (JOB + "  body_size_limit: 10MB\n", None),
    (JOB + "  body_size_limit: 1MiB512KiB\n", None),
    (JOB + "  scrape_interval: 1m30s\n", None),
    (JOB + "  params: {a: [1, x]}\n", None),
    (JOB + "  basic_auth: {username: u, password: p}\n", None),
    (JOB + "  authorization: {credentials: x}\n", None),
    (JOB + "  bearer_token: x\n", None),
    (JOB + "  oauth2: {client_id: a, client_secret: b, token_url: 'http://x/t', scopes: [s]}\n", None),
    (JOB + "  file_sd_configs: [{files: [x.json, 'y/*.yml']}]\n", None),
    (JOB + "  http_sd_configs: [{url: 'http://x/y', refresh_interval: 5s}]\n", None),
    (JOB + "  dns_sd_configs: [{names: [x], type: A, port: 1}]\n", None),
    (JOB + "  dns_sd_configs: [{names: [x]}]\n", None),
    (JOB + "  dns_sd_configs: [{names: [x], type: MX}]\n", 3),
    (JOB + "  relabel_configs: [{action: HashMod, source_labels: [a], modulus: 2, target_label: b}]\n", None),
    (JOB + "  relabel_configs: [{action: labelmap, regex: 'x_(.+)'}]\n", None),
    (JOB + "  tls_config: {insecure_skip_verify: true}\n", None),
    (JOB + "  proxy_url: http://x:1\n", None),
    ("scrape_configs:\n- {job_name: a}\n- {job_name: b}\n", None),
    ("unknown: 1\n", 1),
    ("global: {scrape_intervall: 1s}\n", 1),
    (JOB + "  unknown_key: 1\n", 3),
    (JOB + "  scrape_interval: 5x\n", 3),
    (JOB + "  scrape_interval: 5\n", 3),
    (JOB + "  scrape_timeout: 2m\n", 3),
    (JOB + "  scrape_interval: 5s\n  scrape_timeout: 6s\n", 4),
    ("global: {scrape_interval: 5s, scrape_timeout: 6s}\n", 1),
    (JOB + "  honor_labels: maybe\n", 3),
    (JOB + "  sample_limit: x\n", 3),
    (JOB + "  body_size_limit: 10XB\n", 3),
    (JOB + "- job_name: a\n", 3),
    ("scrape_configs:\n- metrics_path: /x\n", 2),
    ("scrape_configs:\n-\n", 2),
    ("scrape_configs: {a: 1}\n", 1),
    (JOB + "  static_configs: [{targets: ['http://a:1']}]\n", 3),
    (JOB + "  static_configs: [{target: [a:1]}]\n", 3),
    (JOB + "  static_configs:\n  -\n", 4),
    (JOB + "  basic_auth: {username: u}\n  bearer_token: x\n", 3),
    (JOB + "  basic_auth: {username: u, password: p, password_file: x}\n", 3),
    (JOB + "  authorization: {type: Basic, credentials: x}\n", 3),
    (JOB + "  basic_auth: {username: u}\n  authorization: {credentials: x}\n", 4),
    (JOB + "  bearer_token_file: nowhere\n", 3),
    (JOB + "  tls_config: {ca_file: nowhere}\n", None),
    (JOB + "  tls_config: {cert_file: nowhere}\n", 3),
    (JOB + "  tls_config: {min_version: TLS9}\n", 3),
    (JOB + "  file_sd_configs: [{files: [x.txt]}]\n", 3),
    (JOB + "  file_sd_configs: [{files: ['*/x.json']}]\n", 3),
    (JOB + "  file_sd_configs: [{}]\n", 3),
    (JOB + "  http_sd_configs: [{url: 'ftp://x'}]\n", 3),
    (JOB + "  http_sd_configs: [{}]\n", 3),
    (JOB + "  dns_sd_configs: [{names: [x], type: A}]\n", 3),
    (JOB + "  dns_sd_configs: [{names: [x], type: TXT, port: 1}]\n", 3),
    (JOB + "  dns_sd_configs: [{type: A, port: 1}]\n", 3),
    (JOB + "  relabel_configs:\n  -\n", 4),
    (JOB + "  relabel_configs: [{action: nothing}]\n", 3),
    (JOB + "  relabel_configs: [{target_label: a, regex: '('}]\n", 3),
    (JOB + "  relabel_configs: [{action: replace}]\n", 3),
    (JOB + "  relabel_configs: [{action: hashmod, target_label: a}]\n", 3),
    (JOB + "  relabel_configs: [{action: labeldrop, source_labels: [a], regex: x}]\n", 3),
    (JOB + "  metric_relabel_configs: [{action: lowercase, source_labels: [a]}]\n", 3),
    (JOB + "  metric_relabel_configs:\n  -\n", 4),
    (JOB + "  job_name: b\n", 3),
    (AM + "  - static_configs: [{targets: [a:1]}]\n", None),
    (AM + "  - {scheme: https, path_prefix: /x, timeout: 5s, api_version: v2}\n", None),
    (AM + "  - {file_sd_configs: [{files: [x.json]}], relabel_configs: [{action: labeldrop, regex: x}]}\n", None),
    (AM + "  - {basic_auth: {username: u, password: p}, tls_config: {insecure_skip_verify: true}}\n", None),
    ("alerting: {alert_relabel_configs: [{action: labeldrop, regex: replica}]}\n", None),
    ("alerting: {}\n", None),
    (AM + "  - {sigv4: {region: x}, basic_auth: {username: u}}\n", 3),
    (AM + "  - {sigv4: {region: x, access_key: a}}\n", 3),
    (AM + "  - {api_version: v3}\n", 3),
    (AM + "  - {unknown: 1}\n", 3),
    (AM + "  -\n", 3),
    (AM + "  - {timeout: 5}\n", 3),
    (AM + "  - {static_configs: [{targets: ['http://a:1']}]}\n", 3),
    (AM + "  - {basic_auth: {username: u}, bearer_token: x}\n", 3),
    ("alerting: {alert_relabel_configs: [{action: nothing}]}\n", 1),
    ("alerting:\n  alert_relabel_configs:\n  -\n", 3),
    ("alerting: {unknown: 1}\n", 1),
    ("rule_files: ['nothing*.yml']\n", None),
    ("rule_files: []\n", None),
    ("rule_files: {a: b}\n", 1),
    ("global: {evaluation_interval: 5x}\n", 1),
    ("global: {evaluation_interval: 30s}\n", None),
    ("storage: {tsdb: {out_of_order_time_window: 5m}}\n", None),
    ("storage: {unknown: 1}\n", 1),
    ("scrape_config_files: ['a/*/b.yml']\n", 1),
    ("rule_files: ['a/*/b.yml']\n", 1),
    ('global: {external_labels: {a: !!binary "/w=="}}\n', 1),
    ("a: [\n", 2),
    ("- a\n", 1),
    ("text\n", 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BOTH)
def test_as_promtool_has_it(tmp_path, text, line) -> None:
    found = problems(tmp_path, text)
    assert bool(found) == (line is not None), found
    if line is not None:
        assert found[0][0] == line, found
    if PROMTOOL is not None:
        done = subprocess.run(
            [PROMTOOL, "check", "config", tmp_path / "prometheus.yml"],
            capture_output=True,
            check=False,
        )
        assert (done.returncode == 0) == (line is None), done.stderr


# What promtool of Debian is built without: as discovery/kubernetes of Prometheus has it.
KUBERNETES = [
    ("role: pod", None),
    ("role: node, api_server: 'http://x', bearer_token: y", None),
    ("role: ingress, kubeconfig_file: x", None),
    ("role: endpoints, selectors: [{role: pod, label: 'a=b'}, {role: service, field: 'c=d'}]", None),
    ("role: pod, namespaces: {own_namespace: true, names: [a]}, attach_metadata: {node: true}", None),
    ("namespaces: {names: [a]}", 3),
    ("role: secret", 3),
    ("role: pod, api_server: 'http://x', kubeconfig_file: y", 3),
    ("role: pod, bearer_token: y", 3),
    ("role: pod, api_server: 'http://x', namespaces: {own_namespace: true}", 3),
    ("role: service, selectors: [{role: pod}]", 3),
    ("role: pod, selectors: [{role: pod, label: a}, {role: pod, label: b}]", 3),
    ("role: pod, selectors: [{role: pod, label: 'a in (b'}]", 3),
    ("role: pod, selectors: [{role: pod, field: x}]", 3),
    ("role: pod, selectors: [{role: pod, label: '!a,b notin (c,d),e>1', field: 'a.b!=c'}]", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), KUBERNETES)
def test_kubernetes_as_prometheus_has_it(tmp_path, text, line) -> None:
    found = problems(tmp_path, f"{JOB}  kubernetes_sd_configs: [{{{text}}}]\n")
    assert [line for line, _ in found] == ([] if line is None else [line]), found


EC2 = [
    ("region: eu-west-1, port: 9100, filters: [{name: 'tag:a', values: [b]}]", None),
    ("access_key: a, secret_key: b, endpoint: 'ec2.example.org', refresh_interval: 5m", None),
    ("profile: a, role_arn: b, external_id: c, proxy_url: 'http://x:1'", None),
    ("filters: [{name: a}]", 3),
    ("filters: [{name: a, values: [b], other: c}]", 3),
    ("endpoint: 'ftp://x'", 3),
    ("port: x", 3),
    ("unknown: x", 3),
]


@pytest.mark.parametrize(("text", "line"), EC2)
def test_ec2_as_prometheus_has_it(tmp_path, text, line) -> None:
    found = problems(tmp_path, f"{JOB}  ec2_sd_configs: [{{{text}}}]\n")
    assert [line for line, _ in found] == ([] if line is None else [line]), found


def test_sigv4_of_alertmanagers(tmp_path) -> None:
    """Debian's promtool is built without it."""
    signed = "sigv4: {region: x, access_key: a, secret_key: b, role_arn: c}"
    config = load(written(tmp_path, AM + f"  - {{{signed}}}\n"), {})
    assert config.alerting.sets[0].sigv4 == AwsAccess("x", "a", "b", role_arn="c")


def test_all_problems_at_once(tmp_path) -> None:
    found = problems(
        tmp_path, "unknown: 1\nscrape_configs:\n- job_name: a\n  scheme: [x]\n- foo: 1\n"
    )
    assert [line for line, _ in found] == [1, 4, 5, 5]


def test_a_file_of_scrape_configs(tmp_path) -> None:
    (tmp_path / "more.yml").write_text("scrape_configs:\n- job_name: b\n- job_name: c\n  x: 1\n")
    with pytest.raises(FileRefused) as refused:
        load(written(tmp_path, JOB + "scrape_config_files: ['*ore.yml']\nnope: 1\n"), {})
    assert [str(one) for one in refused.value.problems] == [
        f"{tmp_path}/more.yml:4:3: field x not found in a scrape config",
        f"{tmp_path}/prometheus.yml:4:1: field nope not found in prometheus.yml",
    ]
    (tmp_path / "more.yml").write_text("scrape_configs:\n- job_name: b\n")
    (tmp_path / "prometheus.yml").write_text(JOB + "scrape_config_files: ['*ore.yml']\n")
    config = load(tmp_path / "prometheus.yml", {})
    assert [job.name for job in config.scraping.jobs] == ["a", "b"]


def test_no_file(tmp_path) -> None:
    with pytest.raises(FileRefused, match="No such file"):
        load(tmp_path / "nowhere.yml", {})


def test_aliases_of_aliases_are_bounded(tmp_path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    ((line, text),) = problems(tmp_path, "\n".join(lines))
    assert "more than" in text
    assert line == 5


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_config_or_problems(tmp_path_factory, text) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, "utf-8", "replace")
    with contextlib.suppress(FileRefused):
        load(path, {})
