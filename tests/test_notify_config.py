"""alertmanager.yml: what is taken, and every fault with its line."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifying import config_of
from trilens.config_files.masking import HIDDEN, masked
from trilens.config_files.problems import FileRefused
from trilens.config_files.yaml_nodes import read_yaml

WHOLE = """
global:
  resolve_timeout: 6m
  smtp_smarthost: 'mail:587'
  smtp_from: 'a@example.org'
  smtp_auth_username: u
  smtp_auth_password: hunter2
  slack_api_url: 'https://hooks.slack.com/s3cret'
  opsgenie_api_key: s3cret
  http_config: {follow_redirects: false}
templates: ['*.tmpl']
route:
  receiver: all
  routes:
  - {receiver: all, matchers: [a=b], mute_time_intervals: [night], labels: {x: '{{ .Status }}'}}
inhibit_rules:
- {source_matchers: [s=c], target_match: {s: w}, target_match_re: {t: 'a|b'}, equal: [c], name: n}
mute_time_intervals:
- {name: night, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}
receivers:
- name: all
  labels: {team: x}
  webhook_configs:
  - {url: 'http://h/', max_alerts: 3, timeout: 1m30s, send_resolved: false}
  - {url: 'http://{{ .GroupLabels.host }}/', payload: {a: '{{ .Status }}', b: [1, true]}}
  - url_file: hook_url
    http_config: {basic_auth: {username: u, password: s3cret}, tls_config: {ca_file: ca.pem}}
  email_configs: [{to: 'x@y.z', headers: {subject: hi}, require_tls: false}]
  slack_configs: [{channel: '#a', fields: [{title: t, value: v, short: true}],
    actions: [{type: button, text: t, url: 'http://u'}]}]
  pagerduty_configs: [{routing_key: s3cret, details: {more: {deep: '{{ .Status }}'}},
    links: [{href: h, text: t}]}]
  sns_configs: [{topic_arn: 'arn:aws:sns:x', sigv4: {region: eu-west-1}, attributes: {k: v}}]
  opsgenie_configs: [{responders: [{name: n, type: Team}], update_alerts: true}]
  msteams_configs: [{webhook_url: 'https://t/s3cret'}]
  msteamsv2_configs: [{webhook_url_file: /x}]
  discord_configs: [{webhook_url: 'https://d/s3cret', username: u}]
