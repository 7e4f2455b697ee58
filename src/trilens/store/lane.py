"""One stream of the spool on its way into the engine: what is read next, how much, and when.

A body grows with what has come since the last one, so a lone frame is loaded at once and a
backlog in large bodies, whose planning costs 60 ms like that of small ones. What comes right after
a begin waits for the next one and for its load, together VISIBLE_S: begins are as far apart as that
leaves room for when the next load takes SLOWER times as long as the last. Nor does it wait for what
does not come: after a burst of TRICKLE_BYTES and QUIET_S without a frame. A stream's loads run one
after the other, since two beside each other only make each other slow, unless there is more to
read than fits one body.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from trilens.clock import Clock
from trilens.envelope import WireFormat
from trilens.spool import Frame, Position, Run, Stream
from trilens.store.engine import Engine
from trilens.store.load import Load

# Unpacked. 40 MB are 1.6 million samples of known series, or 140,000 series that are new.
BODY_BYTES_MAX: Final[dict[WireFormat, int]] = {
    "otlp_traces": 36_000_000,
    "otlp_logs": 36_000_000,
    "otlp_metrics": 36_000_000,
    "prometheus_write": 40_000_000,
}
BODY_BYTES_MIN: Final = 256_000
# After a start every series comes with its labels, and decoding them takes many times their size in
# memory: so bodies begin small, and double until one did not fit.
BODY_BYTES_FIRST: Final = 5_000_000
GROWTH_FIRST: Final = 2.0
GROWTH_AFTER_SHRINKING: Final = 1.05
FRAMES_MAX: Final = 20_000
VISIBLE_S: Final = 0.7
SLOWER: Final = 1.5
QUIET_S: Final = 0.05
# A body this small costs its planning. Where that takes long (lists in lists) the stream rests
# afterwards for as long as it took: a trickle must not keep a core busy.
TRICKLE_BYTES: Final = 1_000_000
REST_S_MAX: Final = 2.0
# After loads were too many at once for the engine's memory one more is tried so much later.
MORE_AFTER_S: Final = 30.0
# Whether frames that fail hold up those who wait for what came before: not longer than this.
STRAGGLE_NS: Final = 10_000_000_000
# A body of this share of the most there may be has probably left something to read.
FULL_SHARE: Final = 0.75
# The most there may be grows from this share on: frames may be so large that few fit.
GROWTH_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames that are loaded as one batch.

    `failures` counts attempts that did not succeed; `strikes` those of them, in a row and with the
    same `code`, for which these frames may be to blame.
    """

    number: int
    start: Position
    end: Position
    frames: tuple[Frame, ...]
    failures: int = 0
    strikes: int = 0
    code: int = -1

    def halves(self) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
        middle = len(self.frames) // 2
        return self.frames[:middle], self.frames[middle:]


