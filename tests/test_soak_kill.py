"""kill -9 at random moments during mixed load; between rounds also of the engine alone."""

import random
import time

import pytest

from soaking import Ledger, Mixed, Program, until
from writing_out import a_receiver, bits_of

# On a machine with nothing else to do it is under a second.
READY_S_MAX = 15.0
# An engine that keeps dying is away for most of the time. Senders that do not wait for it, each at
# some 8 batches a second, leave what two cores load in a minute, and no test of a full spool.
PACE_S = 0.1
ROUNDS = [3, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


SENT_ON = """
remote_write:
  - url: {url}/w
    queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms}}
    metadata_config: {{send: false}}
"""


@pytest.mark.parametrize("rounds", ROUNDS)
def test_what_was_acknowledged_is_sent_on_after_kills(tmp_path, ledger, rounds):
    """Each sample at least once, and nothing that was not stored; the receiver fails as well."""
    draw = random.Random()
    path = tmp_path / "prometheus.yml"
    with a_receiver() as receiver, Program(
        tmp_path / "data", prometheus_config=str(path)
    ) as program:  # fmt: skip
        receiver.answer = lambda nth: (503, {}) if nth % 5 == 4 else (204, {})
        path.write_text(SENT_ON.format(url=receiver.url))
        for _ in range(rounds):
            assert program.start() < READY_S_MAX
            before = ledger.count()
            with Mixed(program, ledger):
                until(lambda before=before: ledger.count() > before, 10, "an answer")
                time.sleep(draw.uniform(0.0, 3.0))
                program.kill()
        assert program.start() < READY_S_MAX
        ledger.check(program)
        # Points of one moment are many of a series, of which one is sent: they are told by times.
        found = program.sql("SELECT value FROM samples WHERE metric = 'soak_writes'")
        values = {bits_of(float(value)) for (value,) in found}
        found = program.sql(
            "SELECT DISTINCT toUnixTimestamp64Milli(timestamp) FROM samples "
            "WHERE metric = 'soak_points'"
        )
        times_ms = {int(at_ms) for (at_ms,) in found}
        assert values
        assert times_ms

        def arrived() -> tuple[set[int], set[int]]:
            return (
                {bits for _, _, bits in receiver.samples("soak_writes")},
                {at_ms for _, at_ms, _ in receiver.samples("soak_points")},
            )

        until(lambda: arrived() == (values, times_ms), 60, "all of it")
        assert program.measure("trilens_remote_write_dropped_total") == 0
        assert program.terminate() == 0


@pytest.mark.parametrize("rounds", ROUNDS)
def test_what_was_acknowledged_is_there_once_after_kills(tmp_path, ledger, rounds):
    draw = random.Random()
    with Program(tmp_path / "data") as program:
        for n in range(rounds):
            assert program.start() < READY_S_MAX
            before = ledger.count()
            with Mixed(program, ledger):
                until(lambda before=before: ledger.count() > before, 10, "an answer")
                time.sleep(draw.uniform(0.0, 1.5))
                program.kill()
            if n % 10 == 9:
                program.start()
                ledger.check(program)
                program.kill()
        assert program.start() < READY_S_MAX
        ledger.check(program)
        assert program.measure("trilens_spool_damaged_files_total") == 0
        assert program.terminate() == 0


@pytest.mark.parametrize("rounds", ROUNDS)
def test_kills_of_the_engine_alone_are_not_noticed_by_senders(tmp_path, ledger, rounds):
    draw = random.Random()
    with Program(tmp_path / "data") as program:
        program.start()
        with Mixed(program, ledger, pause_s=PACE_S) as mixed:
            for n in range(rounds):
                time.sleep(draw.uniform(0.0, 1.0))
                program.engine().kill()
                until(lambda n=n: program.restarts() > n and program.is_ready(), 20, "an engine")
        ledger.check(program)
        assert program.restarts() == rounds
        assert ledger.refused == 0
        assert mixed.slowest_s < 5
