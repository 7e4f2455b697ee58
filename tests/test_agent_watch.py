"""All sources of a machine together, at a server that records."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from test_agent_journald import FakeJournal
from trilens.agent import watch as watching_all
from trilens.agent.watch import Watch
from trilens.clock import SystemClock
from trilens.measures import Measures
from trilens.tracing import SPANS, span
from watching import HOST, RecordingServer, until


@pytest.fixture
def server():
    with RecordingServer() as running:
        yield running


@pytest.fixture
def measures():
    return Measures()


@pytest.fixture
def a_watch(tmp_path, measures):
    made = []

    def make(server, **given):
        (tmp_path / "logs").mkdir(exist_ok=True)
        given = {
            "token": "secret", "interval_s": 0.5, "log_paths": [tmp_path / "logs"], "host": HOST,
            "journal_program": str(tmp_path / "bin/journalctl"), **given,
        }  # fmt: skip
        data = tmp_path / "data"
        made.append(Watch(server.url, data, clock=SystemClock(), measures=measures, **given))
        return made[-1]

    yield make
    for watch in made:
        if not watch._stopping.is_set():
            watch.stop(1)


def metrics(server):
    return {
        label.value
        for message in server.series
        for series in message.timeseries
        for label in series.labels
        if label.name == "__name__"
    }


def test_everything_arrives_within_seconds_and_is_told(server, tmp_path, measures, caplog, a_watch):
    caplog.set_level("INFO", "trilens.something")
    journal = FakeJournal(tmp_path / "bin")
    journal.add("from the journal")
    watch = a_watch(server)
    watch.start()
    logging.getLogger("trilens.something").info("about ourselves")
    with span("work"):
        pass
    assert until(lambda: watch.status().files_followed == 0 and watch.status().places)
    time.sleep(0.1)
    (tmp_path / "logs/app.log").write_text("from a file\n")
    expected = {"about ourselves", "from the journal", "from a file"}
    assert until(lambda: expected <= set(server.bodies()), 8), server.bodies()
    names = {"node_load1", "namedprocess_namegroup_num_procs", "trilens_agent_files"}
    assert until(lambda: names <= metrics(server))
    assert until(lambda: server.spans)
    assert until(lambda: watch.status().files_followed == 1)
    status = watch.status()
    watch.stop()
    assert status.host == HOST
    assert status.files_followed == 1
    assert status.places == [str(tmp_path / "logs")]
    assert {source.name for source in status.sources if source.is_working} == {
        "host_metrics", "processes", "self_telemetry", "journald", "log_files",
    }  # fmt: skip
    services = {line.body: line.service for line in server.lines}
    assert services["from a file"] == "app"
    assert services["from the journal"] == "sshd"
    assert services["about ourselves"] == "trilens"
    assert {line.host for line in server.lines} == {HOST}
    assert all(headers["Authorization"] == "Bearer secret" for _, headers in server.requests)
    labels = [
        {label.name: label.value for label in series.labels}
        for message in server.series
        for series in message.timeseries
    ]
    assert {row["job"] for row in labels} == {"node", "trilens"}
    assert {(row["instance"], row["node"]) for row in labels} == {(HOST, HOST)}


def test_nothing_of_it_is_left_after_stop(server, tmp_path, measures, a_watch):
    FakeJournal(tmp_path / "bin").add("one")
    handlers = list(logging.getLogger().handlers)
    watch = a_watch(server)
    watch.start()
    assert until(lambda: "one" in server.bodies())
    began_s = time.monotonic()
    watch.stop(5)
    assert time.monotonic() - began_s < 4
    assert logging.getLogger().handlers == handlers
    assert not SPANS.is_open
    assert [t.name for t in threading.enumerate() if t.name.startswith("watch-")] == []


def test_what_was_said_last_is_sent_at_the_stop(server, tmp_path, measures, caplog, a_watch):
    caplog.set_level("INFO", "trilens.something")
    watch = a_watch(server, interval_s=60)
    watch.start()
    assert until(lambda: "node_load1" in metrics(server))
    time.sleep(1.5)
    logging.getLogger("trilens.something").info("good bye")
    watch.stop()
    assert "good bye" in server.bodies()


def test_without_a_journal_files_are_followed_and_status_says_why(
    server, tmp_path, measures, a_watch
):
    watch = a_watch(server)
    watch.start()
    assert until(lambda: len(watch.status().sources) == 5)
    journal = next(s for s in watch.status().sources if s.name == "journald")
    watch.stop()
    assert not journal.is_working
    assert "there is no" in journal.reason


def test_a_journal_that_was_followed_stays_the_source(server, tmp_path, measures, a_watch):
    fake = FakeJournal(tmp_path / "bin")
    fake.add("one")
    watch = a_watch(server)
    watch.start()
    assert until(lambda: "one" in server.bodies())
    watch.stop()
    (fake.directory / "entries.broken").touch()
    watch = a_watch(server)
    watch.start()

    def journal():
        return [s for s in watch.status().sources if s.name == "journald"]

    assert until(lambda: journal() and "ended with status 1" in journal()[0].reason)
    (fake.directory / "entries.broken").unlink()
    fake.add("two")
    assert until(lambda: "two" in server.bodies())
    watch.stop()
    assert server.bodies().count("one") == 1


def test_files_that_the_journal_doubles_are_left_out_unless_named(
    server, tmp_path, measures, monkeypatch, a_watch
):
    FakeJournal(tmp_path / "bin").add("one")
    made = {}
    monkeypatch.setattr(watching_all, "Tailer", lambda where, *_, **__: made.update(w=where))
    monkeypatch.setattr(watching_all, "_until_empty", lambda source: lambda: 60.0)
    named = tmp_path / "auth.log"
    named.touch()
    watch = a_watch(server, log_paths=["/var/log/", named, "/srv/*/x.txt"])
    with pytest.raises(AttributeError):
        watch._begin_log_sources()
    where = made["w"]
    watch._stopping.set()
    assert where.places == ["/var/log", str(named), "/srv/*/x.txt"]
    assert {"/var/log/syslog", "/var/log/auth.log"} <= set(map(str, where.excluded))
    assert tmp_path / "data" in where.excluded


def test_a_source_that_fails_is_said_once_counted_and_goes_on(
    server, tmp_path, measures, monkeypatch, caplog, a_watch
):
    caplog.set_level("INFO", "trilens.agent.watch")
    monkeypatch.setattr(watching_all.Backoff, "pause_s", lambda self, least=0.0: 0.01)
    rounds = []

    def failing(self):
        rounds.append(1)
        if len(rounds) < 5:
            raise RuntimeError("the machine is on fire")
        return []

    monkeypatch.setattr(watching_all.Processes, "families", failing)
    watch = a_watch(server)
    watch.start()
    assert until(lambda: len(rounds) > 5)
    assert until(lambda: "node_load1" in metrics(server))
    watch.stop()
    assert measures.value("trilens_agent_failures_total", "processes") == 4
    assert caplog.text.count("watching processes failed") == 1
    assert "watching processes works again" in caplog.text


def test_a_server_that_comes_late_gets_the_first_rounds_too(tmp_path, measures, a_watch):
    with RecordingServer() as server:
        port = server.port
    watch = a_watch(server)
    watch.start()
    assert until(lambda: len(watch._outbox._parcels) > 3)
    assert any("refused" in source.reason for source in watch.status().sources)
    with RecordingServer(port=port) as server:
        assert until(lambda: "node_load1" in metrics(server))
        watch.stop()
        assert measures.by_labels("trilens_agent_dropped_total") == {}


def test_a_data_directory_that_cannot_be_written_to_is_an_error_at_once(
    server, tmp_path, measures, a_watch
):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(OSError, match="data"):
        a_watch(server).start()
    assert not SPANS.is_open
    assert [t.name for t in threading.enumerate() if t.name.startswith("watch-")] == []
