"""Targets out of a cluster: labels of each role, lists and watches, and who we are there."""

from __future__ import annotations

import asyncio
import base64
import copy
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest

from clustering import ApiServer
from trilens.config_files.http_config import HttpConfig, Secret
from trilens.scrape import discovery as discoveries
from trilens.scrape.kubernetes import access as accesses
from trilens.scrape.kubernetes import store as stores
from trilens.scrape.kubernetes.access import NoAccess, access_of
from trilens.scrape.kubernetes.config import Attached, KubernetesDiscovery, Selector
from trilens.scrape.kubernetes.follow import follow
from waiting import wait_until

P = "__meta_kubernetes_"
PODS, NODES, SERVICES = "/api/v1/pods", "/api/v1/nodes", "/api/v1/services"
POD = {
    "metadata": {
        "name": "web-1", "namespace": "shop", "uid": "u-1", "managedFields": [{"a": 1}],
        "labels": {"app.kubernetes.io/name": "web"}, "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5f", "controller": True}],
    },
    "spec": {
        "nodeName": "node-a", "volumes": [{"name": "v"}],
        "containers": [
            {"name": "app", "image": "web:1", "env": [{"name": "X"}],
             "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                       {"containerPort": 9090, "protocol": "TCP"}]},
            {"name": "side", "image": "side:1"},
        ],
        "initContainers": [{"name": "init", "image": "init:1"}],
    },
    "status": {
        "podIP": "10.0.0.5", "hostIP": "192.168.0.1", "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "containerStatuses": [{"name": "app", "containerID": "containerd://1"}],
    },
}  # fmt: skip
NODE = {
    "metadata": {"name": "node-a", "labels": {"topology.kubernetes.io/zone": "eu-1a"}},
    "spec": {"providerID": "aws:///eu-1a/i-1"},
    "status": {
        "addresses": [{"type": "Hostname", "address": "node-a.local"},
                      {"type": "InternalIP", "address": "192.168.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "x"}],
    },
}  # fmt: skip
SERVICE = {
    "metadata": {"name": "web", "namespace": "shop", "labels": {"tier": "front"}},
    "spec": {"type": "LoadBalancer", "clusterIP": "10.1.0.1",
             "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]}},
}  # fmt: skip
REFERENCE = {"kind": "Pod", "name": "web-1", "namespace": "shop"}
POD_LABELS = {
    f"{P}pod_name": "web-1", f"{P}pod_ip": "10.0.0.5", f"{P}pod_ready": "true",
    f"{P}pod_phase": "Running", f"{P}pod_node_name": "node-a", f"{P}pod_host_ip": "192.168.0.1",
    f"{P}pod_uid": "u-1", f"{P}pod_controller_kind": "ReplicaSet",
    f"{P}pod_controller_name": "web-5f", f"{P}pod_label_app_kubernetes_io_name": "web",
    f"{P}pod_labelpresent_app_kubernetes_io_name": "true",
    f"{P}pod_annotation_prometheus_io_scrape": "true",
    f"{P}pod_annotationpresent_prometheus_io_scrape": "true",
}  # fmt: skip
SERVICE_LABELS = {
    f"{P}namespace": "shop", f"{P}service_name": "web", f"{P}service_label_tier": "front",
    f"{P}service_labelpresent_tier": "true",
}  # fmt: skip
APP = {
    f"{P}pod_container_name": "app", f"{P}pod_container_image": "web:1",
    f"{P}pod_container_init": "false", f"{P}pod_container_port_protocol": "TCP",
}  # fmt: skip


@pytest.fixture
def cluster():
    made = ApiServer()
    yield made
    made.close()


class Told:
    def __init__(self) -> None:
        self.groups = {}
        self.failures = []

    def tell(self, groups) -> None:
        self.groups = {one.source: one for one in groups}

    def targets(self, source):
        group = self.groups[source]
        return [{**group.labels, **dict(one)} for one in group.targets]


@contextmanager
def following(cluster, role, *, run=None, **options):
    told = Told()
    options.setdefault("client", HttpConfig(credentials=Secret("t0k")))
    discovery = KubernetesDiscovery(role, cluster.url + "/", **options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    run = run or partial(follow, tell_s=0.01)
    running = asyncio.run_coroutine_threadsafe(
        run(discovery, told.tell, told.failures.append), loop
    )
    try:
        yield told
    finally:
        running.cancel()
        wait_until(running.done)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def without_empty(labels):
    return {name: value for name, value in labels.items() if value}


def test_pods(cluster) -> None:
    cluster.put(PODS, POD)
    starting = copy.deepcopy(POD)
    starting["metadata"]["name"], starting["status"] = "web-2", {"phase": "Pending"}
    cluster.put(PODS, starting)
    with following(cluster, "pod") as told:
        wait_until(lambda: "pod/shop/web-2" in told.groups)
        assert told.groups["pod/shop/web-2"].targets == ()
        http, other, side, init = map(without_empty, told.targets("pod/shop/web-1"))
        common = POD_LABELS | {f"{P}namespace": "shop"}
        assert http == common | APP | {
            "__address__": "10.0.0.5:8080", f"{P}pod_container_port_name": "http",
            f"{P}pod_container_port_number": "8080", f"{P}pod_container_id": "containerd://1",
        }  # fmt: skip
        assert other["__address__"] == "10.0.0.5:9090"
        assert side == common | {
            "__address__": "10.0.0.5", f"{P}pod_container_name": "side",
            f"{P}pod_container_image": "side:1", f"{P}pod_container_init": "false",
        }  # fmt: skip
        assert (init[f"{P}pod_container_name"], init[f"{P}pod_container_init"]) == ("init", "true")
    path, query, headers = cluster.requests[0]
    assert (path, query) == (PODS, {"limit": "500"})
    assert {name.lower(): one for name, one in headers.items()}["authorization"] == "Bearer t0k"


def test_what_is_attached_to_pods(cluster) -> None:
    cluster.put(PODS, POD)
    cluster.put(NODES, NODE)
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"team": "x"}}})
    owner = {"kind": "Deployment", "name": "web", "controller": True}
    replicas = {"metadata": {"name": "web-5f", "namespace": "shop", "ownerReferences": [owner]}}
    cluster.put("/apis/apps/v1/replicasets", replicas)
    attached = Attached(node=True, namespace=True, deployment=True)
    with following(cluster, "pod", attached=attached) as told:
        wait_until(lambda: told.groups)
        labels = told.targets("pod/shop/web-1")[0]
        assert labels[f"{P}node_label_topology_kubernetes_io_zone"] == "eu-1a"
        assert labels[f"{P}namespace_label_team"] == "x"
        assert labels[f"{P}pod_deployment_name"] == "web"
        changed = copy.deepcopy(NODE)
        changed["metadata"]["labels"] = {"topology.kubernetes.io/zone": "eu-1b"}
        cluster.put(NODES, changed)
        zone = f"{P}node_label_topology_kubernetes_io_zone"
        wait_until(lambda: told.targets("pod/shop/web-1")[0][zone] == "eu-1b")
        cluster.put(NODES, changed, "DELETED")
        wait_until(lambda: told.groups["pod/shop/web-1"].targets == ())


