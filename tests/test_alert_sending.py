"""Outside Alertmanagers: who they are, what each is told, what becomes of one that is away."""

import asyncio
import json
import threading
import time
from datetime import datetime

import pytest

from notifying import Receiver
from trilens.alert.alert_states import Notice
from trilens.alert_sending import endpoint as endpoints
from trilens.alert_sending import outside as outsides
from trilens.alert_sending.outside import Outside, relabelled, urls_of
from trilens.config_files.aws_config import AwsAccess
from trilens.http_out.aws import Credentials, sign
from trilens.measures import Measures
from trilens.prometheus_config.alerting import Alerting, AlertmanagerSet
from trilens.scrape.discovery_config import StaticDiscovery
from trilens.scrape.discovery_groups import Group
from trilens.scrape.relabel import Rule
from waiting import wait_until


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


@pytest.fixture
def server():
    made = []

    def make(*answers):
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def address(receiver):
    return receiver.url.removeprefix("http://").rstrip("/")


def a_set(*receivers, **options):
    targets = tuple({"__address__": address(one)} for one in receivers)
    return AlertmanagerSet(discoveries=(StaticDiscovery((Group("0", targets),)),), **options)


def notice(name, *, ends_at_ms=2_000, is_resolved=False, **labels):
    pairs = tuple(sorted({"alertname": name, **labels}.items()))
    return Notice(pairs, (("summary", "s"),), 1_500, ends_at_ms, "http://x/graph", is_resolved)


def told(receiver):
    return [
        (alert["labels"]["alertname"], alert["endsAt"])
        for _, _, _, body in receiver.requests
        for alert in json.loads(body)
    ]


def test_each_is_told_what_relabelling_leaves_for_it(loop, server):
    one, other = server(), server()
    measures = Measures()
    outside = Outside(loop, measures)
    drop = Rule(action="drop", source_labels=("severity",), regex="info")
    outside.apply(Alerting((), (a_set(one), a_set(other, alert_relabel=(drop,)))))
    wait_until(lambda: len(outside.active()) == 2)
    outside.tell([notice("A", severity="page"), notice("B", severity="info")])
    wait_until(lambda: len(told(one)) == 2 and len(told(other)) == 1)
    (alert,) = json.loads(other.requests[0][3])
    assert alert == {
        "labels": {"alertname": "A", "severity": "page"}, "annotations": {"summary": "s"},
        "startsAt": "1970-01-01T00:00:01.500Z", "endsAt": "1970-01-01T00:00:02.000Z",
        "generatorURL": "http://x/graph",
    }  # fmt: skip
    assert other.requests[0][1] == "/api/v2/alerts"
    url = f"http://{address(one)}/api/v2/alerts"
    wait_until(lambda: measures.value("trilens_alertmanager_told_total", url) == 2)
    outside.stop(1)


def test_one_that_is_away_hears_the_newest_and_holds_up_nobody(loop, server, monkeypatch):
    monkeypatch.setattr(endpoints, "RETRY_S_MIN", 0.05)
    away, there = server(*[(503, b"no")] * 3, (200, b"")), server()
    outside = Outside(loop, Measures())
    outside.apply(Alerting((), (a_set(away, there),)))
    wait_until(lambda: len(outside.active()) == 2)
    outside.tell([notice("A")])
    wait_until(lambda: told(there) == [("A", "1970-01-01T00:00:02.000Z")])
    outside.tell([notice("A", ends_at_ms=9_000, is_resolved=True)])
    wait_until(lambda: len(away.requests) >= 4 and not outside.errors(), 5)
    time.sleep(0.3)
    newest = ("A", "1970-01-01T00:00:09.000Z")
    assert told(away)[-1] == newest
    assert told(away)[3:].count(newest) == 1, "once, when it was there again"
    outside.stop(1)


