r"""One file of records that survive: a line each, with its checksum, synced before it counts.

    1c291ca3 {"t":"silence",...}\n

A record is written by `write` and safe when `sync` has returned; many threads share one sync. The
file is written anew, with what still counts, when it has grown to GROWTH times that. Recovery
reads from the start and cuts what follows the last whole line: it was never answered for. A line
that ends and does not match its checksum is damage: it is left out, counted, and the file is kept
beside as `.damaged`. Records that only lost the end of their line are found again.

While the disk takes nothing, what is to be written waits, up to WAITING_BYTES_MAX; then it is left
out, and nothing counts as safe until the file has been written anew from the state.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson

GROWTH: Final = 4
SIZE_BYTES_MIN: Final = 8 << 20
WAITING_BYTES_MAX: Final = 16 << 20
_BEGIN: Final = re.compile(rb"[0-9a-f]{8} \{")
Record = dict[str, Any]
_log = logging.getLogger("trilens.notify")


class JournalClosed(OSError):
    """Nothing is written any more: the program ends."""


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
        self._has_failed = False
        self._waiting_bytes = 0
        self._is_behind = False
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
        return self._wait(encoded(record))

    def _wait(self, line: bytes) -> int:
        with self._lock:
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if self._has_failed and self._waiting_bytes > WAITING_BYTES_MAX:
                self._waiting, self._waiting_bytes, self._is_behind = [], 0, True
            self._written += 1
            return self._written

    def sync(self, number: int) -> None:
        """Returns when that record and all before it would survive. Raises OSError."""
        with self._sync_lock:
            if self._synced >= number:
                return
            if self._is_behind:
                raise OSError(errno.EIO, "records were left out while the disk took none")
            lines, written = self._taken()
            try:
                self._put(lines)
            except OSError:
                self._put_back(lines)
                raise
            self._synced, self._has_failed = written, False

    def append(self, record: Record) -> None:
        """On disk, or as if it had never been said. Raises OSError."""
        line = encoded(record)
        number = self._wait(line)
        try:
            self.sync(number)
        except OSError:
            with self._lock:
                if line in self._waiting:
                    self._waiting.remove(line)
                    self._waiting_bytes -= len(line)
            raise

    def _taken(self) -> tuple[list[bytes], int]:
        with self._lock:
            lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
            return lines, self._written

    def _put_back(self, lines: list[bytes]) -> None:
        with self._lock:
            self._has_failed = True
            self._waiting = lines + self._waiting
            self._waiting_bytes += sum(map(len, lines))

    @property
    def wants_rewriting(self) -> bool:
        is_overgrown = self._size_bytes > max(SIZE_BYTES_MIN, GROWTH * self._whole_bytes)
        return self._is_behind or is_overgrown

    def rewrite(self) -> None:
        """Only what still counts. The state must not change meanwhile. Raises OSError."""
        assert self.snapshot is not None
        with self._sync_lock:
            lines, written = self._taken()
            try:
                self._replace(b"".join(map(encoded, self.snapshot())))
            except OSError:
                self._put_back(lines)
                raise
            self._synced, self._has_failed, self._is_behind = written, False, False

    def _put(self, lines: list[bytes]) -> None:
        if self._file < 0:
            raise JournalClosed("the journal is closed")
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
        """The records, and where the last whole line ends."""
        body = self._path.read_bytes()
        records: list[Record] = []
        *lines, rest = body.split(b"\n")
        for line in lines:
            record = decoded(line + b"\n")
            if record is None:
                self.damaged_lines += 1
                records += _found_in(line + b"\n")
            else:
                records.append(record)
        # What follows the last line is torn, and nobody was answered for it; unless it is whole.
        if found := _found_in(rest):
            self.damaged_lines += 1
            records += found
        if self.damaged_lines:
            self._keep_damaged(body)
        return records, len(body) - len(rest)

    def _keep_damaged(self, body: bytes) -> None:
        kept = self._path.with_suffix(".damaged")
        try:
            kept.write_bytes(body)
        except OSError as error:
            _log.error("the damaged journal cannot be kept", extra={"reason": str(error)})
        _log.error("the journal of notifications is damaged",
                   extra={"lines": self.damaged_lines, "kept": str(kept)})  # fmt: skip


def _found_in(line: bytes) -> list[Record]:
    """Two records make one line when the end of the first is damaged."""
    begins = [found.start() for found in _BEGIN.finditer(line)]
    ends = [*(begin - 1 for begin in begins[1:]), len(line) - 1]
    found = [decoded(line[begin:end] + b"\n") for begin, end in zip(begins, ends, strict=False)]
    return [record for record in found if record is not None]


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
