"""The spool against a list in memory, on a disk that fails, tears, lies, and a program that dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from spooling import FORMAT, Engine, FailingDisk, TestLoader, appended, drained, ended, opened
from trilens.errors import Broken, Refused


@pytest.fixture(autouse=True, scope="module")
def small_files() -> Iterator[None]:
    """Files, groups and ledgers so small that their ends are met often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trilens.spool.writer.FILE_BYTES_MAX", 2000)
        patch.setattr("trilens.spool.writer.GROUP_FRAMES_MAX", 5)
        patch.setattr("trilens.spool.ledger.PREPARED_BYTES", 64 * 12)
        patch.setattr("trilens.spool.stream._DONE_BYTES", 700)
        yield


class SpoolModel(RuleBasedStateMachine):
    """`acked` must be loaded exactly once, `refused` never, `unknown` at most once."""

    lies = False

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.disk = FailingDisk(seed)
        self.disk.lies = self.lies
        self.engine = Engine()
        self.acked: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.unknown: set[bytes] = set()
        self.count = 0
        self._open()

    def _open(self) -> None:
        self.spool = opened(self.disk)
        self.loader = TestLoader(self.spool.stream(FORMAT), self.engine)

    @rule(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=12))
    def append(self, sizes: list[int]) -> None:
        payloads = []
        for size in sizes:
            self.count += 1
            payloads.append(b"%d:" % self.count + b"\xabTLf" * (size // 4))
        is_dying = self.disk.dies_in is not None
        for payload, error in zip(payloads, appended(self.spool, *payloads), strict=True):
            if error is None:
                self.acked.add(payload)
            else:
                assert isinstance(error, Refused), error
                (self.unknown if is_dying else self.refused).add(payload)

    @rule(bytes_max=st.sampled_from([1, 300, 1000, 10_000]), split=st.booleans(),
          steps=st.integers(1, 5))  # fmt: skip
    def load(self, bytes_max: int, split: bool, steps: int) -> None:
        for _ in range(steps):
            try:
                if not self.loader.step(unpacked_bytes_max=bytes_max, split=split):
                    return
            except Refused:
                pass

    @rule(rate=st.sampled_from([0.0, 0.05, 0.3]))
    def fail_at_random(self, rate: float) -> None:
        self.disk.fault_rate = rate

    @precondition(lambda self: self.disk.dies_in is None)
    @rule(calls=st.integers(0, 20))
    def die_soon(self, calls: int) -> None:
        self.disk.dies_in = calls

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        self.disk.dies_in = 0
        ended(self.spool)
        self.disk.crash(power=power)
        # A group whose sync failed, and whose file was not closed yet, may come back.
        self.unknown |= self.refused
        self.refused = set()
        self._open()

    @rule()
    def close_and_open(self) -> None:
        ended(self.spool)
        self.disk.crash(power=False)
        self.unknown |= self.refused
        self.refused = set()
        self._open()

    @rule(calls=st.integers(0, 40), power=st.booleans())
    def die_while_opening(self, calls: int, power: bool) -> None:
        ended(self.spool)
        self.disk.crash(power=False)
        self.unknown |= self.refused
        self.refused = set()
        self.disk.dies_in = calls
        with suppress(Broken):
            ended(opened(self.disk))
        self.disk.crash(power=power)
        self._open()

    def check(self, counts: dict[bytes, int]) -> None:
        for payload in self.acked:
            assert counts.get(payload) == 1, (payload, counts.get(payload))
        for payload in self.refused:
            assert payload not in counts, payload
        assert set(counts) <= self.acked | self.unknown
        assert max(counts.values(), default=1) == 1

    def teardown(self) -> None:
        if not hasattr(self, "spool"):
            return
        self.disk.dies_in, self.disk.fault_rate = None, 0.0
        ended(self.spool)
        self.disk.crash(power=False)
        spool = opened(self.disk)
        try:
            self.check(drained(spool.stream(FORMAT), self.engine))
            backlog = spool.stream(FORMAT).backlog()
            assert (backlog.bytes, backlog.frames, backlog.oldest_ns) == (0, 0, None)
        finally:
            ended(spool)


class LyingModel(SpoolModel):
    """A disk that says synced and is not: nothing can be promised but to open and invent nothing."""

    lies = True

    def check(self, counts: dict[bytes, int]) -> None:
        assert set(counts) <= self.acked | self.refused | self.unknown


SETTINGS = settings(
    max_examples=int(os.environ.get("SPOOL_MODEL_EXAMPLES", "80")), stateful_step_count=30, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestSpoolModel = pytest.mark.timeout(110)(SpoolModel.TestCase)
TestSpoolModel.settings = SETTINGS
TestLyingModel = pytest.mark.timeout(110)(LyingModel.TestCase)
TestLyingModel.settings = settings(SETTINGS, max_examples=25)
