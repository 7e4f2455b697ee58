"""Four hours of an EKS cluster as series, a value a minute: what is well, and faults that are not.

3 nodes of a node group, 1 of Karpenter that comes, is cordoned and goes; 2 of Fargate, 1 of
which goes with its pod. No scheduler, controller manager or etcd. kube-state-metrics starts
anew in between, one of two API servers is replaced. A Deployment is rolled out and scaled by
its autoscaler, a StatefulSet restarted pod by pod; a DaemonSet follows the nodes. A Job's first
attempt fails, a CronJob's run fails and the next does not; pods complete, are evicted, wait for
a node or an image, and are deleted.
"""

from __future__ import annotations

MINUTES = 240
KSM_RESTART = 180
NODES = ("n1", "n2", "n3")
FARGATE = ("fargate-ip-10-0-9-1.ec2.internal", "fargate-ip-10-0-9-2.ec2.internal")
KARPENTER = ("k1", 62, 165)  # from, to
READY_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
FAULT = 60  # the minute in which faults begin


def constant(value, begin=0, end=MINUTES):
    """`value` from a minute on, to another; nothing before and after."""
    return [value if begin <= at < end else None for at in range(MINUTES + 1)]


def steps(*changes, end=MINUTES + 1):
    """(minute, value), each until the next; None is no sample."""
    values = []
    for at in range(MINUTES + 1):
        reached = [value for minute, value in changes if minute <= at]
        values.append(reached[-1] if reached and at < end else None)
    return values


def counter(per_minute, begin=0, end=MINUTES + 1):
    return [per_minute * (at - begin) if begin <= at < end else None for at in range(MINUTES + 1)]


