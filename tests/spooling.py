"""What the tests of the spool share: a disk that fails as disks do, and a loader that remembers."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from trilens.clock import SystemClock
from trilens.envelope import Envelope, WireFormat
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.spool import Batch, Disk, Position, Run, Spool, Stream
from trilens.spool.disk import Piece

ROOT = Path("/spool")
FORMAT: WireFormat = "otlp_logs"
MIB = 1 << 20
_SECTOR = 64  # tears happen at multiples of this: finer than a real disk


class Inode:
    """Bytes as programs see them, as a loss of power would leave them, and what lies between."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []  # None: cut to this size

    def write(self, offset: int, data: bytes) -> None:
        _write(self.seen, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size_bytes: int) -> None:
        _truncate(self.seen, size_bytes)
        self.pending.append((size_bytes, None))

    def flush(self) -> None:
        for offset, data in self.pending:
            if data is None:
                _truncate(self.durable, offset)
            else:
                _write(self.durable, offset, data)
        self.pending = []

    def flush_some(self, chance: random.Random) -> None:
        """Any sectors of what was not synced may have reached the disk."""
        for offset, data in self.pending:
            if data is None:
                if chance.random() < 0.5:
                    _truncate(self.durable, offset)
                continue
            for at in range(0, len(data), _SECTOR):
                if chance.random() < 0.5:
                    _write(self.durable, offset + at, data[at : at + _SECTOR])
        self.pending = []


