"""Files of /proc and /etc as node_exporter's metrics: pure functions from text to families.

Names, labels and units are node_exporter's (1.x), so that its dashboards and alert rules work on
what we send; the sentences are ours. A parser raises ValueError or IndexError on text that is not
what its file holds, and leaves out what it does not know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

from trilens.agent.remote_write import Family, Kind

Parser = Callable[[str], list[Family]]

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
DEVICES_MAX: Final = 256  # of one kind; a node with more has its first ones seen
SECTOR_BYTES: Final = 512  # of /proc/diskstats, whatever the disk says

DISKS_EXCLUDED: Final = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$")
# The ends of the pipes into containers: one a pod, and each has a name that never comes again.
NETWORKS_EXCLUDED: Final = re.compile(r"veth|[a-f0-9]{15}$")
NETSTAT_KEPT: Final = re.compile(
    r"(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)
VMSTAT_KEPT: Final = re.compile(r"oom_kill|pgpg|pswp|pg.*fault")


def single(name: str, kind: Kind, sentence: str, value: float, *labels: tuple[str, str]) -> Family:
    family = Family(name, kind, sentence)
    family.add(value, *labels)
    return family


def loadavg(text: str) -> list[Family]:
    minutes = ("1", "5", "15")
    return [
        single(f"node_load{n}", "gauge", f"Load average over {n} min.", float(value))
        for n, value in zip(minutes, text.split()[:3], strict=True)
    ]


_CPU_MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_STAT: Final[dict[str, tuple[str, Kind, str]]] = {
    "intr": ("node_intr_total", "counter", "Interrupts served."),
    "ctxt": ("node_context_switches_total", "counter", "Context switches."),
    "btime": ("node_boot_time_seconds", "gauge", "When the machine started, Unix time."),
    "processes": ("node_forks_total", "counter", "Processes and threads created."),
    "procs_running": ("node_procs_running", "gauge", "Threads that run or could run."),
    "procs_blocked": ("node_procs_blocked", "gauge", "Threads that wait for a disk."),
}


def stat(text: str) -> list[Family]:
    seconds = Family("node_cpu_seconds_total", "counter", "Time of each CPU, by what it did.")
    guests = Family("node_cpu_guest_seconds_total", "counter", "Time of each CPU for guests.")
    families = [seconds, guests]
    for line in text.splitlines():
        key, _, rest = line.partition(" ")
        if key in _STAT:
            families.append(single(*_STAT[key], float(rest.split(" ", 1)[0])))
        elif key.startswith("cpu") and key != "cpu":
            ticks = [int(value) / TICKS_PER_S for value in rest.split()]
            cpu = ("cpu", key[3:])
            for mode, value in zip(_CPU_MODES, ticks, strict=False):
                seconds.add(value, cpu, ("mode", mode))
            for mode, value in zip(("user", "nice"), ticks[8:10], strict=False):
                guests.add(value, cpu, ("mode", mode))
    if not seconds.samples:
        raise ValueError("/proc/stat shows no CPU")
    return families


def meminfo(text: str) -> list[Family]:
    families = []
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        value, *unit = rest.split()
        name = key.replace("(", "_").replace(")", "")
        scale, suffix = (1024, "_bytes") if unit == ["kB"] else (1, "")
        sentence = f"{key} of /proc/meminfo."
        families.append(
            single(f"node_memory_{name}{suffix}", "gauge", sentence, int(value) * scale)
        )
    return families


# name, kind, what a unit of the file is divided by, sentence; in the order of the file
_DISK: Final[tuple[tuple[str, Kind, float, str], ...]] = (
    ("reads_completed_total", "counter", 1, "Reads finished."),
    ("reads_merged_total", "counter", 1, "Reads joined to a neighbour."),
    ("read_bytes_total", "counter", 1 / SECTOR_BYTES, "Bytes read."),
    ("read_time_seconds_total", "counter", 1000, "Time of all reads, added up."),
    ("writes_completed_total", "counter", 1, "Writes finished."),
    ("writes_merged_total", "counter", 1, "Writes joined to a neighbour."),
    ("written_bytes_total", "counter", 1 / SECTOR_BYTES, "Bytes written."),
    ("write_time_seconds_total", "counter", 1000, "Time of all writes, added up."),
    ("io_now", "gauge", 1, "Requests under way."),
    ("io_time_seconds_total", "counter", 1000, "Time with a request under way."),
    ("io_time_weighted_seconds_total", "counter", 1000, "That time, times the requests."),
    ("discards_completed_total", "counter", 1, "Discards finished."),
    ("discards_merged_total", "counter", 1, "Discards joined to a neighbour."),
    ("discarded_sectors_total", "counter", 1, "Sectors discarded."),
    ("discard_time_seconds_total", "counter", 1000, "Time of all discards, added up."),
    ("flush_requests_total", "counter", 1, "Flushes finished."),
    ("flush_requests_time_seconds_total", "counter", 1000, "Time of all flushes, added up."),
)


def diskstats(text: str) -> list[Family]:
    families = [Family(f"node_disk_{name}", kind, said) for name, kind, _, said in _DISK]
    devices = 0
    for line in text.splitlines():
        _, _, device, *values = line.split()
        if DISKS_EXCLUDED.match(device):
            continue
        devices += 1
        if devices > DEVICES_MAX:
            break
        for family, (_, _, divisor, _), value in zip(families, _DISK, values, strict=False):
            family.add(int(value) / divisor, ("device", device))
    return families


_RECEIVED: Final = (
    "bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast",
)  # fmt: skip
_TRANSMITTED: Final = (
    "bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed",
)  # fmt: skip


def net_dev(text: str) -> list[Family]:
    families = [
        Family(f"node_network_{way}_{what}_total", "counter", f"{what} of {way}d packets.")
        for way, whats in (("receive", _RECEIVED), ("transmit", _TRANSMITTED))
        for what in whats
    ]
    devices = 0
    for line in text.splitlines()[2:]:
        name, _, values = line.rpartition(":")
        device = name.strip()
        if NETWORKS_EXCLUDED.match(device):
            continue
        devices += 1
        if devices > DEVICES_MAX:
            break
        for family, value in zip(families, values.split(), strict=True):
            family.add(int(value), ("device", device))
    return families


def snmp(text: str) -> list[Family]:
    """/proc/net/snmp and /proc/net/netstat: a line of names, then a line of values."""
    lines = text.splitlines()
    return [
        family
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        for family in _statistics(names, values)
    ]


def _statistics(names: str, values: str) -> Iterator[Family]:
    protocol, _, keys = names.partition(":")
    for key, value in zip(keys.split(), values.partition(":")[2].split(), strict=True):
        if NETSTAT_KEPT.match(f"{protocol}_{key}"):
            yield _netstat(protocol, key, value)


def snmp6(text: str) -> list[Family]:
    pairs = (line.split() for line in text.splitlines())
    parts = ((*name.partition("6"), value) for name, value in pairs)
    return [
        _netstat(f"{protocol}6", key, value)
        for protocol, _, key, value in parts
        if NETSTAT_KEPT.match(f"{protocol}6_{key}")
    ]


def _netstat(protocol: str, key: str, value: str) -> Family:
    name = f"node_netstat_{protocol}_{key}"
    return single(name, "unknown", f"{key} of the kernel's {protocol} statistics.", int(value))


def sockstat(text: str) -> list[Family]:
    """/proc/net/sockstat and sockstat6. What counts pages comes in bytes too."""
    families = []
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        words = rest.split()
        for key, value in zip(words[::2], words[1::2], strict=True):
            name = f"node_sockstat_{protocol}_{key}"
            sentence = f"{protocol} sockets: {key}."
            families.append(single(name, "gauge", sentence, int(value)))
            if key == "mem":
                in_bytes = int(value) * PAGE_BYTES
                families.append(single(f"{name}_bytes", "gauge", sentence, in_bytes))
    return families


def softnet(text: str) -> list[Family]:
    names = ("processed", "dropped", "times_squeezed")
    families = [
        Family(f"node_softnet_{name}_total", "counter", f"Packets in the backlog: {name}.")
        for name in names
    ]
    for cpu, line in enumerate(text.splitlines()):
        words = line.split()
        # Newer kernels say which CPU a line is about: one that is off has none.
        label = ("cpu", str(int(words[12], 16)) if len(words) > 12 else str(cpu))
        for family, word in zip(families, words, strict=False):
            family.add(int(word, 16), label)
    return families


def schedstat(text: str) -> list[Family]:
    running = Family("node_schedstat_running_seconds_total", "counter", "Time that threads ran.")
    waiting = Family("node_schedstat_waiting_seconds_total", "counter", "Time they waited to run.")
    slices = Family("node_schedstat_timeslices_total", "counter", "Times a thread was let run.")
    for line in text.splitlines():
        key, *values = line.split()
        if key.startswith("cpu"):
            label = ("cpu", key[3:])
            running.add(int(values[6]) / 1e9, label)
            waiting.add(int(values[7]) / 1e9, label)
            slices.add(int(values[8]), label)
    return [running, waiting, slices]


def vmstat(text: str) -> list[Family]:
    pairs = (line.split() for line in text.splitlines())
    return [
        single(f"node_vmstat_{key}", "unknown", f"{key} of /proc/vmstat.", int(value))
        for key, value in pairs
        if VMSTAT_KEPT.match(key)
    ]


def pressure(resource: str) -> Parser:
    """/proc/pressure/<resource>: time that some, or all, threads waited for it."""

    def parse(text: str) -> list[Family]:
        families = []
        for line in text.splitlines():
            share, *words = line.split()
            how, who = ("waiting", "some") if share == "some" else ("stalled", "all")
            # "full" of the CPU is there for the sake of its form: it is always 0.
            if resource == "cpu" and share == "full":
                continue
            total = next(word for word in words if word.startswith("total=")).removeprefix("total=")
            name = f"node_pressure_{resource}_{how}_seconds_total"
            sentence = f"Time in which {who} threads with work waited: {resource}."
            families.append(single(name, "counter", sentence, int(total) / 1e6))
        return families

    return parse


def file_nr(text: str) -> list[Family]:
    allocated, _, most = text.split()
    return [
        single("node_filefd_allocated", "gauge", "Open files of all processes.", int(allocated)),
        single("node_filefd_maximum", "gauge", "The most that there may be.", int(most)),
    ]


def gauge(name: str, sentence: str) -> Parser:
    """A file that holds one number."""
    return lambda text: [single(name, "gauge", sentence, float(text))]


def arp(text: str) -> list[Family]:
    family = Family("node_arp_entries", "gauge", "Neighbours known, by device.")
    devices = [line.split()[-1] for line in text.splitlines()[1:]]
    for device in sorted(set(devices))[:DEVICES_MAX]:
        family.add(devices.count(device), ("device", device))
    return [family]


_OS_LABELS: Final = (
    "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant",
    "variant_id", "version", "version_codename", "version_id",
)  # fmt: skip


def os_release(text: str) -> list[Family]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    known = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs if key}
    labels = [(name, known.get(name, "")) for name in _OS_LABELS]
    families = [single("node_os_info", "gauge", "The operating system; always 1.", 1, *labels)]
    number = re.match(r"\d+(\.\d+)?", known.get("version_id", ""))
    if number:
        few = [(name, known.get(name, "")) for name in ("id", "id_like", "name")]
        said = "Version of the operating system, major.minor."
        families.append(single("node_os_version", "gauge", said, float(number[0]), *few))
    return families


def uname(names: os.uname_result, domain: str) -> Family:
    labels = (
        ("sysname", names.sysname), ("release", names.release), ("version", names.version),
        ("machine", names.machine), ("nodename", names.nodename), ("domainname", domain),
    )  # fmt: skip
    return single("node_uname_info", "gauge", "What uname says; always 1.", 1, *labels)
