"""Nodes, services, ingresses and pods as groups of targets (discovery/kubernetes of Prometheus).

Pure. `Known` tells of the other objects that a label may come from, and remembers which were asked
for: a group has to be made anew when one of them has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trilens.scrape.discovery_groups import Group
from trilens.scrape.kubernetes.config import Attached
from trilens.scrape.kubernetes.resources import Object

PREFIX: Final = "__meta_kubernetes_"
NAMESPACE: Final = f"{PREFIX}namespace"
POD: Final = f"{PREFIX}pod_"
Labels = dict[str, str]
_ADDRESS_TYPES: Final = (
    "InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname",
)  # fmt: skip
_ODD: Final = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(slots=True)
class Known:
    """`stores` are by the name of their resource. `asked` has what was found, or None."""

    stores: Mapping[str, Mapping[str, Object]]
    attached: Attached
    asked: dict[tuple[str, str], Object | None] = field(default_factory=dict)

    def get(self, resource: str, key: str) -> Object | None:
        found = self.stores.get(resource, {}).get(key)
        self.asked[resource, key] = found
        return found


def of(value: Any, *names: str) -> Any:
    """What is below these names; None where something is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any, *names: str) -> str:
    found = of(value, *names)
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def items(value: Any, *names: str) -> list[Any]:
    found = of(value, *names)
    return [one for one in found if one is not None] if isinstance(found, list) else []


def clean(name: str) -> str:
    return _ODD.sub("_", name)


