"""How a destination is doing, as it is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DestinationState:
    """`batches` and `rows` are loaded and not sent yet; `lag_s` is the age of the oldest of them, 0
    if there is none. `last_error` is empty after a request that was taken.
    """

    name: str
    url: str
    shards: int
    batches: int
    rows: int
    lag_s: float
    last_error: str


def shown_url(url: str) -> str:
    """Without a password."""
    head, at, tail = url.rpartition("@")
    scheme, _, pair = head.partition("://")
    if not at or "/" in pair:
        return url
    return f"{scheme}://{pair.partition(':')[0]}:xxxxx@{tail}"
