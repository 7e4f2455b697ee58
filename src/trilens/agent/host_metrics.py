"""The machine's numbers, by node_exporter's names: what a round reads, and from where.

Left out of its defaults are the collectors for hardware of few machines (bcache, bonding, edac,
hwmon, infiniband, mdadm, nfs, zfs, ...), timex, and its own health (node_scrape_*).

Excluded    mount points and file system types as node_exporter does, and those of pods; on "/"
            any type counts, so that a container shows the disk that it lives on. Partitions and
            memory disks; network devices of pods. At most MOUNTS_MAX mount points
Hanging     a file system that needs another machine is asked in a thread of its own, and for
            REMOTE_WAIT_S only: then node_filesystem_device_error is 1 until it has answered
Going back  counters of idle time do that, by a little, on many kernels: the greater value stays
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trilens.agent import host_proc
from trilens.agent.host_proc import DEVICES_MAX, NETWORKS_EXCLUDED, Parser, single
from trilens.agent.remote_write import Family, Labels
from trilens.clock import Clock
from trilens.measures import Measures

MOUNTS_MAX: Final = 128
REMOTE_WAIT_S: Final = 1.0
CPU_GOES_BACK_S: Final = 3.0  # more than that is a CPU that was taken out and put in again
READ_BYTES_MAX: Final = 1 << 20

MOUNT_POINTS_EXCLUDED: Final = re.compile(
    r"/(dev|proc|sys|run/credentials/.+|run/k3s/containerd/.+|run/containerd/.+"
    r"|var/lib/(docker|containers/storage|kubelet/pods|containerd)/.+)($|/)"
)
TYPES_EXCLUDED: Final = re.compile(
    r"(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660"
    r"|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs"
    r"|sysfs|tracefs)$"
)
TYPES_REMOTE: Final = re.compile(r"nfs|cifs|smb|ceph|gluster|lustre|afs|9p|virtiofs|fuse")

_FILES: Final[tuple[tuple[str, Parser], ...]] = (
    ("stat", host_proc.stat),
    ("loadavg", host_proc.loadavg),
    ("meminfo", host_proc.meminfo),
    ("diskstats", host_proc.diskstats),
    ("net/dev", host_proc.net_dev),
    ("net/snmp", host_proc.snmp),
    ("net/netstat", host_proc.snmp),
    ("net/snmp6", host_proc.snmp6),
    ("net/sockstat", host_proc.sockstat),
    ("net/sockstat6", host_proc.sockstat),
    ("net/softnet_stat", host_proc.softnet),
    ("net/arp", host_proc.arp),
    ("schedstat", host_proc.schedstat),
    ("vmstat", host_proc.vmstat),
    ("pressure/cpu", host_proc.pressure("cpu")),
    ("pressure/io", host_proc.pressure("io")),
    ("pressure/memory", host_proc.pressure("memory")),
    ("pressure/irq", host_proc.pressure("irq")),
    ("sys/fs/file-nr", host_proc.file_nr),
    ("sys/kernel/random/entropy_avail",
     host_proc.gauge("node_entropy_available_bits", "Bits of randomness at hand.")),
    ("sys/kernel/random/poolsize",
     host_proc.gauge("node_entropy_pool_size_bits", "Bits of randomness at most.")),
    ("sys/net/netfilter/nf_conntrack_count",
     host_proc.gauge("node_nf_conntrack_entries", "Connections tracked.")),
    ("sys/net/netfilter/nf_conntrack_max",
     host_proc.gauge("node_nf_conntrack_entries_limit", "The most that can be tracked.")),
)  # fmt: skip

log = logging.getLogger(__name__)


class HostMetrics:
    """One machine. Not thread-safe. A source that fails is left out, counted and said once."""

    def __init__(self, clock: Clock, measures: Measures, *, root: Path = Path("/")) -> None:
        """`root` holds proc, sys and etc: another one than / where the host's are mounted."""
        self._clock = clock
        self._measures = measures
        self._root = root
        self._cpu_seconds: dict[Labels, float] = {}
        self._complaints: set[str] = set()
        self._mounts = Mounts(root)

    def families(self) -> list[Family]:
        """A round: a few ms, but for file systems of other machines."""
        families: list[Family] = []
        for name, parser in _FILES:
            families.extend(self._parsed(self._root / "proc" / name, parser))
        for family in families:
            if family.name == "node_cpu_seconds_total":
                self._steady(family)
        families.extend(self._parsed(self._root / "etc/os-release", host_proc.os_release))
        families.extend(self._parsed(_mounts_file(self._root), self._mounts.families))
        families.extend(network_properties(self._root / "sys/class/net"))
        families.extend(self._times_and_names())
        return [family for family in families if family.samples]

    def _parsed(self, path: Path, parser: Parser) -> list[Family]:
        try:
            text = _text(path)
            return parser(text) if text else []
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, IndexError, StopIteration) as error:
            self._measures.count("trilens_agent_failures_total", "host_metrics")
            if str(path) not in self._complaints:
                self._complaints.add(str(path))
                log.warning("%s cannot be read: %s", path, error)
            return []

    def _steady(self, family: Family) -> None:
        """Keep what a CPU's counters showed before where they went back a little."""
        last = self._cpu_seconds
        self._cpu_seconds = {}
        for index, (name, labels, value) in enumerate(family.samples):
            before = last.get(labels, 0.0)
            if value < before < value + CPU_GOES_BACK_S:
                family.samples[index] = (name, labels, before)
            self._cpu_seconds[labels] = family.samples[index][2]

    def _times_and_names(self) -> Iterator[Family]:
        yield single("up", "gauge", "1: this machine is being watched.", 1)
        now_s = self._clock.now_ns() / 1e9
        yield single("node_time_seconds", "gauge", "The machine's clock, Unix time.", now_s)
        zone = time.localtime(now_s)
        yield single(
            "node_time_zone_offset_seconds", "gauge", "Local time less UTC.",
            zone.tm_gmtoff, ("time_zone", zone.tm_zone),
        )  # fmt: skip
        try:
            domain = _text(self._root / "proc/sys/kernel/domainname").strip()
        except OSError:
            domain = ""
        yield host_proc.uname(os.uname(), domain)


