"""The pack on EKS: nothing of a healthy cluster, and of a fault what the fault is.

Each fault has a cluster of its own, all in one evaluation: so it is seen too that one cluster
raises nothing for another.
"""

import shutil
import subprocess

import pytest
import yaml

from eks_cluster import FAULT, MINUTES, constant, counter, healthy, notation, steps
from trilens.alert.check import Verdict, check_tests
from trilens.rule_packs.packs import files_of_pack

PROMTOOL = shutil.which("promtool")
TO_END = MINUTES + 1


def crash_loop(cluster):
    pod = {"namespace": "shop", "pod": "web-9", "container": "main"}
    cluster.pod("shop", "web-9", ("ReplicaSet", "web-1"), "n1", phases=((0, "Running"),))
    for condition in ("true", "false"):
        values = steps((0, int(condition == "true")), (FAULT, int(condition == "false")))
        cluster.state(
            "pod_status_ready", values, condition=condition, namespace="shop", pod="web-9"
        )
    waits = [1 if at >= FAULT and at % 4 else None for at in range(TO_END)]
    cluster.state("pod_container_status_waiting_reason", waits, reason="CrashLoopBackOff", **pod)
    cluster.deployment("web", constant(3, 0, TO_END), steps((0, 3), (FAULT, 2)))


def image_missing(cluster):
    cluster.pod(
        "shop", "web-3-0", ("ReplicaSet", "web-1"), "n1", FAULT, phases=((FAULT, "Pending"),)
    )
    cluster.state("pod_container_status_waiting_reason", constant(1, FAULT, TO_END), namespace="shop",
                  pod="web-3-0", container="main", reason="ImagePullBackOff")  # fmt: skip
    of = {"namespace": "shop", "deployment": "web", "condition": "Progressing"}
    cluster.state(
        "deployment_status_condition", steps((0, 0), (FAULT + 10, 1)), status="false", **of
    )
    cluster.state(
        "deployment_status_condition", steps((0, 1), (FAULT + 10, 0)), status="true", **of
    )


def node_lost(cluster):
    """n2, with the pod of a StatefulSet and that of a DaemonSet."""
    cluster.drop('instance="n2', after=FAULT)
    for job, instance in (("kubelet", "n2"), ("node-exporter", "n2:9100")):
        cluster.add("up", steps((0, 1), (FAULT + 1, 0)), job=job, instance=instance)
    cluster.node("n2", ready=steps((0, 1), (FAULT, 0)))
    for pod, owner in (("aws-node-n2", ("DaemonSet", "aws-node")), ("db-1", ("StatefulSet", "db"))):
        namespace = "shop" if pod == "db-1" else "kube-system"
        cluster.pod(namespace, pod, owner, "n2", phases=((0, "Running"),),
                    deleted=FAULT + 5 if pod == "db-1" else None)  # fmt: skip
        for condition in ("true", "false"):
            values = steps((0, int(condition == "true")), (FAULT, int(condition == "false")))
            cluster.state(
                "pod_status_ready", values, condition=condition, namespace=namespace, pod=pod
            )
    cluster.state(
        "statefulset_status_replicas_ready",
        steps((0, 2), (FAULT, 1)),
        namespace="shop",
        statefulset="db",
    )
    cluster.state(
        "daemonset_status_desired_number_scheduled",
        constant(3, 0, TO_END),
        namespace="kube-system",
        daemonset="aws-node",
    )
    cluster.state(
        "daemonset_status_number_available",
        steps((0, 3), (FAULT, 2)),
        namespace="kube-system",
        daemonset="aws-node",
    )
    cluster.drop('pod="web-1-1"', after=FAULT + 5)
    cluster.drop('pod="web-2-1"')
    cluster.drop('pod="web-2-4"')


def state_metrics_gone(cluster):
    cluster.drop('job="kube-state-metrics"', after=FAULT)


def state_metrics_unreachable(cluster):
    cluster.drop('job="kube-state-metrics"', after=FAULT)
    cluster.add(
        "up", steps((0, 1), (FAULT + 1, 0)), job="kube-state-metrics", instance="ksm-a:8080"
    )