class Cluster:
    """Series by name and labels. A value None is no sample; after the last one it is stale."""

    def __init__(self, name):
        self.name = name
        self.series = {}

    def add(self, metric, values, **labels):
        named = sorted({"cluster": self.name, **labels}.items())
        shown = ", ".join(f'{name}="{value}"' for name, value in named)
        self.series[f"{metric}{{{shown}}}"] = values

    def state(self, metric, values, **labels):
        """Of kube-state-metrics, whose pod is another one after its restart."""
        before = [v if at < KSM_RESTART else None for at, v in enumerate(values)]
        after = [v if at > KSM_RESTART else None for at, v in enumerate(values)]
        ksm = {"job": "kube-state-metrics"}
        self.add(f"kube_{metric}", before, instance="ksm-a:8080", **ksm, **labels)
        self.add(f"kube_{metric}", after, instance="ksm-b:8080", **ksm, **labels)

    def drop(self, *parts, after=-1):
        """Ends series whose text holds all of `parts`, after a minute."""
        for name, values in self.series.items():
            if all(part in name for part in parts):
                self.series[name] = [v if at <= after else None for at, v in enumerate(values)]

    def input_series(self):
        return [
            {"series": name, "values": notation(values)}
            for name, values in self.series.items()
            if any(value is not None for value in values)
        ]

    # --- what a cluster consists of

    def node(self, node, begin=0, end=MINUTES + 1, *, ready=None, cordoned=None):
        there = constant(1, begin, end)
        self.state("node_info", there, node=node)
        is_ready = ready or steps((begin, 0), (begin + 1 if begin else 0, 1), end=end)
        self.state("node_status_condition", is_ready, node=node, condition="Ready", status="true")
        self.state("node_status_condition", [v if v is None else 1 - v for v in is_ready], node=node,
                   condition="Ready", status="false")  # fmt: skip
        for condition in ("MemoryPressure", "DiskPressure", "PIDPressure"):
            zero = constant(0, begin, end)
            self.state("node_status_condition", zero, node=node, condition=condition, status="true")
        of_node = cordoned or constant(0, begin, end)
        self.state("node_spec_unschedulable", of_node, node=node)
        self.state("node_status_allocatable", constant(4, begin, end), node=node, resource="cpu")

    def machine(self, node, begin=0, end=MINUTES + 1):
        """Kubelet and node_exporter, of nodes that are machines of ours."""
        kubelet = {"job": "kubelet", "instance": node}
        self.add("up", constant(1, begin, end), **kubelet)
        self.add("kubelet_node_name", constant(1, begin, end), node=node, **kubelet)
        for le in ("1", "10", "+Inf"):
            self.add(
                "kubelet_pleg_relist_duration_seconds_bucket",
                counter(60, begin, end),
                le=le,
                **kubelet,
            )
            self.add(
                "kubelet_pod_start_sli_duration_seconds_bucket",
                counter(1, begin, end),
                le=le,
                **kubelet,
            )
        self.add(
            "kubelet_certificate_manager_server_ttl_seconds", constant(9e6, begin, end), **kubelet
        )
        self.add("rest_client_requests_total", counter(60, begin, end), code="200", **kubelet)
        exporter = {"job": "node-exporter", "instance": f"{node}:9100"}
        self.add("up", constant(1, begin, end), **exporter)
        for mode, rate in (("idle", 40), ("user", 15), ("iowait", 5)):
            self.add(
                "node_cpu_seconds_total", counter(rate, begin, end), cpu="0", mode=mode, **exporter
            )
        self.add("node_load1", constant(1, begin, end), **exporter)
        self.add("node_memory_MemTotal_bytes", constant(16e9, begin, end), **exporter)
        self.add("node_memory_MemAvailable_bytes", constant(5e9, begin, end), **exporter)
        root = {"mountpoint": "/", "fstype": "xfs", "device": "/dev/nvme0n1p1", **exporter}
        # Images come and are removed at 85 %.
        saw = [20 - at % 60 / 12 if begin <= at < end else None for at in range(MINUTES + 1)]
        self.add("node_filesystem_avail_bytes", saw, **root)
        self.add("node_filesystem_size_bytes", constant(100, begin, end), **root)
        self.add("node_filesystem_files_free", constant(900, begin, end), **root)
        self.add("node_filesystem_files", constant(1000, begin, end), **root)
        self.add("node_filesystem_readonly", constant(0, begin, end), **root)
        for way in ("receive", "transmit"):
            for what, rate in (("bytes", 6e6), ("packets", 6e3), ("errs", 0), ("drop", 1)):
                name = f"node_network_{way}_{what}_total"
                self.add(name, counter(rate, begin, end), device="eth0", **exporter)
        self.add(
            "node_disk_io_time_weighted_seconds_total",
            counter(30, begin, end),
            device="nvme0n1",
            **exporter,
        )
        self.add("node_timex_offset_seconds", constant(0.0001, begin, end), **exporter)
        self.add("node_filefd_allocated", constant(3000, begin, end), **exporter)
        self.add("node_filefd_maximum", constant(1e6, begin, end), **exporter)

    def pod(
        self,
        namespace,
        pod,
        owner,
        node,
        begin=0,
        end=MINUTES + 1,
        *,
        ready=1,
        phases=None,
        deleted=None,
    ):
        """`ready`: minutes from its start until it is; `phases`: (minute, phase) instead of Running."""
        pod_labels = {"namespace": namespace, "pod": pod}
        changes = phases or ((begin, "Pending"), (begin + ready, "Running"))
        self.state("pod_info", constant(1, begin, end), node=node, **pod_labels)
        kind, name = owner
        self.state("pod_owner", constant(1, begin, end), owner_kind=kind, owner_name=name,
                   owner_is_controller="true", **pod_labels)  # fmt: skip
        for phase in READY_PHASES:
            values = steps(*((at, int(now == phase)) for at, now in changes), end=end)
            self.state("pod_status_phase", values, phase=phase, **pod_labels)
        runs = steps(*((at, int(now == "Running")) for at, now in changes), end=end)
        self.state("pod_status_ready", runs, condition="true", **pod_labels)
        self.state(
            "pod_status_ready",
            [v if v is None else 1 - v for v in runs],
            condition="false",
            **pod_labels,
        )
        self.state(
            "pod_container_status_restarts_total",
            constant(0, begin, end),
            container="main",
            **pod_labels,
        )
        self.state("pod_container_resource_requests", constant(0.5, begin, end), container="main",
                   node=node, resource="cpu", **pod_labels)  # fmt: skip
        if deleted is not None:
            self.state(
                "pod_deletion_timestamp", constant(deleted * 60 + 30, deleted, end), **pod_labels
            )
        if node in NODES:
            of_kubelet = {
                "job": "kubelet",
                "instance": node,
                "container": "main",
                "image": "i",
                "id": f"/{pod}",
            }
            cpu = counter(12, begin, end)
            self.add(
                "container_cpu_usage_seconds_total", cpu, cpu="total", **of_kubelet, **pod_labels
            )
            self.add(
                "container_memory_working_set_bytes",
                constant(1e8, begin, end),
                **of_kubelet,
                **pod_labels,
            )
            self.add(
                "container_cpu_cfs_periods_total",
                counter(600, begin, end),
                **of_kubelet,
                **pod_labels,
            )
            self.add(
                "container_cpu_cfs_throttled_periods_total",
                counter(20, begin, end),
                **of_kubelet,
                **pod_labels,
            )

    def deployment(self, name, wanted, available, *, generation=None, observed=None):
        labels = {"namespace": "shop", "deployment": name}
        self.state("deployment_spec_replicas", wanted, **labels)
        self.state("deployment_status_replicas_available", available, **labels)
        self.state(
            "deployment_metadata_generation", generation or constant(1, 0, MINUTES + 1), **labels
        )
        self.state(
            "deployment_status_observed_generation",
            observed or constant(1, 0, MINUTES + 1),
            **labels,
        )
        for status in ("true", "false"):
            value = constant(int(status == "true"), 0, MINUTES + 1)
            self.state(
                "deployment_status_condition",
                value,
                condition="Progressing",
                status=status,
                **labels,
            )


