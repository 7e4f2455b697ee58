"""The journal, by a journalctl that really runs: it reads a file of entries instead."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.agent import journald
from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.journald import Entry, Journal, why_not
from trilens.agent.send import Sender
from trilens.clock import SystemClock
from trilens.measures import Measures
from watching import HOST, RecordingServer, until

SCRIPT = """#!{python}
import os, sys, time
path = os.path.join(os.path.dirname(__file__), "entries")
given = dict(word.partition("=")[::2] for word in sys.argv[1:])
with open(os.path.join(os.path.dirname(__file__), "runs"), "a") as runs:
    print(" ".join(sys.argv[1:]), file=runs)
if os.path.exists(path + ".broken"):
    print("No journal files were opened due to insufficient permissions.", file=sys.stderr)
    sys.exit(1)
file = open(path, "rb")
out = sys.stdout.buffer
whole = file.read().splitlines(True)
after = given.get("--after-cursor")
if after is not None:
    places = [n for n, line in enumerate(whole) if f'"__CURSOR":"{{after}}"'.encode() in line]
    if not places:
        print("Failed to seek to cursor: Invalid argument", file=sys.stderr)
        sys.exit(1)
    whole = whole[places[0] + 1:]
elif "--lines" in given:
    whole = whole[len(whole) - min(len(whole), int(given["--lines"])):]
out.write(b"".join(whole))
out.flush()
while "--follow" in given:
    line = file.readline()
    if line:
        out.write(line)
        out.flush()
    else:
        time.sleep(0.01)