class FailingDisk(Disk):
    """Files in memory. Each call may fail, any crash may tear, and a sync may lie.

    `fault_rate` is the chance of a call to fail; `dies_in` counts down the calls until none
    succeeds any more, as when the program is killed in the middle of one.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.fault_rate = 0.0
        self.lies = False
        self.dies_in: int | None = None
        self.fail: dict[str, list[int]] = {}  # call -> errors of its next calls
        self.calls: Counter[str] = Counter()
        self.names: dict[Path, Inode] = {}
        self.durable_names: dict[Path, Inode] = {}
        self._open: dict[int, Inode] = {}
        self._next = 3
        self._lock = threading.RLock()

    # The ways it ends.

    def crash(self, *, power: bool) -> None:
        """The program is gone; with `power`, what was not synced is gone too, or torn."""
        with self._lock:
            self._open.clear()
            self.dies_in, self.fault_rate = None, 0.0
            self.fail.clear()
            if not power:
                return
            if self.chance.random() < 0.5:
                self.names = dict(self.durable_names)
            for inode in {id(i): i for i in self.names.values()}.values():
                inode.flush_some(self.chance)
                inode.seen = bytearray(inode.durable)
            self.durable_names = dict(self.names)

    def _call(self, name: str, *, may_fail: bool = True) -> None:
        self.calls[name] += 1
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                raise OSError(errno.EIO, "the program is dead")
        if planned := self.fail.get(name):
            code = planned.pop(0)
            if code:
                raise OSError(code, os.strerror(code))
        elif may_fail and self.chance.random() < self.fault_rate:
            code = self.chance.choice([errno.ENOSPC, errno.EIO, errno.EDQUOT])
            raise OSError(code, os.strerror(code))

    # The calls.

    def make_directory(self, path: Path) -> None:
        with self._lock:
            self._call("make_directory")

    def sizes(self, directory: Path) -> dict[str, int]:
        with self._lock:
            self._call("sizes", may_fail=False)
            return {
                path.name: len(inode.seen)
                for path, inode in self.names.items()
                if path.parent == directory
            }

    def create(self, path: Path) -> int:
        with self._lock:
            self._call("create")
            if path in self.names:
                raise FileExistsError(errno.EEXIST, "there", str(path))
            self.names[path] = Inode()
            return self.open(path)

    def open(self, path: Path) -> int:
        with self._lock:
            self._call("open", may_fail=False)
            if path not in self.names:
                raise FileNotFoundError(errno.ENOENT, "not there", str(path))
            self._next += 1
            self._open[self._next] = self.names[path]
            return self._next

    def close(self, descriptor: int) -> None:
        with self._lock:
            self._open.pop(descriptor, None)

    def read(self, descriptor: int, size_bytes: int, offset: int) -> bytes:
        with self._lock:
            self._call("read", may_fail=self.chance.random() < 0.3)  # attempts are counted
            return bytes(self._open[descriptor].seen[offset : offset + size_bytes])

    def write(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        with self._lock:
            data = b"".join(pieces)
            inode = self._open[descriptor]
            try:
                self._call("write")
            except OSError:
                inode.write(offset, data[: self.chance.randrange(len(data) + 1)])
                raise
            inode.write(offset, data)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        with self._lock:
            self._call("truncate")
            self._open[descriptor].truncate(size_bytes)

    def sync(self, descriptor: int) -> None:
        with self._lock:
            inode = self._open[descriptor]
            try:
                self._call("sync")
            except OSError:
                inode.flush_some(self.chance)  # the kernel forgets the rest
                raise
            if not self.lies:
                inode.flush()

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            self._call("sync_directory")
            if self.lies:
                return
            gone = [p for p in self.durable_names if p.parent == path and p not in self.names]
            for old in gone:
                del self.durable_names[old]
            self.durable_names |= {p: i for p, i in self.names.items() if p.parent == path}

    def rename(self, path: Path, to: Path) -> None:
        with self._lock:
            self._call("rename")
            self.names[to] = self.names.pop(path)

    def link(self, path: Path, to: Path) -> None:
        with self._lock:
            self._call("link")
            self.names[to] = self.names[path]

    def remove(self, path: Path) -> None:
        with self._lock:
            self._call("remove")
            if path not in self.names:
                raise FileNotFoundError(errno.ENOENT, "not there", str(path))
            del self.names[path]

    # What tests do to it.

    def files(self, suffix: str = ".frames") -> list[Path]:
        return sorted(path for path in self.names if path.name.endswith(suffix))

    def flip(self, path: Path, offset: int, bit: int = 0) -> None:
        for content in (self.names[path].seen, self.names[path].durable):
            content[offset] ^= 1 << bit


def _write(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _truncate(content: bytearray, size_bytes: int) -> None:
    content.extend(bytes(max(0, size_bytes - len(content))))
    del content[size_bytes:]


class Engine:
    """Rows by batch: what a loader has written."""

    def __init__(self) -> None:
        self.rows: dict[int, list[bytes]] = {}

    def counts(self) -> Counter[bytes]:
        return Counter(row for rows in self.rows.values() for row in rows)


class TestLoader:
    """Loads one stream into an Engine as the contract says. A step that raises can be repeated."""

    __test__ = False

    def __init__(self, stream: Stream, engine: Engine) -> None:
        self.stream = stream
        self.engine = engine
        self.position = stream.resume_at()
        self.again: list[tuple[Position, Position]] = []
        self._calls: list[tuple[str, int]] = []  # to be made before anything else
        for batch in stream.in_doubt():
            engine.rows.pop(batch.number, None)
            self._calls.append(("abandon", batch.number))
            self.again.append((batch.start, batch.end))

    def step(self, *, unpacked_bytes_max: int = MIB, split: bool = False) -> bool:
        """Load one run; False when there is none."""
        self.settle()
        if self.again:
            start, end = self.again[0]
            run = self.stream.read(start, unpacked_bytes_max=unpacked_bytes_max, before=end)
            if not run.frames:
                self.again.pop(0)
                return True
            self.again[:1] = [*self._load(run, split=split), (run.end, end)]
            return True
        run = self.stream.read(self.position, unpacked_bytes_max=unpacked_bytes_max)
        if not run.frames:
            self.position = run.end
            return False
        self.again = self._load(run, split=split)
        self.position = run.end
        return True

    def settle(self) -> None:
        while self._calls:
            name, number = self._calls[0]
            getattr(self.stream, name)(number)
            self._calls.pop(0)

    def _load(self, run: Run, *, split: bool) -> list[tuple[Position, Position]]:
        """The ranges that are to be loaded again."""
        batch = self.stream.begin(run.start, run.end)
        self.engine.rows[batch.number] = [frame.payload for frame in run.frames]
        if not split or len(run.frames) < 2:
            self._calls.append(("finish", batch.number))
            return []
        # A bad frame: take all of it back, and load the halves.
        del self.engine.rows[batch.number]
        self._calls.append(("abandon", batch.number))
        middle = run.frames[len(run.frames) // 2].position
        return [(run.start, middle), (middle, run.end)]


def drained(stream: Stream, engine: Engine) -> Counter[bytes]:
    """Everything loaded, as after a start, on a disk that works."""
    loader = TestLoader(stream, engine)
    while loader.step():
        pass
    loader.settle()
    return engine.counts()


def opened(disk: Disk | None = None, directory: Path = ROOT, *, size_bytes_max: int = 256 * MIB,
           measures: Measures | None = None) -> Spool:  # fmt: skip
    spool = Spool(directory, size_bytes_max=size_bytes_max, measures=measures or Measures(),
                  clock=SystemClock(), disk=disk)  # fmt: skip
    spool.open()
    return spool


def envelope(payload: bytes, received_at_ns: int = 1) -> Envelope:
    return Envelope(FORMAT, received_at_ns, "identity", payload)


def appended(spool: Spool, *payloads: bytes) -> list[Exception | None]:
    """Append all, wait for all; None where one was acknowledged."""
    futures: list[Future[None] | Refused] = []
    for payload in payloads:
        try:
            futures.append(spool.append(envelope(payload)))
        except Refused as refused:
            futures.append(refused)
    return [f if isinstance(f, Refused) else f.exception(timeout=20) for f in futures]  # type: ignore[misc]


def payloads_of(run: Run) -> list[bytes]:
    return [frame.payload for frame in run.frames]


def everything(stream: Stream) -> list[bytes]:
    """All frames from the very first on, without the ledger."""
    position, found = Position(0, 0), []
    while True:
        run = stream.read(position, unpacked_bytes_max=1 << 30)
        if not run.frames:
            return found
        found += payloads_of(run)
        position = run.end


def ended(spool: Spool) -> None:
    """What is left of the program after it died: its threads must still stop."""
    with suppress(OSError, Refused):
        spool.close()


__all__ = ["Batch", "Engine", "FailingDisk", "TestLoader"]
