"""Dead letters: kept before all else, whole or not at all, sent again and counted."""

import logging
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.envelope import ENCODINGS, WIRE_FORMATS, Envelope
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.store import dead_letters
from trilens.store.dead_letters import DeadLetters

LOG = logging.getLogger("test")
T = 1_790_000_000_000_000_000


class Waiting:
    """A spool that does with an envelope what the test says, and keeps what it took."""

    def __init__(self):
        self.taken = []
        self.error = None

    def append(self, envelope):
        future = Future()
        if self.error is None:
            self.taken.append(envelope)
            future.set_result(None)
        else:
            future.set_exception(self.error)
        return future


def opened(directory, spool=None, measures=None):
    letters = DeadLetters(directory, spool or Waiting(), measures or Measures(), LOG)
    letters.open()
    return letters


def envelope(payload=b"payload\nof lines", *, at=T, wire_format="otlp_logs", encoding="gzip"):
    return Envelope(wire_format, at, encoding, payload)


def test_a_letter_is_there_after_a_restart(tmp_path):
    measures = Measures()
    letters = opened(tmp_path, measures=measures)
    first = letters.put(envelope(), reason="not a protobuf", code=444)
    letters.put(envelope(at=T + 1, wire_format="otlp_traces", encoding="zstd"), reason="x", code=0)
    again = opened(tmp_path)
    assert again.newest(10) == letters.newest(10)
    assert [one.received_at_ns for one in again.newest(10)] == [T + 1, T]
    assert again.newest(1) == letters.newest(1)
    assert again.newest(2)[1] == first
    assert (first.reason, first.code, first.attempts) == ("not a protobuf", 444, 1)
    assert (first.format, first.encoding, first.size_bytes) == ("otlp_logs", "gzip", 16)
    assert again.totals() == letters.totals() == {"otlp_logs": 1, "otlp_traces": 1}
    assert again.size_bytes() == letters.size_bytes() == 32
    assert measures.by_labels("trilens_dead_letters") == {
        ("otlp_logs",): 1, ("otlp_traces",): 1, ("otlp_metrics",): 0, ("prometheus_write",): 0,
    }  # fmt: skip


def test_a_frame_put_twice_is_one_letter(tmp_path):
    letters = opened(tmp_path)
    letters.put(envelope(), reason="first", code=1)
    letters.put(envelope(), reason="second", code=2)
    (letter,) = opened(tmp_path).newest(10)
    assert (letter.reason, letter.code, letter.attempts) == ("second", 2, 1)
    assert letters.size_bytes() == 16


def test_a_replay_is_what_came_and_a_second_failure_is_counted(tmp_path):
    spool = Waiting()
    letters = opened(tmp_path, spool)
    letter = letters.put(envelope(), reason="r", code=1)
    letters.replay(letter.id)
    assert spool.taken == [envelope()]
    assert letters.newest(10) == []
    assert letters.size_bytes() == 0
    again = opened(tmp_path, spool)
    assert again.newest(10) == []
    second = again.put(spool.taken[0], reason="still", code=1)
    assert (second.id, second.attempts) == (letter.id, 2)
    again.replay(second.id)
    assert again.put(envelope(), reason="still", code=1).attempts == 3
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "error", [Refused("spool_full", "full"), Refused("overloaded", "disk"), TimeoutError()]
)
def test_a_replay_that_the_spool_refuses_keeps_the_letter(tmp_path, error):
    spool = Waiting()
    spool.error = error
    letters = opened(tmp_path, spool)
    letter = letters.put(envelope(), reason="r", code=1)
    with pytest.raises(Refused) as refused:
        letters.replay(letter.id)
    assert refused.value.code in ("spool_full", "overloaded")
    assert letters.newest(10) == opened(tmp_path).newest(10) == [letter]


def test_replays_are_remembered_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(dead_letters, "REPLAYED_MAX", 2)
    letters = opened(tmp_path)
    for at in range(4):
        letters.replay(letters.put(envelope(at=at), reason="r", code=1).id)
    assert len(list(tmp_path.iterdir())) == 2
    assert letters.put(envelope(at=0), reason="r", code=1).attempts == 1
    assert letters.put(envelope(at=3), reason="r", code=1).attempts == 2


def test_delete(tmp_path):
    letters = opened(tmp_path)
    letters.delete(letters.put(envelope(), reason="r", code=1).id)
    assert (letters.newest(1), letters.totals(), letters.size_bytes()) == ([], {}, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("letter_id", ["", "abc", "../../etc/passwd", "0-\0", "x" * 10_000])
def test_unknown_ids(tmp_path, letter_id):
    letters = opened(tmp_path)
    for call in (letters.replay, letters.delete):
        with pytest.raises(Refused) as refused:
            call(letter_id)
        assert refused.value.code == "not_found"


def test_torn_and_foreign_files_are_put_aside_and_counted(tmp_path):
    letters = opened(tmp_path)
    ids = [letters.put(envelope(at=at), reason="r", code=1).id for at in range(5)]
    whole = (tmp_path / f"{ids[0]}.letter").read_bytes()
    for place, content in enumerate((b"", whole[:-1], whole + b"x", b'{"id":1}\n'), 1):
        (tmp_path / f"{ids[place]}.letter").write_bytes(content)
    (tmp_path / f"{'0' * 16}.partial").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("somebody's")
    measures = Measures()
    again = opened(tmp_path, measures=measures)
    assert [letter.id for letter in again.newest(10)] == [ids[0]]
    assert measures.value("trilens_dead_letters_damaged_total") == 4
    names = {path.suffix for path in tmp_path.iterdir()}
    assert names == {".letter", ".damaged", ".txt"}
    assert len(opened(tmp_path).newest(10)) == 1


def test_a_directory_that_cannot_be_used_is_broken(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match="dead letters cannot be read"):
        opened(tmp_path / "file")


def test_a_full_disk_leaves_no_letter_and_no_count(tmp_path, monkeypatch):
    letters = opened(tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dead_letters.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            letters.put(envelope(), reason="r", code=1)
    assert (letters.newest(1), letters.size_bytes()) == ([], 0)
    assert opened(tmp_path).newest(1) == []


@given(
    payload=st.binary(max_size=300),
    at=st.integers(0, 2**63 - 1),
    wire_format=st.sampled_from(WIRE_FORMATS),
    encoding=st.sampled_from(ENCODINGS),
    reason=st.text(max_size=3000),
    code=st.integers(0, 2000),
)
def test_any_frame_comes_back(tmp_path_factory, payload, at, wire_format, encoding, reason, code):
    directory, spool = tmp_path_factory.mktemp("letters"), Waiting()
    sent = Envelope(wire_format, at, encoding, payload)
    kept = opened(directory).put(sent, reason=reason, code=code)
    letters = opened(directory, spool)
    assert letters.newest(1) == [kept]
    assert kept.reason == reason[: dead_letters.REASON_LENGTH_MAX]
    letters.replay(kept.id)
    assert spool.taken == [sent]
