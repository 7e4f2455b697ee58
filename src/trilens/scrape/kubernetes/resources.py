"""Kinds of objects: where the API server has them, and what of each is kept.

An object is kept without what no label is made of: of a pod that is most of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trilens.scrape.kubernetes.config import KubernetesDiscovery

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """`role` is the one whose selectors choose among them."""

    name: str
    group: str = "api/v1"
    role: str = ""
    is_namespaced: bool = True

    def path(self, namespace: str) -> str:
        within = f"/namespaces/{namespace}" if namespace and self.is_namespaced else ""
        return f"/{self.group}{within}/{self.name}"


NODES: Final = Resource("nodes", role="node", is_namespaced=False)
NAMESPACES: Final = Resource("namespaces", is_namespaced=False)
PODS: Final = Resource("pods", role="pod")
SERVICES: Final = Resource("services", role="service")
ENDPOINTS: Final = Resource("endpoints", role="endpoints")
SLICES: Final = Resource("endpointslices", "apis/discovery.k8s.io/v1", "endpointslice")
INGRESSES: Final = Resource("ingresses", "apis/networking.k8s.io/v1", "ingress")
REPLICA_SETS: Final = Resource("replicasets", "apis/apps/v1")
JOBS: Final = Resource("jobs", "apis/batch/v1")

# The first is what targets are made of.
_OF_ROLE: Final = {
    "node": (NODES,),
    "service": (SERVICES,),
    "ingress": (INGRESSES,),
    "pod": (PODS,),
    "endpoints": (ENDPOINTS, SERVICES, PODS),
    "endpointslice": (SLICES, SERVICES, PODS),
}
_METADATA: Final = {
    "name": None, "namespace": None, "labels": None, "annotations": None, "uid": None,
    "ownerReferences": None,
}  # fmt: skip
_CONTAINER: Final = {"name": None, "image": None, "ports": None}
_STATUS: Final = {"name": None, "containerID": None}
_KEPT: Final[Mapping[str, Any]] = {
    "nodes": {
        "spec": {"providerID": None},
        "status": {"addresses": None, "daemonEndpoints": None,
                   "conditions": [{"type": None, "status": None}]},
    },
    "namespaces": {},
    "replicasets": {},
    "jobs": {},
    "pods": {
        "spec": {"nodeName": None, "containers": [_CONTAINER], "initContainers": [_CONTAINER]},
        "status": {"podIP": None, "hostIP": None, "phase": None,
                   "conditions": [{"type": None, "status": None}],
                   "containerStatuses": [_STATUS], "initContainerStatuses": [_STATUS]},
    },
    "services": {
        "spec": {"type": None, "clusterIP": None, "externalName": None, "loadBalancerIP": None,
                 "ipFamilyPolicy": None, "ipFamilies": None, "ports": None},
        "status": {"loadBalancer": None},
    },
    "endpoints": {"subsets": None},
    "endpointslices": {"addressType": None, "endpoints": None, "ports": None},
    "ingresses": {"spec": {"ingressClassName": None, "tls": None, "rules": None}},
}  # fmt: skip


def resources_of(discovery: KubernetesDiscovery) -> tuple[Resource, ...]:
    found = list(_OF_ROLE[discovery.role])
    attached, has_pods = discovery.attached, PODS in found
    if attached.node and has_pods:
        found.append(NODES)
    if attached.namespace and discovery.role != "node":
        found.append(NAMESPACES)
    if attached.deployment and has_pods:
        found.append(REPLICA_SETS)
    if attached.cronjob and has_pods:
        found.append(JOBS)
    return tuple(found)


def trimmed(resource: Resource, found: Object) -> Object:
    """What is kept of an object."""
    kept = _kept(found, _KEPT[resource.name])
    return {**kept, "metadata": _kept(found.get("metadata"), _METADATA)}


def _kept(value: Any, shape: Any) -> Any:
    if shape is None:
        return value
    if isinstance(shape, list):
        items = value if isinstance(value, list) else []
        return [_kept(one, shape[0]) for one in items if isinstance(one, dict)]
    if not isinstance(value, dict):
        return {}
    return {name: _kept(value[name], inner) for name, inner in shape.items() if name in value}


def key_of(found: Object) -> str:
    """namespace/name, or the name of what is in none."""
    metadata = found["metadata"]
    namespace = metadata.get("namespace") or ""
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
