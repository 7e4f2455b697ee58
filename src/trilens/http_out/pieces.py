"""The body of an answer, piece by piece, without holding up the event loop.

Who sends chunks of a byte makes thousands of pieces of what is read from a socket at once: between
them nobody else would have a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import httpx

TURN_PIECES: Final = 64


async def pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Packed as they come. Raises httpx.HTTPError."""
    count = 0
    async for piece in response.stream:  # type: ignore[union-attr]
        yield piece
        count += 1
        if count % TURN_PIECES == 0:
            await asyncio.sleep(0)
