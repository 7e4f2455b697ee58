"""kill -9 of everything at any moment: what was acknowledged is there exactly once."""

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import storing
from storing import RECORDS_A_FRAME, Store

KILLS = 10
# Each record once more by name, however often it is there.
RECORDS = """
SELECT body AS record, count() FROM trilens.log_rows GROUP BY record UNION ALL
SELECT name, count() FROM trilens.span_rows GROUP BY name UNION ALL
SELECT concat(metric, '.', toString(mantissa)), count() FROM trilens.sample_rows GROUP BY 1
"""


def killed_after(directory, name, seconds):
    """Frames that were acknowledged by a program of which nothing is left now."""
    program = subprocess.Popen(
        [sys.executable, storing.__file__, directory, name], stdout=subprocess.PIPE, text=True
    )
    acknowledged = [program.stdout.readline().strip()]
    time_over = threading.Timer(seconds, program.kill)
    time_over.start()
    acknowledged += [line.strip() for line in program.stdout if line.endswith("\n")]
    time_over.join()
    program.wait()
    program.stdout.close()
    return [frame for frame in acknowledged if frame]


@pytest.mark.parametrize(
    "seed", [pytest.param(n, marks=[pytest.mark.soak] * (n > 0)) for n in range(10)]
)
@pytest.mark.timeout(400)
def test_kill_9_at_random_moments(tmp_path, seed):
    draw, acknowledged = random.Random(seed), []
    for place in range(KILLS):
        found = killed_after(str(tmp_path), f"k{place}", draw.uniform(0.0, 1.2))
        assert found, "the program must start again after a kill"
        acknowledged += found
    store = Store(Path(tmp_path)).start()
    try:
        store.until_idle(60)
        found = dict(store.rows(RECORDS))
    finally:
        store.stop()
    assert [record for record, times in found.items() if times != 1] == []
    expected = {f"{frame}.{k}" for frame in acknowledged for k in range(RECORDS_A_FRAME)}
    assert expected - found.keys() == set()
    # What was not acknowledged may be there too, as a whole frame.
    assert len(found) % RECORDS_A_FRAME == 0
    assert store.letters.totals() == {}