def healthy(name):
    """All that the module's docstring says."""
    cluster = Cluster(name)
    _nodes(cluster)
    _control_plane(cluster)
    _web(cluster)
    _database(cluster)
    _daemons(cluster)
    _jobs(cluster)
    return cluster


def _nodes(cluster):
    for node in NODES:
        cluster.node(node)
        cluster.machine(node)
    node, begin, end = KARPENTER
    cluster.node(node, begin, end, cordoned=steps((begin, 0), (150, 1), end=end),
                 ready=steps((begin, 0), (begin + 1, 1), (158, 0), end=end))  # fmt: skip
    cluster.machine(node, begin + 1, 158)
    cluster.add("up", steps((158, 0), end=end), job="kubelet", instance=f"{node}-going")
    cluster.node(FARGATE[0])
    cluster.node(FARGATE[1], 0, 100)
    for node in FARGATE:
        # Discovery of nodes finds them, their kubelets cannot be reached.
        cluster.add("up", constant(0, 0, MINUTES + 1), job="kubelet", instance=node)
    cluster.pod("shop", "on-fargate", ("ReplicaSet", "web-1"), FARGATE[0], ready=2)
    cluster.pod("shop", "leaves", ("Job", "short"), FARGATE[1], 0, 100)


def _control_plane(cluster):
    for instance, begin, end in (
        ("10.0.0.1:443", 0, 120),
        ("10.0.0.2:443", 0, 241),
        ("10.0.0.3:443", 121, 241),
    ):
        api = {"job": "apiserver", "instance": instance}
        cluster.add("up", constant(1, begin, end), **api)
        cluster.add(
            "apiserver_current_inflight_requests",
            constant(3, begin, end),
            request_kind="mutating",
            **api,
        )
        cluster.add("apiserver_storage_size_bytes", constant(4e8, begin, end), **api)
        for verb, rate in (("GET", 600), ("LIST", 300), ("PUT", 300), ("WATCH", 60)):
            cluster.add(
                "apiserver_request_total",
                counter(rate, begin, end),
                verb=verb,
                code="200",
                resource="pods",
                **api,
            )
            if verb == "WATCH":
                continue
            of = {
                "verb": verb,
                "resource": "pods",
                "scope": "namespace" if verb == "LIST" else "resource",
                "subresource": "",
            }
            cluster.add(
                "apiserver_request_sli_duration_seconds_count",
                counter(rate, begin, end),
                **of,
                **api,
            )
            for le in ("0.1", "1", "5", "30", "+Inf"):
                cluster.add(
                    "apiserver_request_sli_duration_seconds_bucket",
                    counter(rate, begin, end),
                    le=le,
                    **of,
                    **api,
                )
        cluster.add(
            "apiserver_request_total",
            counter(1, begin, end),
            verb="GET",
            code="500",
            resource="pods",
            **api,
        )
        cluster.add(
            "aggregator_unavailable_apiservice",
            constant(0, begin, end),
            name="v1beta1.metrics.k8s.io",
            **api,
        )
    for instance in ("10.0.1.1:9153", "10.0.1.2:9153"):
        dns = {"job": "coredns", "instance": instance}
        cluster.add("up", constant(1, 0, 241), **dns)
        cluster.add("coredns_build_info", constant(1, 0, 241), version="1.12", **dns)
        cluster.add("coredns_dns_responses_total", counter(6000), rcode="NOERROR", **dns)
        cluster.add("coredns_dns_responses_total", counter(3000), rcode="NXDOMAIN", **dns)
        cluster.add("coredns_dns_responses_total", counter(10), rcode="SERVFAIL", **dns)
    for ksm, begin, end in (("ksm-a:8080", 0, KSM_RESTART), ("ksm-b:8080", KSM_RESTART + 1, 241)):
        cluster.add("up", constant(1, begin, end), job="kube-state-metrics", instance=ksm)
        for verb in ("list", "watch"):
            cluster.add(f"kube_state_metrics_{verb}_total", counter(60, begin, end), result="success",
                        resource="*v1.Pod", job="kube-state-metrics", instance=ksm)  # fmt: skip