def joined(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def metadata_labels(found: Object, role: str) -> Labels:
    """The name, and all labels and annotations, each with a second label that says it is there."""
    metadata = found["metadata"]
    labels = {f"{PREFIX}{role}_name": text(metadata, "name")} if role != "namespace" else {}
    for kind in ("label", "annotation"):
        for name, value in (of(metadata, f"{kind}s") or {}).items():
            labels[f"{PREFIX}{role}_{kind}_{clean(name)}"] = str(value)
            labels[f"{PREFIX}{role}_{kind}present_{clean(name)}"] = "true"
    return labels


def namespace_labels(namespace: str, known: Known) -> Labels:
    if not known.attached.namespace:
        return {}
    found = known.get("namespaces", namespace)
    return {} if found is None else metadata_labels(found, "namespace")


def attached_node_labels(name: str, known: Known) -> Labels:
    found = known.get("nodes", name) if name else None
    return {} if found is None else metadata_labels(found, "node")


def node_group(key: str, node: Object, _known: Known) -> Group:
    """One target: the kubelet."""
    labels = {f"{PREFIX}node_provider_id": text(node, "spec", "providerID")}
    for one in items(node, "status", "conditions"):
        kind = clean(text(one, "type").lower())
        labels[f"{PREFIX}node_condition_{kind}"] = text(one, "status").lower()
    labels |= metadata_labels(node, "node")
    addresses: dict[str, str] = {}
    for one in items(node, "status", "addresses"):
        addresses.setdefault(text(one, "type"), text(one, "address"))
    host = next((addresses[kind] for kind in _ADDRESS_TYPES if kind in addresses), "")
    if not host:
        return Group(f"node/{key}", ())
    port = of(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port") or 0
    target = {"__address__": joined(host, port), "instance": text(node, "metadata", "name")}
    target |= {clean(f"{PREFIX}node_address_{kind}"): one for kind, one in addresses.items()}
    return Group(f"node/{key}", (target,), labels)


def service_labels(service: Object) -> Labels:
    labels = {NAMESPACE: text(service, "metadata", "namespace")}
    return labels | metadata_labels(service, "service")


def service_group(key: str, service: Object, known: Known) -> Group:
    namespace, name = text(service, "metadata", "namespace"), text(service, "metadata", "name")
    kind = text(service, "spec", "type")
    targets = []
    for port in items(service, "spec", "ports"):
        target = {
            "__address__": joined(f"{name}.{namespace}.svc", text(port, "port")),
            f"{PREFIX}service_port_name": text(port, "name"),
            f"{PREFIX}service_port_number": text(port, "port"),
            f"{PREFIX}service_port_protocol": text(port, "protocol"),
            f"{PREFIX}service_type": kind,
        }
        if kind == "ExternalName":
            target[f"{PREFIX}service_external_name"] = text(service, "spec", "externalName")
        else:
            target[f"{PREFIX}service_cluster_ip"] = text(service, "spec", "clusterIP")
        if kind == "LoadBalancer":
            target[f"{PREFIX}service_loadbalancer_ip"] = _balancer_ips(service)
        targets.append(target)
    labels = service_labels(service) | namespace_labels(namespace, known)
    return Group(f"svc/{key}", tuple(targets), labels)


def _balancer_ips(service: Object) -> str:
    ips = [text(one, "ip") for one in items(service, "status", "loadBalancer", "ingress")]
    return ",".join(filter(None, ips)) or text(service, "spec", "loadBalancerIP")


def ingress_group(key: str, ingress: Object, known: Known) -> Group:
    namespace = text(ingress, "metadata", "namespace")
    labels = {NAMESPACE: namespace}
    if of(ingress, "spec", "ingressClassName") is not None:
        labels[f"{PREFIX}ingress_class_name"] = text(ingress, "spec", "ingressClassName")
    labels |= metadata_labels(ingress, "ingress") | namespace_labels(namespace, known)
    safe = [host for one in items(ingress, "spec", "tls") for host in items(one, "hosts")]
    targets = []
    for rule in items(ingress, "spec", "rules"):
        host = text(rule, "host")
        scheme = "https" if any(_is_of(pattern, host) for pattern in safe) else "http"
        http = of(rule, "http")
        paths = (
            ["/"] if http is None else [text(one, "path") or "/" for one in items(http, "paths")]
        )
        targets += [
            {
                "__address__": host,
                f"{PREFIX}ingress_scheme": scheme,
                f"{PREFIX}ingress_host": host,
                f"{PREFIX}ingress_path": path,
            }
            for path in paths
        ]
    return Group(f"ingress/{key}", tuple(targets), labels)


def _is_of(pattern: str, host: str) -> bool:
    """A star stands for the first part of a name."""
    wanted, parts = pattern.split("."), host.split(".")
    if pattern == host:
        return True
    return wanted[0] == "*" and len(wanted) == len(parts) and wanted[1:] == parts[1:]


def controller_of(found: Object) -> Object | None:
    owners: Sequence[Object] = items(found, "metadata", "ownerReferences")
    return next((one for one in owners if one.get("controller") is True), None)


def pod_labels(pod: Object, known: Known) -> Labels:
    ready = [one for one in items(pod, "status", "conditions") if text(one, "type") == "Ready"]
    labels = {
        f"{POD}ip": text(pod, "status", "podIP"),
        f"{POD}ready": text(ready[0], "status").lower() if ready else "unknown",
        f"{POD}phase": text(pod, "status", "phase"),
        f"{POD}node_name": text(pod, "spec", "nodeName"),
        f"{POD}host_ip": text(pod, "status", "hostIP"),
        f"{POD}uid": text(pod, "metadata", "uid"),
        **metadata_labels(pod, "pod"),
    }
    owner = controller_of(pod)
    if owner is None:
        return labels
    kind, name = text(owner, "kind"), text(owner, "name")
    labels |= {f"{POD}controller_kind": kind, f"{POD}controller_name": name}
    key = f"{text(pod, 'metadata', 'namespace')}/{name}"
    if kind == "ReplicaSet" and known.attached.deployment:
        labels |= _of_owner("replicasets", key, "Deployment", f"{POD}deployment_name", known)
    if kind == "Job" and known.attached.job:
        labels[f"{POD}job_name"] = name
    if kind == "Job" and known.attached.cronjob:
        labels |= _of_owner("jobs", key, "CronJob", f"{POD}cronjob_name", known)
    return labels


def _of_owner(resource: str, key: str, kind: str, label: str, known: Known) -> Labels:
    found = known.get(resource, key)
    owner = None if found is None else controller_of(found)
    return {label: text(owner, "name")} if owner and text(owner, "kind") == kind else {}


def containers_of(pod: Object) -> Iterator[tuple[Object, bool]]:
    """Each with whether it is one of those that run first."""
    for name, is_first in (("containers", False), ("initContainers", True)):
        for one in items(pod, "spec", name):
            yield one, is_first


def container_labels(container: Object, port: Object | None, *, is_first: bool) -> Labels:
    labels = {
        f"{POD}container_name": text(container, "name"),
        f"{POD}container_image": text(container, "image"),
        f"{POD}container_init": "true" if is_first else "false",
    }
    if port is not None:
        labels |= {
            f"{POD}container_port_name": text(port, "name"),
            f"{POD}container_port_number": text(port, "containerPort"),
            f"{POD}container_port_protocol": text(port, "protocol"),
        }
    return labels


def pod_group(key: str, pod: Object, known: Known) -> Group:
    """A target for each port of each container; for a container without ports one without port."""
    source, ip = f"pod/{key}", text(pod, "status", "podIP")
    node, namespace = text(pod, "spec", "nodeName"), text(pod, "metadata", "namespace")
    if not ip or (known.attached.node and known.get("nodes", node) is None):
        return Group(source, ())  # it begins, was evicted, or is on a node that is not chosen
    labels = pod_labels(pod, known) | {NAMESPACE: namespace}
    if known.attached.node:
        labels |= attached_node_labels(node, known)
    labels |= namespace_labels(namespace, known)
    targets = []
    for container, is_first in containers_of(pod):
        statuses = items(
            pod, "status", "initContainerStatuses" if is_first else "containerStatuses"
        )
        name = text(container, "name")
        found = next((one for one in statuses if text(one, "name") == name), None)
        for port in items(container, "ports") or [None]:
            target = container_labels(container, port, is_first=is_first)
            target[f"{POD}container_id"] = text(found, "containerID")
            address = ip if port is None else joined(ip, text(port, "containerPort"))
            targets.append({"__address__": address, **target})
    return Group(source, tuple(targets), labels)
