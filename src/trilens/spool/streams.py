"""The spool as a whole: one stream a wire format, one limit for all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from trilens.clock import Clock
from trilens.envelope import WIRE_FORMATS, Envelope, WireFormat
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.spool.disk import Disk, OsDisk
from trilens.spool.frame import FRAME_HEADER_BYTES
from trilens.spool.stream import Stream
from trilens.spool.writer import RETRY_AFTER_S


class Spool:
    """Keeps what was acknowledged until it is loaded. Only one process may open a directory.

    `other_bytes` tells what else counts against `size_bytes_max`; it is asked at each append,
    so it must be quick.
    """

    def __init__(self, directory: Path, *, size_bytes_max: int, measures: Measures, clock: Clock,
                 disk: Disk | None = None) -> None:  # fmt: skip
        self.other_bytes: Callable[[], int] = lambda: 0
        self._directory = directory
        self._size_bytes_max = size_bytes_max
        self._measures = measures
        self._clock = clock
        self._disk = disk or OsDisk()
        self._streams = {
            wire_format: Stream(
                wire_format, directory / wire_format, size_bytes_max=size_bytes_max,
                disk=self._disk, clock=clock, measures=measures,
            )
            for wire_format in WIRE_FORMATS
        }  # fmt: skip
        measures.refresh_with(self._refresh)

    def open(self) -> None:
        """Recover what is there. Raises Broken with the reason."""
        origins: set[int] = set()
        try:
            self._disk.make_directory(self._directory)
            self._disk.sync_directory(self._directory.parent)
            for stream in self._streams.values():
                stream.open(origins_taken=origins)
                origins.add(stream.origin)
        except BaseException as error:
            self.close()
            if not isinstance(error, OSError):
                raise
            raise Broken(f"the spool in {self._directory} cannot be opened: {error}") from error

    def append(self, envelope: Envelope) -> Future[None]:
        """Keep one envelope. The future is done when it would survive a loss of power.

        Never waits for the disk. Raises Refused, at once or through the future: spool_full,
        too_large, or overloaded. A refused envelope is not in the spool.
        """
        size_bytes = FRAME_HEADER_BYTES + len(envelope.payload)
        if self.size_bytes() + size_bytes > self._size_bytes_max:
            raise Refused("spool_full", "the spool is full", retry_after_s=RETRY_AFTER_S)
        return self._streams[envelope.format].append(envelope)

    def stream(self, wire_format: WireFormat) -> Stream:
        return self._streams[wire_format]

    def size_bytes(self) -> int:
        """What counts against the limit: files, what waits to be written, and `other_bytes`."""
        return self.other_bytes() + sum(s.size_bytes() for s in self._streams.values())

    def close(self) -> None:
        """Commit what waits and close all files. Nothing can be appended from then on."""
        for stream in self._streams.values():
            stream.close()

    def _refresh(self) -> None:
        now_ns = self._clock.now_ns()
        for wire_format, stream in self._streams.items():
            backlog = stream.backlog()
            lag_ns = 0 if backlog.oldest_ns is None else max(0, now_ns - backlog.oldest_ns)
            self._measures.set("trilens_spool_bytes", wire_format, to=stream.size_bytes())
            self._measures.set("trilens_spool_frames", wire_format, to=backlog.frames)
            self._measures.set("trilens_spool_lag_seconds", wire_format, to=lag_ns / 1e9)
