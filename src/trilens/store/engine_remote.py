"""A ClickHouse server or cluster elsewhere, as engine_embedded shows the one beside us."""

from __future__ import annotations

import logging
import threading
from typing import Final

from trilens.store.engine import Engine
from trilens.store.engine_embedded import EngineState
from trilens.store.engine_http import url_address

PING_PAUSE_S: Final = 1.0


class RemoteEngine:
    """Watched by pings. It may be away: then calls raise EngineBusy, and the spool takes all."""

    def __init__(self, url: str, *, log: logging.Logger | None = None) -> None:
        """Raises ValueError when `url` is none."""
        self.engine = Engine(url_address(url))
        self._log = log or logging.getLogger("trilens.engine")
        self._is_ready = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="engine-watch", daemon=True)

    def start(self) -> None:
        """Returns at once: a server that is away now may come back."""
        self._thread.start()

    def state(self) -> EngineState:
        reason = "" if self._is_ready else "it does not answer"
        return EngineState(self._is_ready, None, 0, 0, reason)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.engine.close()

    def _watch(self) -> None:
        while True:
            was_ready, self._is_ready = self._is_ready, self.engine.ping()
            if was_ready != self._is_ready:
                self._log.info("engine answers" if self._is_ready else "engine does not answer")
            if self._stopping.wait(PING_PAUSE_S):
                return
