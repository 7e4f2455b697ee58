"""All outside Alertmanagers: found by discovery, each told of what relabelling leaves of alerts.

Lives on an event loop that others run (that of the scraper). `tell`, `apply` and `stop` are for
other threads; what tells of the state is for any.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from trilens.alert.alert_states import Notice
from trilens.alert_sending.endpoint import WAITING_MAX, Endpoint, Key, Told
from trilens.config_files.http_config import HttpConfig
from trilens.http_out.authorization import Authorization
from trilens.http_out.aws import Aws
from trilens.http_out.door import HttpDoor
from trilens.http_out.tls import TlsContext
from trilens.measures import Measures
from trilens.prometheus_config.alerting import Alerting, AlertmanagerSet
from trilens.scrape.discovery import discover, named
from trilens.scrape.discovery_groups import Group
from trilens.scrape.relabel import Labels, Rule, relabel

API_PATH: Final = "api/v2/alerts"
ENDPOINTS_MAX: Final = 1000  # of one set
_log: Final = logging.getLogger("trilens.alert_sending")


class Outside:
    def __init__(self, loop: asyncio.AbstractEventLoop, measures: Measures) -> None:
        self._loop = loop
        self._measures = measures
        self._sets: list[_Set] = []

    def tell(self, notices: Sequence[Notice]) -> None:
        """Returns at once. What `relabel` of Alerting leaves, since that is for all."""
        self._loop.call_soon_threadsafe(self._put, list(notices))

    def apply(self, alerting: Alerting) -> None:
        """Returns when discovery has begun. Sets that are defined as before go on undisturbed."""
        asyncio.run_coroutine_threadsafe(self._apply(alerting), self._loop).result()

    def stop(self, grace_s: float) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(grace_s), self._loop).result()

    def active(self) -> list[str]:
        """URLs."""
        return [url for one in list(self._sets) for url in list(one.endpoints)]

    def dropped(self) -> list[str]:
        """URLs of those that relabelling leaves out."""
        return [url for one in list(self._sets) for url in one.dropped]

    def errors(self) -> list[str]:
        """Of discovery, and of the last attempts to tell."""
        return [error for one in list(self._sets) for error in one.errors()]

    def _put(self, notices: list[Notice]) -> None:
        for one in self._sets:
            told = {
                frozenset(notice.labels): message(notice)
                for notice in relabelled(one.config.alert_relabel, notices)
            }
            one.put(told)

    async def _apply(self, alerting: Alerting) -> None:
        before, sets = self._sets, []
        for config in alerting.sets:
            same = next((one for one in before if one.config == config), None)
            if same is None:
                same = _Set(config, self._measures)
            else:
                before.remove(same)
            sets.append(same)
        left = {
            url: dict(endpoint.waiting)
            for one in before
            for url, (endpoint, _) in one.endpoints.items()
        }
        self._sets = sets
        for one in sets:
            one.start(left)
        for one in before:
            await one.stop()

    async def _stop(self, grace_s: float) -> None:
        """What waits may still be told for a while."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + grace_s
        while loop.time() < until_s and any(one.is_telling() for one in self._sets):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for one in self._sets:
            await one.stop()
        self._sets = []