def _web(cluster):
    """Three pods; a rollout from minute 90; five from 130 to 170, one of them on the new node."""
    cluster.state("replicaset_owner", constant(1, 0, 241), namespace="shop", replicaset="web-1",
                  owner_kind="Deployment", owner_name="web")  # fmt: skip
    cluster.state("replicaset_owner", constant(1, 90, 241), namespace="shop", replicaset="web-2",
                  owner_kind="Deployment", owner_name="web")  # fmt: skip
    for number, node in enumerate(NODES):
        gone = 94 + 4 * number
        cluster.pod(
            "shop", f"web-1-{number}", ("ReplicaSet", "web-1"), node, 0, gone, deleted=gone - 2
        )
        cluster.pod(
            "shop", f"web-2-{number}", ("ReplicaSet", "web-2"), node, 90 + 4 * number, ready=3
        )
    cluster.pod("shop", "web-2-3", ("ReplicaSet", "web-2"), "n1", 130, 172, ready=2, deleted=170)
    cluster.pod("shop", "web-2-4", ("ReplicaSet", "web-2"), "n2", 130, 172, ready=4, deleted=170)
    # It waits two minutes for the node that Karpenter brings, and is evicted from it in the end.
    cluster.pod("shop", "burst", ("ReplicaSet", "web-1"), "k1", 60, 158, ready=5,
                phases=((60, "Pending"), (65, "Running")), deleted=151)  # fmt: skip
    cluster.state("pod_status_unschedulable", constant(1, 60, 62), namespace="shop", pod="burst")
    cluster.pod(
        "shop",
        "evicted",
        ("ReplicaSet", "web-1"),
        "n1",
        20,
        phases=((20, "Running"), (40, "Failed")),
    )
    cluster.state(
        "pod_status_reason", constant(1, 40, 241), namespace="shop", pod="evicted", reason="Evicted"
    )
    wanted = steps((0, 3), (130, 5), (170, 3))
    available = steps(
        (0, 3), (92, 2), (93, 3), (96, 2), (97, 3), (130, 3), (132, 4), (134, 5), (170, 3)
    )
    cluster.deployment("web", wanted, available, generation=steps((0, 4), (90, 5), (130, 6), (170, 7)),
                       observed=steps((0, 4), (91, 5), (130, 6), (171, 7)))  # fmt: skip
    hpa = {"namespace": "shop", "horizontalpodautoscaler": "web"}
    cluster.state("horizontalpodautoscaler_spec_min_replicas", constant(2, 0, 241), **hpa)
    cluster.state("horizontalpodautoscaler_spec_max_replicas", constant(10, 0, 241), **hpa)
    cluster.state("horizontalpodautoscaler_status_desired_replicas", wanted, **hpa)
    cluster.state(
        "horizontalpodautoscaler_status_current_replicas", steps((0, 3), (131, 5), (171, 3)), **hpa
    )
    cluster.state("horizontalpodautoscaler_status_condition", constant(0, 0, 241),
                  condition="ScalingActive", status="false", **hpa)  # fmt: skip
    pdb = {"namespace": "shop", "poddisruptionbudget": "web"}
    cluster.state("poddisruptionbudget_status_desired_healthy", constant(2, 0, 241), **pdb)
    cluster.state("poddisruptionbudget_status_current_healthy", available, **pdb)
    cluster.state("poddisruptionbudget_status_expected_pods", wanted, **pdb)
    # A Deployment that is switched off, with a budget.
    cluster.deployment("off", constant(0, 0, 241), constant(0, 0, 241))
    off = {"namespace": "shop", "poddisruptionbudget": "off"}
    cluster.state("poddisruptionbudget_status_desired_healthy", constant(1, 0, 241), **off)
    cluster.state("poddisruptionbudget_status_current_healthy", constant(0, 0, 241), **off)
    cluster.state("poddisruptionbudget_status_expected_pods", constant(0, 0, 241), **off)


