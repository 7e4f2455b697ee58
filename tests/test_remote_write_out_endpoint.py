"""One POST of remote write, and what its answer means."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import cramjam
import pytest

from trilens.clock import SystemClock
from trilens.config_files.aws_config import AwsAccess
from trilens.config_files.http_config import HttpConfig, Secret
from trilens.prometheus_config.remote_write import V2, Queue, RemoteWrite
from trilens.remote_write_out.endpoint import Endpoint, NotTaken, retry_after_s
from writing_out import Receiver, a_receiver

EMPTY = bytes(cramjam.snappy.compress_raw(b""))


class SetClock(SystemClock):
    def now_ns(self) -> int:
        return 1_700_000_000 * 10**9


@pytest.fixture
def receiver():
    with a_receiver() as one:
        yield one


def posted(config: RemoteWrite, times: int = 1) -> NotTaken | None:
    """The last refusal."""

    async def run() -> NotTaken | None:
        endpoint = Endpoint(config, SystemClock())
        refusal = None
        for attempt in range(times):
            try:
                await endpoint.post(EMPTY, attempt)
                refusal = None
            except NotTaken as error:
                refusal = error
        await endpoint.close()
        return refusal

    return asyncio.run(run())


def to(receiver: Receiver, **more: object) -> RemoteWrite:
    return RemoteWrite("k", f"{receiver.url}/w", **more)


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(500, False), (503, False), (429, False), (400, True), (404, True), (415, True), (301, True)],
)
def test_what_is_final(receiver, status, is_final) -> None:
    receiver.answer = lambda _: (status, {"location": "/elsewhere"} if status == 301 else {})
    refusal = posted(to(receiver))
    assert refusal.is_final is is_final
    assert str(refusal) == f"HTTP status {status}: because"


def test_429_is_final_where_the_file_says_so(receiver) -> None:
    receiver.answer = lambda _: (429, {})
    assert posted(to(receiver, queue=Queue(retry_on_http_429=False))).is_final


def test_retry_after_is_seconds_or_a_date(receiver) -> None:
    receiver.answer = lambda _: (503, {"retry-after": "7"})
    assert posted(to(receiver)).after_s == 7
    clock = SetClock()
    assert retry_after_s("Tue, 14 Nov 2023 22:13:50 GMT", clock) == 30
    for text in ("", "soon", "-1", "Tue, 14 Nov 2000 22:13:50 GMT", "²"):
        assert retry_after_s(text, clock) == 0
    assert retry_after_s("999999", clock) == 300


def test_what_is_sent(receiver) -> None:
    config = to(receiver, headers=(("x-scope-orgid", "t"),))
    config = replace(config, url=config.url.replace("://", "://me:s%40cret@"))
    receiver.answer = lambda nth: (500, {}) if nth == 0 else (204, {})
    assert posted(config, times=2) is None
    first, second = receiver.headers
    assert first["content-encoding"] == "snappy"
    assert first["content-type"] == "application/x-protobuf"
    assert first["x-prometheus-remote-write-version"] == "0.1.0"
    assert first["x-scope-orgid"] == "t"
    assert base64.b64decode(first["authorization"].split()[1]) == b"me:s@cret"
    assert first["user-agent"].startswith("trilens/")
    assert ("retry-attempt" in first, second["retry-attempt"]) == (False, "1")


def test_a_bearer_token_and_a_signature(receiver) -> None:
    assert posted(to(receiver, client=HttpConfig(credentials=Secret("abc")))) is None
    assert receiver.headers[0]["authorization"] == "Bearer abc"
    access = AwsAccess("eu-west-1", "AK", "SK")
    assert posted(to(receiver, sigv4=access, protobuf_message=V2)) is None
    signed = receiver.headers[1]
    assert "/eu-west-1/aps/aws4_request" in signed["authorization"]
    assert signed["content-type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def test_a_redirect_is_followed_and_keeps_credentials_at_home(receiver) -> None:
    client = HttpConfig(credentials=Secret("abc"))
    with a_receiver() as other:
        receiver.answer = lambda nth: (
            (307, {"location": "/next"}) if nth == 0 else (308, {"location": f"{other.url}/w"})
        )
        assert posted(to(receiver, client=client)) is None
        assert [one["authorization"] for one in receiver.headers] == ["Bearer abc"] * 2
        assert "authorization" not in other.headers[0]
        assert len(other.taken) == 1
        refusal = posted(to(receiver, client=replace(client, follow_redirects=False)))
        assert refusal.is_final
        receiver.answer = lambda _: (307, {"location": "/again"})
        assert "redirects" in str(posted(to(receiver)))


def test_a_receiver_of_1_has_taken_nothing_of_2(receiver) -> None:
    assert posted(to(receiver, protobuf_message=V2)) is None
    receiver.knows_2 = False
    refusal = posted(to(receiver, protobuf_message=V2))
    assert refusal.is_final
    assert "it knows only 1.0" in str(refusal)


def test_no_answer_is_tried_again(receiver) -> None:
    receiver.answer = lambda _: (0, {})
    assert not posted(to(receiver)).is_final
    receiver.pause_s = 1.0
    refusal = posted(to(receiver, timeout_ms=100))
    assert (str(refusal), refusal.is_final) == ("no answer within 0.1 s", False)
    refusal = posted(RemoteWrite("k", "http://127.0.0.1:9/w"))
    assert not refusal.is_final
    assert not posted(RemoteWrite("k", "http://no.such.host.invalid/w")).is_final


def test_addresses_of_a_name_take_turns(receiver) -> None:
    url = f"http://localhost:{receiver.server_port}/w"
    assert posted(RemoteWrite("k", url, round_robin_dns=True), times=4) is None or receiver.taken
    assert {one["host"] for one in receiver.headers} == {f"localhost:{receiver.server_port}"}
