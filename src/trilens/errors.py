"""The two families of failure.

TrilensError
├── Refused    the caller's fault, or ours to ask for patience; safe to show; has a code
├── BrokenOff  an answer that ends before its end; what was sent of it says why
└── Broken     our own fault; logged with an id; the caller sees only that id

A receiver raises nothing but `Refused`. Each protocol file turns a code into the form that
its own senders understand (an HTTP status, a gRPC status, a google.rpc.Status body).
"""

from __future__ import annotations

from typing import Literal

RefusalCode = Literal[
    "malformed",  # these bytes will never be accepted: do not send them again
    "too_large",  # over a limit of size, depth or count
    "unsupported_media_type",  # content type or encoding that we do not read
    "unsupported",  # understood, but not offered
    "unauthenticated",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "overloaded",  # try again after `retry_after_s`
    "spool_full",  # as overloaded: the disk budget is used up
    "timeout",
    "limit_exceeded",  # a query would read, hold or return more than it may
    "engine_unavailable",
]


class TrilensError(Exception):
    """Root of every error that this program raises on purpose."""


class Refused(TrilensError):
    """A request that is not served, and why.

    `position` is a zero-based offset in characters into the query text, where there is one.
    """

    def __init__(
        self,
        code: RefusalCode,
        message: str,
        *,
        retry_after_s: float | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code: RefusalCode = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.position = position


class BrokenOff(TrilensError):
    """Closes the connection under an answer, so that no client takes the part for the whole."""


class Broken(TrilensError):
    """Something that must not happen did."""
