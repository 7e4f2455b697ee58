"""How many files and connections this process may have open."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

# Three listeners with all the connections that they take, and what the spool and the engine open.
WANTED: Final = 65536


def allow_open_files() -> int:
    """Raise the limit as far as the system lets us; returns what it is by then.

    Shells and systemd start programs with 1,024, for the sake of select(), which nothing here
    uses: that many half-open connections would leave the spool without a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
