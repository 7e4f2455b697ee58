"""A batch arrives once, whatever happens between it and its answer."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from serving import Trilens
from trilens.agent import delivery as delivering
from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.log_records import LogBatch, observed_field, packed, record, resource_logs
from trilens.agent.send import Sender
from trilens.clock import SystemClock
from trilens.measures import Measures
from watching import HOST, RecordingServer, SetClock, a_tailer, until


@pytest.fixture
def clock():
    return SetClock()


def a_delivery(url, clock, measures=None):
    measures = measures or Measures()
    return LogDelivery("log_files", Sender(url, {}, 2), host=HOST, clock=clock, measures=measures)


def a_batch(delivery, *bodies):
    ns = delivery.next_observed_ns()
    records = [record(ns, observed_field(ns), body.encode()) for body in bodies]
    resource = {"service.name": "s", "host.name": HOST}
    return LogBatch(packed([resource_logs(resource, "t", records)]), len(bodies), ns, ns, ns)


def attempted(delivery, clock, times=12):
    outcomes = []
    for _ in range(times):
        outcomes.append(delivery.attempt())
        if outcomes[-1] != "later":
            break
        clock.passes(31)
    return outcomes


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 302])
def test_what_can_be_put_right_is_tried_until_it_is(clock, status):
    with RecordingServer(lambda path, n: status if n < 3 else "store") as server:
        delivery = a_delivery(server.url, clock)
        delivery.begin(a_batch(delivery, "one"))
        assert attempted(delivery, clock) == ["later"] * 3 + ["stored"]
        assert server.bodies() == ["one"]
        delivery.close()


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_batch_that_is_refused_for_good_is_counted(clock, status):
    measures = Measures()
    with RecordingServer(lambda path, n: status) as server:
        delivery = a_delivery(server.url, clock, measures)
        delivery.begin(a_batch(delivery, "one", "two"))
        assert attempted(delivery, clock) == ["refused"]
        assert measures.value("trilens_agent_dropped_total", "log_files", "refused") == 2
        assert delivery.last_error == f"status {status}"
        delivery.close()


def test_a_lost_answer_is_asked_about_and_the_batch_not_sent_again(clock):
    with RecordingServer(lambda path, n: "cut_after" if n == 0 else "store") as server:
        delivery = a_delivery(server.url, clock)
        delivery.begin(a_batch(delivery, "one"))
        assert attempted(delivery, clock)[-1] == "stored"
        assert server.bodies() == ["one"]
        assert len(server.questions) == 1
        assert [path for path, _ in server.requests].count("/v1/logs") == 2, "the batch, the fence"
        delivery.close()


def test_a_lost_request_is_asked_about_and_sent_again(clock):
    with RecordingServer(lambda path, n: "cut_before" if n == 0 else "store") as server:
        delivery = a_delivery(server.url, clock)
        delivery.begin(a_batch(delivery, "one"))
        assert attempted(delivery, clock)[-1] == "stored"
        assert server.bodies() == ["one"]
        assert len(server.questions) == 2, "the fence must have been seen twice"
        delivery.close()


def test_a_server_that_refuses_sql_gets_the_batch_again_and_that_is_counted(clock):
    def way(path, n):
        return "cut_before" if n == 0 else 401 if path.startswith("/api/sql") else "store"

    measures = Measures()
    with RecordingServer(way) as server:
        delivery = a_delivery(server.url, clock, measures)
        delivery.begin(a_batch(delivery, "one"))
        assert attempted(delivery, clock)[-1] == "stored"
        assert server.bodies() == ["one"]
        assert measures.value("trilens_agent_unchecked_total", "log_files") == 1
        delivery.close()


def test_doubt_lasts_as_long_as_the_server_is_away(clock):
    answers = ["cut_after", *[503] * 40]
    with RecordingServer(lambda path, n: answers[n] if n < len(answers) else "store") as server:
        delivery = a_delivery(server.url, clock)
        delivery.begin(a_batch(delivery, "one"))
        # 40 pauses of 31 s are more than CHECK_MAX_S
        assert attempted(delivery, clock, 60)[-1] == "stored"
        assert server.bodies() == ["one"]
        delivery.close()


def test_doubt_ends_after_a_time_if_the_fence_never_shows(clock, monkeypatch):
    measures = Measures()
    with RecordingServer(lambda path, n: "cut_before" if n == 0 else "store") as server:
        monkeypatch.setattr(delivering, "_counts", lambda answer: (0, 0))
        delivery = a_delivery(server.url, clock, measures)
        delivery.begin(a_batch(delivery, "one"))
        assert attempted(delivery, clock, 60)[-1] == "stored"
        assert measures.value("trilens_agent_unchecked_total", "log_files") == 1
        delivery.close()


def test_a_server_that_is_not_there_is_waited_for(clock):
    with RecordingServer() as server:
        port = server.port
    delivery = a_delivery(server.url, clock)
    delivery.begin(a_batch(delivery, "one"))
    assert attempted(delivery, clock, 4) == ["later"] * 4
    assert "refused" in delivery.last_error
    with RecordingServer(port=port) as server:
        assert attempted(delivery, clock) == ["stored"]
        assert server.bodies() == ["one"]
        delivery.close()


def test_observed_times_differ_also_if_the_clock_goes_back(clock):
    delivery = a_delivery("http://127.0.0.1:1", clock)
    times = [delivery.next_observed_ns()]
    clock.wall_ns -= 3600 * 10**9
    times += [delivery.next_observed_ns() for _ in range(3)]
    assert sorted(set(times)) == times
    delivery.resume({"observed_ns": times[-1] + 10, "first_ns": 0, "last_ns": 0})
    assert delivery.next_observed_ns() == times[-1] + 11


def test_a_host_name_cannot_leave_its_quotes():
    question = delivering.Question(3, 1, 2)
    sql = delivering._question(question, 4, "a\\' OR '1'='1")
    assert "= 'a\\\\\\' OR \\'1\\'=\\'1'" in sql


@pytest.mark.parametrize("was_stored", [True, False])
def test_a_batch_in_flight_at_the_end_is_settled_at_the_next_start(clock, tmp_path, was_stored):
    way = "cut_after" if was_stored else "cut_before"
    (tmp_path / "logs").mkdir()
    with RecordingServer(lambda path, n: way if n == 0 else "store") as server:
        tailer = a_tailer(server.url, tmp_path, clock)
        (tmp_path / "logs/a.log").write_text("one\ntwo\n")
        clock.passes(3)
        tailer.poll()
        state = orjson.loads((tmp_path / "state/tail.json").read_bytes())
        assert state["in_flight"], "as if killed here"
        again = a_tailer(server.url, tmp_path, clock)
        (tmp_path / "logs/a.log").open("a").write("three\n")
        for _ in range(12):
            clock.passes(31)
            again.poll()
        assert server.bodies() == ["one", "two", "three"]
        again.stop()
        tailer.stop()


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    checkpoint = Checkpoint(path)
    checkpoint.store({"n": 1}, None)

    def failing(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(delivering.os, "fsync", failing)
    with pytest.raises(OSError, match="Input"):
        checkpoint.store({"n": 2}, {"question": {}})
    read = Checkpoint(path)
    read.load()
    assert (read.acknowledged, read.in_flight, read.is_first_start) == ({"n": 1}, None, False)


def test_a_real_server_is_asked_and_each_line_is_there_once(tmp_path):
    """The question that settles a doubt, put to the program itself; rows are counted by SQL."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.log").touch()
    ways = ["store", "cut_after", "store", "cut_before", "store", "cut_after"]
    with Trilens(tmp_path / "data") as trilens:
        sent = []

        def way(path, n):
            if path != "/v1/logs":
                return "store"
            sent.append(n)
            return ways[len(sent) - 1] if len(sent) <= len(ways) else "store"

        measures = Measures()
        with RecordingServer(way, upstream=trilens.url) as server:
            tailer = a_tailer(server.url, tmp_path, SystemClock(), measures=measures)
            written = 0
            for _ in range(5):
                with (tmp_path / "logs/a.log").open("a") as file:
                    file.write("".join(f"line {n}\n" for n in range(written, written + 10)))
                written += 10
                until(lambda: tailer.poll() and False, 0.3)
                assert until(lambda: tailer.poll() == 0 and tailer.is_idle, 60)
            tailer.stop()
            assert server.questions
        mine = f"resource['host.name'] = '{HOST}' AND body LIKE 'line %'"
        assert trilens.wait_count("logs", written, mine) == written
        assert trilens.sql(f"SELECT uniqExact(body) FROM logs WHERE {mine}") == [[written]]
        assert measures.value("trilens_agent_unchecked_total", "log_files") == 0


_CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from trilens.clock import SystemClock
from watching import a_tailer
tailer = a_tailer(sys.argv[2], Path(sys.argv[3]), SystemClock())
while True:
    if not tailer.poll():
        time.sleep(0.01)
"""


def test_killed_again_and_again_each_line_arrives_once(tmp_path):
    """Rotation, lost requests and lost answers meanwhile.

    It is rotated once in each life of the tailer: a file that comes and goes while nobody watches
    is lost, as the docstring of tail says.
    """
    chance = random.Random(7)

    def way(path, n):
        return chance.choices(["store", "cut_before", "cut_after", 503], [0.9, 0.03, 0.05, 0.02])[0]

    (tmp_path / "logs").mkdir()
    written: list[str] = []
    with RecordingServer(way) as server:
        command = [
            sys.executable, "-c", _CHILD, str(Path(__file__).parent), server.url, str(tmp_path),
        ]  # fmt: skip
        child = subprocess.Popen(command)
        assert until((tmp_path / "state").exists)
        kills, requests, is_rotated = 0, 0, False
        ends_s = time.monotonic() + 40  # on a machine that has much else to do
        next_kill_s = ends_s
        while time.monotonic() < ends_s and kills < 5:
            with (tmp_path / "logs/a.log").open("a") as file:
                lines = [f"line {len(written) + n}" for n in range(chance.randrange(60))]
                file.write("".join(f"{line}\n" for line in lines))
            written += lines
            if not is_rotated and len(server.requests) > requests + 5:
                (tmp_path / "logs/a.log").rename(tmp_path / f"logs/a.log.{len(written)}")
                is_rotated, next_kill_s = True, time.monotonic() + chance.uniform(0.3, 0.8)
            if is_rotated and time.monotonic() > next_kill_s:
                child.send_signal(signal.SIGKILL)
                child.wait()
                child = subprocess.Popen(command)
                kills, requests, is_rotated = kills + 1, len(server.requests), False
            time.sleep(0.02)
        server.way = lambda path, n: "store"
        is_all_there = until(lambda: len(set(server.bodies())) == len(written), 40)
        child.kill()
        child.wait()
        arrived = Counter(server.bodies())
    doubled = [line for line, times in arrived.items() if times > 1]
    missing = set(written) - arrived.keys()
    assert is_all_there, (len(missing), sorted(missing)[:5])
    assert doubled == []
    assert kills >= 3
    assert len(server.questions) > 0, "it was never in doubt"