"""


def faults(text: str) -> list[str]:
    with pytest.raises(FileRefused) as refused:
        config_of(text)
    return [f"{one.place.line}: {one.message}" for one in refused.value.problems]


def test_a_whole_file(tmp_path):
    (tmp_path / "own.tmpl").write_text('{{ define "own" }}x{{ end }}')
    config = config_of(WHOLE, tmp_path)
    kinds = [
        (one.kind, one.index, one.send_resolved) for one in config.receivers["all"].integrations
    ]
    assert kinds == [
        ("discord", 0, True), ("email", 0, False), ("msteams", 0, True), ("msteamsv2", 0, True),
        ("opsgenie", 0, True), ("pagerduty", 0, True), ("slack", 0, False), ("sns", 0, True),
        ("webhook", 0, False), ("webhook", 1, True), ("webhook", 2, True),
    ]  # fmt: skip
    by_name = {one.name: one for one in config.receivers["all"].integrations}
    assert by_name["all/webhook[2]"].options["url"].path == tmp_path / "hook_url"
    assert by_name["all/webhook[2]"].http.tls.ca.path == tmp_path / "ca.pem"
    assert by_name["all/webhook[2]"].http.follow_redirects
    assert not by_name["all/webhook[0]"].http.follow_redirects
    assert by_name["all/webhook[0]"].options["timeout_ns"] == 90 * 10**9
    assert by_name["all/email[0]"].options["headers"] == {"Subject": "hi"}
    assert by_name["all/opsgenie[0]"].options["responders"][0]["type"] == "team"
    assert config.common.resolve_timeout_ns == 360 * 10**9
    assert "own" in config.templates.names()
    assert config.receivers["all"].labels == {"team": "x", "name": "all"}


def test_nothing_secret_is_shown():
    shown = masked(WHOLE)
    assert "s3cret" not in shown
    assert "hunter2" not in shown
    assert HIDDEN in shown
    config_of(shown)


@pytest.mark.parametrize(("old", "new", "want"), [
    ("resolve_timeout: 6m", "resolve_timeout: 6x", '3: resolve_timeout: unknown unit "x" in duration "6x"'),
    ("resolve_timeout", "resolve_timout",
     '3: field resolve_timout not found in global; do you mean "resolve_timeout"?'),
    ("  receiver: all\n", "", "12: root route must specify a default receiver"),
    ("{receiver: all, ", "{receiver: al, ",
     '15: undefined receiver "al" is used in a route; do you mean "all"?'),
    ("[night]", "[nigth]",
     '15: undefined time interval "nigth" is used in a route; do you mean "night"?'),
    ("matchers: [a=b]", "matchers: ['a=~(']",
     "15: matchers: error parsing regexp: missing closing ): `(`"),
    ("'{{ .Status }}'}}\ninhibit", "'{{ .Status'}}\ninhibit", "12: route label x: template: :1: unclosed action"),
    ("target_match: {s: w}", "target_mach: {s: w}",
     '17: field target_mach not found in an inhibit rule; do you mean "target_match"?'),
    ("- name: all", "- name: all\n- name: all", '22: receiver "all" is there twice'),
    ("{url: 'http://h/', ", "{url: 'h/', ",
     "24: url must be a URL that begins with http or https and has a host"),
    ("timeout: 1m30s", "timeout: 1w", '24: timeout: "1w" is not a duration such as 10s, 1m30s or 500ms'),
    ("smtp_smarthost: 'mail:587'", "smtp_smarthost: 'mail'", '4: smtp_smarthost "mail" must be host:port'),
    ("b: [1, true]", "b: ['{{ if }}']", "25: template: :1: missing value for if"),
    ("msteams_configs", "victorops_configs",
     "35: victorops_configs is not supported: no notification is sent that way"),
    ("username: u}]\n", "user: u}]\n", '37: field user not found in discord_configs; do you mean "username"?'),
    ("topic_arn: 'arn:aws:sns:x'", "topic_arn: x, phone_number: '1'",
     "33: exactly one of topic_arn, phone_number and target_arn must be set"),
    ("resolve_timeout: 6m", "resolve_timeout: 6m\n  resolve_timeout: 7m",
     "4: key 'resolve_timeout' already defined at line 3"),
    ("[{to: 'x@y.z', ", "[{", "28: missing to address in email config"),
    ("- {name: night", "- {nam: night", "19: missing name in mute_time_intervals"),
    ("update_alerts: true", "update_alerts: 1", "34: update_alerts: cannot read `1` as true or false"),
    ("basic_auth: {", "bearer_token: x, basic_auth: {",
     "27: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"),
    ("global:", "global: [", "4: yaml: did not find expected ',' or ']'"),
    ("routing_key: s3cret", "routing_key: ''", "31: missing service_key or routing_key in PagerDuty config"),
    ("  receiver: all\n", "  receiver: all\n  continue: true\n", "14: root route cannot continue"),
    ("- {receiver: all, ", "- null\n  - {receiver: all, ", "15: a route is null"),
    ("['*.tmpl']", "['[a.tmpl']", "11: [a.tmpl: a [ is not closed"),
    ("'https://hooks.slack.com/s3cret'", "''",
     "8: slack_api_url must be a URL that begins with http or https and has a host"),
    ("- {url: 'http://h/', ", "- null\n  - {url: 'http://h/', ", "24: an entry of webhook_configs is null"),
    ("{url: 'http://h/', ", "{url: 'http://h i/', ",
     "24: url must be a URL that begins with http or https and has a host"),
    ("{region: eu-west-1}", "{region: eu-west-1, external_id: x}", "33: external_id needs a role_arn"),
])  # fmt: skip
def test_faults_have_their_lines(old, new, want):
    assert old in WHOLE
    assert any(one.startswith(want) for one in faults(WHOLE.replace(old, new, 1)))


def test_intervals_that_are_none_may_stand_in_the_root():
    config_of(WHOLE.replace("  receiver: all\n", "  receiver: all\n  mute_time_intervals: []\n", 1))


def test_all_faults_at_once_with_the_file():
    text = WHOLE.replace("6m", "6x").replace("[night]", "[x]").replace("update_alerts", "updates")
    with pytest.raises(FileRefused) as refused:
        config_of(text)
    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("alertmanager.yml:") for line in lines)


def test_a_template_file_that_is_none(tmp_path):
    (tmp_path / "bad.tmpl").write_text('{{ define "x" }}\n{{ nosuch }}{{ end }}')
    with pytest.raises(FileRefused, match=r'bad.tmpl:2: function "nosuch" not defined'):
        config_of(WHOLE, tmp_path)


def test_aliases_do_not_grow_without_end():
    text = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
    )
    with pytest.raises(FileRefused, match="values, aliases written out"):
        read_yaml(text.encode(), "x")


def test_depth_has_its_limit():
    with pytest.raises(FileRefused, match="nest"):
        config_of("a: " + "[" * 5000)


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused(text):
    with contextlib.suppress(FileRefused):
        config_of(text, Path("/nonexistent"))


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.sampled_from(list("{}[]:'\"- \nx0&*!%")))
                , max_size=4))  # fmt: skip
def test_a_file_with_mistakes_is_taken_or_refused(changes):
    text = WHOLE
    for at, char in changes:
        text = text[:at] + char + text[at + 1 :]
    with contextlib.suppress(FileRefused):
        config_of(text, Path("/nonexistent"))


FILES = Path(__file__).parent / "cases" / "alertmanager_files.jsonl"


def test_files_are_taken_and_refused_as_by_alertmanager():
    """What amtool check-config of 0.34 said to each is in the file; where we differ on purpose is
    in docs/notifications.md, not here.
    """
    wrong = []
    for line in FILES.read_text().splitlines():
        case = json.loads(line)
        try:
            config_of(case["file"], FILES.parent)
            is_taken = True
        except FileRefused:
            is_taken = False
        if is_taken != case["taken"]:
            wrong.append(case)
    assert wrong == []
