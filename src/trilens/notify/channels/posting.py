"""What channels over HTTP have in common: text to a body, a request, its verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trilens.config_files.http_config import HttpConfig
from trilens.http_out.door import Answer, Failed, HttpDoor
from trilens.notify.channels.outcome import USER_AGENT, Outcome, failed, outcome_of, verdict
from trilens.notify.go_text import go_json
from trilens.notify.templates import TemplateFault

Made = Callable[[], tuple[str, Any]]


class Poster:
    """`own_timeout_ns` is what the file says of one attempt; 0 is nothing."""

    def __init__(self, http: HttpConfig, own_timeout_ns: int = 0) -> None:
        self._door = HttpDoor(http, user_agent=USER_AGENT)
        self._own_timeout_ns = own_timeout_ns

    def post(
        self, made: Made, timeout_s: float, judge: Callable[[Answer], Outcome] = verdict
    ) -> Outcome:
        """`made` gives the URL and what is sent as JSON (bytes as they are). Raises nothing that
        it may raise: TemplateFault, ValueError, OSError.
        """
        try:
            url, content = made()
            if not url:
                return failed("the URL is empty after templating")
            body = content if isinstance(content, bytes) else go_json(content) + b"\n"
        except (TemplateFault, ValueError, OSError) as error:
            return failed(error)
        if self._own_timeout_ns:
            timeout_s = min(timeout_s, self._own_timeout_ns / 1e9)
        try:
            return judge(self._door.post(url, body, timeout_s))
        except Failed as error:
            return outcome_of(error)