def test_requests_are_signed_for_aws(loop, server):
    one = server()
    outside = Outside(loop, Measures())
    outside.apply(Alerting((), (a_set(one, sigv4=AwsAccess("eu-west-1", "AK", "SK")),)))
    wait_until(lambda: len(outside.active()) == 1)
    outside.tell([notice("A")])
    wait_until(lambda: one.requests)
    _, path, headers, body = one.requests[0]
    now_ns = int(datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%S%z").timestamp()) * 10**9
    again = sign(
        Credentials("AK", "SK"), "aps", "eu-west-1", f"http://{headers['host']}{path}", body,
        now_ns=now_ns, content_type=headers["content-type"],
    )  # fmt: skip
    assert headers["authorization"] == again["Authorization"]
    assert abs(time.time_ns() - now_ns) < 60 * 10**9
    outside.stop(1)


def test_what_is_refused_for_good_is_not_sent_again(loop, server):
    one = server((400, b"bad labels"), (200, b""))
    measures = Measures()
    outside = Outside(loop, measures)
    outside.apply(Alerting((), (a_set(one),)))
    wait_until(outside.active)
    outside.tell([notice("A")])
    wait_until(outside.errors)
    assert "HTTP status 400: bad labels" in outside.errors()[0]
    outside.tell([notice("B")])
    wait_until(lambda: ("B", "1970-01-01T00:00:02.000Z") in told(one))
    assert [name for name, _ in told(one)] == ["A", "B"]
    url = outside.active()[0]
    assert measures.value("trilens_alertmanager_dropped_total", url) == 1
    outside.stop(1)


def test_what_waits_is_bounded_and_goes_to_the_same_one_of_a_new_config(loop, server, monkeypatch):
    monkeypatch.setattr(endpoints, "WAITING_MAX", 3)
    one = server((503, b""), (200, b""))
    measures = Measures()
    outside = Outside(loop, measures)
    outside.apply(Alerting((), (a_set(one),)))
    wait_until(outside.active)
    outside.tell([notice(name) for name in "ABCDE"])
    url = outside.active()[0]
    wait_until(lambda: measures.value("trilens_alertmanager_dropped_total", url) == 2)
    wait_until(lambda: one.requests)
    outside.apply(Alerting((), (a_set(one, timeout_ms=5_000),)))
    wait_until(lambda: len(one.requests) > 1)
    assert {name for name, _ in told(one)[-3:]} == set("CDE")
    outside.apply(Alerting())
    assert outside.active() == []
    outside.stop(1)


def test_urls():
    rule = Rule(action="drop", source_labels=("__address__",), regex="b:.*")
    config = AlertmanagerSet(scheme="https", path_prefix="/am/", relabel=(rule,))
    group = Group(
        "0", tuple({"__address__": one} for one in ("a:1", "b:1", "a:1", "x/y")),
        {"__scheme__": "http"},
    )  # fmt: skip
    assert urls_of(config, [group]) == (
        ["http://a:1/am/api/v2/alerts"], ["http://b:1/am/api/v2/alerts"],
    )  # fmt: skip
    drop_all = Rule(action="labeldrop", regex=".*")
    assert relabelled((drop_all,), [notice("A")]) == []


def test_who_is_found_later_is_told_of_what_came_before(loop, server, monkeypatch):
    one, found = server(), asyncio.Event()

    async def discover_later(discovery, tell, _fail):
        await found.wait()
        tell(discovery.groups)

    monkeypatch.setattr(outsides, "discover", discover_later)
    outside = Outside(loop, Measures())
    outside.apply(Alerting((), (a_set(one),)))
    outside.tell([notice("A"), notice("B")])
    outside.tell([notice("A", ends_at_ms=3_000)])
    loop.call_soon_threadsafe(found.set)
    wait_until(lambda: len(told(one)) == 2)
    assert sorted(told(one)) == [
        ("A", "1970-01-01T00:00:03.000Z"),
        ("B", "1970-01-01T00:00:02.000Z"),
    ]
    outside.stop(1)


def test_what_is_told_while_files_are_read_again_is_not_lost(loop, server, monkeypatch):
    one, other = server(), server()
    outside = Outside(loop, Measures())
    outside.apply(Alerting((), (a_set(one),)))
    wait_until(outside.active)
    stop = outsides._Set.stop

    async def stop_slowly(self):
        outside._put([notice("A")])
        await stop(self)

    monkeypatch.setattr(outsides._Set, "stop", stop_slowly)
    outside.apply(Alerting((), (a_set(other),)))
    wait_until(lambda: [name for name, _ in told(other)] == ["A"])
    outside.stop(1)


def test_what_cannot_be_written_at_all_does_not_end_the_telling(loop, server):
    one, measures = server(), Measures()
    outside = Outside(loop, measures)
    outside.apply(Alerting((), (a_set(one),)))
    wait_until(outside.active)
    outside.tell([notice("A", severity="\udcff")])
    url = f"http://{address(one)}/api/v2/alerts"
    wait_until(lambda: measures.value("trilens_alertmanager_dropped_total", url) == 1)
    assert "internal: " in outside.errors()[0]
    outside.tell([notice("B")])
    wait_until(lambda: told(one) == [("B", "1970-01-01T00:00:02.000Z")])
    outside.stop(1)
