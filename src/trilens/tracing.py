"""Spans about ourselves: recorded anywhere, kept in one bounded buffer, drained by the agent.

    with span("load", format="otlp_logs") as loading:
        ...
        loading.set(rows=rows)

The first span of a thread or task is a root, those within it its children; an exception that
passes makes a span an error. While nobody drains (`SPANS.open` was not called) this costs 1 us.

Kept        of roots that are neither slow nor errors ROUTINE_PER_S a name, of the others
            NOTABLE_PER_S of all names, each with up to SPANS_OF_TRACE_MAX children. What is not
            kept is counted: a busy server must not drown in its own spans
Feedback    requests with SELF_HEADER bring our own telemetry: they run within `quiet()`, where
            nothing is recorded, neither spans nor log records
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

from trilens.clock import Clock, SystemClock

SELF_HEADER: Final = "X-Trilens-Self"
RECORDS_MAX: Final = 4096
SPANS_OF_TRACE_MAX: Final = 64
ROUTINE_PER_S: Final = 2.0
NOTABLE_PER_S: Final = 20.0
BURST_S: Final = 5.0
SLOW_NS: Final = 1_000_000_000
NAMES_MAX: Final = 256  # names beyond share one rate

Kind = Literal["internal", "server", "client"]
Value = str | int | float | bool
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Span:
    """One timed piece of work. `error` is "" unless it failed. Not for several threads at once."""

    __slots__ = (
        "_children", "_is_over", "_root", "attributes", "duration_ns", "error", "is_error", "kind",
        "name", "parent_span_id", "span_id", "started_at_ns", "trace_id",
    )  # fmt: skip

    def __init__(self, name: str, kind: Kind, attributes: dict[str, Value]) -> None:
        self.name = name
        self.kind: Kind = kind
        self.attributes = attributes
        self.trace_id = b""
        self.span_id = b""
        self.parent_span_id = b""
        self.started_at_ns = 0
        self.duration_ns = 0
        self.is_error = False
        self.error = ""
        self._root: Span = self
        self._children: list[Span] = []
        self._is_over = False

    def set(self, **attributes: Value) -> None:
        self.attributes.update(attributes)

    def fail(self, reason: str) -> None:
        self.is_error, self.error = True, reason

    def answered(self, status: int) -> None:
        """With this status of HTTP."""
        self.set(**{"http.response.status_code": status})
        if status >= 500:
            self.fail(f"status {status}")


class _Quiet(Span):
    """Stands for "record nothing in here"."""

    __slots__ = ()

    def set(self, **attributes: Value) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


_QUIET: Final = _Quiet("", "internal", {})
_current: ContextVar[Span | None] = ContextVar("trilens_span", default=None)


def current() -> Span | None:
    """The innermost span that is being recorded here."""
    here = _current.get()
    return None if here is _QUIET else here


def is_quiet() -> bool:
    return _current.get() is _QUIET


@contextmanager
def quiet() -> Iterator[None]:
    """Record nothing within: this is work on our own telemetry."""
    token = _current.set(_QUIET)
    try:
        yield
    finally:
        _current.reset(token)


class SpanBuffer:
    """Finished spans that wait to be sent. Thread-safe."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.is_open = False
        self._spans: deque[Span] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._rates: dict[str, _Rate] = {}
        self._notable = _Rate(NOTABLE_PER_S)

    def open(self) -> None:
        """From now on spans are kept; whoever says so must `drain`."""
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self.drain()

    def drain(self) -> tuple[list[Span], int]:
        """What finished since the last call, and how many spans were not kept."""
        with self._lock:
            spans, dropped = list(self._spans), self._dropped
            self._spans.clear()
            self._dropped = 0
        return spans, dropped

    def finished(self, span: Span) -> None:
        root = span._root  # noqa: SLF001 - the two classes are one thing
        if not self.is_open:
            return
        with self._lock:
            if span is root:
                self._keep([span, *span._children])  # noqa: SLF001
                span._children, span._is_over = [], True  # noqa: SLF001
            elif root._is_over or len(root._children) >= SPANS_OF_TRACE_MAX:  # noqa: SLF001
                self._dropped += 1
            else:
                root._children.append(span)  # noqa: SLF001

    def _keep(self, spans: list[Span]) -> None:
        root, now_ns = spans[0], self.clock.monotonic_ns()
        if root.duration_ns >= SLOW_NS or any(span.is_error for span in spans):
            rate = self._notable
        else:
            name = root.name if root.name in self._rates or len(self._rates) < NAMES_MAX else ""
            rate = self._rates.setdefault(name, _Rate(ROUTINE_PER_S))
        if len(self._spans) + len(spans) > RECORDS_MAX or not rate.allows(now_ns):
            self._dropped += len(spans)
        else:
            self._spans.extend(spans)


