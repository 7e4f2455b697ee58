"""Finds groups of targets, again and again: each discoverer tells what it has when that changes.

Static      once
Files       when a file changes, which is seen within POLL_S; a file that cannot be read leaves
            what it said before
HTTP        every refresh_interval; what cannot be fetched or read leaves what was said before
DNS         every refresh_interval; a name that is unknown has no targets, one that nobody can say
            anything about keeps what it had
EC2         every refresh_interval; ec2.py has it
Kubernetes  list and watch; kubernetes/ has it

`tell(groups)` gets all groups of a discoverer. What fails is told by `fail(text)`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from trilens.config_files.problems import FileRefused, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import FILE_BYTES_MAX, Listing, is_null, read_file, read_yaml
from trilens.http_out.authorization import Authorization
from trilens.http_out.tls import TlsContext
from trilens.query.promql.durations import print_duration
from trilens.scrape.discovery_config import (
    Discovery,
    DnsDiscovery,
    FileDiscovery,
    HttpDiscovery,
    StaticDiscovery,
    matching,
    read_group,
)
from trilens.scrape.discovery_groups import TARGETS_MAX, Group
from trilens.scrape.dns_lookup import LookupFailed, lookup
from trilens.scrape.dns_messages import Record
from trilens.scrape.ec2 import Ec2Discovery, follow_ec2
from trilens.scrape.fetch import Budget, Fetched, Fetcher, ScrapeFailed
from trilens.scrape.kubernetes.config import KubernetesDiscovery
from trilens.scrape.kubernetes.follow import follow

_log: Final = logging.getLogger("trilens.scrape")
POLL_S: Final = 2.0
RETRY_S: Final = 30.0  # after an error of ours
HTTP_TIMEOUT_S: Final = 30.0
Tell = Callable[[Sequence[Group]], None]
Fail = Callable[[str], None]


async def discover(discovery: Discovery, tell: Tell, fail: Fail) -> None:
    """Runs until it is cancelled, but for static groups. An error of ours is told, and it begins
    anew: what was found stays.
    """
    is_going = True
    while is_going:
        try:
            await _discover(discovery, tell, fail)
            is_going = False
        except Exception:  # noqa: BLE001 - logged and told
            _log.exception("a discoverer has failed", extra={"discoverer": named(discovery)})
            fail("it has failed by an error of ours; the log has it")
            await asyncio.sleep(RETRY_S)


async def _discover(discovery: Discovery, tell: Tell, fail: Fail) -> None:
    match discovery:
        case StaticDiscovery():
            tell(discovery.groups)
        case FileDiscovery():
            await _Files(discovery, tell, fail).run()
        case HttpDiscovery():
            await _http(discovery, tell, fail)
        case DnsDiscovery():
            await _dns(discovery, tell, fail)
        case Ec2Discovery():
            await follow_ec2(discovery, tell, fail)
        case KubernetesDiscovery():
            await follow(discovery, tell, fail)


class _Files:
    def __init__(self, discovery: FileDiscovery, tell: Tell, fail: Fail) -> None:
        self._discovery = discovery
        self._tell = tell
        self._fail = fail
        self._held: dict[str, list[Group]] = {}
        self._failures: list[str] = []
        self._stamps: dict[str, tuple[int, int, int]] = {}

    async def run(self) -> None:
        wait_s = min(POLL_S, self._discovery.refresh_ms / 1000)
        is_first = True
        while True:
            if await asyncio.to_thread(self._look) or is_first:
                self._tell([group for groups in self._held.values() for group in groups])
            is_first = False
            for text in self._failures:
                self._fail(text)
            self._failures.clear()
            await asyncio.sleep(wait_s)

    def _look(self) -> bool:
        """Whether something has changed."""
        names = sorted({str(path) for one in self._discovery.patterns for path in matching(one)})
        stamps = {name: stamp for name in names if (stamp := _stamp(name)) is not None}
        changed = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        gone = self._stamps.keys() - stamps.keys()
        for name in gone:
            self._held.pop(name, None)
        for name in changed:
            try:
                self._held[name] = groups_of_file(Path(name))
            except ValueError as error:
                self._failures.append(str(error))
        self._stamps = stamps
        return bool(changed or gone)


def _stamp(name: str) -> tuple[int, int, int] | None:
    try:
        found = Path(name).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def groups_of_file(path: Path) -> list[Group]:
    """YAML, of which JSON is a part. Raises ValueError: what is wrong with the file."""
    problems = Problems(str(path))
    try:
        root = read_yaml(read_file(path), str(path))
        if root is not None and not is_null(root) and not isinstance(root, Listing):
            problems.add(root.place, "no list of groups")
        items = root.items if isinstance(root, Listing) else []
        groups = [
            read_group(Section(one, "a group of targets", problems), f"{path}:{number}")
            for number, one in enumerate(items)
        ]
        problems.raise_any()
    except FileRefused as refused:
        raise ValueError("; ".join(map(str, refused.problems[:5]))) from None
    return [
        Group(one.source, one.targets, {**one.labels, "__meta_filepath": str(path)})
        for one in groups
    ]


async def _http(discovery: HttpDiscovery, tell: Tell, fail: Fail) -> None:
    refresh_s = discovery.refresh_ms / 1000
    headers = {
        "accept": "application/json",
        "x-prometheus-refresh-interval-seconds": f"{refresh_s:g}",
    }
    try:
        fetcher = Fetcher(
            discovery.url,
            discovery.client,
            authorization=Authorization(discovery.client),
            tls=TlsContext(discovery.client.tls),
            headers=headers,
            budget=Budget(),
            body_bytes_max=FILE_BYTES_MAX,
        )
    except ScrapeFailed as error:
        fail(str(error))
        return
    before: bytes | None = None
    try:
        while True:
            try:
                fetched = await fetcher.get(HTTP_TIMEOUT_S)
                fetched.release()
                if fetched.body != before:
                    tell(groups_of_answer(fetched, discovery.url))
                    before = fetched.body
            except (ScrapeFailed, ValueError) as error:
                fail(f"{discovery.url}: {error}")
                before = None  # so that the next answer is told, and it counts as well again
            await asyncio.sleep(refresh_s)
    finally:
        await fetcher.close()


def groups_of_answer(fetched: Fetched, url: str) -> list[Group]:
    if fetched.content_type.partition(";")[0].strip() != "application/json":
        raise ValueError(f"unsupported content type {fetched.content_type!r}")
    return groups_of_json(fetched.body, url)


def groups_of_json(body: bytes, url: str) -> list[Group]:
    """What a server of http_sd answers. Raises ValueError."""
    answer: Any = orjson.loads(body)
    if not isinstance(answer, list):
        raise ValueError("the answer is no list of groups")  # noqa: TRY004 - of what was sent
    groups = []
    for number, one in enumerate(answer):
        if not isinstance(one, dict):
            raise ValueError(f"group {number} is no object")  # noqa: TRY004
        targets, labels = one.get("targets") or [], one.get("labels") or {}
        is_sound = isinstance(targets, list) and all(isinstance(target, str) for target in targets)
        if not is_sound or not isinstance(labels, dict):
            raise ValueError(f"group {number} has no list of targets, or no map of labels")
        if not all(isinstance(value, str) for value in labels.values()):
            raise ValueError(f"group {number} has a label that is no text")
        found = tuple({"__address__": target} for target in targets)
        groups.append(Group(f"{url}:{number}", found, {**labels, "__meta_url": url}))
    if sum(len(group.targets) for group in groups) > TARGETS_MAX:
        raise ValueError(f"more than {TARGETS_MAX} targets")
    return groups


async def _dns(discovery: DnsDiscovery, tell: Tell, fail: Fail) -> None:
    held: dict[str, Group] = {}
    while True:
        found = await asyncio.gather(
            *(lookup(name, discovery.record) for name in discovery.names), return_exceptions=True
        )
        failures = []
        for name, records in zip(discovery.names, found, strict=True):
            if isinstance(records, BaseException):
                if not isinstance(records, LookupFailed):
                    raise records
                failures.append(str(records))
            else:
                held[name] = dns_group(name, discovery, records)
        tell(list(held.values()))
        for text in failures:
            fail(text)
        await asyncio.sleep(discovery.refresh_ms / 1000)


def dns_group(name: str, discovery: DnsDiscovery, records: Sequence[Record]) -> Group:
    targets = []
    for one in records:
        host = one.target.rstrip(".")
        host = f"[{host}]" if ":" in host else host
        labels = {"__address__": f"{host}:{one.port or discovery.port}", "__meta_dns_name": name}
        kind = discovery.record.lower()
        if kind in ("srv", "mx", "ns"):
            labels[f"__meta_dns_{kind}_record_target"] = one.target
        if kind == "srv":
            labels["__meta_dns_srv_record_port"] = str(one.port)
        targets.append(labels)
    return Group(name, tuple(targets))


def named(discovery: Discovery) -> str:
    """For errors and the API: which discoverer this is."""
    match discovery:
        case StaticDiscovery():
            return "static"
        case FileDiscovery():
            return "file " + " ".join(str(one) for one in discovery.patterns)
        case HttpDiscovery():
            return f"http {discovery.url} every {print_duration(discovery.refresh_ms)}"
        case DnsDiscovery():
            return f"dns {' '.join(discovery.names)}"
        case Ec2Discovery():
            region = discovery.endpoint or discovery.access.region or "here"
            role = discovery.access.role_arn
            return f"ec2 {region} as {role}" if role else f"ec2 {region}"
        case KubernetesDiscovery():
            where = discovery.api_server or discovery.kubeconfig or "in the cluster"
            return f"kubernetes {discovery.role} {where}"