class Mounts:
    """Sizes of file systems."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._prefix = str(root).rstrip("/")
        self._asked: dict[str, threading.Thread] = {}
        self._answers: dict[str, os.statvfs_result | None] = {}

    def families(self, text: str) -> list[Family]:
        """From /proc/<pid>/mounts."""
        made = {name: Family(f"node_filesystem_{name}", "gauge", _SIZES[name]) for name in _SIZES}
        deadline_s = time.monotonic() + REMOTE_WAIT_S
        for device, point, kind, options in mounts(text):
            labels = (("device", device), ("mountpoint", point), ("fstype", kind))
            sizes = self._sizes(point, kind, deadline_s)
            made["device_error"].add(sizes is None, *labels)
            made["readonly"].add("ro" in options.split(","), *labels)
            if sizes is None:
                continue
            made["size_bytes"].add(sizes.f_blocks * sizes.f_frsize, *labels)
            made["free_bytes"].add(sizes.f_bfree * sizes.f_frsize, *labels)
            made["avail_bytes"].add(sizes.f_bavail * sizes.f_frsize, *labels)
            made["files"].add(sizes.f_files, *labels)
            made["files_free"].add(sizes.f_ffree, *labels)
        return list(made.values())

    def _sizes(self, point: str, kind: str, deadline_s: float) -> os.statvfs_result | None:
        if not TYPES_REMOTE.match(kind):
            return _statvfs(self._prefix + point)
        thread = self._asked.get(point)
        if thread is None:
            self._answers.pop(point, None)
            thread = threading.Thread(target=self._ask, args=(point,), daemon=True)
            self._asked[point] = thread
            thread.start()
        thread.join(max(0.0, deadline_s - time.monotonic()))
        if thread.is_alive():
            return None
        del self._asked[point]
        return self._answers.pop(point, None)

    def _ask(self, point: str) -> None:
        self._answers[point] = _statvfs(self._prefix + point)


_SIZES: Final = {
    "size_bytes": "Size.",
    "free_bytes": "Free for root.",
    "avail_bytes": "Free for everybody.",
    "files": "Files that there can be.",
    "files_free": "Files that can still be made.",
    "readonly": "1 if it cannot be written to.",
    "device_error": "1 if it could not be asked.",
}


def _mounts_file(root: Path) -> Path:
    """The first process sees what the machine has mounted; we may see less."""
    first = root / "proc/1/mounts"
    return first if os.access(first, os.R_OK) else root / "proc/self/mounts"


def mounts(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Device, mount point, type and options of what counts, each device and point once."""
    seen: set[tuple[str, str]] = set()
    for line in text.splitlines():
        device, point, kind, options = map(_unescaped, line.split(" ")[:4])
        is_left_out = TYPES_EXCLUDED.match(kind) and point != "/"
        if is_left_out or MOUNT_POINTS_EXCLUDED.match(point) or (device, point) in seen:
            continue
        if len(seen) >= MOUNTS_MAX:
            return
        seen.add((device, point))
        yield device, point, kind, options


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def _statvfs(point: str) -> os.statvfs_result | None:
    try:
        return os.statvfs(point)
    except OSError:
        return None