def api_fails(cluster):
    errors = steps((0, 0))
    for at in range(FAULT, TO_END):
        errors[at] = 400 * min(at - FAULT, 40)
    cluster.add(
        "apiserver_request_total",
        errors,
        verb="GET",
        code="503",
        resource="pods",
        job="apiserver",
        instance="10.0.0.2:443",
    )


def api_gone(cluster):
    cluster.drop('job="apiserver"', after=FAULT)
    for instance in ("10.0.0.1:443", "10.0.0.2:443"):
        cluster.add("up", steps((0, 1), (FAULT + 1, 0)), job="apiserver", instance=instance)


def volume_fills(cluster):
    claim = {
        "namespace": "shop",
        "persistentvolumeclaim": "data-db-0",
        "job": "kubelet",
        "instance": "n1",
    }
    cluster.add(
        "kubelet_volume_stats_available_bytes", [60 - at / 4 for at in range(TO_END)], **claim
    )


def job_fails(cluster):
    job = {"namespace": "shop", "job_name": "backup"}
    cluster.state("job_status_start_time", constant(FAULT * 60, FAULT, TO_END), **job)
    cluster.state("job_failed", constant(1, FAULT + 9, TO_END), condition="true", **job)


def names_not_resolved(cluster):
    for instance in ("10.0.1.1:9153", "10.0.1.2:9153"):
        cluster.add(
            "coredns_dns_responses_total",
            counter(1000),
            rcode="SERVFAIL",
            job="coredns",
            instance=instance,
        )


def no_room(cluster):
    cluster.pod("shop", "big", ("ReplicaSet", "web-1"), "", FAULT, phases=((FAULT, "Pending"),))
    cluster.state(
        "pod_status_unschedulable", constant(1, FAULT, TO_END), namespace="shop", pod="big"
    )


def disk_full(cluster):
    root = {
        "mountpoint": "/",
        "fstype": "xfs",
        "device": "/dev/nvme0n1p1",
        "job": "node-exporter",
        "instance": "n1:9100",
    }
    cluster.add("node_filesystem_avail_bytes", steps((0, 20), (FAULT, 2)), **root)


def kubelet_closed(cluster):
    cluster.drop('job="kubelet"', 'instance="n3"', after=FAULT)
    cluster.add("up", steps((0, 1), (FAULT + 1, 0)), job="kubelet", instance="n3")


def webhook_away(cluster):
    cluster.add("apiserver_admission_webhook_rejection_count", [max(0, at - FAULT) * 3 for at in range(TO_END)],
                name="vingress.elbv2.k8s.aws", type="validating", operation="CREATE",
                error_type="calling_webhook_error", job="apiserver", instance="10.0.0.2:443")  # fmt: skip


def daemon_crashes(cluster):
    pod = {"namespace": "kube-system", "pod": "aws-node-n3"}
    waits = [1 if at >= FAULT and at % 4 else None for at in range(TO_END)]
    cluster.state(
        "pod_container_status_waiting_reason",
        waits,
        reason="CrashLoopBackOff",
        container="main",
        **pod,
    )
    of = {"namespace": "kube-system", "daemonset": "aws-node"}
    cluster.state("daemonset_status_desired_number_scheduled", constant(3, 0, TO_END), **of)
    cluster.state("daemonset_status_number_available", steps((0, 3), (FAULT, 2)), **of)


def service_down(cluster):
    cluster.deployment("cart", constant(1, 0, TO_END), steps((0, 1), (FAULT, 0)))
    cluster.pod("shop", "cart-1", ("ReplicaSet", "cart-1"), "n1", phases=((0, "Running"),))
    for condition in ("true", "false"):
        values = steps((0, int(condition == "true")), (FAULT, int(condition == "false")))
        cluster.state(
            "pod_status_ready", values, condition=condition, namespace="shop", pod="cart-1"
        )


def scheduler_scraped(cluster):
    """Through metrics.eks.amazonaws.com, and well."""
    for job, metric in (
        ("ksh", "scheduler_pending_pods"),
        ("kcm", "cronjob_controller_job_creation_skew_duration_seconds_count"),
    ):
        for instance in ("10.0.0.1:443", "10.0.0.2:443"):
            cluster.add("up", constant(1, 0, TO_END), job=job, instance=instance)
            cluster.add(metric, constant(0, 0, TO_END), job=job, instance=instance)


