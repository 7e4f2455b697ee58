"""The door of everything but the receivers, which have one of their own (receive.admission)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from trilens.credentials import CHALLENGE, shows_token
from trilens.errors import Refused
from trilens.present.answers import refusal
from trilens.present.health import HEALTHY_PATH, READY_PATH

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A load balancer asks these without credentials; they tell nothing.
_OPEN: Final = frozenset({HEALTHY_PATH, READY_PATH})


class Guarded:
    """`app` for those who show `token`. `open_paths` answer for themselves."""

    def __init__(self, app: App, *, token: str, open_paths: frozenset[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._open = _OPEN | open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        reply = refusal(Refused("unauthenticated", "a valid bearer token or password is needed"))
        reply.headers["WWW-Authenticate"] = CHALLENGE
        await reply(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return shows_token(shown.decode("latin-1"), self._token)