# file of a device: name of its metric, what a unit of the file is worth, sentence
_PROPERTIES: Final = {
    "carrier": ("node_network_carrier", 1, "1 if there is a link."),
    "carrier_changes": ("node_network_carrier_changes_total", 1, "Times the link came or went."),
    "carrier_up_count": ("node_network_carrier_up_changes_total", 1, "Times the link came."),
    "carrier_down_count": ("node_network_carrier_down_changes_total", 1, "Times it went."),
    "mtu": ("node_network_mtu_bytes", 1, "Bytes of the largest packet."),
    "speed": ("node_network_speed_bytes", 1_000_000 / 8, "Bytes a second of the link."),
    "tx_queue_len": ("node_network_transmit_queue_length", 1, "Packets that may wait."),
}
_NAMES: Final = ("address", "broadcast", "duplex", "ifalias", "operstate")


def network_properties(directory: Path) -> list[Family]:
    """From the directory of each network device; what a device does not know is left out."""
    up = Family("node_network_up", "gauge", "1 if the device is up.")
    info = Family("node_network_info", "gauge", "About the device; always 1.")
    made = {
        name: Family(metric, "counter" if metric.endswith("_total") else "gauge", sentence)
        for name, (metric, _, sentence) in _PROPERTIES.items()
    }
    for device in _devices(directory):
        label = ("device", device)
        names = {name: _property(directory / device / name) for name in _NAMES}
        up.add(names["operstate"] == "up", label)
        info.add(1, label, *names.items())
        for name, family in made.items():
            value = _property(directory / device / name)
            if value.isdecimal():  # a speed of -1 is an unknown one
                family.add(int(value) * _PROPERTIES[name][1], label)
    return [up, info, *made.values()]


def _devices(directory: Path) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    kept = [name for name in names if not NETWORKS_EXCLUDED.match(name)]
    return [name for name in kept[:DEVICES_MAX] if (directory / name / "operstate").exists()]


def _property(path: Path) -> str:
    """A file of sysfs; reading one fails where its question makes no sense."""
    try:
        return _text(path).strip()
    except OSError:
        return ""


def _text(path: Path) -> str:
    # Files of /proc have no size: one read of enough, instead of a buffer that grows.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, READ_BYTES_MAX):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")
    finally:
        os.close(fd)
