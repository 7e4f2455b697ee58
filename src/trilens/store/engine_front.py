"""The embedded engine's process: chDB behind ClickHouse's HTTP protocol on a Unix socket.

    python -m trilens.store.engine_front --data-dir DIR --socket PATH
        --memory-bytes-max N [--body-bytes-max N] [--lock-wait-s S]

Started by engine_embedded.py, never forked: chDB deadlocks in a forked child. It dies with its
parent (PR_SET_PDEATHSIG, and the end of its standard input), closes on SIGTERM, writes `ready`
to its standard output when it can be asked, and holds DIR/engine.lock so that no second engine
opens the same files. The package's own import is
passed by: it loads pyarrow and pandas and opens an engine once for nothing (0.5 s, 40 MB).

Exit codes: 0 stopped, 3 the directory is in use, 4 the engine does not start, 5 a setting was
not applied.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import importlib.util
import os
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from trilens.store import engine_config
from trilens.store.engine_front_http import Connection
from trilens.store.engine_front_lanes import Front
from trilens.store.engine_front_run import Connections, Runner

EXIT_IN_USE, EXIT_NO_START, EXIT_NOT_APPLIED = 3, 4, 5
CLOSE_S_MAX = 5.0
OOM_SCORE_ADJ = 500
MERGE_THREADS = "MergeMutate"
MERGE_THREADS_PAUSE_S = 1.0
MERGE_NICENESS = 15
READY_LINE = b"ready\n"
_PR_SET_PDEATHSIG = 1
_RTLD_DEEPBIND = 8


def load_chdb() -> Any:
    """Load chDB's extension module, with its crash handlers off.

    With them on, a crash hangs the process for minutes while it holds the lock on its files.
    """
    spec = importlib.util.find_spec("chdb")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("chdb is not installed")
    package = types.ModuleType("chdb")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["chdb"] = package
    # Its own symbols first: the library carries another libstdc++ and jemalloc than ours.
    library = Path(package.__path__[0]) / "_chdb.abi3.so"
    ctypes.CDLL(str(library), mode=os.RTLD_NOW | _RTLD_DEEPBIND)
    module = importlib.import_module("chdb._chdb")
    module.reset_signal_handlers()
    module.set_signal_handlers_enabled(0)
    return module


def die_first() -> None:
    """Die with the parent; and when memory is short, before it: it can start us again."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJ))


def hold_lock(path: Path, wait_s: float) -> int | None:
    """A descriptor that holds the lock, or None when another process kept it for `wait_s`.

    An engine that was just killed needs a moment to let go: that is what the wait is for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor


def open_engine(directory: Path, memory_bytes_max: int) -> tuple[Runner, Any]:
    """The engine over `directory`/db, and the connection that keeps it open."""
    asked = engine_config.server_settings(memory_bytes_max)
    config = engine_config.write(directory, memory_bytes_max, asked)
    chdb = load_chdb()
    url = (
        f"{directory / 'db'}?config-file={config}&log-level=warning"
        f"&logger.log={directory / 'engine.log'}&logger.size=10M&logger.count=2"
        "&session_timezone=UTC"
    )
    anchor = chdb.connect(url)  # closing the last connection would close the engine
    sql = "SELECT name, value FROM system.server_settings WHERE changed"
    answer = anchor.query(sql, "TabSeparated", params={}).bytes().decode()
    applied = dict(line.split("\t")[:2] for line in answer.splitlines())
    if missing := engine_config.unapplied(asked, applied):
        _give_up(EXIT_NOT_APPLIED, f"settings not applied: {', '.join(missing)}")
    return Runner(Connections(chdb, url)), anchor


def bound(path: Path) -> socket.socket:
    """A socket file of mode 0600, bound by a relative name: sun_path holds only 108 bytes."""
    path.unlink(missing_ok=True)
    os.chdir(path.parent)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path.name)
    path.chmod(0o600)
    return listener


async def let_merges_wait() -> None:
    """Give the threads that merge a thirtieth of the weight of those that load and answer.

    They begin with the first table. Merges catch up when there is less to do; when there never
    is, the engine itself slows loads down long before there are too many parts.
    """
    while not (threads := _threads(MERGE_THREADS)):  # noqa: ASYNC110 - nothing tells us
        await asyncio.sleep(MERGE_THREADS_PAUSE_S)
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, MERGE_NICENESS)


def _threads(name: str) -> list[int]:
    """Those of this process that chDB has given this name."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if (thread / "comm").read_text().strip() == name:
                found.append(int(thread.name))
    return found


async def serve(front: Front, listener: socket.socket) -> None:
    """Until SIGTERM, or until the parent's end of standard input closes."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the parent decides
    loop.add_reader(sys.stdin.fileno(), lambda: _on_input(stop))
    server = await loop.create_unix_server(lambda: Connection(front), sock=listener)
    os.write(1, READY_LINE)
    merges_wait = loop.create_task(let_merges_wait())
    await stop.wait()
    merges_wait.cancel()
    server.close()


def _on_input(stop: asyncio.Event) -> None:
    if not os.read(0, 4096):
        stop.set()


def main() -> None:
    options = _options()
    os.umask(0o077)
    die_first()
    os.environ["TZ"] = "UTC"
    time.tzset()
    directory: Path = options.data_dir.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    lock = directory / "engine.lock"
    if hold_lock(lock, options.lock_wait_s) is None:
        holder = lock.read_text().strip() or "unknown"
        _give_up(EXIT_IN_USE, f"{directory} is in use by another engine, process {holder}")
    try:
        runner, anchor = open_engine(directory, options.memory_bytes_max)
    except RuntimeError as error:
        _give_up(EXIT_NO_START, str(error))
    listener = bound(options.socket.resolve())
    front = Front(
        runner,
        body_bytes_max=options.body_bytes_max,
        read_bytes_max=engine_config.read_bytes_max(options.memory_bytes_max),
        guests_max=engine_config.guests_max(options.memory_bytes_max),
    )
    uvloop.run(serve(front, listener))
    signal.setitimer(signal.ITIMER_REAL, CLOSE_S_MAX)  # a close that hangs ends by SIGALRM
    runner.connections.close_idle()
    anchor.close()
    os._exit(0)


def _give_up(code: int, reason: str) -> NoReturn:
    sys.stderr.write(reason + "\n")
    sys.exit(code)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trilens.store.engine_front")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--memory-bytes-max", type=int, required=True)
    parser.add_argument("--body-bytes-max", type=int, default=512 << 20)
    parser.add_argument("--lock-wait-s", type=float, default=10.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