@dataclass
class _Set:
    """For one event loop."""

    config: AlertmanagerSet
    measures: Measures
    endpoints: dict[str, tuple[Endpoint, asyncio.Task[None]]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    _groups: dict[int, Sequence[Group]] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)
    _finding: list[asyncio.Task[None]] = field(default_factory=list)
    _left: dict[str, dict[Key, Any]] = field(default_factory=dict)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)
    _early: dict[Key, Any] | None = field(default_factory=dict)  # until one is found

    def start(self, left: dict[str, dict[Key, Any]]) -> None:
        """`left` is what others could not tell any more, by URL."""
        if self._finding:
            return
        self._left = left
        self._authorization = Authorization(self.config.client)
        self._tls = TlsContext(self.config.client.tls)
        door = HttpDoor(HttpConfig(proxy=self.config.client.proxy))
        self._aws = Aws(self.config.sigv4, door) if self.config.sigv4 is not None else None
        self._finding = [
            asyncio.create_task(self._find(number))
            for number in range(len(self.config.discoveries))
        ]

    def put(self, told: Told) -> None:
        """Who is found first is told of what came before it, so far as that is not over by then."""
        for endpoint, _ in self.endpoints.values():
            endpoint.put(told)
        if self._early is not None:
            self._early.update(told)
            for key in list(self._early)[: max(0, len(self._early) - WAITING_MAX)]:
                del self._early[key]

    async def stop(self) -> None:
        tasks = [*self._finding, *self._ending, *(task for _, task in self.endpoints.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint, _ in self.endpoints.values():
            await endpoint.close()
        self.endpoints = {}

    def is_telling(self) -> bool:
        """Alerts wait, and the last attempt went well."""
        return any(one.waiting and not one.last_error for one, _ in self.endpoints.values())

    def errors(self) -> list[str]:
        told = [
            f"{one.url}: {one.last_error}"
            for one, _ in list(self.endpoints.values())
            if one.last_error
        ]
        return [*(f"{name}: {text}" for name, text in list(self._faults.items())), *told]

    async def _find(self, number: int) -> None:
        discovery = self.config.discoveries[number]
        name = named(discovery)

        def tell(groups: Sequence[Group]) -> None:
            self._faults.pop(name, None)
            self._groups[number] = groups
            self._sync()

        def fail(text: str) -> None:
            _log.warning("discovery of Alertmanagers failed", extra={"reason": text})
            self._faults[name] = text

        await discover(discovery, tell, fail)

    def _sync(self) -> None:
        groups = [group for number in sorted(self._groups) for group in self._groups[number]]
        found, self.dropped = urls_of(self.config, groups)
        for url in self.endpoints.keys() - set(found):
            self._end(url)
        for url in found[:ENDPOINTS_MAX]:
            if url not in self.endpoints:
                self._begin(url)
        if self.endpoints:
            self._early = None

    def _begin(self, url: str) -> None:
        try:
            endpoint = Endpoint(
                url,
                self.config.client,
                self.config.timeout_ms / 1000,
                authorization=self._authorization,
                tls=self._tls,
                measures=self.measures,
                aws=self._aws,
            )
        except ValueError as error:
            self._faults[url] = str(error)
            return
        endpoint.put({**self._left.pop(url, {}), **(self._early or {})})
        self.endpoints[url] = endpoint, asyncio.create_task(endpoint.run())

    def _end(self, url: str) -> None:
        endpoint, task = self.endpoints.pop(url)
        task.cancel()
        closing = asyncio.create_task(endpoint.close())
        self._ending.add(closing)
        closing.add_done_callback(self._ending.discard)


def urls_of(config: AlertmanagerSet, groups: Sequence[Group]) -> tuple[list[str], list[str]]:
    """Where Alertmanagers are told, each once, and where those are that are left out."""
    found: dict[str, None] = {}
    dropped: dict[str, None] = {}
    path = "/".join(part for part in (config.path_prefix.strip("/"), API_PATH) if part)
    for group in groups:
        for target in group.targets:
            own = {"__scheme__": config.scheme, "__alerts_path__": f"/{path}"}
            more = {name: one for name, one in group.labels.items() if name not in target}
            labels = {**target, **own, **more}
            kept = relabel(config.relabel, labels)
            if kept is None:
                dropped[_url(labels)] = None
            elif kept.get("__address__", "") and "/" not in kept["__address__"]:
                found[_url(kept)] = None
    return list(found), list(dropped)


def _url(labels: Labels) -> str:
    path = labels.get("__alerts_path__", "")
    path = path if path.startswith("/") else f"/{path}"
    return f"{labels.get('__scheme__', '')}://{labels.get('__address__', '')}{path}"


def relabelled(rules: Sequence[Rule], notices: Sequence[Notice]) -> list[Notice]:
    """Without those that a rule drops, or that have no label left."""
    if not rules:
        return list(notices)
    changed = ((relabel(rules, dict(notice.labels)), notice) for notice in notices)
    return [
        replace(notice, labels=tuple(sorted(labels.items())))
        for labels, notice in changed
        if labels
    ]


def message(notice: Notice) -> dict[str, Any]:
    """A postable alert of Alertmanager's API v2."""
    return {
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "startsAt": _rfc3339(notice.starts_at_ms),
        "endsAt": _rfc3339(notice.ends_at_ms),
        "generatorURL": notice.generator_url,
    }


def _rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"
