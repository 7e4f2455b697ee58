"""Up to where a destination has been served: one small file each, replaced as a whole and synced.

    <directory>/<hash of the destination's key>.cursor    CRC-32 in hexadecimal, a space, JSON

While batches are sent the file says how they are cut into requests, so that a crash repeats
exactly these: a receiver takes or refuses a request as a whole, and one that it took before it
knows again. A file that is damaged counts as one at the beginning of the log: better twice.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from trilens.spool import Disk, OsDisk

SUFFIX: Final = ".cursor"
NO_AGE_MS: Final = -(2**63)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unit:
    """Batches that are sent together: those from the cursor up to `end`.

    `part` of `parts` is sent now, in `shards`; `done` requests of each of them were answered.
    `plan` names what the requests depend on beside the rows, `oldest_ms` is that of the oldest
    sample that is sent: it must not move while requests of one cut are counted.
    """

    end: int
    rows: int
    parts: int
    part: int
    shards: int
    plan: str
    done: tuple[int, ...] = ()
    oldest_ms: int = NO_AGE_MS


@dataclass(frozen=True, slots=True)
class Place:
    """`index` is in the log; `rows` are those of all batches before it."""

    index: int
    rows: int
    unit: Unit | None = None

    def after_part(self) -> Place:
        """When everything of a part was answered."""
        unit = self.unit
        assert unit is not None
        if unit.part + 1 < unit.parts:
            return replace(self, unit=replace(unit, part=unit.part + 1, done=()))
        return Place(unit.end, self.rows + unit.rows)


class Cursor:
    """A move may be made while one that nobody waits for any more is: the later one counts."""

    def __init__(self, directory: Path, key: str, disk: Disk | None = None) -> None:
        self._directory = directory
        self._key = key
        self._path = directory / (hashlib.sha256(key.encode()).hexdigest()[:16] + SUFFIX)
        self._disk = disk or OsDisk()
        self.place = Place(0, 0)
        self._moving = threading.Lock()

    @property
    def name(self) -> str:
        """Of its file."""
        return self._path.name

    def open(self, begin: Place) -> None:
        """Take up what is there, or begin. Raises OSError."""
        try:
            found = _place_of(self._path.read_bytes())
        except FileNotFoundError:
            self.move(begin)
            return
        except ValueError as error:
            about = {"file": self._path.name, "reason": str(error)}
            _log.warning("a cursor is damaged: what is kept is sent again", extra=about)
            found = Place(0, 0)
        self.place = found

    def move(self, place: Place) -> None:
        """Returns when it is synced. Raises OSError: then nothing has changed."""
        with self._moving:
            self._move(place)
            self.place = place

    def _move(self, place: Place) -> None:
        content = orjson.dumps({"key": self._key, **asdict(place)})
        beside = self._path.with_suffix(".new")
        if beside.exists():
            self._disk.remove(beside)
        descriptor = self._disk.create(beside)
        try:
            self._disk.write(descriptor, [b"%08x " % zlib.crc32(content), content], 0)
            self._disk.sync(descriptor)
        finally:
            self._disk.close(descriptor)
        self._disk.rename(beside, self._path)
        self._disk.sync_directory(self._directory)


def _place_of(content: bytes) -> Place:
    """Raises ValueError."""
    checksum, _, text = content.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the checksum does not match")
    found: dict[str, Any] = orjson.loads(text)
    unit = found["unit"]
    if unit is not None:
        unit = Unit(**unit | {"done": tuple(unit["done"])})
    return Place(found["index"], found["rows"], unit)
