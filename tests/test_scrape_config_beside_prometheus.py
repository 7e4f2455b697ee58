"""Files and rules of relabelling beside a Prometheus 3 that runs: it reloads, and says steps."""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import contextmanager

import httpx
import pytest

from scraping import free_port
from test_scrape_beside_prometheus import PROMETHEUS, pytestmark  # noqa: F401 - a mark
from test_scrape_config import BOTH, JOB, problems
from trilens.prometheus_config.file import load
from trilens.scrape.relabel import steps
from waiting import wait_until


def job(text: str) -> str:
    return JOB + f"  {text}\n"


# Keys of Prometheus 3, and values at the edge of what is allowed.
NEWER = [
    *(job(f"{key}: {value}") for key in (
        "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms",
        "scrape_native_histograms", "extra_scrape_metrics", "track_timestamps_staleness",
        "enable_compression", "enable_http2", "follow_redirects", "honor_timestamps",
    ) for value in ("true", "false", "maybe", "1", "''", "null", "[true]", "True", "off")),
    *(job(f"{key}: {value}") for key in (
        "sample_limit", "label_limit", "label_name_length_limit", "label_value_length_limit",
        "target_limit", "keep_dropped_targets", "native_histogram_bucket_limit",
    ) for value in ("0", "1", "-1", "1.5", "'3'", "x", "1e3", "0x10", "null", "18446744073709551616")),
    *(job(f"native_histogram_min_bucket_factor: {value}")
      for value in ("0", "1.1", "-1", "x", "'1.1'", ".inf", "1e400", "null")),
    *(job(f"{key}: {value}") for key in ("scrape_interval", "scrape_timeout")
      for value in ("1s", "0s", "1m30s", "-1s", "1", "''", "1h30", "1y", "1.5s", "10ms", "null", "30s1m")),
    *(job(f"body_size_limit: {value}") for value in (
        "0", "1", "1B", "1KB", "1kb", "1KiB", "10MB", "1.5MB", "-1MB", "''", "1EB", "100EB", "1 MB", "null")),
    *(job(f"metric_name_validation_scheme: {value}") for value in ("utf8", "legacy", "''", "x", "UTF8")),
    *(job(f"metric_name_escaping_scheme: {value}")
      for value in ("allow-utf-8", "underscores", "dots", "values", "''", "x")),
    *(job(f"metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: {value}")
      for value in ("allow-utf-8", "underscores", "dots", "values")),
    *("global: {metric_name_validation_scheme: legacy}\n" + job(f"{key}: {value}")
      for key, value in (("metric_name_escaping_scheme", "allow-utf-8"), ("scheme", "http"),
                         ("metric_name_validation_scheme", "utf8"))),
    *(job(f"scrape_protocols: {value}") for value in (
        "[]", "null", "[PrometheusProto]", "[PrometheusText0.0.4, PrometheusText0.0.4]", "[x]",
        "PrometheusProto", "[PrometheusText1.0.0, OpenMetricsText0.0.1]")),
    *(job(f"fallback_scrape_protocol: {value}")
      for value in ("PrometheusText0.0.4", "PrometheusProto", "x", "''", "[x]")),
    *(f"global: {{{key}: {value}}}\n" for key in ("scrape_protocols",)
      for value in ("[]", "[PrometheusProto]", "[x]")),
    *(f"global: {{{text}}}\n" for text in (
        "convert_classic_histograms_to_nhcb: true", "always_scrape_classic_histograms: true",
        "scrape_native_histograms: true", "extra_scrape_metrics: true", "scrape_failure_log_file: f",
        "native_histogram_bucket_limit: 5", "fallback_scrape_protocol: PrometheusProto",
        "sample_limit: 5", "body_size_limit: 1MB", "rule_query_offset: 5s", "rule_query_offset: x",
        "external_labels: {a: b}", "external_labels: {'a b': c}", "external_labels: {'': c}",
        "external_labels: {a: '${NONE}'}", "external_labels: [a]", "scrape_interval: 0s",
        "scrape_timeout: 2m", "evaluation_interval: 0s", "scrape_interval: 5s, scrape_timeout: 10s")),
    job("scrape_failure_log_file: x/y"), job("scheme: ftp"), job("scheme: ''"), job("metrics_path: x"),
    job("metrics_path: ''"), job("params: {a: b}"), job("params: {a: [b, c]}"), job("params: [a]"),
    job("http_headers: {X-A: {values: [b]}}"), job("http_headers: {Host: {values: [b]}}"),
    job("http_headers: {authorization: {values: [b]}}"), job("http_headers: {X: b}"),
    job("proxy_from_environment: true"), job("proxy_from_environment: true\n  proxy_url: http://x"),
    job("no_proxy: x"), job("no_proxy: x\n  proxy_url: http://x"), job("proxy_url: 'http://[::1'"),
    job("proxy_connect_header: {A: [b]}"), job("proxy_connect_header: {A: [b]}\n  proxy_url: http://x"),
    job("oauth2: {}"), job("oauth2: {client_id: a}"), job("oauth2: {client_id: a, token_url: http://x}"),
    job("oauth2: {client_id: a, token_url: http://x, client_secret: c, scopes: x}"),
    job("oauth2: {client_id: a, token_url: http://x, client_secret: c, client_secret_file: f}"),
    job("authorization: {}"), job("authorization: {type: ''}"), job("authorization: {type: ' basic '}"),
    job("authorization: {credentials: a, credentials_file: b}"), job("basic_auth: {}"),
    job("basic_auth: {username: a, username_file: b}"), job("basic_auth: null"), job("tls_config: null"),
    job("tls_config: {cert: x}"), job("tls_config: {key: x}"), job("tls_config: {ca: x, ca_file: y}"),
    job("tls_config: {min_version: TLS13, max_version: TLS12}"), job("tls_config: {min_version: ''}"),
    job("static_configs: [{targets: ['a:1', b]}]"), job("static_configs: [{}]"), job("static_configs: []"),
    job("static_configs: [{targets: [a], labels: {'é': b}}]"), job("static_configs: [{labels: {a: b}}]"),
    job("static_configs: [{targets: [a], labels: {a: 1}}]"), job("static_configs: [{targets: [5]}]"),
    job("static_configs: [{targets: [''], labels: {'': b}}]"), job("static_configs: [{targets: [a/b]}]"),
    *(job(f"relabel_configs: [{{{text}}}]") for text in (
        "", "action: REPLACE, target_label: a", "action: keep", "action: keep, regex: a",
        "action: keepequal, source_labels: [a], target_label: b",
        "action: keepequal, source_labels: [a], target_label: b, regex: x",
        "action: keepequal, source_labels: [a], target_label: b, separator: x",
        "action: dropequal, target_label: b", "action: dropequal, source_labels: [a]",
        "action: hashmod, source_labels: [a], target_label: b, modulus: 0",
        "action: hashmod, source_labels: [a], target_label: b, modulus: -1",
        "action: hashmod, source_labels: [a], target_label: '$1', modulus: 3",
        "action: labelmap, replacement: 'x_$1'", "action: labelmap, replacement: '-'",
        "action: labelmap, replacement: 'a b'", "action: labelmap, regex: '('",
        "action: labeldrop, regex: a, target_label: b", "action: labeldrop, regex: a, replacement: b",
        "action: labelkeep, regex: a, separator: b", "action: labelkeep, regex: a, modulus: 3",
        "action: lowercase, target_label: a", "action: uppercase, target_label: a, replacement: b",
        "action: lowercase, source_labels: [a], target_label: '${1}'", "target_label: '$1'",
        "target_label: 'a-b'", "target_label: '${1}_x$2'", "target_label: 'a b $1'", "target_label: ''",
        "target_label: a, regex: '(?P<x>a)', replacement: '${x}'", "target_label: a, regex: 'a{1001}'",
        "target_label: a, regex: '(?=a)'", "target_label: a, regex: '\\\\1'", "target_label: a, regex: ''",
        "target_label: a, regex: null", "target_label: a, replacement: ''", "target_label: a, separator: ''",
        "source_labels: a, target_label: b", "source_labels: [''], target_label: b",
        "source_labels: ['a b'], target_label: b", "source_labels: [1], target_label: b")),
    *(job(f"metric_name_validation_scheme: legacy\n  relabel_configs: [{{{text}}}]") for text in (
        "target_label: 'a-b'", "target_label: '${1}_x$2'", "target_label: 'a b $1'", "target_label: '1a'",
        "action: labelmap, replacement: 'a-$1'", "source_labels: ['a b'], target_label: b")),
    "global: null\n", "scrape_configs: null\n", "scrape_configs: []\n", "a: &x {}\n", "{}\n", "---\n",
    "global: {}\nglobal: {}\n", JOB + "  scheme: http\n  scheme: http\n", "%YAML 1.1\n---\n{}\n",
    "# only a comment\n", "global: {scrape_interval: !!str 5s}\n", "a: b: c\n", "\tglobal: {}\n",
    "global: {}\n---\nglobal: {}\n", "\ufeffglobal: {}\n", "runtime: {gogc: 50}\n", "runtime: {gogc: x}\n",
    "storage: {exemplars: {max_exemplars: 5}}\n", "storage: {exemplars: {max_exemplars: x}}\n",
]  # fmt: skip
# Refused here with the reason, or told otherwise: see docs/protocols/prometheus_scrape.md.
NOT_DONE = ("is not supported", "not one of ours")


