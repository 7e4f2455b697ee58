"""Torn tails, flipped bits, full disks, failed syncs: what is lost, what is not, what is counted."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spooling import (
    FORMAT,
    ROOT,
    Engine,
    FailingDisk,
    TestLoader,
    appended,
    drained,
    ended,
    everything,
    opened,
)
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.spool import Position, Spool
from trilens.spool.frame import COMMIT_BYTES, FILE_HEADER_BYTES, FRAME_HEADER_BYTES

LEDGER = ROOT / FORMAT / "ledger"


def damaged_files(measures: Measures) -> float:
    return measures.value("trilens_spool_damaged_files_total", FORMAT)


def stored(disk: FailingDisk, *payloads: bytes) -> None:
    """Each payload in a group of its own, and the spool closed."""
    spool = opened(disk)
    for payload in payloads:
        assert appended(spool, payload) == [None]
    spool.close()


def reopened(disk: FailingDisk) -> tuple[Spool, Measures]:
    measures = Measures()
    return opened(disk, measures=measures), measures


PAYLOADS = (b"first " * 10, b"second " * 10, b"third " * 10)
GROUP_BYTES = [FRAME_HEADER_BYTES + len(p) + COMMIT_BYTES for p in PAYLOADS]
FILE_BYTES = FILE_HEADER_BYTES + sum(GROUP_BYTES)


@pytest.mark.parametrize("size_bytes", [*range(0, FILE_BYTES, 7), FILE_BYTES - 1])
def test_a_torn_tail_is_cut_after_the_last_commit(size_bytes: int) -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    [path] = disk.files()
    del disk.names[path].seen[size_bytes:]
    spool, measures = reopened(disk)
    whole, end = [], FILE_HEADER_BYTES
    for payload, group_bytes in zip(PAYLOADS, GROUP_BYTES, strict=True):
        end += group_bytes
        if end <= size_bytes:
            whole.append(payload)
    assert everything(spool.stream(FORMAT)) == whole
    assert damaged_files(measures) == 0
    assert appended(spool, b"more") == [None]
    assert everything(spool.stream(FORMAT)) == [*whole, b"more"]
    spool.close()


@pytest.mark.parametrize("garbage", [b"\0" * 5000, b"\xabTLf" * 100, b"\xabTLc", b"x" * 32])
def test_garbage_behind_the_last_commit_is_cut(garbage: bytes) -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    disk.names[disk.files()[0]].seen.extend(garbage)
    spool, measures = reopened(disk)
    assert everything(spool.stream(FORMAT)) == list(PAYLOADS)
    assert damaged_files(measures) == 0
    spool.close()


@settings(max_examples=150, deadline=None)
@given(offset=st.integers(0, FILE_BYTES - 1), bit=st.integers(0, 7), has_next=st.booleans())
def test_a_flipped_bit_costs_at_most_the_frame_it_is_in(
    offset: int, bit: int, has_next: bool
) -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    if has_next:
        stored(disk, b"next")
    path = disk.files()[0]
    disk.flip(path, offset, bit)
    spool, measures = reopened(disk)
    found = everything(spool.stream(FORMAT))
    expected, start, hit = [], FILE_HEADER_BYTES, None
    for payload, group_bytes in zip(PAYLOADS, GROUP_BYTES, strict=True):
        if start <= offset < start + group_bytes - COMMIT_BYTES:
            hit = payload
        else:
            expected.append(payload)
        start += group_bytes
    assert found == expected + [b"next"] * has_next
    # A mark that nobody needs to look at may be damaged without anybody noticing.
    if hit or offset < FILE_HEADER_BYTES:
        assert damaged_files(measures) == 1
        assert disk.files(".damaged") == [path.with_name(path.name + ".damaged")]
    assert damaged_files(measures) <= 1
    spool.close()


def test_the_last_commit_is_found_behind_payloads_full_of_marks() -> None:
    disk = FailingDisk()
    marks = b"\xabTLc" * 12_000
    stored(disk, b"first", b"x" * (1 << 20), marks, b"last")
    [path] = disk.files()
    content = disk.names[path].seen
    for torn in (COMMIT_BYTES + 10, COMMIT_BYTES + FRAME_HEADER_BYTES + 4 + 1000):
        del content[-torn:]
        spool, _ = reopened(disk)
        found = everything(spool.stream(FORMAT))
        assert found == [b"first", b"x" * (1 << 20), marks][: len(found)]
        assert len(found) >= 2
        spool.close()


def test_a_damaged_file_is_loaded_around_the_damage_then_only_the_copy_stays() -> None:
    disk, engine = FailingDisk(), Engine()
    stored(disk, *PAYLOADS)
    path = disk.files()[0]
    before = bytes(disk.names[path].seen)
    disk.flip(path, FILE_HEADER_BYTES + GROUP_BYTES[0] + 10)
    spool, _ = reopened(disk)
    stream = spool.stream(FORMAT)
    assert set(drained(stream, engine)) == {PAYLOADS[0], PAYLOADS[2]}
    assert stream.backlog().frames == 0
    spool.close()
    spool, _ = reopened(disk)
    assert disk.files() == []
    [copy] = disk.files(".damaged")
    assert len(disk.names[copy].seen) == len(before)
    assert spool.size_bytes() >= len(before)
    assert not spool.stream(FORMAT).in_doubt()
    spool.close()


@pytest.mark.parametrize("frames_left", [0, 1])
def test_damage_at_the_end_of_a_file_does_not_keep_it_for_ever(frames_left: int) -> None:
    disk, engine = FailingDisk(), Engine()
    stored(disk, *PAYLOADS[: 1 + frames_left])
    stored(disk, b"next")
    disk.flip(disk.files()[0], FILE_HEADER_BYTES + sum(GROUP_BYTES[:frames_left]) + 10)
    spool, _ = reopened(disk)
    assert set(drained(spool.stream(FORMAT), engine)) == {*PAYLOADS[:frames_left], b"next"}
    assert [path.name for path in disk.files()] == ["0000000002.frames"]
    assert spool.stream(FORMAT).backlog().frames == 0
    spool.close()


def test_a_file_that_lost_its_end_is_damaged() -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    stored(disk, b"next")
    del disk.names[disk.files()[0]].seen[-GROUP_BYTES[2] - 5 :]
    spool, measures = reopened(disk)
    assert everything(spool.stream(FORMAT)) == [PAYLOADS[0], PAYLOADS[1], b"next"]
    assert damaged_files(measures) == 1
    spool.close()


def test_damaged_copies_are_kept_within_reason() -> None:
    disk = FailingDisk()
    for _ in range(7):
        stored(disk, *PAYLOADS)
    for path in disk.files():
        disk.flip(path, FILE_HEADER_BYTES + 10)
    spool, measures = reopened(disk)
    assert len(everything(spool.stream(FORMAT))) == 14
    assert damaged_files(measures) == 7
    assert len(disk.files(".damaged")) == 4
    spool.close()


def test_frames_inside_a_payload_are_not_found_behind_damage() -> None:
    disk = FailingDisk()
    stored(disk, b"inner")
    inner = bytes(disk.names[disk.files()[0]].seen)
    stored(disk, inner * 3, b"after")
    path = disk.files()[1]
    disk.flip(path, FILE_HEADER_BYTES + 5)
    spool, _ = reopened(disk)
    assert everything(spool.stream(FORMAT)) == [b"inner", b"after"]
    spool.close()


def test_a_file_that_cannot_be_read_is_given_up_only_on_a_disk_that_takes_writes() -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    stored(disk, b"next")
    spool, measures = reopened(disk)
    stream = spool.stream(FORMAT)
    disk.fail = {"read": [errno.EIO] * 999, "sync": [errno.EIO] * 999}
    for _ in range(20):
        with pytest.raises(Refused, match="disk"):
            stream.read(Position(0, 0), unpacked_bytes_max=10**6)
    assert damaged_files(measures) == 0
    disk.fail = {"read": [errno.EIO] * 3}  # once whole, then its one sector up to three times
    assert everything(stream) == [*PAYLOADS, b"next"]
    disk.fail = {"read": [errno.EIO] * (5 + 1 + 3)}
    for _ in range(5):
        with pytest.raises(Refused, match="disk"):
            stream.read(Position(0, 0), unpacked_bytes_max=10**6)
    assert everything(stream) == [b"next"]
    assert damaged_files(measures) == 1
    spool.close()


def test_a_sector_that_cannot_be_read_does_not_keep_the_spool_from_opening() -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    disk.fail["read"] = [0, 0, errno.EIO, errno.EIO]  # two ledgers, then the header
    spool, measures = reopened(disk)
    assert everything(spool.stream(FORMAT)) == list(PAYLOADS)
    assert damaged_files(measures) == 0
    spool.close()
    disk.fail = {"read": [0, 0, *[errno.EIO] * 999], "create": [0, errno.EIO]}
    with pytest.raises(Broken, match="cannot be opened"):
        opened(disk)


def test_a_full_disk_fails_its_group_alone_and_leaves_no_trace() -> None:
    disk = FailingDisk()
    spool = opened(disk)
    assert appended(spool, b"before") == [None]
    size_bytes = len(disk.names[disk.files()[0]].seen)
    disk.fail["write"] = [errno.ENOSPC]
    [error] = appended(spool, b"during" * 100)
    assert isinstance(error, Refused)
    assert (error.code, error.retry_after_s) == ("spool_full", 5.0)
    assert len(disk.names[disk.files()[0]].seen) == size_bytes
    assert appended(spool, b"behind") == [None]
    assert everything(spool.stream(FORMAT)) == [b"before", b"behind"]
    assert len(disk.files()) == 1
    spool.close()


@pytest.mark.parametrize("call", ["create", "write", "sync", "sync_directory"])
def test_a_disk_that_is_full_from_the_first_call_on_is_used_when_there_is_room(call: str) -> None:
    disk = FailingDisk()
    spool = opened(disk)
    disk.fail[call] = [errno.ENOSPC]
    [error] = appended(spool, b"refused")
    assert isinstance(error, Refused)
    assert error.code == "spool_full"
    assert appended(spool, b"kept") == [None]
    spool.close()
    spool, measures = reopened(disk)
    assert everything(spool.stream(FORMAT)) == [b"kept"]
    assert damaged_files(measures) == 0
    spool.close()


def test_after_a_failed_sync_the_file_is_never_written_again() -> None:
    disk = FailingDisk()
    spool = opened(disk)
    assert appended(spool, b"before") == [None]
    [first] = disk.files()
    disk.fail["sync"] = [errno.EIO]
    [error] = appended(spool, b"unsure")
    assert isinstance(error, Refused)
    assert error.code == "overloaded"
    assert error.retry_after_s is not None
    content = bytes(disk.names[first].seen)
    assert appended(spool, b"behind") == [None]
    assert bytes(disk.names[first].seen) == content
    assert len(disk.files()) == 2
    ended(spool)
    disk.crash(power=True)
    spool, _ = reopened(disk)
    assert everything(spool.stream(FORMAT)) == [b"before", b"behind"]
    spool.close()


def test_a_failed_group_that_cannot_be_cut_off_does_not_come_back() -> None:
    disk = FailingDisk()
    spool = opened(disk)
    appended(spool, b"before")
    disk.fail["sync"] = [errno.EIO]
    disk.fail["truncate"] = [errno.EIO]
    appended(spool, b"unsure")
    assert appended(spool, b"behind") == [None]
    assert b"unsure" in disk.names[disk.files()[0]].seen
    spool.close()
    spool, measures = reopened(disk)
    assert everything(spool.stream(FORMAT)) == [b"before", b"behind"]
    assert damaged_files(measures) == 0
    spool.close()


def test_a_full_disk_does_not_keep_the_spool_from_opening() -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    disk.fail["create"] = [errno.ENOSPC] * 4
    spool, _ = reopened(disk)
    assert set(drained(spool.stream(FORMAT), Engine())) == set(PAYLOADS)
    spool.close()


def test_a_ledger_that_cannot_be_written_changes_nothing() -> None:
    disk = FailingDisk()
    spool = opened(disk)
    appended(spool, *PAYLOADS)
    stream = spool.stream(FORMAT)
    run = stream.read(Position(0, 0), unpacked_bytes_max=10**6)
    for call in ("write", "sync"):
        disk.fail[call] = [errno.EIO]
        with pytest.raises(Refused):
            stream.begin(run.start, run.end)
    batch = stream.begin(run.start, run.end)
    disk.fail["sync"] = [errno.ENOSPC]
    with pytest.raises(Refused) as refused:
        stream.finish(batch.number)
    assert refused.value.code == "spool_full"
    stream.finish(batch.number)
    assert stream.backlog().frames == 0
    spool.close()


@settings(max_examples=200, deadline=None)
@given(record=st.integers(0, 19), byte=st.integers(0, 63), bit=st.integers(0, 7),
       is_renewed=st.booleans(), steps=st.integers(0, 5))  # fmt: skip
def test_a_damaged_record_of_the_ledger_costs_no_row_and_doubles_none(
    record: int, byte: int, bit: int, is_renewed: bool, steps: int
) -> None:
    disk, engine = FailingDisk(), Engine()
    spool = opened(disk)
    loader = TestLoader(spool.stream(FORMAT), engine)
    appended(spool, *PAYLOADS)
    loader.step(split=True)
    loader.step()
    if is_renewed:  # it then begins with a head and a finished range, twice
        loader.settle()
        ended(spool)
        spool = opened(disk)
        loader = TestLoader(spool.stream(FORMAT), engine)
    appended(spool, b"a", b"b")
    for step in range(steps):
        loader.step(split=step % 2 == 0)
    ended(spool)
    disk.flip(LEDGER, record * 64 + byte, bit)
    spool, _ = reopened(disk)
    counts = drained(spool.stream(FORMAT), engine)
    assert counts == dict.fromkeys([*PAYLOADS, b"a", b"b"], 1)
    spool.close()


def test_a_lost_finish_of_a_file_that_is_gone_takes_no_rows_back() -> None:
    disk, engine = FailingDisk(), Engine()
    stored(disk, *PAYLOADS)
    spool, _ = reopened(disk)
    appended(spool, b"next")
    loader = TestLoader(spool.stream(FORMAT), engine)
    loader.step()
    loader.settle()
    assert [path.name for path in disk.files()] == ["0000000002.frames"]
    ended(spool)
    finishes = disk.names[LEDGER].seen
    disk.flip(LEDGER, finishes.rindex(b"\xabTLd"))
    spool, _ = reopened(disk)
    assert all(batch.start == batch.end for batch in spool.stream(FORMAT).in_doubt())
    assert drained(spool.stream(FORMAT), engine) == dict.fromkeys([*PAYLOADS, b"next"], 1)
    spool.close()


@pytest.mark.parametrize("content", [b"", b"\xff" * 64 * 40, b"\xabTLb" * 999])
def test_a_ledger_that_says_nothing_loads_all_again_under_other_numbers(content: bytes) -> None:
    disk, engine = FailingDisk(), Engine()
    spool = opened(disk)
    appended(spool, *PAYLOADS)
    assert len(drained(spool.stream(FORMAT), engine)) == 3
    ended(spool)
    disk.names[LEDGER].seen[:] = content
    spool, _ = reopened(disk)
    numbers = set(engine.rows)
    assert set(drained(spool.stream(FORMAT), engine).values()) == {2}
    assert len(set(engine.rows) - numbers) == 1
    spool.close()


def test_files_of_another_stream_or_version_are_refused_by_name() -> None:
    disk = FailingDisk()
    stored(disk, *PAYLOADS)
    [path] = disk.files()
    disk.names[path.with_name("0000000007.frames")] = disk.names.pop(path)
    with pytest.raises(Broken, match=r"0000000007.frames is file 1 of 'otlp_logs'"):
        opened(disk)
