r"""One file of records that survive: a line each, with its checksum, synced before it counts.

    1c291ca3 {"t":"silence",...}\n

A record is written by `write` and safe when `sync` has returned; many threads share one sync. The
file is written anew, with what still counts, when it has grown to GROWTH times that. Recovery
reads from the start and cuts what follows the last whole line: it was never answered for. A line
inside that does not match its checksum is damage: it is left out, counted, and the file is kept
beside as `.damaged`.
"""

from __future__ import annotations

import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson

GROWTH: Final = 4
SIZE_BYTES_MIN: Final = 8 << 20
Record = dict[str, Any]
_log = logging.getLogger("trilens.notify")


class Journal:
    """`snapshot` gives the records that rebuild the present state."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._written = 0
        self._synced = 0
        self._size_bytes = 0
        self._whole_bytes = 0
        self._is_doubtful = False
        self.damaged_lines = 0
        self.snapshot: Callable[[], Iterable[Record]] | None = None

    def open(self) -> list[Record]:
        """All records. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.with_suffix(".new").unlink(missing_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        records, end = self._read()
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)
        os.fsync(self._file)
        _sync_directory(self._path.parent)
        self._size_bytes = end
        return records

    def close(self) -> None:
        with self._sync_lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def write(self, record: Record) -> int:
        """The number to `sync`. Takes no time."""
        line = encoded(record)
        with self._lock:
            self._waiting.append(line)
            self._written += 1
            return self._written

    def sync(self, number: int) -> None:
        """Returns when that record and all before it would survive. Raises OSError."""
        with self._sync_lock:
            if self._synced >= number:
                return
            with self._lock:
                lines, self._waiting = self._waiting, []
                written = self._written
            try:
                self._put(lines)
            except OSError:
                with self._lock:
                    self._waiting = lines + self._waiting
                raise
            self._synced = written

    def append(self, record: Record) -> None:
        self.sync(self.write(record))

    @property
    def is_overgrown(self) -> bool:
        return self._size_bytes > max(SIZE_BYTES_MIN, GROWTH * self._whole_bytes)

    def rewrite(self) -> None:
        """Only what still counts. The state must not change meanwhile. Raises OSError."""
        assert self.snapshot is not None
        with self._sync_lock:
            with self._lock:
                lines, self._waiting = self._waiting, []
                written = self._written
            try:
                self._replace(b"".join(map(encoded, self.snapshot())))
            except OSError:
                with self._lock:
                    self._waiting = lines + self._waiting
                raise
            self._synced = written

    def _put(self, lines: list[bytes]) -> None:
        if self._file < 0:
            raise OSError("the journal is closed")
        if self._is_doubtful:
            # After a failed write nobody knows what is in the file's last pages: cut them off.
            os.ftruncate(self._file, self._size_bytes)
            os.lseek(self._file, self._size_bytes, os.SEEK_SET)
        self._is_doubtful = True
        body = memoryview(b"".join(lines))
        while body:
            body = body[os.write(self._file, body) :]
        os.fdatasync(self._file)
        self._is_doubtful = False
        self._size_bytes = os.lseek(self._file, 0, os.SEEK_CUR)

    def _replace(self, body: bytes) -> None:
        path = self._path.with_suffix(".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        new = os.open(path, flags, 0o640)
        try:
            left = memoryview(body)
            while left:
                left = left[os.write(new, left) :]
            os.fsync(new)
            path.replace(self._path)
        except OSError:
            os.close(new)
            raise
        _sync_directory(self._path.parent)
        os.close(self._file)
        self._file, self._is_doubtful = new, False
        self._size_bytes = self._whole_bytes = len(body)

    def _read(self) -> tuple[list[Record], int]:
        body = self._path.read_bytes()
        records: list[Record] = []
        at, end, bad = 0, 0, 0
        for line in body.splitlines(keepends=True):
            at += len(line)
            record = decoded(line)
            if record is None:
                bad += 1
                continue
            self.damaged_lines += bad
            bad = 0
            records.append(record)
            end = at
        if self.damaged_lines:
            kept = self._path.with_suffix(".damaged")
            kept.write_bytes(body)
            _log.error("the journal of notifications is damaged",
                       extra={"lines": self.damaged_lines, "kept": str(kept)})  # fmt: skip
        return records, end


def encoded(record: Record) -> bytes:
    body = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decoded(line: bytes) -> Record | None:
    """None for what is not a whole record."""
    if len(line) < 11 or line[8:9] != b" " or line[-1:] != b"\n":
        return None
    body = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(body):
            return None
        record = orjson.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