# A Prometheus of 3.14 that reloads the first ends. The others: what only promtool looks at; a size
# below zero, and numbers that have no room in 64 bits, which are no limits there and refused here;
# a file of nothing but a mark, which it takes and cannot use; a tab, which libyaml passes over.
APART = {
    "alerting:\n  alertmanagers:\n  -\n", job("bearer_token_file: nowhere"), job("body_size_limit: -1MB"),
    "---\n", "\tglobal: {}\n",
}  # fmt: skip


@contextmanager
def a_prometheus(folder):
    path = folder / "prometheus.yml"
    path.write_text("{}")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle", "--log.level=error"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        ) as client:
            wait_until(lambda: is_ready(client))
            yield client, path
    finally:
        process.kill()
        process.wait()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def test_the_same_files_are_taken_and_refused(tmp_path) -> None:
    differs = []
    with a_prometheus(tmp_path) as (client, path):
        for text in [*(text for text, _ in BOTH), *NEWER]:
            if text in APART or "18446744073709551616" in text:
                continue
            path.write_text(text)
            reply = client.post("/-/reload")
            said = reply.text.strip()
            if "_sd_configs" in text and "not found in type" in said:
                continue  # built without that discovery
            found = problems(tmp_path, text)
            if any(word in message for _, message in found for word in NOT_DONE):
                continue
            if bool(found) != (reply.status_code != 200):
                differs.append(f"{text!r}\n  ours   {found}\n  theirs {said[-300:]}")
    assert not differs, f"{len(differs)}\n" + "\n".join(differs)


