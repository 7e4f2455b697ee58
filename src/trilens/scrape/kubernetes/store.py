"""The objects of one kind in one namespace, as the API server has them: listed, then watched.

    list     in pages; what is not in it any more goes
    watch    from the version of the list on, event by event; bookmarks bring the version forward
    410      the version is too old: listed anew, and what is there meanwhile stays
    else     backoff, and watched on from the last version; after many times listed anew
    too big  a page that is too big is asked for again with fewer objects

What fails is told by `fail(text)`; the objects that are known stay.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import orjson

from trilens.http_out.authorization import Authorization
from trilens.http_out.client import Client, why
from trilens.http_out.pieces import pieces
from trilens.http_out.tls import TlsContext
from trilens.scrape.kubernetes.access import Access
from trilens.scrape.kubernetes.config import Selector
from trilens.scrape.kubernetes.exec_credentials import ExecLogin
from trilens.scrape.kubernetes.resources import Object, Resource, key_of, trimmed

PAGE_OBJECTS: Final = 500
OBJECTS_MAX: Final = 200_000
BYTES_MAX: Final = 32 << 20  # of a page, and of an event
REQUEST_S: Final = 30.0
WATCH_S: Final = 300
RETRY_S_MIN: Final = 0.8
RETRY_S_MAX: Final = 30.0
WATCH_S_MIN: Final = 1.0  # a watch that ends sooner is followed by a pause
_UNAUTHORIZED: Final = 401
_GONE: Final = 410
_TOO_MANY: Final = 429


class _Outdated(Exception):
    """The version to watch from is too old."""


class _Failed(Exception):
    """Why a request failed; `after_s` is when the server wants to be asked again."""

    def __init__(self, text: str, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.after_s = after_s


class Store:
    """For one event loop. `changed()` is called after each change, and when all is well again after
    a failure, of which `fail(text)` tells.
    """

    def __init__(
        self,
        resource: Resource,
        namespace: str,
        access: Access,
        selectors: tuple[Selector, ...],
        *,
        login: ExecLogin | None = None,
        changed: Callable[[], None],
        fail: Callable[[str], None],
    ) -> None:
        self.resource = resource
        self.objects: dict[str, Object] = {}
        self.is_listed = False
        self._url = httpx.URL(access.server + resource.path(namespace))
        self._query = {
            name: value
            for one in selectors
            if resource.role and one.role == resource.role
            for name, value in (("labelSelector", one.label), ("fieldSelector", one.field))
            if value
        }
        self._changed = changed
        self._fail = fail
        self._client = Client(
            access.client,
            authorization=login or Authorization(access.client),
            tls=login or TlsContext(access.client.tls),
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )
        self._login = login
        self._version = ""
        self._page_objects = PAGE_OBJECTS
        self._has_failed = False

    async def run(self) -> None:
        """Until it is cancelled."""
        retry_s = RETRY_S_MIN
        try:
            while True:
                began, pause_s = time.monotonic(), 0.0
                try:
                    if not self._version:
                        await self._list()
                        began = time.monotonic()
                    await self._watch()
                except _Outdated:
                    self._version = ""
                except _Failed as failure:
                    self._has_failed = True
                    self._fail(f"{self._url.path}: {failure}")
                    pause_s = max(retry_s, failure.after_s)
                    if retry_s >= RETRY_S_MAX:
                        self._version = ""  # a server that was restored may not know it
                lasted_s = time.monotonic() - began
                if lasted_s > RETRY_S_MAX:
                    retry_s = RETRY_S_MIN
                if not pause_s and lasted_s < WATCH_S_MIN:
                    pause_s = retry_s
                if pause_s:
                    await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311
                    retry_s = min(retry_s * 2, RETRY_S_MAX)
        finally:
            await self._client.close()

    async def _list(self) -> None:
        """Raises _Failed, _Outdated."""
        found: dict[str, Object] = {}
        version = following = ""
        while True:
            body = await self._page(following)
            # Some MB of JSON: others are scraped meanwhile.
            more, version, following = await asyncio.to_thread(self._read, body)
            found |= more
            if len(found) > OBJECTS_MAX:
                raise _Failed(f"more than {OBJECTS_MAX} objects", RETRY_S_MAX)
            if not following:
                break
        self.objects, self._version, self.is_listed = found, version, True
        self._changed()

    def _read(self, body: bytes) -> tuple[dict[str, Object], str, str]:
        """Objects of a page, its version, and what the next one is asked for with."""
        page = _object(body)
        metadata = _metadata(page)
        found = dict(self._kept(one) for one in page.get("items") or ())
        return (
            found,
            str(metadata.get("resourceVersion") or ""),
            str(metadata.get("continue") or ""),
        )

    def _kept(self, found: Any) -> tuple[str, Object]:
        """Raises _Failed."""
        try:
            kept = trimmed(self.resource, found)
            return key_of(kept), kept
        except (KeyError, TypeError, AttributeError) as error:
            raise _Failed(f"an object that is none: {error!r}", RETRY_S_MAX) from None

    async def _page(self, following: str) -> bytes:
        query = {**self._query, "limit": str(self._page_objects)}
        if following:
            query["continue"] = following
        try:
            async with asyncio.timeout(REQUEST_S):
                parts, size = [], 0
                async with aclosing(self._asked(query, REQUEST_S)) as chunks:
                    async for chunk in chunks:
                        parts.append(chunk)
                        size += len(chunk)
                        if size > BYTES_MAX:
                            is_one = self._page_objects == 1
                            self._page_objects = max(1, self._page_objects // 4)
                            after_s = RETRY_S_MAX if is_one else 0.0
                            raise _Failed(f"a page of more than {BYTES_MAX} bytes", after_s)
        except TimeoutError:
            raise _Failed("out of time") from None
        return b"".join(parts)

    async def _watch(self) -> None:
        """Returns when the server ends it, which is usual. Raises _Failed, _Outdated."""
        query = {
            **self._query, "watch": "1", "resourceVersion": self._version,
            "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_S),
        }  # fmt: skip
        parts: list[bytes] = []  # of an event that is not whole yet
        size = 0
        async with aclosing(self._asked(query, WATCH_S + REQUEST_S)) as chunks:
            async for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if b"\n" in chunk:
                    *lines, rest = b"".join(parts).split(b"\n")
                    parts, size = [rest], len(rest)
                    if sum(self._take(_object(line)) for line in lines if line.strip()):
                        self._changed()
                if size > BYTES_MAX:
                    raise _Failed(f"an event of more than {BYTES_MAX} bytes")

    def _take(self, event: dict[str, Any]) -> bool:
        """Whether something has changed. Raises _Failed, _Outdated."""
        kind, found = event.get("type"), event.get("object")
        if not isinstance(found, dict):
            raise _Failed("an event without an object")
        if kind == "ERROR":
            if found.get("code") == _GONE:
                raise _Outdated
            raise _Failed(f"an error while watching: {found.get('message')}")
        self._version = str(_metadata(found).get("resourceVersion") or self._version)
        if kind == "BOOKMARK":
            return False
        key, kept = self._kept(found)
        if kind == "DELETED":
            return self.objects.pop(key, None) is not None
        if kind not in ("ADDED", "MODIFIED"):
            raise _Failed(f"an event of the unknown type {kind!r}")
        if key not in self.objects and len(self.objects) >= OBJECTS_MAX:
            raise _Failed(f"more than {OBJECTS_MAX} objects", RETRY_S_MAX)
        # Nodes say every few seconds that they live: that changes no label.
        is_same = self.objects.get(key) == kept
        if not is_same:
            self.objects[key] = kept
        return not is_same

    async def _asked(self, query: dict[str, str], timeout_s: float) -> AsyncGenerator[bytes]:
        """The body of an answer, as it comes. Raises _Failed, _Outdated."""
        url = self._url.copy_with(query=urlencode(query).encode())
        try:
            response = await self._client.send("GET", url, timeout_s)
            try:
                if response.status_code == _GONE:
                    raise _Outdated
                if response.status_code == _UNAUTHORIZED and self._login is not None:
                    self._login.refused()
                    raise _Failed("HTTP status 401")
                if response.status_code // 100 != 2:
                    raise _Failed(f"HTTP status {response.status_code}", _after_s(response))
                if self._has_failed:
                    self._has_failed = False
                    self._changed()
                async for chunk in pieces(response):
                    yield chunk
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            raise _Failed(why(error)) from None


def _after_s(response: httpx.Response) -> float:
    said = response.headers.get("retry-after", "")
    if response.status_code != _TOO_MANY and response.status_code // 100 != 5:
        return RETRY_S_MAX  # it is not allowed, or not there: nobody knows for how long
    return min(float(said), RETRY_S_MAX) if said.isdecimal() else 0.0


def _metadata(found: Object) -> dict[str, Any]:
    metadata = found.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise _Failed(f"an answer that is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _Failed("an answer that is no object")
    return found
