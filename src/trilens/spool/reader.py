"""From a range of one file to its intact frames, walking over marks and around damage."""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import Final

from trilens.spool.disk import Disk
from trilens.spool.frame import (
    COMMIT_BYTES,
    COMMIT_MARK,
    FRAME_HEADER_BYTES,
    FRAME_MARK,
    CommitMark,
    FrameHeader,
    parsed,
)

_PIECE_BYTES: Final = 1 << 20
_SECTOR_BYTES: Final = 4096
_SECTOR_ATTEMPTS: Final = 3
_HEADER_BYTES_MAX: Final = max(FRAME_HEADER_BYTES, COMMIT_BYTES)
_MARKS: Final = re.compile(re.escape(FRAME_MARK) + b"|" + re.escape(COMMIT_MARK))
# A sender could fill a payload with marks, and the disk then damage the header before it. Each
# candidate costs about 1 us; after so many the rest of the range is given up.
_CANDIDATES_MAX: Final = 1_000_000


class Window:
    """Reads of one file up to `end`, through one piece in memory."""

    def __init__(self, disk: Disk, descriptor: int, end: int, *, piece_bytes: int = _PIECE_BYTES,
                 fill_unreadable: bool = False) -> None:  # fmt: skip
        """With `fill_unreadable`, sectors that the disk cannot read become zeros, and `is_filled`
        is true from then on.
        """
        self.end = end
        self.is_filled = False
        self._disk = disk
        self._descriptor = descriptor
        self._piece_bytes = piece_bytes
        self._fill_unreadable = fill_unreadable
        self._piece, self._piece_offset = b"", 0

    def around(self, offset: int, size_bytes: int) -> tuple[bytes, int]:
        """A piece that holds these bytes (fewer at the end), and where in it they begin."""
        at = offset - self._piece_offset
        if at < 0 or at + size_bytes > len(self._piece):
            wanted = min(max(size_bytes, self._piece_bytes), self.end - offset)
            self._piece, self._piece_offset, at = self._read(offset, wanted), offset, 0
        return self._piece, at

    def bytes_at(self, offset: int, size_bytes: int) -> bytes:
        """A copy; what is larger than a piece is read straight into it."""
        at = offset - self._piece_offset
        if at >= 0 and at + size_bytes <= len(self._piece):
            return self._piece[at : at + size_bytes]
        if size_bytes >= self._piece_bytes // 4:
            return self._read(offset, min(size_bytes, self.end - offset))
        piece, at = self.around(offset, size_bytes)
        return piece[at : at + size_bytes]

    def _read(self, offset: int, size_bytes: int) -> bytes:
        if size_bytes <= 0:
            return b""
        try:
            return self._disk.read(self._descriptor, size_bytes, offset)
        except OSError:
            if not self._fill_unreadable:
                raise
        return b"".join(
            self._sector(at, min(_SECTOR_BYTES, offset + size_bytes - at))
            for at in range(offset, offset + size_bytes, _SECTOR_BYTES)
        )

    def _sector(self, offset: int, size_bytes: int) -> bytes:
        for _ in range(_SECTOR_ATTEMPTS):
            with contextlib.suppress(OSError):
                piece = self._disk.read(self._descriptor, size_bytes, offset)
                return piece.ljust(size_bytes, b"\0")
        self.is_filled = True
        return bytes(size_bytes)


class Walk:
    """The frames in [offset, window.end) of a file, in order.

    `damage` collects ranges of bytes that are neither. `mark` is the last commit mark seen.
    """

    def __init__(self, window: Window, *, seed: int, offset: int) -> None:
        self.offset = offset
        self.damage: list[tuple[int, int]] = []
        self.mark: CommitMark | None = None
        self._window = window
        self._seed = seed

    def next_header(self) -> FrameHeader | None:
        """The next frame whose header is intact; its payload may still be damaged."""
        while isinstance(found := self.next_found(), CommitMark):
            pass
        return found

    def next_found(self) -> FrameHeader | CommitMark | None:
        """As next_header(), but stops at commit marks too."""
        while self.offset < self._window.end:
            found = self._parsed(self.offset)
            if found is None or found.end > self._window.end:
                self._skip()
                continue
            self.offset = found.end
            if isinstance(found, CommitMark):
                self.mark = found
            return found
        return None

    def payload(self, header: FrameHeader) -> bytes | None:
        """None, and noted as damage, where it does not match its checksum."""
        payload = self._window.bytes_at(header.payload_offset, header.payload_bytes)
        if (
            len(payload) == header.payload_bytes
            and zlib.crc32(payload, self._seed) == header.payload_checksum
        ):
            return payload
        self.damage.append((header.offset, header.end))
        return None

    def _parsed(self, offset: int) -> FrameHeader | CommitMark | None:
        piece, at = self._window.around(offset, _HEADER_BYTES_MAX)
        return parsed(piece, at, offset=offset, seed=self._seed)

    def _skip(self) -> None:
        """Go on at the next header or mark whose checksum is right."""
        start = self.offset
        self.offset = self._resynchronised(start + 1)
        self.damage.append((start, self.offset))

    def _resynchronised(self, offset: int) -> int:
        end, candidates = self._window.end, 0
        while offset < end:
            piece, at = self._window.around(offset, min(_PIECE_BYTES, end - offset))
            if at >= len(piece):
                return end  # the file is shorter than it should be
            for match in _MARKS.finditer(piece, at):
                candidates += 1
                candidate = offset + match.start() - at
                found = self._is_whole(candidate, piece, match.start())
                if found or candidates > _CANDIDATES_MAX:
                    return candidate if found else end
            offset = max(offset + 1, offset + len(piece) - at - len(FRAME_MARK) + 1)
        return end

    def _is_whole(self, offset: int, piece: bytes, at: int) -> bool:
        if at + _HEADER_BYTES_MAX > len(piece):
            piece, at = self._window.around(offset, _HEADER_BYTES_MAX)
        found = parsed(piece, at, offset=offset, seed=self._seed)
        return found is not None and found.end <= self._window.end