def test_jobs(cluster) -> None:
    pod = copy.deepcopy(POD)
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "j-1", "controller": True}]
    cluster.put(PODS, pod)
    owner = {"kind": "CronJob", "name": "nightly", "controller": True}
    job = {"metadata": {"name": "j-1", "namespace": "shop", "ownerReferences": [owner]}}
    cluster.put("/apis/batch/v1/jobs", job)
    with following(cluster, "pod", attached=Attached(job=True, cronjob=True)) as told:
        wait_until(lambda: told.groups)
        labels = told.targets("pod/shop/web-1")[0]
        assert (labels[f"{P}pod_job_name"], labels[f"{P}pod_cronjob_name"]) == ("j-1", "nightly")


def test_nodes(cluster) -> None:
    cluster.put(NODES, NODE)
    with following(cluster, "node") as told:
        wait_until(lambda: told.groups)
        (target,) = told.targets("node/node-a")
        assert target == {
            "__address__": "192.168.0.1:10250", "instance": "node-a", f"{P}node_name": "node-a",
            f"{P}node_provider_id": "aws:///eu-1a/i-1", f"{P}node_condition_ready": "true",
            f"{P}node_label_topology_kubernetes_io_zone": "eu-1a",
            f"{P}node_labelpresent_topology_kubernetes_io_zone": "true",
            f"{P}node_address_InternalIP": "192.168.0.1",
            f"{P}node_address_Hostname": "node-a.local",
        }  # fmt: skip
        told.groups = {}
        alive = copy.deepcopy(NODE)
        alive["status"]["conditions"][0]["lastHeartbeatTime"] = "y"
        cluster.put(NODES, alive)
        other = copy.deepcopy(NODE)
        other["metadata"]["name"], other["status"]["addresses"] = "node-b", []
        cluster.put(NODES, other)
        wait_until(lambda: told.groups)
        assert told.groups["node/node-b"].targets == ()


