"""Groups of processes: few series, and no second of CPU lost or counted twice."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.agent import processes as counting
from trilens.agent.host_proc import PAGE_BYTES, TICKS_PER_S
from trilens.agent.processes import REST, Process, Processes

CPU = "namedprocess_namegroup_cpu_seconds_total"


class Proc:
    """A /proc of our own."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        (directory / "stat").write_text("cpu0 1\nbtime 1000\n")

    def put(self, pid, name, user=0, *, pages=10, started=500, flags=0, files=None):
        own = self.directory / str(pid)
        own.mkdir(exist_ok=True)
        values = [0] * 40
        values[5], values[10], values[11] = flags, user, 0
        values[16], values[18], values[19], values[20] = 2, started, pages * 8192, pages
        (own / "stat").write_text(f"{pid} ({name}) S {' '.join(map(str, values))}\n")
        if files is not None:
            (own / "fd").mkdir(exist_ok=True)
            for n in range(files):
                (own / "fd" / str(n)).touch()

    def end(self, pid):
        (self.directory / str(pid) / "stat").unlink()
        (self.directory / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path):
    return Proc(tmp_path / "proc")


def cpu(families):
    return {
        labels[0][1]: value
        for name, labels, value in families[0].samples
        if name == CPU and labels[1] == ("mode", "user")
    }


def by_name(families, name):
    family = next(f for f in families if f.name == f"namedprocess_namegroup_{name}")
    return {" ".join(v for _, v in labels): value for _, labels, value in family.samples}


def test_a_group_is_all_processes_of_a_name(proc):
    proc.put(10, "web", 100, pages=4, started=700, files=3)
    proc.put(11, "web", 50, pages=6, started=300)
    proc.put(12, "a (b) c)", 0, pages=1)
    proc.put(13, "kworker/1:2-events", 10, pages=0, flags=0x00200040)
    found = Processes(proc.directory).families()
    assert cpu(found)["web"] == 150 / TICKS_PER_S
    assert cpu(found)["kworker"] == 10 / TICKS_PER_S
    assert by_name(found, "memory_bytes")["web resident"] == 10 * PAGE_BYTES
    assert by_name(found, "num_procs") == {"web": 2, "a (b) c)": 1, "kworker": 1}
    assert by_name(found, "num_threads")["web"] == 4
    assert by_name(found, "oldest_start_time_seconds")["web"] == 1000 + 300 / TICKS_PER_S
    assert by_name(found, "open_filedesc")["web"] >= 3


def test_only_the_top_are_shown_and_the_rest_summed(proc):
    for n in range(100):
        proc.put(100 + n, f"cpu{n:03}", 1000 - n, pages=1)
        proc.put(300 + n, f"mem{n:03}", 0, pages=5000 - n)
    found = Processes(proc.directory).families()
    shown = cpu(found)
    assert len(shown) == counting.TOP_CPU + counting.TOP_MEMORY + 1
    assert {"cpu000", "cpu019", "mem000", "mem019", REST} <= shown.keys()
    assert shown[REST] == sum(1000 - n for n in range(20, 100)) / TICKS_PER_S
    assert by_name(found, "num_procs")[REST] == 160
    assert by_name(found, "memory_bytes")["(other) resident"] == PAGE_BYTES * (
        80 + sum(5000 - n for n in range(20, 100))
    )


def test_a_group_that_comes_and_goes_counts_each_second_once(proc, monkeypatch):
    monkeypatch.setattr(counting, "TOP_CPU", 1)
    monkeypatch.setattr(counting, "TOP_MEMORY", 0)
    watched = Processes(proc.directory)
    used = Counter()
    for busy in ["a", "a", "b", "b", "b", "b", "a", "a", "a", "a", "a", "a"]:
        used[busy] += 1000
        proc.put(1, "a", used["a"])
        proc.put(2, "b", used["b"])
        found = cpu(watched.families())
    assert found["a"] < used["a"] / TICKS_PER_S
    assert sum(found.values()) <= used.total() / TICKS_PER_S
    assert sum(value for value, _ in watched._counted.values()) == used.total() / TICKS_PER_S


def test_a_number_that_is_used_again_is_another_process(proc):
    watched = Processes(proc.directory)
    proc.put(1, "a", 1000, started=1)
    watched.families()
    proc.put(1, "a", 300, started=2)
    assert cpu(watched.families())["a"] == 1300 / TICKS_PER_S
    proc.end(1)
    proc.put(2, "other", 5)
    assert "a" not in cpu(watched.families())


def test_processes_that_end_while_we_look_or_make_no_sense_are_left_out(proc):
    (proc.directory / "5").mkdir()
    (proc.directory / "6").mkdir()
    (proc.directory / "6/stat").write_text("6 (x")
    (proc.directory / "self").mkdir()
    proc.put(7, "here", 1)
    assert set(cpu(Processes(proc.directory).families())) == {"here"}


@given(st.text("0123456789 ()-/:Sab\n", max_size=80))
def test_any_text_is_a_process_or_refused(text):
    with contextlib.suppress(ValueError, IndexError):
        Process.parse(text)


def test_five_hundred_real_processes_cost_little():
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(300)]
    try:
        watched = Processes()
        watched.families()
        began_s = time.thread_time()
        found = watched.families()
        took_s = time.thread_time() - began_s
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert by_name(found, "num_procs")["sleep"] >= 300
    assert took_s < 0.03 * 300 / 500 + 0.02
