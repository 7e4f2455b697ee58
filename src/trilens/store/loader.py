"""Frames from the spool into the engine: which, when, and what to do when it fails.

    read a run -> begin -> unpack -> every statement of decode/<format>.sql -> finish
                    |                        | failed
                    |                        v
                    |      remove the rows of the batch, then by what was said
                    |        busy           the same frames again, after a pause
                    |        no memory      the same frames again, beside fewer loads; if they were
                    |                       alone in two halves, and smaller bodies from now on
                    |        undecodable    in two halves; a frame alone becomes a dead letter
                    |        no answer      the same frames again, beside fewer loads; if they were
                    |                       alone again, then in two halves: a single frame that the
                    |                       engine does not survive several times becomes one too
                    |        another error  as undecodable if the statement works with nothing in
                    |                       the body; if not, nobody's data is to blame: again
    killed here: at the next start the rows of each batch in doubt are removed and its frames are
    begun again

Promise     each frame is loaded exactly once or is a dead letter, whatever is killed when; the
            spool forgets a frame only after that
Threads     LANE_THREADS a stream; a stream never holds all of the LOADS_AT_ONCE, and what waits
            for a pause holds none, so a slow or poisoned stream does not stop the others

A place is in one batch at a time. The spool knows what was abandoned and not begun again: after a
kill it is in doubt too.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final, TypeVar

from trilens.clock import Clock
from trilens.envelope import WIRE_FORMATS, Envelope
from trilens.measures import Measures
from trilens.spool import Frame, Position, Spool
from trilens.store.dead_letters import DeadLetters
from trilens.store.decoding import REFUSED_BY_THROW_IF, unpacked
from trilens.store.engine import Engine, EngineBusy, EngineError, Undecodable
from trilens.store.lane import BODY_BYTES_MAX, QUIET_S, Lane, Piece, Turns
from trilens.store.loaded_batches import LoadedBatches
from trilens.store.sample_changes import TABLES as SAMPLE_TABLES
from trilens.tracing import span

LOADS_AT_ONCE: Final = 3
LANE_THREADS: Final = 2
WAIT_S: Final = 0.25
PAUSE_S: Final = 0.1
PAUSE_S_MAX: Final = 5.0
OUT_OF_MEMORY: Final = 241
REASON_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """Strikes against a piece before it is split, and against a frame before it is given up."""

    few: int
    alone: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Of a load, begun when so many might run `at_once`."""

    error: Exception
    at_once: int
    body_bytes: int


# Busy with these codes a body may be the reason itself: it kills the engine, or is too large. Which
# one nobody knows of several at once, so strikes are counted against a load that ran alone; and
# every attempt but the first begins with an engine that has just answered.
BUSY_PATIENCE: Final = {0: Patience(few=1, alone=5), OUT_OF_MEMORY: Patience(few=0, alone=20)}
T = TypeVar("T")