def test_services(cluster) -> None:
    cluster.put(SERVICES, SERVICE)
    with following(cluster, "service") as told:
        wait_until(lambda: told.groups)
        (target,) = told.targets("svc/shop/web")
        assert target == SERVICE_LABELS | {
            "__address__": "web.shop.svc:80", f"{P}service_port_name": "http",
            f"{P}service_port_number": "80", f"{P}service_port_protocol": "TCP",
            f"{P}service_type": "LoadBalancer", f"{P}service_cluster_ip": "10.1.0.1",
            f"{P}service_loadbalancer_ip": "1.1.1.1,2.2.2.2",
        }  # fmt: skip


def test_endpoints(cluster) -> None:
    cluster.put(PODS, POD)
    cluster.put(SERVICES, SERVICE)
    cluster.put("/api/v1/endpoints", {
        "metadata": {"name": "web", "namespace": "shop", "labels": {"e": "1"}},
        "subsets": [{
            "addresses": [{"ip": "10.0.0.5", "nodeName": "node-a", "targetRef": REFERENCE}],
            "notReadyAddresses": [{"ip": "10.0.0.9", "hostname": "h"}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }],
    })  # fmt: skip
    with following(cluster, "endpoints") as told:
        wait_until(lambda: told.groups)
        ready, other, rest = map(without_empty, told.targets("endpoints/shop/web"))
        of_group = SERVICE_LABELS | {
            f"{P}endpoints_name": "web", f"{P}endpoints_label_e": "1",
            f"{P}endpoints_labelpresent_e": "1" and "true",
        }  # fmt: skip
        port = {f"{P}endpoint_port_name": "http", f"{P}endpoint_port_protocol": "TCP"}
        assert ready == of_group | port | POD_LABELS | APP | {
            "__address__": "10.0.0.5:8080", f"{P}endpoint_ready": "true",
            f"{P}endpoint_node_name": "node-a", f"{P}endpoint_address_target_kind": "Pod",
            f"{P}endpoint_address_target_name": "web-1", f"{P}pod_container_port_name": "http",
            f"{P}pod_container_port_number": "8080",
        }  # fmt: skip
        assert other == of_group | port | {
            "__address__": "10.0.0.9:8080", f"{P}endpoint_ready": "false",
            f"{P}endpoint_hostname": "h",
        }  # fmt: skip
        assert rest == of_group | POD_LABELS | APP | {
            "__address__": "10.0.0.5:9090", f"{P}pod_container_port_number": "9090",
        }  # fmt: skip
        cluster.put(PODS, POD, "DELETED")
        wait_until(lambda: len(told.groups["endpoints/shop/web"].targets) == 2)


SLICE = {
    "metadata": {"name": "web-x", "namespace": "shop",
                 "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "h2c"}],
    "endpoints": [{"addresses": ["10.0.0.5"], "nodeName": "node-a", "zone": "z", "hostname": "h",
                   "conditions": {"ready": True, "serving": True, "terminating": False},
                   "targetRef": REFERENCE}],
}  # fmt: skip
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def test_slices_of_endpoints(cluster) -> None:
    for path, found in ((PODS, POD), (SERVICES, SERVICE), (NODES, NODE), (SLICES, SLICE)):
        cluster.put(path, found)
    with following(cluster, "endpointslice", attached=Attached(node=True)) as told:
        wait_until(lambda: told.groups)
        first, _ = map(without_empty, told.targets("endpointslice/shop/web-x"))
        s = f"{P}endpointslice_"
        assert first == SERVICE_LABELS | POD_LABELS | APP | {
            "__address__": "10.0.0.5:8080", f"{s}name": "web-x", f"{s}address_type": "IPv4",
            f"{s}label_kubernetes_io_service_name": "web",
            f"{s}labelpresent_kubernetes_io_service_name": "true", f"{s}port_name": "http",
            f"{s}port_protocol": "TCP", f"{s}port": "8080", f"{s}port_app_protocol": "h2c",
            f"{s}endpoint_conditions_ready": "true", f"{s}endpoint_conditions_serving": "true",
            f"{s}endpoint_conditions_terminating": "false", f"{s}endpoint_hostname": "h",
            f"{s}endpoint_node_name": "node-a", f"{s}endpoint_zone": "z",
            f"{s}address_target_kind": "Pod", f"{s}address_target_name": "web-1",
            f"{P}node_name": "node-a", f"{P}node_label_topology_kubernetes_io_zone": "eu-1a",
            f"{P}node_labelpresent_topology_kubernetes_io_zone": "true",
            f"{P}pod_container_port_name": "http", f"{P}pod_container_port_number": "8080",
        }  # fmt: skip
        dual = copy.deepcopy(SERVICE)
        dual["spec"] |= {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
        cluster.put(SERVICES, dual)
        wait_until(lambda: told.groups["endpointslice/shop/web-x"].targets == ())


def test_ingresses(cluster) -> None:
    cluster.put("/apis/networking.k8s.io/v1/ingresses", {
        "metadata": {"name": "i", "namespace": "shop"},
        "spec": {
            "ingressClassName": "alb", "tls": [{"hosts": ["*.example.org"]}],
            "rules": [{"host": "a.example.org", "http": {"paths": [{"path": "/x"}, {"path": ""}]}},
                      {"host": "example.org"}],
        },
    })  # fmt: skip
    with following(cluster, "ingress") as told:
        wait_until(lambda: told.groups)
        shown = [
            (one["__address__"], one[f"{P}ingress_scheme"], one[f"{P}ingress_path"])
            for one in told.targets("ingress/shop/i")
        ]
        assert shown == [
            ("a.example.org", "https", "/x"), ("a.example.org", "https", "/"),
            ("example.org", "http", "/"),
        ]  # fmt: skip
        assert told.targets("ingress/shop/i")[0][f"{P}ingress_class_name"] == "alb"


def test_pages_namespaces_and_selectors(cluster, monkeypatch) -> None:
    monkeypatch.setattr(stores, "PAGE_OBJECTS", 7)
    for namespace in ("a", "b", "c"):
        for number in range(20):
            pod = copy.deepcopy(POD)
            pod["metadata"] |= {"name": f"p{number}", "namespace": namespace}
            cluster.put(f"/api/v1/namespaces/{namespace}/pods", pod)
    chosen = (Selector("pod", "app=web", "spec.nodeName=node-a"),)
    with following(cluster, "pod", namespaces=("a", "b"), selectors=chosen) as told:
        wait_until(lambda: len(told.groups) == 40)
    paths = [path for path, query, _ in cluster.requests if "watch" not in query]
    assert len(paths) == 6
    assert set(paths) == {"/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"}
    for _, query, _ in cluster.requests:
        assert (query["labelSelector"], query["fieldSelector"]) == (
            "app=web", "spec.nodeName=node-a",
        )  # fmt: skip


def test_changes_are_watched_and_what_is_too_old_is_listed_anew(cluster) -> None:
    cluster.put(PODS, POD)
    with following(cluster, "pod") as told:
        wait_until(lambda: told.groups)
        other = copy.deepcopy(POD)
        other["metadata"]["name"] = "web-9"
        cluster.put(PODS, other)
        wait_until(lambda: len(told.groups) == 2)
        assert sum("watch" not in query for _, query, _ in cluster.requests) == 1
        cluster.put(PODS, other, "DELETED")
        wait_until(lambda: len(told.groups) == 1)
        cluster.objects[PODS]["shop/web-9"] = other  # nobody hears of this but by a list
        cluster.forget()
        wait_until(lambda: len(told.groups) == 2)
        assert told.failures == []


def test_pages_that_are_too_big_are_asked_for_with_fewer_objects(cluster, monkeypatch) -> None:
    monkeypatch.setattr(stores, "BYTES_MAX", 5_000)
    monkeypatch.setattr(stores, "RETRY_S_MIN", 0.01)
    for number in range(20):
        pod = copy.deepcopy(POD)
        pod["metadata"]["name"] = f"p{number}"
        cluster.put(PODS, pod)
    with following(cluster, "pod") as told:
        wait_until(lambda: len(told.groups) == 20)
    assert told.failures
    assert all("a page of more than 5000 bytes" in one for one in told.failures)


def test_a_server_that_forgets_at_once_is_not_asked_without_end(cluster, monkeypatch) -> None:
    monkeypatch.setattr(stores, "RETRY_S_MIN", 0.2)
    cluster.put(PODS, POD)
    cluster.oldest = 1 << 40
    with following(cluster, "pod") as told:
        wait_until(lambda: told.groups)
        time.sleep(1.0)
    assert len(cluster.requests) < 12
    assert told.failures == []


def test_what_fails_leaves_what_was_known(cluster, monkeypatch) -> None:
    monkeypatch.setattr(stores, "RETRY_S_MIN", 0.05)
    monkeypatch.setattr(stores, "RETRY_S_MAX", 0.1)
    cluster.put(PODS, POD)
    with following(cluster, "pod") as told:
        wait_until(lambda: told.groups)
        cluster.status = 403
        cluster.forget()
        wait_until(lambda: told.failures)
        assert told.failures[0] == f"{PODS}: HTTP status 403"
        assert "pod/shop/web-1" in told.groups
        told.groups = {}
        cluster.status = 200
        wait_until(lambda: told.groups)  # it says that all is well again


@pytest.mark.parametrize("event", [
    {"type": "ADDED", "object": {}}, {"type": "ADDED"}, {"type": "ADDED", "object": {"metadata": 5}},
    {"type": "NEW", "object": {"metadata": {"name": "x"}}}, {"type": "ERROR", "object": {"code": 500}},
])  # fmt: skip
def test_events_that_are_none_cost_a_watch(cluster, monkeypatch, event) -> None:
    monkeypatch.setattr(stores, "RETRY_S_MIN", 0.05)
    monkeypatch.setattr(stores, "RETRY_S_MAX", 0.1)
    cluster.put(PODS, POD)
    with following(cluster, "pod") as told:
        wait_until(lambda: told.groups)
        whole = cluster.send
        cluster.send = lambda handler, _event: whole(handler, event)
        other = copy.deepcopy(POD)
        other["metadata"]["name"] = "web-9"
        cluster.put(PODS, other)
        wait_until(lambda: told.failures)
        cluster.send = whole
        cluster.put(PODS, other)
        wait_until(lambda: len(told.groups) == 2)


def test_an_object_of_another_form_is_told_and_it_goes_on(cluster, monkeypatch) -> None:
    monkeypatch.setattr(discoveries, "RETRY_S", 0.1)
    odd = copy.deepcopy(POD)
    odd["metadata"] |= {"name": "odd", "labels": ["x"]}
    cluster.put(PODS, odd)
    with following(cluster, "pod", run=discoveries.discover) as told:
        wait_until(lambda: told.failures)
        cluster.put(PODS, odd, "DELETED")
        cluster.put(PODS, POD)
        wait_until(lambda: told.groups)


def test_in_a_pod(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoAccess, match="not in a pod"):
        access_of(KubernetesDiscovery("pod"))
    monkeypatch.setattr(accesses, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "namespace").write_text("mine\n")
    found = access_of(KubernetesDiscovery("pod", namespaces=("a",), own_namespace=True))
    assert (found.server, found.namespaces) == ("https://[fd00::1]:443", ("a", "mine"))
    assert found.client.credentials == Secret(path=tmp_path / "token")
    assert found.client.tls.ca == Secret(path=tmp_path / "ca.crt")


KUBECONFIG = """
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: 'https://k:6443/', certificate-authority-data: {ca}}}}}]
users: [{{name: u, user: {user}}}]
"""


def test_a_kubeconfig(tmp_path) -> None:
    file = tmp_path / "config"
    discovery = KubernetesDiscovery("pod", kubeconfig=file)
    ca = base64.b64encode(b"PEM").decode()
    file.write_text(KUBECONFIG.format(ca=ca, user="{token: t, client-certificate: c.pem}"))
    found = access_of(discovery)
    assert found.server == "https://k:6443"
    assert (found.client.tls.ca, found.client.credentials) == (Secret("PEM"), Secret("t"))
    assert found.client.tls.cert == Secret(path=tmp_path / "c.pem")
    for user, why in (
        ("{exec: {command: aws}}", "an exec of '' is not supported"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1}}", "exec needs a command"),
        ("{exec: {command: a, interactiveMode: Always}}", "there is no terminal"),
        ("{auth-provider: {name: gcp}}", "auth-provider is not supported"),
        ("{token: t, as: root}", "as is not supported"),
        ("{}", ""),
    ):
        file.write_text(KUBECONFIG.format(ca="'!'" if not why else ca, user=user))
        with pytest.raises(NoAccess, match=why or "no text in base64"):
            access_of(discovery)
    file.write_text("current-context: x\n")
    with pytest.raises(NoAccess, match="there is no 'x' among its contexts"):
        access_of(discovery)
