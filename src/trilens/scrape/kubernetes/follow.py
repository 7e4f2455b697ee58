"""One kubernetes_sd_config as it goes on: its stores, and groups where something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trilens.scrape.discovery_groups import TARGETS_MAX, Group
from trilens.scrape.kubernetes.access import Access, NoAccess, access_of
from trilens.scrape.kubernetes.config import KubernetesDiscovery
from trilens.scrape.kubernetes.endpoints import endpoints_group, slice_group
from trilens.scrape.kubernetes.exec_credentials import ExecLogin
from trilens.scrape.kubernetes.objects import (
    Known,
    ingress_group,
    node_group,
    pod_group,
    service_group,
)
from trilens.scrape.kubernetes.resources import Object, Resource, resources_of
from trilens.scrape.kubernetes.store import Store

TELL_S: Final = 5.0  # at most so often, as Prometheus
ACCESS_S: Final = 30.0
Made = Callable[[str, Object, Known], Group]
_MADE: Final[Mapping[str, Made]] = {
    "node": node_group,
    "service": service_group,
    "ingress": ingress_group,
    "pod": pod_group,
    "endpoints": endpoints_group,
    "endpointslice": slice_group,
}


async def follow(
    discovery: KubernetesDiscovery,
    tell: Callable[[Sequence[Group]], None],
    fail: Callable[[str], None],
    *,
    tell_s: float = TELL_S,
) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            access = await asyncio.to_thread(access_of, discovery)
            break
        except NoAccess as error:
            fail(str(error))
            await asyncio.sleep(ACCESS_S)
    changed = asyncio.Event()
    resources = resources_of(discovery)
    # All stores are one client: they share a token, and the program that says it.
    login = ExecLogin(access.plugin, access.client.tls) if access.plugin is not None else None
    stores = [
        Store(
            resource,
            namespace,
            access,
            discovery.selectors,
            login=login,
            changed=changed.set,
            fail=fail,
        )
        for resource in resources
        for namespace in _namespaces(resource, access)
    ]
    async with asyncio.TaskGroup() as running:
        for store in stores:
            running.create_task(store.run())
        groups = _Groups(discovery, resources, stores)
        while True:
            await changed.wait()
            changed.clear()
            if all(store.is_listed for store in stores):
                found = await asyncio.to_thread(groups.made)
                if sum(len(group.targets) for group in found) > TARGETS_MAX:
                    fail(f"more than {TARGETS_MAX} targets")
                else:
                    tell(found)
                await asyncio.sleep(tell_s)


def _namespaces(resource: Resource, access: Access) -> tuple[str, ...]:
    return access.namespaces if resource.is_namespaced and access.namespaces else ("",)


class _Groups:
    """Made again only where the object, or one that a label comes from, is another one."""

    def __init__(
        self, discovery: KubernetesDiscovery, resources: Sequence[Resource], stores: list[Store]
    ) -> None:
        self._make = _MADE[discovery.role]
        self._attached = discovery.attached
        self._first = resources[0].name
        self._stores = stores
        self._made: dict[str, tuple[Object, Known, Group]] = {}

    def made(self) -> list[Group]:
        """In another thread: the stores change meanwhile, and then they say so again."""
        by_name: dict[str, dict[str, Object]] = {}
        for store in self._stores:
            by_name.setdefault(store.resource.name, {}).update(store.objects.copy())
        before, self._made = self._made, {}
        for key, found in by_name[self._first].items():
            old = before.get(key)
            if old is None or old[0] is not found or not _holds(old[1], by_name):
                known = Known(by_name, self._attached)
                group = self._make(key, found, known)
                known.stores = {}
                old = found, known, group
            self._made[key] = old
        return [group for _, _, group in self._made.values()]


def _holds(known: Known, stores: Mapping[str, Mapping[str, Object]]) -> bool:
    return all(
        stores.get(resource, {}).get(key) is found for (resource, key), found in known.asked.items()
    )
