"""Following the logs over a real socket, as server-sent events."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import httpx
import orjson
import pytest

from presenting import Api
from querying import clear, engine, insert
from trilens.present import console_follow
from trilens.present.console_api import BASE
from trilens.query import log_follow
from trilens.store.engine import EngineBusy
from waiting import wait_until

PATH = f"{BASE}/logs/follow"


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(console_follow, "LOOK_PAUSE_S", 0.05)
    monkeypatch.setattr(console_follow, "ERROR_PAUSE_S", 0.05)
    clear()
    made = Api(engine())
    yield made
    made.close()


class Events:
    """What arrives on one stream, read in a thread."""

    def __init__(self, lines):
        self.comments, self.events = [], []
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._thread.start()

    def _read(self, lines):
        name = ""
        with suppress(httpx.TransportError):  # this end was closed
            for line in lines:
                if line.startswith(":"):
                    self.comments.append(line)
                elif line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.append((name, orjson.loads(line.removeprefix("data: "))))

    def join(self):
        self._thread.join(5)
        assert not self._thread.is_alive()

    def bodies(self):
        return [row["body"] for name, data in self.events if name == "rows" for row in data]

    def named(self, wanted):
        return [data for name, data in self.events if name == wanted]


@contextmanager
def following(api, **params):
    with api.client.stream("GET", PATH, params=params, timeout=60) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        events = Events(reply.iter_lines())
        wait_until(lambda: ": following" in events.comments)
        yield events
        wire = reply.extensions["network_stream"].get_extra_info("socket")
        wire.shutdown(socket.SHUT_RDWR)
        events.join()


def arrive(*bodies, **columns):
    insert("log_rows", [{"timestamp": time.time(), "body": body, **columns} for body in bodies])


def test_rows_come_as_they_arrive_each_once(api):
    arrive("before")
    time.sleep(0.01)
    with following(api) as events:
        arrive("one", "two")
        wait_until(lambda: {"one", "two"} <= set(events.bodies()))
        arrive("three")
        wait_until(lambda: "three" in events.bodies())
        time.sleep(0.3)
        assert sorted(events.bodies()) == ["one", "three", "two"]


def test_only_what_fits_is_followed(api):
    condition = orjson.dumps([{"field": "service", "op": "=", "value": "cart"}]).decode()
    with following(api, query="error -health", filter=condition) as events:
        arrive("an error", "an error in health", "fine", service="cart")
        arrive("an error elsewhere", service="pay")
        wait_until(lambda: events.bodies() == ["an error"])
        time.sleep(0.2)
        assert events.bodies() == ["an error"]


def test_what_is_too_much_is_said_to_be_skipped(api, monkeypatch):
    monkeypatch.setattr(log_follow, "ROWS_MAX", 10)
    with following(api) as events:
        arrive(*(f"row {n}" for n in range(100)))
        wait_until(lambda: sum(one["skipped"] for one in events.named("lag")) == 90)
        wait_until(lambda: len(events.bodies()) == 10)


def test_an_engine_that_does_not_answer_is_an_event_and_following_goes_on(api, monkeypatch):
    with following(api) as events:
        with monkeypatch.context() as broken:

            def refuse(*_args, **_kwargs):
                raise EngineBusy(0, "the engine does not answer")

            broken.setattr(engine(), "raw", refuse)
            wait_until(lambda: events.named("error"))
        error = events.named("error")[0]["error"]
        assert error["code"] == "engine_unavailable"
        arrive("later")
        wait_until(lambda: events.bodies() == ["later"])


def test_silence_is_broken_by_comments(api, monkeypatch):
    monkeypatch.setattr(console_follow, "QUIET_LOOKS", 2)
    with following(api) as events:
        wait_until(lambda: len(events.comments) >= 3)


def test_followers_are_counted_and_forgotten(api, monkeypatch):
    monkeypatch.setattr(console_follow, "FOLLOWERS_MAX", 2)
    with following(api), following(api):
        reply = api.client.get(PATH)
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "overloaded"
        assert reply.headers["retry-after"] == "10"
    wait_until(lambda: api.threads.streams == 0)
    with following(api):
        assert api.threads.streams == 1


@pytest.mark.parametrize(
    ("params", "position"),
    [({"query": 'a "b'}, 2), ({"query": "nothing:x"}, 0), ({"filter": "{"}, None),
     ({"filter": '[{"field":"nothing"}]'}, None), ({"limit": "1"}, None)],
)  # fmt: skip
def test_a_question_that_is_not_understood_is_refused_at_once(api, params, position):
    reply = api.client.get(PATH, params=params)
    assert reply.status_code == 400
    assert reply.json()["error"].get("position") == position
