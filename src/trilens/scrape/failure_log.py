"""scrape_failure_log_file: a line of JSON for each scrape that failed, and why.

    {"time": RFC 3339, "level": "ERROR", "msg": why, "job_name": .., "target": URL}

Files are written by a thread of their own: a disk that hangs holds up no scrape. What waits is
bounded, and lines beyond that are counted and left out. A file is opened for each bundle of lines,
so that others may move it away; at FILE_BYTES_MAX it is renamed to NAME.1, whose content goes.
Scrapes whose body could not be read are in it too, which those of Prometheus are not.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

LINES_WAITING_MAX: Final = 10_000
FILE_BYTES_MAX: Final = 100 << 20
_log: Final = logging.getLogger("trilens.scrape")


class FailureLog:
    """Of all jobs. `note` is for any thread; the thread that writes begins with the first line."""

    def __init__(
        self, *, lines_max: int = LINES_WAITING_MAX, file_bytes_max: int = FILE_BYTES_MAX
    ) -> None:
        self._lines_max = lines_max
        self._file_bytes_max = file_bytes_max
        self._turn = threading.Condition()
        self._waiting: dict[Path, list[bytes]] = defaultdict(list)
        self._count = 0
        self._has_ended = False
        self._thread: threading.Thread | None = None
        self._failed: set[Path] = set()
        self.left_out = 0

    def note(self, path: Path, *, at_ns: int, message: str, job: str, target: str) -> None:
        at = datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        line = orjson.dumps(
            {
                "time": at.replace("+00:00", "Z"),
                "level": "ERROR",
                # A message may quote what was no UTF-8.
                "msg": message.encode("utf-8", "replace").decode(),
                "job_name": job,
                "target": target,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        with self._turn:
            if self._count >= self._lines_max or self._has_ended:
                self.left_out += 1
                return
            self._waiting[path].append(line)
            self._count += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="scrape-failure-log", daemon=True
                )
                self._thread.start()
            self._turn.notify()

    def stop(self, grace_s: float) -> None:
        """What waits is written, if the disk takes it."""
        with self._turn:
            self._has_ended = True
            self._turn.notify()
        if self._thread is not None:
            self._thread.join(grace_s)

    def _run(self) -> None:
        while True:
            with self._turn:
                while not self._waiting and not self._has_ended:
                    self._turn.wait()
                if not self._waiting:
                    return
                found, self._waiting = self._waiting, defaultdict(list)
                self._count = 0
            for path, lines in found.items():
                self._write(path, lines)

    def _write(self, path: Path, lines: list[bytes]) -> None:
        try:
            with path.open("ab") as file:
                file.write(b"".join(lines))
                size = file.tell()
            if size >= self._file_bytes_max:
                path.replace(path.with_name(f"{path.name}.1"))
            self._failed.discard(path)
        except OSError as error:
            self.left_out += len(lines)
            if path not in self._failed:  # once, until it can be written again
                self._failed.add(path)
                about = {"file": str(path), "reason": str(error)}
                _log.warning("failed scrapes cannot be written to their file", extra=about)
