"""The few calls to the operating system that the spool makes.

All of them are here so that a test can pass a disk that tears writes, is full, fails a sync or
loses what was not synced. Every call may raise OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

Piece = bytes | bytearray | memoryview

_PIECES_MAX: Final = 1024  # IOV_MAX of Linux


class Disk(Protocol):
    def make_directory(self, path: Path) -> None:
        """Make it and its parents. No error where it is there already."""

    def sizes(self, directory: Path) -> dict[str, int]:
        """The files in a directory and their sizes in bytes."""

    def create(self, path: Path) -> int:
        """A descriptor to read and write a file that must not be there yet."""

    def open(self, path: Path) -> int:
        """A descriptor to read and write a file that is there."""

    def close(self, descriptor: int) -> None: ...

    def read(self, descriptor: int, size_bytes: int, offset: int) -> bytes:
        """As many bytes as asked for; fewer at the end of the file only."""

    def write(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        """All pieces, one after the other. After an error any part may have been written."""

    def truncate(self, descriptor: int, size_bytes: int) -> None: ...

    def sync(self, descriptor: int) -> None:
        """Returns when the content and the size of the file would survive a loss of power.

        After an error the kernel may count the lost pages as written: a second call that
        succeeds says nothing about them.
        """

    def sync_directory(self, path: Path) -> None:
        """As `sync`, for the names in a directory."""

    def rename(self, path: Path, to: Path) -> None: ...

    def link(self, path: Path, to: Path) -> None:
        """A second name for the same bytes."""

    def remove(self, path: Path) -> None: ...


class OsDisk:
    """The disk of this machine."""

    def make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def sizes(self, directory: Path) -> dict[str, int]:
        with os.scandir(directory) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}

    def create(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def read(self, descriptor: int, size_bytes: int, offset: int) -> bytes:
        piece = os.pread(descriptor, size_bytes, offset)
        if len(piece) == size_bytes or not piece:
            return piece
        pieces, missing = [piece], size_bytes - len(piece)
        while missing and (piece := os.pread(descriptor, missing, offset + size_bytes - missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def write(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        left = list(pieces)
        while left:
            written = os.pwritev(descriptor, left[:_PIECES_MAX], offset)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            offset += written
            left = _after(left, written)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        os.ftruncate(descriptor, size_bytes)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, path: Path, to: Path) -> None:
        path.rename(to)

    def link(self, path: Path, to: Path) -> None:
        to.hardlink_to(path)

    def remove(self, path: Path) -> None:
        path.unlink()


def _after(pieces: list[Piece], written: int) -> list[Piece]:
    """What is left of `pieces` when their first `written` bytes are gone. None may be empty."""
    for index, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[index + 1 :]]
        written -= len(piece)
    return []
