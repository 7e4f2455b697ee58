"""Endpoints and slices of endpoints as groups of targets: the pods behind a service.

Of a pod that is behind a service all ports are targets: those that the service has with the labels
of its endpoint, the others without.
"""

from __future__ import annotations

from typing import Any, Final

from trilens.scrape.discovery_groups import Group
from trilens.scrape.kubernetes.objects import (
    NAMESPACE,
    PREFIX,
    Known,
    Labels,
    attached_node_labels,
    clean,
    container_labels,
    containers_of,
    items,
    joined,
    metadata_labels,
    namespace_labels,
    of,
    pod_labels,
    service_labels,
    text,
)
from trilens.scrape.kubernetes.resources import Object

_ENDPOINT: Final = f"{PREFIX}endpoint_"
_SLICE: Final = f"{PREFIX}endpointslice_"
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_DUAL: Final = ("PreferDualStack", "RequireDualStack")


class _Pods:
    """Those that targets were made of, with the ports that the service has."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._seen: dict[str, tuple[Object, set[Any]]] = {}

    def labels(self, reference: Any, port: Any) -> Labels:
        """Of the pod that an endpoint refers to, and of its container that has the port."""
        if text(reference, "kind") != "Pod":
            return {}
        key = f"{text(reference, 'namespace')}/{text(reference, 'name')}"
        pod = self._known.get("pods", key)
        if pod is None:
            return {}
        self._seen.setdefault(key, (pod, set()))[1].add(port)
        labels = pod_labels(pod, self._known)
        for container, is_first in containers_of(pod):
            for one in items(container, "ports"):
                if port is not None and one.get("containerPort") == port:
                    labels |= container_labels(container, one, is_first=is_first)
                    break
        return labels

    def others(self) -> list[Labels]:
        """Targets of the ports that no endpoint has."""
        targets = []
        for pod, ports in self._seen.values():
            ip = text(pod, "status", "podIP")
            for container, is_first in containers_of(pod) if ip else ():
                for one in items(container, "ports"):
                    if one.get("containerPort") in ports:
                        continue
                    address = joined(ip, text(one, "containerPort"))
                    labels = container_labels(container, one, is_first=is_first)
                    targets.append(
                        {"__address__": address, **labels, **pod_labels(pod, self._known)}
                    )
        return targets


def endpoints_group(key: str, found: Object, known: Known) -> Group:
    namespace = text(found, "metadata", "namespace")
    labels = {NAMESPACE: namespace}
    service = known.get("services", key)
    if service is not None:
        labels |= service_labels(service)
    labels |= metadata_labels(found, "endpoints") | namespace_labels(namespace, known)
    pods = _Pods(known)
    targets = [
        _of_endpoint(address, port, ready, pods, known)
        for subset in items(found, "subsets")
        for port in items(subset, "ports")
        for name, ready in (("addresses", "true"), ("notReadyAddresses", "false"))
        for address in items(subset, name)
    ]
    return Group(f"endpoints/{key}", (*targets, *pods.others()), labels)


def _of_endpoint(address: Object, port: Object, ready: str, pods: _Pods, known: Known) -> Labels:
    reference, node = of(address, "targetRef"), text(address, "nodeName")
    target = {
        "__address__": joined(text(address, "ip"), text(port, "port")),
        f"{_ENDPOINT}port_name": text(port, "name"),
        f"{_ENDPOINT}port_protocol": text(port, "protocol"),
        f"{_ENDPOINT}ready": ready,
        f"{_ENDPOINT}node_name": node,
        f"{_ENDPOINT}hostname": text(address, "hostname"),
        f"{_ENDPOINT}address_target_kind": text(reference, "kind"),
        f"{_ENDPOINT}address_target_name": text(reference, "name"),
    }
    if known.attached.node:
        is_node = not node and text(reference, "kind") == "Node"
        target |= attached_node_labels(text(reference, "name") if is_node else node, known)
    return target | pods.labels(reference, of(port, "port"))


def slice_group(key: str, found: Object, known: Known) -> Group:
    namespace = text(found, "metadata", "namespace")
    labels = {NAMESPACE: namespace, f"{_SLICE}address_type": text(found, "addressType")}
    labels |= metadata_labels(found, "endpointslice")
    name = text(found, "metadata", "labels", _SERVICE_NAME)
    service = known.get("services", f"{namespace}/{name}") if name else None
    if service is not None:
        labels |= service_labels(service)
    labels |= namespace_labels(namespace, known)
    source = f"endpointslice/{key}"
    if service is not None and _is_second_family(service, found):
        return Group(source, (), labels)
    pods = _Pods(known)
    targets = [
        _of_slice(address, endpoint, port, pods, known)
        for endpoint in items(found, "endpoints")
        for port in items(found, "ports")
        for address in items(endpoint, "addresses")
    ]
    return Group(source, (*targets, *pods.others()), labels)


def _is_second_family(service: Object, found: Object) -> bool:
    """Its targets are those of the first family once more."""
    families = items(service, "spec", "ipFamilies")
    is_dual = text(service, "spec", "ipFamilyPolicy") in _DUAL
    return is_dual and bool(families) and families[0] != text(found, "addressType")


def _of_slice(address: str, endpoint: Object, port: Object, pods: _Pods, known: Known) -> Labels:
    reference, node = of(endpoint, "targetRef"), text(endpoint, "nodeName")
    number = of(port, "port")
    target = {
        "__address__": str(address) if number is None else joined(str(address), number),
        f"{_SLICE}port_name": text(port, "name"),
        f"{_SLICE}port_protocol": text(port, "protocol"),
        f"{_SLICE}port": text(port, "port"),
        f"{_SLICE}port_app_protocol": text(port, "appProtocol"),
        **{
            f"{_SLICE}endpoint_conditions_{name}": text(endpoint, "conditions", name)
            for name in ("ready", "serving", "terminating")
        },
        f"{_SLICE}endpoint_hostname": text(endpoint, "hostname"),
        f"{_SLICE}endpoint_node_name": node,
        f"{_SLICE}endpoint_zone": text(endpoint, "zone"),
        f"{_SLICE}address_target_kind": text(reference, "kind"),
        f"{_SLICE}address_target_name": text(reference, "name"),
    }
    for name, value in (of(endpoint, "deprecatedTopology") or {}).items():
        target[f"{_SLICE}endpoint_topology_{clean(name)}"] = str(value)
        target[f"{_SLICE}endpoint_topology_present_{clean(name)}"] = "true"
    if known.attached.node:
        is_node = text(reference, "kind") == "Node"
        target |= attached_node_labels(text(reference, "name") if is_node else node, known)
    return target | pods.labels(reference, number)
