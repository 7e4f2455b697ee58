"""The body of an ASGI request, read within a size, a budget and a pace.

Receivers and the SQL API share it, so that no endpoint can be held open by a sender who dawdles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from trilens.errors import Refused

# A body must be whole this long after its headers, and each received byte buys more time.
BODY_GRACE_S: Final = 10.0
BODY_BYTES_PER_S_MIN: Final = 32 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class NotWhole(Refused):
    """The body came too slowly, or its sender left: nothing more is read from there."""

    def __init__(self, message: str) -> None:
        super().__init__("timeout", message)


async def read_body(
    receive: Receive, *, size_bytes_max: int, hold: Callable[[int], None] | None = None
) -> bytes:
    """The whole body. `hold` is told the size of each piece and may refuse it.

    Raises Refused: too_large, NotWhole, or what `hold` raises.
    """
    chunks: list[bytes] = []
    size_bytes = 0
    started_at_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(BODY_GRACE_S) as patience:
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise NotWhole("the sender left before the body was whole")
                chunk = event.get("body", b"")
                size_bytes += len(chunk)
                if size_bytes > size_bytes_max:
                    raise Refused("too_large", f"the body is larger than {size_bytes_max} bytes")
                if hold is not None:
                    hold(len(chunk))
                chunks.append(chunk)
                if not event.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                bought_s = size_bytes / BODY_BYTES_PER_S_MIN
                patience.reschedule(started_at_s + BODY_GRACE_S + bought_s)
    except TimeoutError:
        raise NotWhole("the body came too slowly") from None