def _database(cluster):
    """A StatefulSet of two, each of its pods restarted once, and its volumes."""
    of = {"namespace": "shop", "statefulset": "db"}
    cluster.state("statefulset_replicas", constant(2, 0, 241), **of)
    cluster.state(
        "statefulset_status_replicas_ready",
        steps((0, 2), (200, 1), (206, 2), (208, 1), (214, 2)),
        **of,
    )
    cluster.state("statefulset_metadata_generation", steps((0, 1), (199, 2)), **of)
    cluster.state("statefulset_status_observed_generation", steps((0, 1), (200, 2)), **of)
    for number, at in ((0, 208), (1, 200)):
        phases = ((0, "Running"), (at, "Pending"), (at + 6, "Running"))
        cluster.pod("shop", f"db-{number}", ("StatefulSet", "db"), NODES[number], phases=phases)
        claim = {
            "namespace": "shop",
            "persistentvolumeclaim": f"data-db-{number}",
            "job": "kubelet",
            "instance": NODES[number],
        }
        cluster.add(
            "kubelet_volume_stats_available_bytes", steps((0, 60), (120, 55), (200, 50)), **claim
        )
        cluster.add("kubelet_volume_stats_capacity_bytes", constant(100, 0, 241), **claim)
        cluster.add("kubelet_volume_stats_used_bytes", constant(40, 0, 241), **claim)
        cluster.state(
            "persistentvolume_status_phase",
            constant(1, 0, 241),
            persistentvolume=f"pv-{number}",
            phase="Bound",
        )
        cluster.state(
            "persistentvolume_status_phase",
            constant(0, 0, 241),
            persistentvolume=f"pv-{number}",
            phase="Failed",
        )
    cluster.state(
        "resourcequota",
        constant(20, 0, 241),
        namespace="shop",
        resourcequota="q",
        resource="pods",
        type="hard",
    )
    cluster.state(
        "resourcequota",
        constant(9, 0, 241),
        namespace="shop",
        resourcequota="q",
        resource="pods",
        type="used",
    )


