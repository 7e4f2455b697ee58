"""Log files through everything that happens to them: each complete line arrives once."""

from __future__ import annotations

import gzip
import os
import shutil
from itertools import count

import pytest

from trilens.agent import tail
from trilens.agent.log_files import LINE_BYTES_MAX, Backlog, Where
from trilens.agent.tail import NAMES
from trilens.measures import Measures
from watching import HOST, RecordingServer, SetClock, a_tailer


@pytest.fixture
def server():
    with RecordingServer() as running:
        yield running


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def looked(tailer, clock, times=3):
    """A few looks, far enough apart that directories are read again."""
    for _ in range(times):
        clock.passes(2.5)
        tailer.poll()


def write(path, *lines, end="\n"):
    with path.open("a") as file:
        file.write("".join(f"{line}{end}" for line in lines))


def test_lines_come_with_their_file_service_host_and_severity(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    (logs / "web").mkdir()
    write(logs / "web/access.log", "2026-11-24T16:13:36.5Z ERROR no such page", "  at once")
    looked(tailer, clock)
    first, second = server.lines
    assert first.body == "2026-11-24T16:13:36.5Z ERROR no such page"
    assert (first.service, first.host, first.severity) == ("web", HOST, 17)
    assert first.at_ns == 1_795_536_816_500_000_000
    assert second.at_ns == first.at_ns, "a line without a time belongs to the one before"
    assert first.attributes["log.file.path"] == str(logs / "web/access.log")
    assert second.attributes["log.file.offset"] == len(first.body) + 1
    tailer.stop()


def test_an_unfinished_line_waits_for_its_end(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "begun", end="")
    looked(tailer, clock)
    assert server.bodies() == []
    write(logs / "a.log", " and ended")
    looked(tailer, clock)
    assert server.bodies() == ["begun and ended"]
    tailer.stop()


def test_rotation_by_rename_reads_the_old_file_to_its_end(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    number = count()
    for _ in range(5):
        write(logs / "syslog", *(f"line {next(number)}" for _ in range(10)))
        looked(tailer, clock, 1)
        with (logs / "syslog").open("a") as held:  # a writer that was not told yet
            (logs / "syslog").rename(logs / "syslog.1")
            write(logs / "syslog", *(f"line {next(number)}" for _ in range(3)))
            held.write(f"line {next(number)}\n")
        looked(tailer, clock, 2)
    assert sorted(server.bodies()) == sorted(f"line {n}" for n in range(next(number)))
    tailer.stop()


def rotate(path, clock, keep=5):
    """As logrotate does it: a.log.4 to a.log.5, ..., a.log to a.log.1."""
    os.utime(path, ns=(clock.now_ns(),) * 2)
    for turn in range(keep, 0, -1):
        older = path.with_name(f"{path.name}.{turn}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{turn + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def test_what_was_rotated_more_than_once_between_two_looks_is_read(clock, server, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "long-gone.log.1", "a line that was rotated away before the first look")
    os.utime(logs / "long-gone.log.1", ns=(clock.now_ns() - 10**10,) * 2)
    number = count()
    for name in ("a.log", "long-gone.log"):  # a file that is followed, and one that is new
        write(logs / name, *(f"a line with the number {next(number)}" for _ in range(3)))
        looked(tailer, clock, 1)
        for _ in range(4):
            write(logs / name, *(f"a line with the number {next(number)}" for _ in range(3)))
            rotate(logs / name, clock)
        write(logs / name, f"a line with the number {next(number)}")
        looked(tailer, clock, 2)
        with (logs / f"{name}.2").open("a") as held:
            held.write(f"a line with the number {next(number)}\n")
        looked(tailer, clock, 2)
        rotate(logs / name, clock)
        write(logs / name, f"a line with the number {next(number)}")
        looked(tailer, clock, 2)
    expected = sorted(f"a line with the number {n}" for n in range(next(number)))
    assert sorted(server.bodies()) == expected
    assert {line.attributes["log.file.name"] for line in server.lines} == {"a.log", "long-gone.log"}
    tailer.stop()


def test_a_busy_tailer_looks_for_rotations_between_two_batches(clock, server, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "much.log", *(f"{n} {'x' * 1000}" for n in range(6000)))
    write(logs / "little.log", "before the rotation")
    looked(tailer, clock, 1)
    number = count()
    answered = tailer._delivery.attempt

    def slowly():
        clock.passes(1)
        (logs / "little.log").unlink()
        write(logs / "little.log", f"while it reads {next(number)}")
        return answered()

    tailer._delivery.attempt = slowly
    write(logs / "much.log", *(f"{n} {'x' * 1000}" for n in range(6000)))
    tailer.poll()
    tailer._delivery.attempt = answered
    looked(tailer, clock)
    read = sorted(body for body in server.bodies() if body.startswith("while"))
    assert read == sorted(f"while it reads {n}" for n in range(next(number)))
    assert len(read) > 5
    tailer.stop()


def test_rotation_by_copy_and_truncation_reads_the_rest_in_the_copy(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    expected = []
    for turn in range(4):
        first = [f"turn {turn} seen {n} of this file" for n in range(5)]
        unseen = [f"turn {turn} written between look and copy {n}" for n in range(5)]
        after = [f"turn {turn} after the truncation"]
        write(logs / "app.log", *first)
        looked(tailer, clock, 2)
        write(logs / "app.log", *unseen)
        shutil.copy(logs / "app.log", logs / f"app.log.{turn}")
        os.truncate(logs / "app.log", 0)
        write(logs / "app.log", *after)
        looked(tailer, clock, 2)
        expected += first + unseen + after
    assert sorted(server.bodies()) == sorted(expected)
    tailer.stop()


def test_a_copy_is_not_news_even_if_its_name_fits(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "app.log", *(f"a line of some length {n}" for n in range(50)))
    looked(tailer, clock)
    shutil.copy(logs / "app.log", logs / "app-20261125.log")
    looked(tailer, clock)
    write(logs / "app.log", "more in the first")
    write(logs / "app-20261125.log", "more in the copy")
    looked(tailer, clock)
    assert len(server.bodies()) == 52
    assert sorted(server.bodies()[50:]) == ["more in the copy", "more in the first"]
    tailer.stop()


def test_files_that_only_begin_alike_are_both_read(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "=== this program has been started ===", "from a")
    looked(tailer, clock)
    write(logs / "b.log", "=== this program has been started ===", "from b")
    looked(tailer, clock)
    assert sorted(server.bodies()) == sorted(
        ["=== this program has been started ===", "from a"] * 1
        + ["=== this program has been started ===", "from b"]
    )
    tailer.stop()


def test_a_file_rewritten_with_the_same_size_is_read_again(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    (logs / "a.log").write_text("first one\n")
    looked(tailer, clock)
    (logs / "a.log").write_text("other one\n")
    os.utime(logs / "a.log", ns=(1, 1))
    looked(tailer, clock)
    assert server.bodies() == ["first one", "other one"]
    tailer.stop()


def test_a_deleted_file_is_read_to_its_end_with_its_last_line(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "whole")
    looked(tailer, clock)
    with (logs / "a.log").open("a") as held:
        (logs / "a.log").unlink()
        held.write("after the end of its name\nunfinished")
    looked(tailer, clock, 6)
    assert server.bodies() == ["whole", "after the end of its name", "unfinished"]
    assert tailer._files == {}
    tailer.stop()


def test_the_first_start_takes_the_end_of_a_recent_file_and_none_of_an_old_one(
    server, clock, logs, tmp_path
):
    write(logs / "recent.log", *(f"recent {n:06}" for n in range(10_000)))
    write(logs / "old.log", "from long ago")
    recent_ns = clock.now_ns()
    os.utime(logs / "recent.log", ns=(recent_ns, recent_ns))
    os.utime(logs / "old.log", ns=(recent_ns - 2 * 86_400 * 10**9,) * 2)
    tailer = a_tailer(server.url, tmp_path, clock, backlog=Backlog(1000, 86_400))
    looked(tailer, clock)
    assert server.bodies()[-1] == "recent 009999"
    assert all(len(body) == 13 for body in server.bodies()), "no part of a line"
    assert 60 < len(server.bodies()) < 72
    write(logs / "old.log", "from now")
    looked(tailer, clock)
    assert server.bodies()[-1] == "from now"
    tailer.stop()


def test_a_restart_goes_on_where_it_was(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "one", "two")
    write(logs / "b.log", "b one")
    looked(tailer, clock)
    tailer.stop()
    write(logs / "a.log", "three")
    (logs / "a.log").rename(logs / "a.log.1")  # while we are away
    write(logs / "a.log", "four")
    write(logs / "c.log", "new")
    (logs / "b.log").unlink()
    tailer = a_tailer(server.url, tmp_path, clock)
    looked(tailer, clock)
    assert sorted(server.bodies()) == sorted(["one", "two", "b one", "three", "four", "new"])
    tailer.stop()


def test_what_was_rotated_more_than_once_while_away_is_read(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    lines = [f"a line with the number {n}" for n in range(6)]
    write(logs / "a.log", lines[0])
    looked(tailer, clock, 1)
    tailer.stop()
    clock.passes(5)
    for line in lines[1:]:
        write(logs / "a.log", line)
        rotate(logs / "a.log", clock)
    write(logs / "a.log", "the newest")
    tailer = a_tailer(server.url, tmp_path, clock)
    looked(tailer, clock)
    assert sorted(server.bodies()) == [*lines, "the newest"]
    tailer.stop()


def test_a_copy_and_truncation_while_away_is_made_up_for(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "a first line that tells the file", "two")
    looked(tailer, clock)
    tailer.stop()
    write(logs / "a.log", "three")
    shutil.copy(logs / "a.log", logs / "a.log.1")
    os.truncate(logs / "a.log", 0)
    write(logs / "a.log", "four")
    tailer = a_tailer(server.url, tmp_path, clock)
    looked(tailer, clock)
    assert sorted(server.bodies()[2:]) == ["four", "three"]
    tailer.stop()


def test_a_damaged_checkpoint_is_said_and_begins_anew(server, clock, logs, tmp_path, caplog):
    (tmp_path / "state").mkdir()
    for text in ('{"version": 1, "ackn', "[]", '{"acknowledged": 1, "in_flight": null}'):
        (tmp_path / "state/tail.json").write_text(text)
        tailer = a_tailer(server.url, tmp_path, clock)
        tailer.poll()
        tailer.stop()
    assert "starting anew" in caplog.text


def test_long_lines_are_cut_into_marked_pieces_and_nothing_is_missing(
    server, clock, logs, tmp_path
):
    tailer = a_tailer(server.url, tmp_path, clock)
    lines = ["é" * 50_000, "short", "x" * (1 << 20), "end", "y" * (LINE_BYTES_MAX)]
    write(logs / "a.log", *lines)
    looked(tailer, clock, 12)
    assert "".join(server.bodies()) == "".join(lines)
    assert max(len(body.encode()) for body in server.bodies()) <= LINE_BYTES_MAX
    for line in server.lines:
        is_whole = line.body in lines
        assert ("log.line.cut" in line.attributes) != is_whole
    tailer.stop()


def test_bytes_that_are_not_utf_8_and_lines_without_anything(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    (logs / "a.log").write_bytes(
        b"caf\xe9\n\n\r\n\0\0\0padded\n\xff\xfe\nlast\r\n" + "ü\n".encode()
    )
    looked(tailer, clock)
    assert server.bodies() == ["caf\ufffd", "padded", "\ufffd\ufffd", "last", "ü"]
    tailer.stop()


def test_more_files_than_may_be_open(server, clock, logs, tmp_path, monkeypatch):
    monkeypatch.setattr(tail, "FILES_MAX", 100)
    measures = Measures()
    for n in range(0, 1000, 2):  # half of them are there before
        write(logs / f"{n}.log", f"file {n} line 0")
        os.utime(logs / f"{n}.log", ns=(clock.now_ns(),) * 2)
    tailer = a_tailer(server.url, tmp_path, clock, measures=measures)
    for n in range(1, 1000, 2):
        write(logs / f"{n}.log", f"file {n} line 0")
    looked(tailer, clock, 40)
    for n in range(1000):
        write(logs / f"{n}.log", f"file {n} line 1")
    looked(tailer, clock, 40)
    assert len(tailer._files) <= 100
    expected = sorted(f"file {n} line {line}" for n in range(1000) for line in range(2))
    assert sorted(server.bodies()) == expected
    tailer.stop()
    tailer = a_tailer(server.url, tmp_path, clock)
    looked(tailer, clock, 20)
    assert len(server.bodies()) == 2000
    tailer.stop()


def test_a_thousand_files_at_once(server, clock, logs, tmp_path):
    tailer = a_tailer(server.url, tmp_path, clock)
    for n in range(1000):
        write(logs / f"{n}.log", f"file {n}")
    looked(tailer, clock, 12)
    assert sorted(server.bodies()) == sorted(f"file {n}" for n in range(1000))
    tailer.stop()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_read_once_it_may_be(server, clock, logs, tmp_path):
    write(logs / "a.log", "secret")
    (logs / "a.log").chmod(0)
    measures = Measures()
    tailer = a_tailer(server.url, tmp_path, clock, measures=measures)
    looked(tailer, clock)
    assert measures.value("trilens_agent_files", "unreadable") == 1
    (logs / "a.log").chmod(0o600)
    looked(tailer, clock)
    assert server.bodies() == ["secret"]
    tailer.stop()


def test_what_is_no_file_or_cannot_be_opened_is_left_out(server, clock, logs, tmp_path):
    os.mkfifo(logs / "pipe.log")
    (logs / "dir.log").mkdir()
    (logs / "nowhere.log").symlink_to(logs / "missing")
    (logs / "loop.log").symlink_to(logs / "loop.log")
    with gzip.open(logs / "a.log.1.gz", "w") as file:
        file.write(b"packed\n")
    measures = Measures()
    tailer = a_tailer(server.url, tmp_path, clock, measures=measures)
    write(logs / "real.log", "here")
    (logs / "again.log").symlink_to(logs / "real.log")
    looked(tailer, clock)
    assert server.bodies() == ["here"]
    assert measures.value("trilens_agent_files", "unreadable") == 2
    tailer.stop()


def test_a_directory_that_appears_later_is_read_from_the_start(server, clock, logs, tmp_path):
    where = Where((tmp_path / "later",), NAMES, patterns=(f"{tmp_path}/some/*.txt",))
    tailer = a_tailer(server.url, tmp_path, clock, where=where)
    looked(tailer, clock)
    (tmp_path / "later/deep").mkdir(parents=True)
    (tmp_path / "some").mkdir()
    write(tmp_path / "later/deep/x.log", "one")
    write(tmp_path / "some/y.txt", "two")
    looked(tailer, clock)
    assert sorted(server.bodies()) == ["one", "two"]
    tailer.stop()


def test_a_place_that_is_new_after_a_restart_is_as_on_the_first_start(
    server, clock, logs, tmp_path
):
    tailer = a_tailer(server.url, tmp_path, clock)
    looked(tailer, clock)
    tailer.stop()
    other = tmp_path / "other"
    other.mkdir()
    write(other / "old.log", "from long ago")
    os.utime(other / "old.log", ns=(0, 0))
    where = Where((logs, other), NAMES)
    tailer = a_tailer(server.url, tmp_path, clock, where=where)
    looked(tailer, clock)
    write(other / "old.log", "from now")
    looked(tailer, clock)
    assert server.bodies() == ["from now"]
    tailer.stop()


def test_directories_and_files_that_are_left_out(server, clock, logs, tmp_path):
    (logs / "own").mkdir()
    where = Where((logs,), NAMES, (logs / "own", logs / "syslog"))
    tailer = a_tailer(server.url, tmp_path, clock, where=where)
    write(logs / "own/a.log", "no")
    write(logs / "syslog", "no")
    write(logs / "b.log", "yes")
    looked(tailer, clock)
    assert server.bodies() == ["yes"]
    tailer.stop()


def test_a_full_disk_stops_reading_and_loses_nothing(server, clock, logs, tmp_path, monkeypatch):
    tailer = a_tailer(server.url, tmp_path, clock)
    write(logs / "a.log", "one")
    looked(tailer, clock)

    def full(*_):
        raise OSError(28, "No space left on device")

    write(logs / "a.log", "two")
    with monkeypatch.context() as patched:
        patched.setattr(tailer._checkpoint, "store", full)
        for _ in range(3):
            clock.passes(2.5)
            with pytest.raises(OSError, match="space"):
                tailer.poll()
    looked(tailer, clock)
    assert server.bodies() == ["one", "two"]
    tailer.stop()