# --- relabelling

NAMES = [
    "a",
    "b",
    "__address__",
    "__meta_x_a",
    "__meta_x_é",
    "__tmp",
    "job",
    "instance",
    "c d",
    "__name__",
]
VALUES = [
    "",
    "x",
    "X y",
    "a;b",
    "10.0.0.1:9",
    "é",
    "ß",
    "İ",
    "ǅ",
    "a\nb",
    "$1",
    "true",
    "\\",
    "9" * 30,
]
REGEXES = [
    "(.*)", "x", "(.+)", "(.*):(.*)", "a|b", "[^;]*", "(?i)x y", "()", "__meta_x_(.+)", "(.)(.)?.*",
    "(?P<n>x)|(y)", "\\d+.*", ".", "(?s).*", "", "x|", "(x)?(.*)", "\\w+", "[[:alpha:]]+", "\\p{L}+",
]  # fmt: skip
REPLACEMENTS = [
    "$1",
    "${1}",
    "$0",
    "$2",
    "${n}",
    "$1x",
    "${1}x",
    "$$",
    "$",
    "${",
    "x$1;${2}",
    "",
    "p_$1",
]


def a_rule(chance: random.Random) -> dict[str, object]:  # noqa: C901 - a table of chances
    action = chance.choice((
        "replace", "replace", "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap",
        "labeldrop", "labelkeep", "lowercase", "uppercase",
    ))  # fmt: skip
    if action in ("labeldrop", "labelkeep"):
        return {"action": action, "regex": chance.choice((*REGEXES, "__address__|a|job|__.*"))}
    if action == "labelmap":
        return {
            "action": action, "regex": chance.choice(REGEXES),
            "replacement": chance.choice(("$1", "p_$1", "${1}_q", "x")),
        }  # fmt: skip
    rule: dict[str, object] = {"action": action}
    if chance.random() < 0.9:
        rule["source_labels"] = chance.sample(NAMES, chance.randint(1, 3))
    if action not in ("keep", "drop"):
        rule["target_label"] = chance.choice(NAMES)
    if action in ("keepequal", "dropequal"):
        rule.setdefault("source_labels", ["a"])
        return rule
    if action == "hashmod":
        rule["modulus"] = chance.choice((1, 2, 7, 2**32, 2**62))
    if action == "replace":
        rule["replacement"] = chance.choice(REPLACEMENTS)
        if chance.random() < 0.3:
            rule["target_label"] = chance.choice(("$1", "p_$1", "${2}", "x$1"))
    if chance.random() < 0.7:
        rule["regex"] = chance.choice(REGEXES)
    if chance.random() < 0.3:
        rule["separator"] = chance.choice(("", ",", ";;"))
    return rule