class Loader:
    """start() and stop() are called once each, after the spool is open and before it closes."""

    def __init__(  # noqa: PLR0917 - the parts, in the order of the data
        self,
        engine: Engine,
        spool: Spool,
        dead_letters: DeadLetters,
        measures: Measures,
        clock: Clock,
        log: logging.Logger,
        body_bytes_max: int = 1 << 30,
        loaded: LoadedBatches | None = None,
    ) -> None:
        """No load has more than `body_bytes_max`, as long as its messages are smaller. `loaded` is
        told of batches of metrics.
        """
        self._engine = engine
        self._spool = spool
        self._dead_letters = dead_letters
        self._measures = measures
        self._clock = clock
        self._log = log
        self._body_bytes_max = body_bytes_max
        self._loaded = loaded
        self._turns = Turns(loads_at_once(body_bytes_max), clock)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lanes: list[Lane] = []

    def start(self) -> None:
        for wire_format in WIRE_FORMATS:
            stream = self._spool.stream(wire_format)
            lane = Lane(self._engine, stream, self._clock, self._body_bytes_max)
            self._lanes.append(lane)
            for place in range(LANE_THREADS):
                name = f"load-{wire_format}-{place}"
                target = self._run_first if place == 0 else self._run
                thread = threading.Thread(target=target, args=(lane,), name=name, daemon=True)
                self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> bool:
        """Begin nothing more; whether the loads that ran have ended in time.

        What has not is in doubt at the next start, as after a kill.
        """
        self._stopping.set()
        deadline_ns = self._clock.monotonic_ns() + int(within_s * 1e9)
        for thread in self._threads:
            thread.join(max(0.0, (deadline_ns - self._clock.monotonic_ns()) / 1e9))
        return not any(thread.is_alive() for thread in self._threads)

    def is_idle(self) -> bool:
        """Whether everything in the spool has been loaded."""
        return all(self._spool.stream(name).backlog().frames == 0 for name in WIRE_FORMATS)

    def samples_shown_until_ns(self) -> int:
        """Samples that were acknowledged before this moment (since 1970) can be queried."""
        until_ns = self._clock.now_ns()
        for lane in self._lanes:
            if SAMPLE_TABLES.intersection(lane.load.tables):
                until_ns = min(until_ns, lane.shown_until_ns() or until_ns)
        return until_ns

    def _run_first(self, lane: Lane) -> None:
        try:
            self._recover(lane)
        except _Stopped:
            return
        self._run(lane)

    def _run(self, lane: Lane) -> None:
        while not self._stopping.is_set():
            try:
                self._step(lane)
            except _Stopped:
                return
            except Exception:  # noqa: BLE001 - nothing was begun: a disk is full or fails
                self._log.exception("loading failed", extra={"format": lane.format})
                self._stopping.wait(PAUSE_S_MAX)

    def _step(self, lane: Lane) -> None:
        early_s = lane.early_s()
        if not lane.is_recovered.wait(WAIT_S):
            return
        if early_s:
            self._stopping.wait(WAIT_S if early_s == math.inf else min(early_s, QUIET_S))
        elif lane.stream.wait(lane.position, WAIT_S):
            with self._turns as at_once:
                piece = lane.take()
                if piece is None:
                    return
                try:
                    failure = self._attempt(lane, piece, at_once)
                finally:
                    lane.leave()
            self._load_all(lane, self._conclude(lane, piece, failure))

    def _recover(self, lane: Lane) -> None:
        doubtful = self._until_done(lane, lane.stream.in_doubt)
        pieces: list[Piece] = []
        for batch in doubtful:
            self._until_done(lane, partial(lane.load.remove, batch.number))
            self._until_done(lane, partial(lane.stream.abandon, batch.number))
            pieces += self._begin_range(lane, batch.start, batch.end)
        lane.is_recovered.set()
        if doubtful:
            facts = {"format": lane.format, "batches": len(doubtful)}
            self._log.info("batches in doubt are loaded again", extra=facts)
        self._load_all(lane, pieces)

    def _begin_range(self, lane: Lane, start: Position, end: Position) -> list[Piece]:
        pieces = []
        while start < end:
            run = self._until_done(lane, partial(lane.read, start, end))
            if not run.frames:
                break
            begin = partial(lane.begin, run.start, run.end, run.frames)
            pieces.append(self._until_done(lane, begin))
            start = run.end
        return pieces

    def _load_all(self, lane: Lane, pieces: list[Piece]) -> None:
        """Load pieces, and what they are split into, until none is left."""
        left = pieces[::-1]
        while left:
            piece = left.pop()
            if piece.failures:
                self._stopping.wait(min(PAUSE_S * 2**piece.failures, PAUSE_S_MAX))
            if self._stopping.is_set():
                raise _Stopped
            with self._turns as at_once:
                if piece.failures:
                    self._until_done(lane, self._await_engine)
                failure = self._attempt(lane, piece, at_once)
            left += self._conclude(lane, piece, failure)[::-1]

    def _await_engine(self) -> None:
        if not self._engine.ping():
            raise EngineBusy(0, "the engine is not there")

    def _attempt(self, lane: Lane, piece: Piece, at_once: int) -> Failure | None:
        """Load a piece; returns what stood against it."""
        started_ns = self._clock.monotonic_ns()
        body_bytes = 0
        with span("load", format=lane.format, frames=len(piece.frames)) as loading:
            try:
                messages = unpacked(piece.frames)
                body_bytes = sum(map(len, messages))
                lane.note_body(body_bytes)
                rows = lane.load.run(piece.number, messages)
                if SAMPLE_TABLES.intersection(lane.load.tables):
                    self._engine.changes.loaded(piece.number)
                lane.order.end(piece.number, rows, _received_at_ns(piece))
            except Exception as error:  # noqa: BLE001 - judged by _conclude
                loading.fail(str(error)[:REASON_LENGTH])
                return Failure(_without_frames(error), at_once, body_bytes)
            loading.set(rows=rows)
        seconds = (self._clock.monotonic_ns() - started_ns) / 1e9
        lane.loaded(body_bytes, seconds)
        visible_ns = self._clock.now_ns() - _received_at_ns(piece)
        name = lane.format
        self._measures.count("trilens_load_rows_total", name, by=rows)
        self._measures.observe("trilens_load_seconds", name, seconds=seconds)
        self._measures.observe("trilens_visible_seconds", name, seconds=max(0, visible_ns) / 1e9)
        return None

    def _conclude(self, lane: Lane, piece: Piece, failure: Failure | None) -> list[Piece]:
        """Finish the batch, or return what has to be loaded instead."""
        if failure is None:
            self._finish(lane)
            lane.passed(piece)
            self._measures.count("trilens_load_batches_total", lane.format, "done")
            return []
        error = failure.error
        self._until_done(lane, partial(lane.load.remove, piece.number, error))
        code, is_alone = code_of(error), len(piece.frames) == 1
        facts = {"format": lane.format, "frames": len(piece.frames), "code": code}
        facts |= {"bytes": failure.body_bytes, "at_once": failure.at_once}
        self._log.warning("a load failed", extra=facts | {"reason": str(error)[:REASON_LENGTH]})
        patience = self._patience(lane, failure)
        strikes = piece.strikes + 1 if code == piece.code else 1
        if patience is None:
            # One more load is let in beside every MORE_AFTER_S: that says nothing for these frames.
            strikes, code = (piece.strikes, piece.code) if _is_anyones(failure) else (0, code)
        is_over = patience and strikes > (patience.alone if is_alone else patience.few)
        if is_over and is_alone:
            return self._bury(lane, piece, error)
        self._measures.count("trilens_load_batches_total", lane.format, "retried")
        if is_over:
            failures = 1 if isinstance(error, EngineBusy) else 0
            return self._begin_anew(lane, replace(piece, failures=failures), piece.halves())
        piece = replace(piece, failures=piece.failures + 1, strikes=strikes, code=code)
        return self._begin_anew(lane, piece, [piece.frames])

    def _patience(self, lane: Lane, failure: Failure) -> Patience | None:
        """With the frames, for an error that may be their fault; None for one that is not."""
        error = failure.error
        if isinstance(error, EngineBusy):
            if _is_anyones(failure):
                self._turns.fewer(failure.at_once)
                return None
            if error.code == OUT_OF_MEMORY:
                lane.shrink(failure.body_bytes)
            return BUSY_PATIENCE.get(error.code)
        if isinstance(error, Undecodable) or code_of(error) == REFUSED_BY_THROW_IF:
            return Patience(few=0, alone=0)
        is_sound = partial(self._until_done, lane, lane.load.is_sound)
        if isinstance(error, EngineError) and is_sound():
            return Patience(few=0, alone=1)  # what was amiss may have been put right just now
        return None

    def _finish(self, lane: Lane) -> None:
        """What is over. Where it is sent on, in the order of its frames, and noted for that."""
        kept = self._loaded if lane.is_sent_on else None
        with lane.order.finishing:
            for one in lane.order.due(is_in_order=kept is not None and kept.is_kept):
                if kept is not None and one.rows is not None:
                    self._until_done(
                        lane,
                        partial(kept.append, one.number, lane.format, one.rows, one.received_at_ns),
                    )
                self._until_done(lane, partial(lane.stream.finish, one.number))
                lane.order.forget(one.number)

    def _begin_anew(
        self, lane: Lane, piece: Piece, parts: Sequence[tuple[Frame, ...]]
    ) -> list[Piece]:
        """Abandon a batch whose rows have been removed, and begin its parts."""
        self._until_done(lane, partial(lane.stream.abandon, piece.number))
        starts = [piece.start, *(part[0].position for part in parts[1:]), piece.end]
        strikes = piece.strikes if len(parts) == 1 else 0
        pieces = []
        for part, (start, end) in zip(parts, pairwise(starts), strict=True):
            begun = self._until_done(lane, partial(lane.begin, start, end, part))
            pieces.append(replace(begun, failures=piece.failures, strikes=strikes, code=piece.code))
        lane.order.give_up(piece.number)
        return pieces

    def _bury(self, lane: Lane, piece: Piece, error: Exception) -> list[Piece]:
        """The one frame of a piece becomes a dead letter: on disk before its batch is finished."""
        (frame,) = piece.frames
        envelope = Envelope(lane.format, frame.received_at_ns, frame.encoding, frame.payload)
        put = partial(self._dead_letters.put, envelope, reason=str(error), code=code_of(error))
        self._until_done(lane, put)
        lane.order.end(piece.number, None, frame.received_at_ns)
        self._finish(lane)
        lane.passed(piece)
        self._measures.count("trilens_load_batches_total", lane.format, "isolated")
        return []

    def _until_done(self, lane: Lane, step: Callable[[], T]) -> T:
        """What must happen before anything else may: tried until it succeeds, or stop()."""
        pause_s = PAUSE_S
        while True:
            try:
                return step()
            except Exception as error:
                facts = {"format": lane.format, "reason": str(error)[:REASON_LENGTH]}
                self._log.warning("loading waits", extra=facts)
                if self._stopping.wait(pause_s):
                    raise _Stopped from error
                pause_s = min(pause_s * 2, PAUSE_S_MAX)


def loads_at_once(body_bytes_max: int) -> int:
    """One less where memory is short: few large bodies leave less to merge than many small ones."""
    return LOADS_AT_ONCE - (body_bytes_max < max(BODY_BYTES_MAX.values()))


def _received_at_ns(piece: Piece) -> int:
    """Of its oldest frame."""
    return min(frame.received_at_ns for frame in piece.frames)


def _is_anyones(failure: Failure) -> bool:
    """Whether a load that ran beside may be to blame."""
    error = failure.error
    return isinstance(error, EngineBusy) and error.code in BUSY_PATIENCE and failure.at_once > 1


def code_of(error: Exception) -> int:
    """ClickHouse's, or 0."""
    return error.code if isinstance(error, EngineError) else 0


def _without_frames(error: Exception) -> Exception:
    """The frames of its traceback hold what they worked on: here a body, while the next is made."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


class _Stopped(Exception):
    """stop() was called: what is begun stays in doubt."""
