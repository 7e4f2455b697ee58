"""Damaged files, kept for a person to look at when the rest of them has been loaded."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Final

from trilens.spool.disk import Disk

SUFFIX: Final = ".damaged"
FILES_MAX: Final = 4  # of a stream; the oldest goes first

log = logging.getLogger(__name__)


class Aside:
    """The damaged copies of one stream. One thread at a time."""

    def __init__(self, directory: Path, disk: Disk, *, size_bytes_max: int) -> None:
        self._directory = directory
        self._disk = disk
        self._size_bytes_max = size_bytes_max

    def keep(self, path: Path) -> None:
        """Give the file a second name, which stays when it is removed: no byte is copied."""
        to = path.with_name(path.name + SUFFIX)
        try:
            if to.name in self._disk.sizes(self._directory):
                return
            self._disk.link(path, to)
            self._disk.sync_directory(self._directory)
            self._make_room()
        except OSError as error:
            log.warning("no copy of the damaged %s can be kept: %s", path, error)

    def size_bytes(self, live: Collection[str]) -> int:
        """What is held by the copies alone. `live` are names that still hold the same bytes."""
        with contextlib.suppress(OSError):
            return sum(
                size_bytes
                for name, size_bytes in self._disk.sizes(self._directory).items()
                if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) not in live
            )
        return 0

    def _make_room(self) -> None:
        sizes = self._disk.sizes(self._directory)
        names = sorted(name for name in sizes if name.endswith(SUFFIX))
        while names and (
            len(names) > FILES_MAX or sum(sizes[n] for n in names) > self._size_bytes_max
        ):
            log.warning("the damaged copy %s is removed to make room", names[0])
            self._disk.remove(self._directory / names.pop(0))
