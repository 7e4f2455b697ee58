"""How often frames may fail before they are given up, without an engine."""

from types import SimpleNamespace

from storing import LOG
from trilens.clock import SystemClock
from trilens.measures import Measures
from trilens.spool import Frame, Position
from trilens.store.engine import EngineBusy
from trilens.store.lane import Piece
from trilens.store.loaded_batches import LoadOrder
from trilens.store.loader import BUSY_PATIENCE, OUT_OF_MEMORY, Failure, Loader

ALONE_MAX = BUSY_PATIENCE[OUT_OF_MEMORY].alone


class Lane:
    """A stream whose only frame is begun again and again."""

    def __init__(self):
        self.format = "prometheus_write"
        self.is_sent_on = False
        self.order = LoadOrder()
        self.load = SimpleNamespace(remove=lambda *_: None)
        self.stream = SimpleNamespace(abandon=lambda _: None, finish=lambda _: None)
        self.shrink = self.passed = lambda _: None
        self.number = 0

    def begin(self, start, end, frames):
        self.number += 1
        self.order.begin(self.number, start)
        return Piece(self.number, start, end, tuple(frames))


def test_loads_that_run_beside_now_and_then_do_not_save_a_frame_that_is_too_large():
    """Every half a minute one more load is let in, and less than ALONE_MAX fit in between."""
    letters = []
    loader = Loader(
        None, None, SimpleNamespace(put=lambda one, **_: letters.append(one)), Measures(),
        SystemClock(), LOG,
    )  # fmt: skip
    lane = Lane()
    frame = Frame(Position(1, 0), 1, "identity", b"")
    pieces = [lane.begin(Position(1, 0), Position(1, 9), [frame])]
    failed = 0
    while pieces and failed < 4 * ALONE_MAX:
        failed += 1
        at_once = 2 if failed % 6 == 0 else 1
        failure = Failure(EngineBusy(OUT_OF_MEMORY, "no memory"), at_once, 10)
        pieces = loader._conclude(lane, pieces[0], failure)
    assert not pieces
    assert len(letters) == 1
    assert failed - failed // 6 == ALONE_MAX + 1