class _Rate:
    """So many a second, and those of BURST_S at once."""

    __slots__ = ("_at_ns", "_left", "_per_s")

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s * BURST_S
        self._at_ns: int | None = None

    def allows(self, now_ns: int) -> bool:
        passed_s = 0.0 if self._at_ns is None else (now_ns - self._at_ns) / 1e9
        self._at_ns = now_ns
        self._left = min(self._per_s * BURST_S, self._left + passed_s * self._per_s)
        if self._left < 1:
            return False
        self._left -= 1
        return True


SPANS: Final = SpanBuffer()


class span:  # noqa: N801 - reads as a word: with span("load"):
    """A context manager around a piece of work. Names are few: details are attributes.

    `parent` is a trace id and a span id that came from elsewhere.
    """

    __slots__ = ("_attributes", "_began_ns", "_kind", "_name", "_parent", "_span", "_token")

    def __init__(
        self,
        name: str,
        /,
        *,
        kind: Kind = "internal",
        parent: tuple[bytes, bytes] | None = None,
        **attributes: Value,
    ) -> None:
        self._name = name
        self._kind: Kind = kind
        self._parent = parent
        self._attributes = attributes

    def __enter__(self) -> Span:
        outer = _current.get()
        if not SPANS.is_open or outer is _QUIET:
            self._token = None
            return _QUIET
        new = self._span = Span(self._name, self._kind, self._attributes)
        random = os.urandom(24)
        new.span_id = random[:8]
        if outer is not None:
            new._root = outer._root  # noqa: SLF001
            new.trace_id, new.parent_span_id = outer.trace_id, outer.span_id
        elif self._parent is not None:
            new.trace_id, new.parent_span_id = self._parent
        else:
            new.trace_id = random[8:]
        self._token = _current.set(new)
        new.started_at_ns = SPANS.clock.now_ns()
        self._began_ns = SPANS.clock.monotonic_ns()
        return new

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._token is None:
            return
        _current.reset(self._token)
        done = self._span
        done.duration_ns = SPANS.clock.monotonic_ns() - self._began_ns
        if isinstance(error, Exception):
            done.fail(f"{type(error).__name__}: {error}")
        SPANS.finished(done)


class TracedRequests:
    """An ASGI application around another: a server span for each HTTP request.

    It is named by its route, not by its path. A `traceparent` header (W3C Trace Context) is
    continued. Requests with SELF_HEADER are passed through quietly.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with served(method, scope["path"][:256], dict(scope["headers"])) as serving:
            if serving is _QUIET:
                await self._app(scope, receive, send)
                return

            async def sending(event: MutableMapping[str, Any]) -> None:
                if event["type"] == "http.response.start":
                    serving.answered(event["status"])
                await send(event)

            try:
                await self._app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", "")
                serving.name = f"{method} {route}" if route else method


@contextmanager
def served(method: str, path: str, headers: Mapping[bytes, bytes]) -> Iterator[Span]:
    """The server span of an HTTP request; nothing is recorded of one with SELF_HEADER."""
    if _SELF_HEADER in headers:
        with quiet():
            yield _QUIET
        return
    parent = parent_of(headers.get(b"traceparent")) if SPANS.is_open else None
    with span(f"{method} {path}", kind="server", parent=parent) as serving:
        serving.set(**{"http.request.method": method, "url.path": path})
        yield serving


_SELF_HEADER: Final = SELF_HEADER.lower().encode()


def parent_of(traceparent: bytes | None) -> tuple[bytes, bytes] | None:
    """Trace id and span id of a `traceparent` header; None where there is none or a bad one."""
    parts = (traceparent or b"").split(b"-")
    if len(parts) < 4 or [len(part) for part in parts[:3]] != [2, 32, 16] or parts[0] == b"ff":
        return None
    try:
        trace_id, span_id = bytes.fromhex(parts[1].decode()), bytes.fromhex(parts[2].decode())
    except ValueError:
        return None
    return (trace_id, span_id) if any(trace_id) and any(span_id) else None


__all__ = [
    "SELF_HEADER", "SPANS", "Span", "SpanBuffer", "TracedRequests",
    "current", "is_quiet", "parent_of", "quiet", "served", "span",
]  # fmt: skip
