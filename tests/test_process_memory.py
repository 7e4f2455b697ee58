"""Freed memory goes back to the kernel while a process holds more than it should."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trilens.process_memory import resident_bytes

MIB = 1 << 20
HOLES = """
import sys, time
from trilens.process_memory import LOOK_S, keep_freed_memory, resident_bytes
keep_freed_memory(int(sys.argv[1]) << 20)
blocks = [b"x" * (1 << 20) for _ in range(200)]
full = resident_bytes()
blocks = blocks[::10]  # what is left keeps the heap from shrinking from its end
time.sleep(4 * LOOK_S)
print(full, resident_bytes())
"""


@pytest.mark.parametrize(("size_mib_max", "is_given_back"), [(60, True), (1000, False)])
def test_holes_are_given_back_above_the_limit(size_mib_max: int, *, is_given_back: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLES, str(size_mib_max)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    full, left = map(int, done.stdout.split())
    assert full > 200 * MIB
    assert (left < 80 * MIB) is is_given_back


def test_the_memory_of_a_process() -> None:
    assert resident_bytes() == pytest.approx(resident_bytes(os.getpid()), rel=0.2)
    assert resident_bytes() > MIB
    assert resident_bytes(2**22 + 1) == 0