"""


class FakeJournal:
    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        self.entries = directory / "entries"
        self.entries.touch()
        self.program = str(directory / "journalctl")
        (directory / "journalctl").write_text(SCRIPT.format(python=sys.executable))
        (directory / "journalctl").chmod(0o755)
        self.count = 0

    def add(self, message, **fields):
        self.count += 1
        row = {
            "__CURSOR": f"s=ab;i={self.count:x}",
            "__REALTIME_TIMESTAMP": str(1_700_000_000_000_000 + self.count),
            "MESSAGE": message, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "sshd",
            "_SYSTEMD_UNIT": "ssh.service", "_PID": "1", "_COMM": "sshd", **fields,
        }  # fmt: skip
        self.raw(json.dumps(row, separators=(",", ":")).encode())

    def raw(self, line):
        with self.entries.open("ab") as file:
            file.write(line + b"\n")

    def runs(self):
        return (self.directory / "runs").read_text().splitlines()


@pytest.fixture
def journal(tmp_path):
    return FakeJournal(tmp_path / "bin")


@pytest.fixture
def measures():
    return Measures()


@pytest.fixture
def server():
    with RecordingServer() as running:
        yield running


def a_journal(server, journal, tmp_path, measures, **given):
    delivery = LogDelivery(
        "journald", Sender(server.url, {}, 5), host=HOST, clock=SystemClock(), measures=measures
    )
    followed = Journal(
        delivery, Checkpoint(tmp_path / "journal.json"), host=HOST, clock=SystemClock(),
        measures=measures, program=journal.program, **given,
    )  # fmt: skip
    followed.start()
    return followed


def polled(followed, server, size):
    """Polls until so many entries have arrived, and a little longer."""

    def is_there():
        followed.poll()
        return len(server.bodies()) >= size

    assert until(is_there), server.bodies()
    for _ in range(5):
        time.sleep(0.02)
        followed.poll()
    assert len(server.bodies()) == size, server.bodies()


def test_entries_come_with_severity_unit_service_and_time(server, journal, tmp_path, measures):
    journal.add("accepted", PRIORITY="4", _SOURCE_REALTIME_TIMESTAMP="1700000000123456", _PID="77")
    journal.add("from the kernel", PRIORITY="0", SYSLOG_IDENTIFIER="kernel", _SYSTEMD_UNIT=None)
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 2)
    first, second = server.lines
    assert (first.body, first.service, first.host, first.severity) == ("accepted", "sshd", HOST, 13)
    assert first.at_ns == 1_700_000_000_123_456_000
    assert first.attributes["systemd.unit"] == "ssh.service"
    assert first.attributes["process.pid"] == 77
    assert (second.service, second.severity) == ("kernel", 21)
    followed.stop()


def test_following_and_starting_again_goes_on_after_the_cursor(server, journal, tmp_path, measures):
    journal.add("one")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 1)
    journal.add("two")
    polled(followed, server, 2)
    followed.stop()
    journal.add("three")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 3)
    assert server.bodies() == ["one", "two", "three"]
    assert "--after-cursor=s=ab;i=2" in journal.runs()[-1]
    assert "--no-tail" in journal.runs()[-1]
    followed.stop()


def test_the_first_start_takes_the_last_lines_only(server, journal, tmp_path, measures):
    for n in range(50):
        journal.add(f"entry {n}")
    followed = a_journal(server, journal, tmp_path, measures, backlog_lines=3)
    polled(followed, server, 3)
    assert server.bodies() == ["entry 47", "entry 48", "entry 49"]
    followed.stop()


@pytest.mark.parametrize("way", ["cut_after", "cut_before"])
def test_a_batch_in_flight_when_killed_arrives_once(journal, tmp_path, measures, way):
    with RecordingServer(lambda path, n: way if n == 0 else "store") as server:
        journal.add("one")
        followed = a_journal(server, journal, tmp_path, measures)
        assert until(lambda: followed.poll() or server.requests)
        followed._end_child()  # as kill -9 would, without a word to the checkpoint
        journal.add("two")
        again = a_journal(server, journal, tmp_path, measures)
        polled(again, server, 2)
        assert server.bodies() == ["one", "two"]
        again.stop()


def test_nothing_is_read_while_a_batch_waits(journal, tmp_path, measures):
    with RecordingServer(lambda path, n: 503) as server:
        for n in range(20_000):
            journal.add(f"entry {n}")
        followed = a_journal(server, journal, tmp_path, measures, backlog_lines=100_000)
        assert until(lambda: followed.poll() or len(server.requests) > 1)
        assert len(followed._rest) < journald.READ_BYTES
        assert not followed.is_idle
        server.way = lambda path, n: "store"
        polled(followed, server, 20_000)
        assert server.bodies() == [f"entry {n}" for n in range(20_000)]
        followed.stop()


def test_a_journalctl_that_ends_is_started_again_where_it_was(server, journal, tmp_path, measures):
    journal.add("one")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 1)
    followed._child.kill()
    journal.add("two")
    polled(followed, server, 2)
    assert measures.value("trilens_agent_failures_total", "journald") == 1
    assert followed.last_error == ""
    followed.stop()
    assert followed._child is None


def test_a_cursor_that_is_gone_is_given_up_and_said(
    server, journal, tmp_path, measures, caplog, monkeypatch
):
    monkeypatch.setattr(journald.Backoff, "pause_s", lambda self, least=0.0: 0.01)
    journal.add("one")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 1)
    followed.stop()
    journal.entries.write_bytes(b"")
    journal.add("another journal")
    followed = a_journal(server, journal, tmp_path, measures)
    assert until(lambda: followed.poll() or "may be missing" in caplog.text)
    assert until(lambda: followed.poll() or "--lines=0" in journal.runs()[-1])
    time.sleep(0.2)
    journal.add("new")
    polled(followed, server, 2)
    assert server.bodies() == ["one", "new"]
    followed.stop()


def test_what_is_no_entry_or_too_long_is_counted_and_the_next_is_read(
    server, journal, tmp_path, measures
):
    journal.add("one")
    journal.raw(b"{not json")
    journal.raw(b'{"MESSAGE": "without a cursor"}')
    journal.raw(b"[1,2]")
    journal.add("x" * (3 * journald.LINE_BYTES_MAX))
    journal.add("")
    journal.add("ours", _PID=str(os.getpid()))
    journal.add("two")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 2)
    assert server.bodies() == ["one", "two"]
    dropped = measures.by_labels("trilens_agent_dropped_total")
    assert dropped == {("journald", "malformed"): 3, ("journald", "too_long"): 1}
    followed.stop()


def test_messages_of_bytes_and_of_several_values(server, journal, tmp_path, measures):
    journal.add([99, 97, 102, 233])
    journal.add(["first", "second"])
    journal.add(None)
    journal.add("no name", SYSLOG_IDENTIFIER=None)
    journal.add("nothing", SYSLOG_IDENTIFIER=None, _SYSTEMD_UNIT=None, _COMM=None, PRIORITY="x")
    followed = a_journal(server, journal, tmp_path, measures)
    polled(followed, server, 4)
    assert {(line.body, line.service) for line in server.lines} == {
        ("caf\ufffd", "sshd"), ("first\nsecond", "sshd"), ("no name", "ssh"), ("nothing", "journal"),
    }  # fmt: skip
    followed.stop()


def test_why_a_journal_is_not_followed(journal, tmp_path):
    assert why_not(str(tmp_path / "missing")).startswith("there is no")
    assert why_not(journal.program) == "the journal is empty or may not be read"
    journal.add("one")
    assert why_not(journal.program) == ""
    (journal.directory / "entries.broken").touch()
    assert "insufficient permissions" in why_not(journal.program)


def test_a_probe_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(journald, "PROBE_MAX_S", 0.2)
    script = tmp_path / "journalctl"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    assert "timed out" in why_not(str(script))


def test_the_child_ends_with_us(server, journal, tmp_path, measures):
    followed = a_journal(server, journal, tmp_path, measures)
    followed.poll()
    pid = followed._child.pid
    followed.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


JSON = st.recursive(
    st.none() | st.integers(-5, 300) | st.text(max_size=5) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
FIELDS = [*journald._FIELDS, "__CURSOR", "__REALTIME_TIMESTAMP"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.just("12")))
def test_any_json_is_an_entry_or_refused(row):
    with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError):
        Entry.parse(json.dumps(row).encode())


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="there is no journalctl")
def test_the_real_program_knows_our_options():
    command = [
        "journalctl", "--output=json", "--all", "--quiet", "--no-pager", "--no-tail",
        f"--output-fields={','.join(journald._FIELDS)}", "--lines=1", "--directory=/tmp",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert b"option" not in ran.stderr
    assert ran.returncode in (0, 1)