def scheduler_gone(cluster):
    scheduler_scraped(cluster)
    cluster.drop('job="ksh"', after=FAULT)
    for instance in ("10.0.0.1:443", "10.0.0.2:443"):
        cluster.add("up", steps((0, 1), (FAULT + 1, 0)), job="ksh", instance=instance)


FAULTS = {
    crash_loop: {"KubePodCrashLooping", "KubeDeploymentReplicasMismatch"},
    image_missing: {"KubeContainerWaiting", "KubeDeploymentRolloutStuck"},
    node_lost: {
        "KubeNodeNotReady",
        "KubePodStuckTerminating",
        "KubeStatefulSetReplicasMismatch",
        "TargetDown",
    },
    state_metrics_gone: {"KubeStateMetricsDown"},
    state_metrics_unreachable: {"KubeStateMetricsDown", "TargetDown"},
    api_fails: {"KubeAPIErrorBudgetBurn"},
    api_gone: {"KubeAPIDown", "TargetDown"},
    volume_fills: {"KubePersistentVolumeFillingUp"},
    job_fails: {"KubeJobFailed"},
    names_not_resolved: {"CoreDNSErrorsHigh"},
    no_room: {"KubePodUnschedulable"},
    disk_full: {"NodeFilesystemAlmostOutOfSpace", "NodeFilesystemSpaceFillingUp"},
    kubelet_closed: {"KubeletUnreachable", "TargetDown"},
    webhook_away: {"KubeAdmissionWebhookFailing"},
    daemon_crashes: {"KubePodCrashLooping", "KubeDaemonSetRolloutStuck"},
    service_down: {"KubeWorkloadUnavailable", "KubeDeploymentReplicasMismatch", "KubePodNotReady"},
    scheduler_scraped: set(),
    scheduler_gone: {"KubeSchedulerDown", "TargetDown"},
}


def scenario(directory, faults=FAULTS, every="1m"):
    """A file of unit tests: one test, all clusters; rules are evaluated `every` so often."""
    clusters = [healthy("healthy"), healthy("")]
    expected = []
    for fault, alerts in faults.items():
        cluster = healthy(fault.__name__)
        fault(cluster)
        clusters.append(cluster)
        expected += [
            {"labels": f'{{alertname="{alert}", cluster="{cluster.name}"}}', "value": 1}
            for alert in sorted(alerts)
        ]
    fired = 'group by (cluster, alertname) (last_over_time(ALERTS{alertstate="firing"}[5h]))'
    test = {
        "interval": "1m",
        "input_series": [one for cluster in clusters for one in cluster.input_series()],
        "promql_expr_test": [{"expr": fired, "eval_time": "4h", "exp_samples": expected}],
    }
    rules = [str(path) for path in files_of_pack("kubernetes")]
    path = directory / "eks_test.yml"
    text = yaml.safe_dump({"rule_files": rules, "evaluation_interval": every, "tests": [test]})
    path.write_text(text)
    return path


def holds(path):
    verdict = Verdict(str(path))
    check_tests(path, verdict)
    assert verdict.is_well, "\n".join(verdict.lines)


@pytest.mark.soak
def test_a_healthy_cluster_raises_nothing(tmp_path):
    """Seldom evaluated, since it takes its time; the others do so each minute."""
    holds(scenario(tmp_path, {service_down: FAULTS[service_down]}, every="5m"))


@pytest.mark.soak
def test_a_fault_raises_what_it_is(tmp_path):
    holds(scenario(tmp_path))


@pytest.mark.timeout(600)
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_prometheus_sees_a_fault_as_what_it_is(tmp_path):
    said = subprocess.run(
        [PROMTOOL, "test", "rules", scenario(tmp_path, every="3m")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr


def test_values_are_written_as_promtool_reads_them():
    assert notation([None, None, 1, 1, 1, None, None, 5, 7, 9]) == "_x2 1+0x2 stale _x1 5+2x2"