class Lane:
    """The state of one stream, for the threads that load it. Thread-safe."""

    def __init__(
        self, engine: Engine, stream: Stream, clock: Clock, body_bytes_max: int = 1 << 30
    ) -> None:
        """`body_bytes_max` is for an engine that has less memory than BODY_BYTES_MAX needs."""
        self.stream = stream
        self.format = stream.format
        self.load = Load(engine, stream.format)
        self.is_recovered = threading.Event()
        self.position = stream.resume_at()
        self._clock = clock
        self._body_bytes_top = min(BODY_BYTES_MAX[stream.format], body_bytes_max)
        self._body_bytes_max = min(BODY_BYTES_FIRST, self._body_bytes_top)
        self._growth = GROWTH_FIRST
        self._begun_ns = 0
        self._pause_s = VISIBLE_S
        self._has_more = False
        self._loading = 0
        self._passed_ns = 0
        self._lock = threading.Lock()

    @property
    def body_bytes_max(self) -> int:
        return self._body_bytes_max

    def early_s(self) -> float:
        """How long a begin should wait yet: for more to come, or for the load that runs."""
        if self._has_more:
            return 0.0
        if self._loading:
            return math.inf
        waited_s = (self._clock.monotonic_ns() - self._begun_ns) / 1e9
        return 0.0 if self._is_quiet() else max(0.0, self._pause_s - waited_s)

    def _is_quiet(self) -> bool:
        waiting = self.stream.backlog()
        if waiting.bytes < TRICKLE_BYTES or waiting.last_received_ns is None:
            return False
        return self._clock.now_ns() - waiting.last_received_ns > QUIET_S * 1e9

    def take(self) -> Piece | None:
        """Begin a batch of what comes next; None when nothing has come.

        leave() must follow when it has been loaded, or could not be.
        """
        with self._lock:
            if self.early_s():
                return None
            run = self.read(self.position)
            piece = self.begin(run.start, run.end, run.frames) if run.frames else None
            self.position = run.end
            # A run ends with its file, and what is behind it has waited as long as the run.
            is_cut = len(run.frames) == FRAMES_MAX or self.stream.has_file_after(run.end)
            self._has_more = is_cut and piece is not None
            if piece is not None:
                self._begun_ns = self._clock.monotonic_ns()
                self._loading += 1
            return piece

    def leave(self) -> None:
        """Of what take() has begun nothing is loaded now."""
        with self._lock:
            self._loading -= 1

    def passed(self, piece: Piece) -> None:
        """It is finished: its rows are in the engine, or it is a dead letter."""
        with self._lock:
            self._passed_ns = max(self._passed_ns, *(one.received_at_ns for one in piece.frames))

    def shown_until_ns(self) -> int | None:
        """What was received before this moment can be queried; None where that is everything.

        Frames that are tried again and again count as shown STRAGGLE_S after those behind them.
        """
        oldest_ns = self.stream.backlog().oldest_ns
        return None if oldest_ns is None else max(oldest_ns, self._passed_ns - STRAGGLE_NS)

    def begin(self, start: Position, end: Position, frames: Sequence[Frame]) -> Piece:
        """Begin a batch: of what is new, or of what was in a batch that has been abandoned."""
        return Piece(self.stream.begin(start, end).number, start, end, tuple(frames))

    def read(self, start: Position, end: Position | None = None) -> Run:
        """Frames from `start` on that fit one body, none from `end` on."""
        return self.stream.read(
            start,
            unpacked_bytes_max=self._body_bytes_max,
            frames_max=FRAMES_MAX,
            before=end,
        )

    def note_body(self, size_bytes: int) -> None:
        """What take() has read, unpacked: when that is about all there may be, go on at once."""
        if size_bytes >= FULL_SHARE * self._body_bytes_max:
            self._has_more = True

    def shrink(self, size_bytes: int) -> None:
        """The engine had no room for a body of this size, and nothing else was loaded beside."""
        smaller = min(self._body_bytes_max, size_bytes // 2)
        self._body_bytes_max = max(smaller, BODY_BYTES_MIN)
        self._growth = GROWTH_AFTER_SHRINKING

    def loaded(self, size_bytes: int, seconds: float) -> None:
        """A body of this size was loaded, and it took so long."""
        if size_bytes >= GROWTH_SHARE * self._body_bytes_max:
            larger = int(self._body_bytes_max * self._growth)
            self._body_bytes_max = min(larger, self._body_bytes_top)
        rest_s = min(seconds, REST_S_MAX) if size_bytes < TRICKLE_BYTES else 0.0
        self._pause_s = max(VISIBLE_S - SLOWER * seconds, seconds + rest_s)


class Turns:
    """So many at once, in the order in which they asked; fewer for a while after fewer()."""

    def __init__(self, at_once: int, clock: Clock) -> None:
        self._most = self._at_once = at_once
        self._running = 0
        self._more_at_ns = 0
        self._waiting: deque[Future[int]] = deque()
        self._clock = clock
        self._lock = threading.Lock()

    def __enter__(self) -> int:
        """How many may run at once now: where it is 1 this one runs alone."""
        mine: Future[int] = Future()
        with self._lock:
            self._waiting.append(mine)
            self._admit()
        return mine.result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._running -= 1
            self._admit()

    def fewer(self, than: int) -> None:
        """So many at once were too many; one more is tried after MORE_AFTER_S, and so on."""
        with self._lock:
            self._at_once = max(1, min(self._at_once, than - 1))
            self._more_at_ns = self._clock.monotonic_ns() + int(MORE_AFTER_S * 1e9)

    def _admit(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._at_once < self._most and now_ns >= self._more_at_ns:
            self._at_once += 1
            self._more_at_ns = now_ns + int(MORE_AFTER_S * 1e9)
        while self._waiting and self._running < self._at_once:
            self._running += 1
            self._waiting.popleft().set_result(self._at_once)