def _daemons(cluster):
    of = {"namespace": "kube-system", "daemonset": "aws-node"}
    cluster.state(
        "daemonset_status_desired_number_scheduled", steps((0, 3), (62, 4), (165, 3)), **of
    )
    cluster.state("daemonset_status_number_available", steps((0, 3), (64, 4), (158, 3)), **of)
    cluster.state("daemonset_metadata_generation", constant(1, 0, 241), **of)
    cluster.state("daemonset_status_observed_generation", constant(1, 0, 241), **of)
    for node in NODES:
        cluster.pod("kube-system", f"aws-node-{node}", ("DaemonSet", "aws-node"), node)


def _jobs(cluster):
    """A Job whose second attempt succeeds; a CronJob one of whose runs fails; pods that remain."""
    retried = {"namespace": "shop", "job_name": "migrate"}
    cluster.pod(
        "shop", "migrate-a", ("Job", "migrate"), "n1", 30, phases=((30, "Running"), (35, "Failed"))
    )
    cluster.pod(
        "shop",
        "migrate-b",
        ("Job", "migrate"),
        "n1",
        36,
        phases=((36, "Pending"), (60, "Running"), (70, "Succeeded")),
    )
    cluster.add(
        "up",
        constant(0, 71, 241),
        job="pods",
        instance="10.0.2.9:8080",
        namespace="shop",
        pod="migrate-b",
    )
    cluster.add(
        "up",
        constant(1, 0, 241),
        job="pods",
        instance="10.0.2.1:8080",
        namespace="shop",
        pod="web-1-0",
    )
    cluster.state("job_status_start_time", constant(1800, 30, 241), **retried)
    cluster.state("job_status_active", steps((30, 1), (70, 0)), **retried)
    cluster.state("job_status_failed", steps((30, 0), (35, 1)), **retried)
    cluster.state("job_complete", constant(1, 70, 241), condition="true", **retried)
    cron = {"namespace": "shop", "cronjob": "report"}
    cluster.state("cronjob_spec_suspend", constant(0, 0, 241), **cron)
    cluster.state("cronjob_status_active", constant(0, 0, 241), **cron)
    cluster.state(
        "cronjob_next_schedule_time", [(at // 5 + 1) * 300 for at in range(MINUTES + 1)], **cron
    )
    cluster.state("cronjob_status_last_successful_time",
                  [(at // 5 if at // 5 != 12 else 11) * 300 + 60 for at in range(MINUTES + 1)], **cron)  # fmt: skip
    failed = {"namespace": "shop", "job_name": "report-12"}
    cluster.state(
        "job_owner", constant(1, 60, 241), owner_kind="CronJob", owner_name="report", **failed
    )
    cluster.state("job_status_start_time", constant(3600, 60, 241), **failed)
    cluster.state("job_failed", constant(1, 61, 241), condition="true", **failed)


def notation(values):
    """Promtool's: runs of equal steps as a+bxn, what is missing as _xn, its beginning as stale."""
    parts = []
    at = 0
    while at < len(values):
        if values[at] is None:
            end = at
            while end < len(values) and values[end] is None:
                end += 1
            missing = end - at
            if at:
                parts.append("stale")
                missing -= 1
            if missing:
                parts.append(f"_x{missing}")
            at = end
            continue
        end = at + 1
        step = _step(values, at)
        while (
            step is not None
            and end < len(values)
            and values[end] is not None
            and values[end] - values[end - 1] == step
        ):
            end += 1
        count = end - at - 1
        shown = f"{values[at]:.17g}"
        parts.append(f"{shown}{step:+.17g}x{count}" if count else shown)
        at = end
    return " ".join(parts)


def _step(values, at):
    if at + 1 >= len(values) or values[at + 1] is None:
        return None
    return values[at + 1] - values[at]
