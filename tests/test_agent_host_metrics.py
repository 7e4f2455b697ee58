"""Files of /proc to node_exporter's names; and, where node_exporter is installed, against it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.agent import host_metrics, host_proc
from trilens.agent.host_metrics import HostMetrics, Mounts, mounts, network_properties
from trilens.agent.host_proc import PAGE_BYTES
from trilens.clock import SystemClock
from trilens.measures import Measures
from watching import SetClock


def values(families):
    """name{label=value,...} -> value, and no series twice."""
    found = {}
    for family in families:
        for name, labels, value in family.samples:
            key = name + "".join(f" {k}={v}" for k, v in labels)
            assert key not in found
            found[key] = value
    return found


def test_stat():
    text = (
        "cpu  100 0 200 300 0 0 0 0 0 0\n"
        "cpu0 150 10 250 4000 50 1 2 3 40 5\n"
        "cpu1 1 2 3 4\n"
        "intr 98765 0 1 2 3\nctxt 5\nbtime 1700000000\nprocesses 77\n"
        "procs_running 3\nprocs_blocked 1\nsoftirq 1 2 3\n"
    )
    found = values(host_proc.stat(text))
    assert found["node_cpu_seconds_total cpu=0 mode=user"] == 1.5
    assert found["node_cpu_seconds_total cpu=0 mode=idle"] == 40
    assert found["node_cpu_seconds_total cpu=0 mode=steal"] == 0.03
    assert found["node_cpu_guest_seconds_total cpu=0 mode=user"] == 0.4
    assert found["node_cpu_seconds_total cpu=1 mode=idle"] == 0.04
    assert "node_cpu_seconds_total cpu=1 mode=iowait" not in found, "an old kernel"
    assert found["node_intr_total"] == 98765
    assert found["node_context_switches_total"] == 5
    assert found["node_boot_time_seconds"] == 1_700_000_000
    assert found["node_forks_total"] == 77
    assert (found["node_procs_running"], found["node_procs_blocked"]) == (3, 1)


def test_meminfo_and_loadavg():
    found = values(
        host_proc.meminfo("MemTotal:  2048 kB\nActive(anon):  1 kB\nHugePages_Total:   7\n")
        + host_proc.loadavg("0.50 1.25 2.00 1/234 5678\n")
    )
    assert found == {
        "node_memory_MemTotal_bytes": 2 << 20,
        "node_memory_Active_anon_bytes": 1024,
        "node_memory_HugePages_Total": 7,
        "node_load1": 0.5,
        "node_load5": 1.25,
        "node_load15": 2,
    }


def test_diskstats_of_old_and_new_kernels():
    text = (
        "   8 0 sda 1 2 8 4000 5 6 16 7000 1 9000 10000\n"
        "   8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n"
        " 259 0 nvme0n1 1 0 2 0 0 0 0 0 0 0 0 3 4 5 6000 7 8000\n"
        " 259 1 nvme0n1p1 1 0 2 0 0 0 0 0 0 0 0\n   7 0 loop0 1 0 0 0 0 0 0 0 0 0 0\n"
        " 253 0 dm-0 1 0 0 0 0 0 0 0 0 0 0\n"
    )
    found = values(host_proc.diskstats(text))
    assert found["node_disk_read_bytes_total device=sda"] == 4096
    assert found["node_disk_read_time_seconds_total device=sda"] == 4
    assert found["node_disk_written_bytes_total device=sda"] == 8192
    assert found["node_disk_io_time_weighted_seconds_total device=sda"] == 10
    assert found["node_disk_discard_time_seconds_total device=nvme0n1"] == 6
    assert found["node_disk_flush_requests_time_seconds_total device=nvme0n1"] == 8
    devices = {key.rpartition("=")[2] for key in found}
    assert devices == {"sda", "nvme0n1", "dm-0"}


def test_net_dev():
    text = (
        "Inter-|   Receive   |  Transmit\n face |bytes ...\n"
        "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
        "veth12ab: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        "    lo:100 0 0 0 0 0 0 0 100 0 0 0 0 0 0 0\n"
    )
    found = values(host_proc.net_dev(text))
    assert found["node_network_receive_bytes_total device=eth0"] == 1
    assert found["node_network_receive_multicast_total device=eth0"] == 8
    assert found["node_network_transmit_bytes_total device=eth0"] == 9
    assert found["node_network_transmit_carrier_total device=eth0"] == 15
    assert found["node_network_receive_bytes_total device=lo"] == 100
    assert not any("veth" in key for key in found)


def test_netstat_sockstat_softnet_and_schedstat():
    snmp = "Tcp: RtoMin CurrEstab InErrs\nTcp: 200 7 1\nUdp: NoPorts Other\nUdp: 2 3\n"
    assert values(host_proc.snmp(snmp)) == {
        "node_netstat_Tcp_CurrEstab": 7,
        "node_netstat_Tcp_InErrs": 1,
        "node_netstat_Udp_NoPorts": 2,
    }
    assert values(host_proc.snmp6("Ip6InOctets   5\nIp6InReceives  6\nUdp6NoPorts 1\n")) == {
        "node_netstat_Ip6_InOctets": 5,
        "node_netstat_Udp6_NoPorts": 1,
    }
    assert values(host_proc.sockstat("sockets: used 9\nTCP: inuse 2 mem 3\n")) == {
        "node_sockstat_sockets_used": 9,
        "node_sockstat_TCP_inuse": 2,
        "node_sockstat_TCP_mem": 3,
        "node_sockstat_TCP_mem_bytes": 3 * PAGE_BYTES,
    }
    soft = "0000000a 00000001 00000002" + " 00000000" * 9 + " 00000003\n"
    assert values(host_proc.softnet(soft))["node_softnet_processed_total cpu=3"] == 10
    sched = "version 15\ntimestamp 1\ncpu0 0 0 0 0 0 0 2000000000 1000000000 30\ndomain0 1 0\n"
    assert values(host_proc.schedstat(sched)) == {
        "node_schedstat_running_seconds_total cpu=0": 2,
        "node_schedstat_waiting_seconds_total cpu=0": 1,
        "node_schedstat_timeslices_total cpu=0": 30,
    }


def test_pressure_vmstat_file_nr_and_arp():
    text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 total=1000000\n"
    assert values(host_proc.pressure("io")(text)) == {
        "node_pressure_io_waiting_seconds_total": 2.5,
        "node_pressure_io_stalled_seconds_total": 1,
    }
    assert len(host_proc.pressure("cpu")(text)) == 1
    assert values(host_proc.vmstat("oom_kill 1\nnr_free_pages 5\npgmajfault 3\n")) == {
        "node_vmstat_oom_kill": 1,
        "node_vmstat_pgmajfault": 3,
    }
    assert values(host_proc.file_nr("1024\t0\t9999\n"))["node_filefd_maximum"] == 9999
    arp = "IP address HW type Flags HW address Mask Device\n1.1.1.1 0x1 0x2 a * eth0\n"
    assert values(host_proc.arp(arp)) == {"node_arp_entries device=eth0": 1}


def test_os_release():
    text = '# a comment\nNAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12.4"\n\nBAD LINE\n'
    found = values(host_proc.os_release(text))
    assert found["node_os_version id=debian id_like= name=Debian GNU/Linux"] == 12.4
    assert any("id=debian" in key and "version_id=12.4" in key for key in found)
    assert len(host_proc.os_release("ID=rolling\n")) == 1, "no version, no number"


def test_mounts():
    text = (
        "/dev/sda1 / ext4 rw,relatime 0 0\n"
        "/dev/sdb /data\\040one\\134x xfs ro,noatime 0 0\n"
        "/dev/sdb /data\\040one\\134x xfs ro,noatime 0 0\n"
        "tmpfs /dev/shm tmpfs rw 0 0\nproc /proc proc rw 0 0\n"
        "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n"
        "tmpfs /var/lib/kubelet/pods/1/volumes/x tmpfs rw 0 0\ntmpfs /run tmpfs rw 0 0\n"
    )
    assert [(device, point) for device, point, _, _ in mounts(text)] == [
        ("/dev/sda1", "/"),
        ("/dev/sdb", "/data one\\x"),
        ("tmpfs", "/run"),
    ]
    assert [kind for _, _, kind, _ in mounts("overlay / overlay rw 0 0\n")] == ["overlay"]


def test_a_mount_point_that_is_not_there_is_an_error_of_its_device():
    found = values(Mounts().families("/dev/x /no/such/place ext4 ro 0 0\n"))
    label = " device=/dev/x mountpoint=/no/such/place fstype=ext4"
    assert found == {
        "node_filesystem_device_error" + label: 1,
        "node_filesystem_readonly" + label: 1,
    }


def test_a_remote_file_system_that_hangs_does_not_hold_up_a_round(monkeypatch):
    release = threading.Event()
    asked = []

    def hanging(point):
        asked.append(point)
        release.wait(10)
        return os.statvfs("/")

    monkeypatch.setattr(host_metrics, "_statvfs", hanging)
    monkeypatch.setattr(host_metrics, "REMOTE_WAIT_S", 0.05)
    watched, text = Mounts(), "server:/x /x nfs4 rw 0 0\nserver:/y /y nfs4 rw 0 0\n"
    for _ in range(3):
        began_s = time.monotonic()
        found = values(watched.families(text))
        assert time.monotonic() - began_s < 1
    assert sum("device_error" in key and value for key, value in found.items()) == 2
    assert len(asked) == 2, "each is asked once until it answers"
    release.set()
    time.sleep(0.1)
    found = values(watched.families(text))
    assert sum("size_bytes" in key for key in found) == 2


def test_network_properties(tmp_path):
    for device, files in {
        "eth0": {"operstate": "up", "mtu": "1500", "speed": "1000", "address": "aa:bb"},
        "eth1": {"operstate": "down", "mtu": "1500", "speed": "-1", "carrier_changes": "3"},
        "vethx": {"operstate": "up"},
        "bonding_masters": {},
    }.items():
        (tmp_path / device).mkdir()
        for name, text in files.items():
            (tmp_path / device / name).write_text(text + "\n")
    found = values(network_properties(tmp_path))
    assert found["node_network_up device=eth0"] == 1
    assert found["node_network_up device=eth1"] == 0
    assert found["node_network_speed_bytes device=eth0"] == 125_000_000
    assert "node_network_speed_bytes device=eth1" not in found
    assert found["node_network_carrier_changes_total device=eth1"] == 3
    assert not any("veth" in key or "bonding" in key for key in found)
    assert network_properties(tmp_path / "missing")[0].samples == []


def test_idle_time_does_not_go_back_but_a_new_cpu_may_begin_anew(tmp_path):
    (tmp_path / "proc").mkdir()
    machine = HostMetrics(SetClock(), Measures(), root=tmp_path)
    seen = []
    for idle in (5000, 4990, 5010, 100):
        (tmp_path / "proc/stat").write_text(f"cpu0 1 1 1 {idle} 1 1 1 1 0 0\n")
        seen.append(values(machine.families())["node_cpu_seconds_total cpu=0 mode=idle"])
    assert seen == [50, 50, 50.1, 1]


def test_a_broken_file_costs_only_itself(tmp_path, caplog):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("nonsense")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1 kB\n")
    (tmp_path / "proc/diskstats").write_text("")
    measures = Measures()
    machine = HostMetrics(SetClock(), measures, root=tmp_path)
    for _ in range(3):
        assert values(machine.families())["node_memory_MemTotal_bytes"] == 1024
    assert measures.value("trilens_agent_failures_total", "host_metrics") == 3
    assert len(caplog.records) == 1


PARSERS = [parser for _, parser in host_metrics._FILES] + [host_proc.os_release, Mounts().families]
LINES = st.lists(st.text(" :=\t()-0123456789abcpuTx.\\/\n", max_size=60), max_size=8).map("\n".join)


@given(LINES, st.sampled_from(PARSERS))
def test_any_text_is_parsed_or_refused(text, parser):
    try:
        for family in parser(text):
            for _, _, value in family.samples:
                float(value)
    except (ValueError, IndexError, StopIteration):
        pass


# --- beside the real one

PROGRAM = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
# What the questions themselves change, or another process may at any moment.
_ALIVE = re.compile(
    "node_(filefd_allocated|sockstat|netstat_.*CurrEstab|procs|load|time_|memory|filesystem"
    "|entropy|scrape|arp|nf_conntrack)"
)


def test_names_and_values_are_those_of_node_exporter():
    if PROGRAM is None:
        pytest.skip("NOT COMPARED: node_exporter is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PROGRAM, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        before = _scraped(port)
        ours = HostMetrics(SystemClock(), Measures()).families()
        after = _scraped(port)
    finally:
        child.terminate()
        child.wait()
    compared = 0
    for family in ours:
        for name, labels, value in family.samples:
            key = (name, frozenset(pair for pair in labels if pair[1]))
            if key not in before or key not in after or _ALIVE.match(name):
                continue
            compared += 1
            low, high = sorted((before[key], after[key]))
            slack = abs(high) * 1e-6
            assert low - slack <= value <= high + slack, key
    assert compared > 100


def _scraped(port):
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                text = answer.read().decode()
            break
        except OSError:
            time.sleep(0.05)
    found = {}
    for line in text.splitlines():
        match = re.match(r"(node_\w+)(?:\{(.*)\})? (\S+)$", line)
        if match:
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
            found[match[1], frozenset(pair for pair in labels if pair[1])] = float(match[3])
    return found


def test_a_round_of_this_machine():
    measures = Measures()
    machine = HostMetrics(SystemClock(), measures)
    machine.families()
    began_s = time.thread_time()
    found = values(machine.families())
    assert time.thread_time() - began_s < 0.1
    assert measures.by_labels("trilens_agent_failures_total") == {}
    for name in ("node_load1", "node_memory_MemAvailable_bytes", "up", "node_time_seconds"):
        assert name in found
    assert any(" mountpoint=/ " in key for key in found)
