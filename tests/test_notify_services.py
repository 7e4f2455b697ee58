"""What services demand beside the form of a body: lengths, rates, and what they say wrapped up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest

from notifying import Receiver
from test_notify_channels import channel
from test_notify_templates import notification
from trilens.notify.channels.opsgenie import (
    DESCRIPTION_CHARS_MAX,
    ENTITY_CHARS_MAX,
    PIECE_CHARS_MAX,
    SOURCE_CHARS_MAX,
    TAGS_MAX,
)
from trilens.notify.channels.slack import Slack
from trilens.notify.channels.sns import MESSAGE_BYTES_MAX, SUBJECT_CHARS_MAX
from trilens.notify.channels.teams import MESSAGE_BYTES_MAX as CARD_BYTES_MAX

SIGNED = "sigv4: {region: eu-west-1, access_key: AK, secret_key: SK}"


@pytest.fixture
def server():
    made = []

    def make(*answers, **options):
        made.append(Receiver(*answers, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def long_one(chars: int, **options):
    return notification(group_labels={"x": "ü<" * (chars // 2)}, **options)


@pytest.mark.parametrize("kind", ["msteams", "msteamsv2"])
@pytest.mark.parametrize("chars", [9_000, 60_000])
def test_a_card_is_cut_to_what_teams_takes(server, kind, chars):
    hook = server((200, b"1"))
    one = channel(kind, f"{{webhook_url: '{hook.url}', text: '{{{{ .GroupLabels.x }}}}'}}")
    assert one.send(long_one(chars), 5).kind == "sent"
    body = hook.requests[0][3]
    assert CARD_BYTES_MAX - 20 < len(body) <= CARD_BYTES_MAX + 1
    card = json.loads(body)
    shown = (
        card["text"] if kind == "msteams" else card["attachments"][0]["content"]["body"][1]["text"]
    )
    assert shown.startswith("ü<ü<")
    assert shown.endswith("…")


SAID = (
    b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error %d"
)


@pytest.mark.parametrize(("text", "kind", "status"), [
    (b"1", "sent", 200), (SAID % 429, "failed", 429), (SAID % 413, "failed", 413),
])  # fmt: skip
def test_what_teams_says_inside_of_its_answer(server, text, kind, status):
    hook = server((200, text))
    outcome = channel("msteams", f"{{webhook_url: '{hook.url}'}}").send(notification(), 5)
    assert (outcome.kind, outcome.status, outcome.should_retry) == (kind, status, status == 429)


def test_fields_of_opsgenie_have_their_lengths(server):
    ops = server((202, b"{}"))
    long = "{{ .GroupLabels.x }}"
    tags = ",".join(["{{ .GroupLabels.x }}"] * 30)
    one = channel("opsgenie", (
        f"{{api_url: '{ops.url}', api_key: k, description: '{long}', source: '{long}', "
        f"entity: '{long}', note: '{long}', tags: '{tags}', actions: '{tags}', message: '{long}'}}"
    ))  # fmt: skip
    assert one.send(long_one(30_000), 5).kind == "sent"
    body = ops.bodies()[0]
    lengths = [len(body[name]) for name in ("message", "description", "source", "entity", "note")]
    assert lengths == [130, DESCRIPTION_CHARS_MAX, SOURCE_CHARS_MAX, ENTITY_CHARS_MAX, 25_000]
    assert [len(tag) for tag in body["tags"]] == [PIECE_CHARS_MAX] * TAGS_MAX
    assert len(body["actions"]) == 10


def form_of(sns: Receiver) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(sns.requests[-1][3].decode()).items()}


def test_a_message_of_sns_has_its_lengths(server):
    sns = server((200, b"<PublishResponse/>"))
    one = channel("sns", (
        f"{{api_url: '{sns.url}', target_arn: t, message: '{{{{ .GroupLabels.x }}}}', {SIGNED}, "
        "subject: \"a\\tb {{ .GroupLabels.x }}\", attributes: {a: '{{ .CommonLabels.no }}', b: 'ü'}}"
    ))  # fmt: skip
    assert one.send(long_one(200_000), 5).kind == "sent"
    form = form_of(sns)
    assert form["Subject"].startswith("a b ü<")
    assert len(form["Subject"]) == SUBJECT_CHARS_MAX
    # What says nothing is refused by SNS, with all the rest.
    assert form["MessageAttributes.entry.1.Name"] == "b"
    assert form["MessageAttributes.entry.2.Name"] == "truncated"
    sizes = [len(value.encode()) for name, value in form.items()
             if name == "Message" or name.startswith("MessageAttributes")]  # fmt: skip
    assert MESSAGE_BYTES_MAX - 5 < sum(sizes) <= MESSAGE_BYTES_MAX


def test_a_queue_without_duplicates_gets_what_is_said_next(server):
    sns = server((200, b"<PublishResponse/>"))
    one = channel("sns", f"{{api_url: '{sns.url}', topic_arn: 'arn:x.fifo', {SIGNED}}}")
    ids = []
    for at_ns in (10**18, 10**18, 10**18 + 10**9):
        assert one.send(notification(at_ns=at_ns), 5).kind == "sent"
        ids.append(form_of(sns)["MessageDeduplicationId"])
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(("headers", "wait_s"), [
    ({}, 0), ({"Retry-After": "7"}, 7), ({"Retry-After": "99999"}, 3600), ({"Retry-After": "-7"}, 0),
    ({"Retry-After": "soon"}, 0), ({"Retry-After": "9" * 400}, 3600), ({"Retry-After": "1.5"}, 0),
])  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_when_a_service_wants_to_be_asked_again(server, status, headers, wait_s):
    hook = server((status, b"slow down", headers))
    outcome = channel("webhook", f"{{url: '{hook.url}'}}").send(notification(), 5)
    assert (outcome.kind, outcome.should_retry, outcome.wait_s) == ("failed", True, wait_s)
    assert outcome.error == f"unexpected status code {status}: slow down"


@pytest.mark.parametrize(("seconds", "least"), [(60, 58), (-60, 0)])
def test_a_moment_at_which_a_service_wants_to_be_asked_again(server, seconds, least):
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    hook = server((429, b"", {"Retry-After": format_datetime(at, usegmt=True)}))
    outcome = channel("webhook", f"{{url: '{hook.url}'}}").send(notification(), 5)
    assert least <= outcome.wait_s <= max(seconds, 0)


def updating(slack: Receiver) -> Slack:
    made = channel("slack", (
        "{api_url: 'https://slack.com/api/chat.postMessage', channel: '#c', update_message: true, "
        "http_config: {authorization: {credentials: xoxb}}}"
    ))  # fmt: skip
    made._options = {
        **made._options,
        "api_url": channel("slack", f"{{api_url: '{slack.url}post'}}")._options["api_url"],
    }
    made._update_url = f"{slack.url}update"
    return made


def test_a_message_of_slack_is_changed_by_those_that_follow(server):
    slack = server((200, b'{"ok":true,"channel":"C1","ts":"1.5"}'), content_type="application/json")
    one = updating(slack)
    first = one.send(notification(), 5)
    assert (first.kind, first.marks) == ("sent", {"channel": "C1", "ts": "1.5"})
    assert one.send(notification(marks=first.marks), 5).kind == "sent"
    (_, path, headers, _), (_, second_path, _, _) = slack.requests
    assert (path, second_path) == ("/post", "/update")
    assert headers["Authorization"] == "Bearer xoxb"
    post, update = slack.bodies()
    assert (post["channel"], "ts" in post) == ("#c", False)
    assert (update["channel"], update["ts"]) == ("C1", "1.5")
    assert update["attachments"] == post["attachments"]


def test_a_message_of_slack_that_is_gone_is_sent_anew(server):
    slack = server((200, b'{"ok":false,"error":"message_not_found"}'),
                   (200, b'{"ok":true,"channel":"C1","ts":"2"}'),
                   content_type="application/json")  # fmt: skip
    outcome = updating(slack).send(notification(marks={"channel": "C1", "ts": "1"}), 5)
    assert (outcome.kind, outcome.marks["ts"]) == ("sent", "2")
    assert [path for _, path, *_ in slack.requests] == ["/update", "/post"]


def test_without_update_message_nothing_is_remembered(server):
    slack = server((200, b'{"ok":true,"channel":"C1","ts":"1"}'), content_type="application/json")
    outcome = channel("slack", f"{{api_url: '{slack.url}'}}").send(notification(), 5)
    assert (outcome.kind, outcome.marks) == ("sent", {})
