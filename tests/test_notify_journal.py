"""The journal: what was synced is there, whatever happens to the end of the file or the disk."""

from __future__ import annotations

import errno
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifying import Driven
from trilens.notify import journal as journal_module
from trilens.notify.journal import Journal, decoded, encoded

ROUTE = "route: {receiver: x}\nreceivers: [{name: x}]\n"


def opened(path):
    journal = Journal(path)
    return journal, journal.open()


def written(path, count):
    journal, _ = opened(path)
    for number in range(count):
        journal.append({"t": "x", "n": number})
    journal.close()
    return path.read_bytes()


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "deep" / "journal"
    written(path, 5)
    journal, records = opened(path)
    assert [record["n"] for record in records] == list(range(5))
    journal.append({"t": "x", "n": 5})
    journal.close()
    assert len(opened(path)[1]) == 6


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), rest=st.binary(max_size=40))
def test_a_torn_end_is_cut_off(tmp_path_factory, cut, rest):
    path = tmp_path_factory.mktemp("torn") / "journal"
    body = written(path, 10)
    kept = body[: min(cut, len(body))]
    rest = rest.replace(b"\n", b"")
    path.write_bytes(kept + rest)
    journal, records = opened(path)
    # A record may be whole, and only the byte that follows it be wrong.
    is_whole = len(rest) == 1 and body[len(kept) : len(kept) + 1] == b"\n"
    assert [record["n"] for record in records] == list(range(kept.count(b"\n") + is_whole))
    journal.append({"t": "x", "n": -1})
    journal.close()
    assert [record["n"] for record in opened(path)[1]][-1] == -1
    assert path.with_suffix(".damaged").exists() == is_whole


def test_damage_inside_is_left_out_and_kept(tmp_path):
    path = tmp_path / "journal"
    lines = written(path, 5).splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"n":2', b'"n":9')
    path.write_bytes(b"".join(lines))
    journal, records = opened(path)
    assert [record["n"] for record in records] == [0, 1, 3, 4]
    assert journal.damaged_lines == 1
    assert path.with_suffix(".damaged").read_bytes() == b"".join(lines)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bit_may_turn_and_at_most_its_record_is_lost(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("turned") / "journal"
    body = bytearray(written(path, 6))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(body)
    hit = bytes(body[:at]).count(b"\n")
    journal, records = opened(path)
    found = [record["n"] for record in records]
    assert [n for n in range(6) if n != hit] == [n for n in found if n != hit]
    assert found == sorted(set(found))
    # It is said, unless only the very end is not whole, which is how every torn write looks.
    is_torn = hit == 5 and bytes(body).count(b"\n") == 5
    assert journal.damaged_lines or len(found) == 6 or (is_torn and found == [0, 1, 2, 3, 4])
    journal.append({"t": "x", "n": 6})
    journal.close()
    again = [record["n"] for record in opened(path)[1]]
    assert again[-1] == 6
    assert set(found) - {5} <= set(again)


def test_damage_is_said_once_and_costs_no_more_later(tmp_path):
    one = Driven(ROUTE, tmp_path / "n")
    for number in range(5):
        one.put(alertname="A", instance=str(number), ends_in_s=9999)
    path = tmp_path / "n" / "journal"
    body = path.read_bytes()
    path.write_bytes(body.replace(b'"instance":"2"', b'"instance":"8"') + b"torn")
    one.again()
    assert one.notifier._journal.damaged_lines == 1
    assert len(one.notifier.alerts()) == 4
    assert path.with_suffix(".damaged").exists()
    one.again()
    assert one.notifier._journal.damaged_lines == 0
    assert len(one.notifier.alerts()) == 4


def test_the_end_that_was_answered_for_is_not_cut_off_in_silence(tmp_path):
    path = tmp_path / "journal"
    body = written(path, 3)
    path.write_bytes(body.replace(b'"n":2', b'"n":7'))
    journal, records = opened(path)
    assert [record["n"] for record in records] == [0, 1]
    assert journal.damaged_lines == 1
    assert path.with_suffix(".damaged").exists()


@given(st.binary(max_size=60))
def test_any_line_is_a_record_or_none(line):
    assert decoded(line) is None or encoded(decoded(line))


def test_a_full_disk_is_said_and_survived(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    journal, _ = opened(path)
    journal.append({"t": "x", "n": 0})
    write = os.write

    def half(descriptor, body):
        write(descriptor, bytes(body)[:5])
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(journal_module.os, "write", half)
    with pytest.raises(OSError, match="no space"):
        journal.append({"t": "x", "n": 1})
    monkeypatch.undo()
    journal.append({"t": "x", "n": 2})
    journal.close()
    assert [record["n"] for record in opened(path)[1]] == [0, 2]  # what was refused is not there


def test_many_threads_share_a_sync(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    journal, _ = opened(path)
    syncs, sync = [], os.fdatasync
    monkeypatch.setattr(journal_module.os, "fdatasync", lambda fd: (syncs.append(1), sync(fd)))
    threads = [
        threading.Thread(target=lambda: [journal.append({"t": "x", "n": 1}) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(opened(path)[1]) == 400
    assert len(syncs) <= 400


def test_it_is_written_anew_when_it_has_grown(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "SIZE_BYTES_MIN", 10_000)
    one = Driven(ROUTE, tmp_path)
    sizes = []
    for _ in range(300):
        one.put(alertname="A", instance="1", ends_in_s=9999)
        one.run(30, step_s=30)
        sizes.append((tmp_path / "journal").stat().st_size)
    assert max(sizes) < 20_000
    one.again()
    assert [alert.labels["instance"] for alert in one.notifier.alerts()] == ["1"]
    one.notifier.stop(0)


def test_what_is_over_is_forgotten(tmp_path):
    one = Driven(ROUTE, tmp_path)
    for number in range(50):
        one.put(alertname="A", instance=str(number), ends_in_s=1)
    one.run(3600, step_s=60)
    assert one.notifier._alerts == {}
    one.again()
    assert one.notifier._alerts == {}
    one.notifier.stop(0)
