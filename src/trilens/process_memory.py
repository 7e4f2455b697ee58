"""The memory of processes, and what malloc does with what this one has freed.

glibc hands large blocks back to the kernel at once and gets them again, page by page, for the
next body: a third of the server's CPU time under load. Told to keep a little, it does not:
receiving and handing on a remote-write sample took 1.65 us before and 1.3 us after, on a busy
machine. But then small blocks between large ones keep much more than that little, more every
minute, so while the process holds more than it should, all that is free is handed back.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 32 << 20  # an arena
ARENAS_MAX: Final = 2
LOOK_S: Final = 0.5
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def keep_freed_memory(size_bytes_max: int) -> None:
    """For the life of the process: keep some, but give it back above `size_bytes_max` resident.

    Does nothing where malloc is not glibc's.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    libc.mallopt(_ARENA_MAX, ARENAS_MAX)
    libc.mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
    libc.mallopt(_MMAP_THRESHOLD, KEPT_BYTES)
    watch = threading.Thread(
        target=_give_back, args=(libc, size_bytes_max), name="freed-memory", daemon=True
    )
    watch.start()


def resident_bytes(pid: int | str = "self") -> int:
    """Of a process; 0 when there is none."""
    try:
        statm = Path(f"/proc/{pid}/statm").read_text()
    except OSError:
        return 0
    return int(statm.split()[1]) * _PAGE_BYTES


def _give_back(libc: ctypes.CDLL, size_bytes_max: int) -> None:
    pause = threading.Event()
    while not pause.wait(LOOK_S):
        if resident_bytes() > size_bytes_max:
            libc.malloc_trim(0)