def rules_of(chance: random.Random) -> list[dict[str, object]]:
    """labelmap among the first two: to show its steps Prometheus sorts what rules have set."""
    rules = [a_rule(chance) for _ in range(chance.randint(1, 6))]
    return [rule for place, rule in enumerate(rules) if place < 2 or rule["action"] != "labelmap"]


@pytest.mark.parametrize("seed", range(4))
def test_rules_do_the_same_step_by_step(tmp_path, seed) -> None:
    chance = random.Random(seed)
    jobs = [
        {"job_name": f"j{number}", "relabel_configs": rules_of(chance)} for number in range(150)
    ]
    differs = []
    with a_prometheus(tmp_path) as (client, path):
        path.write_text(json.dumps({"scrape_configs": jobs}))
        reply = client.post("/-/reload")
        assert reply.status_code == 200, reply.text
        wait_until(
            lambda: len(client.get("/api/v1/scrape_pools").json()["data"]["scrapePools"]) == 150
        )
        for one in load(path, {}).scraping.jobs:
            for _ in range(3):
                labels = {name: chance.choice(VALUES) for name in NAMES if chance.random() < 0.7}
                asked = {"scrapePool": one.name, "labels": json.dumps(labels)}
                theirs = client.get("/api/v1/targets/relabel_steps", params=asked).json()
                assert "data" in theirs, theirs
                theirs = [
                    (step["output"] if step["keep"] else None) for step in theirs["data"]["steps"]
                ]
                ours = [step.labels for step in steps(one.relabel, labels)]
                if ours != theirs[: len(ours)]:
                    differs.append(f"{one.relabel}\n  {labels}\n  ours   {ours}\n  theirs {theirs}")
    assert not differs, f"{len(differs)}\n" + "\n".join(differs[:10])
