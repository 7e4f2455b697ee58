"""What each kind of receiver is sent, over real connections, and what its answers mean."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from urllib.parse import parse_qs

import pytest

from notifying import Receiver, config_of
from test_notify_templates import notification
from trilens.http_out.aws import Credentials, sign
from trilens.notify.channels.kinds import CHANNELS

KEY = hashlib.sha256(b'{}:{alertname="A"}').hexdigest()


@pytest.fixture
def server():
    made = []

    def make(*answers, **options):
        made.append(Receiver(*answers, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def channel(kind: str, options: str, common: str = ""):
    text = (
        f"{common}\nroute: {{receiver: x}}\nreceivers:\n- name: x\n  {kind}_configs:\n  - {options}"
    )
    return CHANNELS[kind](config_of(text).receivers["x"].integrations[0])


def test_webhook(server):
    hook = server()
    outcome = channel("webhook", f"{{url: '{hook.url}a', max_alerts: 2}}").send(notification(), 5)
    assert (outcome.kind, outcome.status) == ("sent", 200)
    method, path, headers, body = hook.requests[0]
    assert (method, path) == ("POST", "/a")
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("Alertmanager/")
    message = hook.bodies()[0]
    first = message["alerts"][0]
    assert list(message) == [
        "receiver", "status", "alerts", "notification_reason", "groupLabels", "commonLabels",
        "commonAnnotations", "routeLabels", "externalURL", "version", "groupKey", "truncatedAlerts",
    ]  # fmt: skip
    assert message["receiver"] == "team\\.x"
    assert (message["version"], message["truncatedAlerts"]) == ("4", 1)
    assert message["commonLabels"] == {"alertname": "A", "job": "j"}
    assert message["groupKey"] == '{}:{alertname="A"}'
    assert first == {
        "status": "firing", "labels": {"alertname": "A", "instance": "1", "job": "j"},
        "annotations": {"summary": "about A"}, "startsAt": "2026-03-01T12:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p/graph",
        "fingerprint": first["fingerprint"],
    }  # fmt: skip
    assert body.endswith(b"}\n")


def test_webhook_with_a_payload_of_its_own(server):
    hook = server()
    payload = (
        "{text: '{{ .Status }}', number: '{{ .Alerts.Firing | len }}', deep: [{a: 'x{{ 1 }}'}, true], "
        "names: '{{ .CommonLabels.SortedPairs.Names | toJson }}', '{{ .Status }}': 1}"
    )
    channel("webhook", f"{{url: '{hook.url}', payload: {payload}}}").send(notification(), 5)
    assert hook.bodies()[0] == {
        "text": "firing", "number": 2, "deep": [{"a": "x1"}, True], "names": ["alertname", "job"],
        "firing": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["[" * 2000, "&a [1]", "*a", "{a: 1", "x: &y [*y, *y]", "- a\n  b: ["]
)
def test_labels_that_look_like_yaml_stay_text(server, text):
    hook = server()
    one = channel("webhook", f"{{url: '{hook.url}', payload: {{t: '{{{{ .GroupLabels.x }}}}'}}}}")
    one.send(notification(group_labels={"x": text}), 5)
    assert hook.bodies() == [{"t": [1] if text == "&a [1]" else text}]


@pytest.mark.parametrize(("status", "kind", "again"), [
    (200, "sent", False), (204, "sent", False), (400, "failed", False), (404, "failed", False),
    (429, "failed", True), (500, "failed", True), (503, "failed", True),
])  # fmt: skip
def test_what_a_status_means(server, status, kind, again):
    hook = server((status, b""))
    outcome = channel("webhook", f"{{url: '{hook.url}'}}").send(notification(), 5)
    assert (outcome.kind, outcome.should_retry, outcome.status) == (kind, again, status)


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        outcome = channel("webhook", f"{{url: '{url}'}}").send(notification(), 5)
    assert (outcome.kind, outcome.should_retry) == ("failed", True)


@pytest.mark.parametrize("drip", [b"", b"H", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_receiver_that_never_ends_its_answer(drip):
    listener = socket.create_server(("127.0.0.1", 0))

    def dawdle():
        connection, _ = listener.accept()
        with connection:
            answer(connection)

    def answer(connection):
        connection.recv(65536)
        while drip:
            try:
                connection.sendall(drip)
            except OSError:
                return
            time.sleep(0.05)
        time.sleep(3)

    threading.Thread(target=dawdle, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    began = time.monotonic()
    outcome = channel("webhook", f"{{url: '{url}'}}").send(notification(), 1)
    assert time.monotonic() - began < 3
    assert outcome.kind == ("sent" if drip.endswith(b"\n") else "unknown")
    assert outcome.should_retry == (outcome.kind == "unknown")
    listener.close()


def test_credentials_and_headers(server):
    hook = server()
    for http in (
        "{basic_auth: {username: u, password: p}}", "{bearer_token: t}",
        "{authorization: {type: Key, credentials: c}, http_headers: {X-A: {values: [1, 2]}}}",
    ):  # fmt: skip
        channel("webhook", f"{{url: '{hook.url}', http_config: {http}}}").send(notification(), 5)
    seen = [headers["Authorization"] for _, _, headers, _ in hook.requests]
    assert seen == ["Basic dTpw", "Bearer t", "Key c"]


def test_a_proxy_and_who_is_reached_without_it(server):
    hook, proxy = server(), server()
    for no_proxy in ("", ", no_proxy: 'x.org,127.0.0.1'", ", no_proxy: '*'"):
        http = f"{{proxy_url: '{proxy.url}'{no_proxy}}}"
        one = channel("webhook", f"{{url: '{hook.url}', http_config: {http}}}")
        assert one.send(notification(), 5).kind == "sent"
    assert [path for _, path, *_ in proxy.requests] == [hook.url]
    assert len(hook.requests) == 2


def test_oauth2(server):
    tokens = server((200, b'{"access_token":"T","expires_in":60}'))
    hook = server()
    http = (
        f"{{oauth2: {{client_id: i, client_secret: s, token_url: '{tokens.url}', scopes: [a, b]}}}}"
    )
    one = channel("webhook", f"{{url: '{hook.url}', http_config: {http}}}")
    one.send(notification(), 5)
    one.send(notification(), 5)
    assert [headers["Authorization"] for _, _, headers, _ in hook.requests] == ["Bearer T"] * 2
    assert len(tokens.requests) == 1
    assert tokens.requests[0][3] == b"grant_type=client_credentials&scope=a+b"


def test_slack(server):
    slack = server((200, b"ok"))
    outcome = channel("slack", (
        f"{{api_url: '{slack.url}', channel: '#{{{{ .GroupLabels.alertname }}}}', link_names: true, "
        "fields: [{title: t, value: '{{ .Status }}'}, {title: u, value: v, short: true}], "
        "actions: [{type: button, text: go, url: 'http://u', name: n}]}"
    )).send(notification(), 5)  # fmt: skip
    assert outcome.kind == "sent"
    assert slack.bodies() == [{
        "channel": "#A", "username": "Trilens", "link_names": True,
        "attachments": [{
            "title": "[FIRING:2] A (j)", "title_link": "http://am/#/alerts?receiver=team%5C.x",
            "text": "", "callback_id": "", "footer": "", "color": "danger",
            "fallback": "[FIRING:2] A (j) | http://am/#/alerts?receiver=team%5C.x",
            "fields": [{"title": "t", "value": "firing", "short": False},
                       {"title": "u", "value": "v", "short": True}],
            "actions": [{"type": "button", "text": "go", "url": "http://u"}],
            "mrkdwn_in": ["fallback", "pretext", "text"],
        }],
    }]  # fmt: skip


@pytest.mark.parametrize(("answer", "media", "kind"), [
    (b"ok", "text/plain", "sent"), (b"no_service", "text/plain", "failed"),
    (b'{"ok":true}', "application/json", "sent"),
    (b'{"ok":false,"error":"channel_not_found"}', "application/json", "failed"),
    (b"{", "application/json", "failed"),
])  # fmt: skip
def test_what_slack_answers(server, answer, media, kind):
    slack = server((200, answer), content_type=media)
    outcome = channel("slack", f"{{api_url: '{slack.url}'}}").send(notification(), 5)
    assert outcome.kind == kind


def test_pagerduty(server):
    pager = server((202, b""), (429, b""), (400, b'{"message":"bad","errors":["x","y"]}'))
    one = channel("pagerduty", (
        f"{{url: '{pager.url}', routing_key: k, severity: '{{{{ .CommonLabels.job }}}}', "
        "details: {a: '{{ .Status }}', firing: none}, links: [{href: h, text: t}, {text: gone}]}"
    ))  # fmt: skip
    assert one.is_repeatable
    assert one.send(notification(), 5).kind == "sent"
    event = pager.bodies()[0]
    assert event["dedup_key"] == KEY
    assert (event["event_action"], event["routing_key"]) == ("trigger", "k")
    payload = event["payload"]
    assert (payload["summary"], payload["severity"], payload["source"]) == (
        "[FIRING:2] A (j)", "j", "Trilens",
    )  # fmt: skip
    assert payload["custom_details"]["a"] == "firing"
    assert payload["custom_details"]["num_firing"] == 2
    assert payload["custom_details"]["resolved"][0]["labels"]["instance"] == "3"
    assert event["links"] == [{"href": "h", "text": "t"}]
    assert one.send(notification(), 5).should_retry
    refused = one.send(notification(), 5)
    assert (refused.should_retry, refused.error) == (False, "unexpected status code 400: bad: x,y")


def test_opsgenie(server):
    genie = server((202, b""))
    one = channel("opsgenie", (
        f"{{api_url: '{genie.url}', api_key: k, tags: 'a,b,', update_alerts: true, "
        "responders: [{name: 't1,t2', type: teams}, {name: '{{ .CommonLabels.x }}', type: '{{ .CommonLabels.x }}'}]}"
    ))  # fmt: skip
    assert one.send(notification(), 5).kind == "sent"
    assert [(method, path) for method, path, *_ in genie.requests] == [
        ("POST", "/v2/alerts"),
        ("PUT", f"/v2/alerts/{KEY}/message?identifierType=alias"),
        ("PUT", f"/v2/alerts/{KEY}/description?identifierType=alias"),
    ]
    assert genie.requests[0][2]["Authorization"] == "GenieKey k"
    created = genie.bodies()[0]
    assert created["responders"] == [{"name": "t1", "type": "team"}, {"name": "t2", "type": "team"}]
    assert (created["tags"], created["alias"], created["message"]) == (
        ["a", "b"],
        KEY,
        "[FIRING:2] A (j)",
    )
    assert created["details"] == {"alertname": "A", "job": "j"}
    resolved = notification(alerts=notification().alerts[2:])
    one.send(resolved, 5)
    assert genie.requests[-1][1] == f"/v2/alerts/{KEY}/close?identifierType=alias"


def test_teams_and_discord(server):
    hook = server((200, b"1"))
    for kind in ("msteams", "msteamsv2", "discord"):
        assert (
            channel(kind, f"{{webhook_url: '{hook.url}'}}").send(notification(), 5).kind == "sent"
        )
    card, adaptive, embed = hook.bodies()
    assert (card["@context"], card["themeColor"], card["title"]) == (
        "http://schema.org/extensions", "8C1A1A", "[FIRING:2] A (j)",
    )  # fmt: skip
    content = adaptive["attachments"][0]["content"]
    assert content["body"][0]["color"] == "Attention"
    assert adaptive["attachments"][0]["contentUrl"] is None
    assert embed["embeds"][0]["color"] == 0x992D22
    assert embed["content"] == ""


def test_sns(server):
    sns = server((200, b"<PublishResponse/>"))
    outcome = channel("sns", (
        f"{{api_url: '{sns.url}', topic_arn: 'arn:x.fifo', attributes: {{k: '{{{{ .Status }}}}'}}, "
        "sigv4: {region: eu-west-1, access_key: AK, secret_key: SK}}"
    )).send(notification(), 5)  # fmt: skip
    assert outcome.kind == "sent"
    _, _, headers, body = sns.requests[0]
    # Signed when it is sent, which may be long after it was decided.
    assert headers["Authorization"].startswith(
        f"AWS4-HMAC-SHA256 Credential=AK/{headers['X-Amz-Date'][:8]}/eu-west-1/sns/aws4_request, "
    )
    assert not headers["X-Amz-Date"].startswith("20260301")
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert (form["Action"], form["TopicArn"], form["MessageGroupId"]) == (
        "Publish",
        "arn:x.fifo",
        KEY,
    )
    assert form["MessageAttributes.entry.1.Value.StringValue"] == "firing"


def test_a_signature_that_aws_publishes():
    """The suite of AWS, case post-x-www-form-urlencoded, signs what we sign too."""
    headers = sign(
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "service",
        "us-east-1", "https://example.amazonaws.com/", b"Param1=value1", now_ns=1_440_938_160 * 10**9,
    )  # fmt: skip
    assert headers["Authorization"].endswith(
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )
