"""Who uses the machine: processes by name, as process-exporter's namedprocess_namegroup_*.

A group is all processes of one name (`comm`, 15 characters; of kernel threads what comes before
the CPU or the work). Shown are the TOP_CPU groups that used most CPU lately and the TOP_MEMORY
that hold most memory; all others are one group named REST. So there are at most TOP_CPU +
TOP_MEMORY + 1 series of each metric.

A second of CPU is counted once: under its group if that is shown in this round, else under REST. So
the sum is right, and a group that comes and goes has a counter that stands still while it is away.
What a process used after our last look at it, before it ended, is not seen.

Limits      PROCESSES_MAX processes of a round, lowest numbers first; open files are counted for
            shown groups only, where we may read them, of FILES_COUNTED_MAX processes a round
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.agent.host_proc import PAGE_BYTES, TICKS_PER_S
from trilens.agent.remote_write import Family, Kind

TOP_CPU: Final = 20
TOP_MEMORY: Final = 20
REST: Final = "(other)"
PROCESSES_MAX: Final = 8192
FILES_COUNTED_MAX: Final = 256
GROUPS_REMEMBERED_MAX: Final = 1024
FADING: Final = 0.8  # a round: "lately" is about five rounds
_KERNEL_FLAG: Final = 0x00200000  # PF_KTHREAD
_KERNEL_WORK: Final = re.compile(r"[/:-]")

_FAMILIES: Final[dict[str, tuple[str, Kind, str]]] = {
    "cpu": ("cpu_seconds_total", "counter", "CPU time of the group."),
    "memory": ("memory_bytes", "gauge", "Memory of the group; shared pages count for each."),
    "processes": ("num_procs", "gauge", "Processes of the group."),
    "threads": ("num_threads", "gauge", "Threads of the group."),
    "files": ("open_filedesc", "gauge", "Open files of the group, where we may look."),
    "started": ("oldest_start_time_seconds", "gauge", "When its oldest process began."),
}


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc/<pid>/stat says. `started_ticks` are since the machine started."""

    pid: int
    group: str
    user_s: float
    system_s: float
    threads: int
    started_ticks: int
    resident_bytes: int
    virtual_bytes: int

    @classmethod
    def parse(cls, text: str) -> Process:
        """The name stands between the first ( and the last ): it may hold both, and spaces."""
        pid, _, rest = text.partition(" (")
        name, _, after = rest.rpartition(") ")
        values = after.split(" ", 22)  # state is the first; the rest is not looked at
        if int(values[6]) & _KERNEL_FLAG:
            name = _KERNEL_WORK.split(name, maxsplit=1)[0]
        return cls(
            pid=int(pid),
            group=name or "(unnamed)",
            user_s=int(values[11]) / TICKS_PER_S,
            system_s=int(values[12]) / TICKS_PER_S,
            threads=int(values[17]),
            started_ticks=int(values[19]),
            virtual_bytes=int(values[20]),
            resident_bytes=int(values[21]) * PAGE_BYTES,
        )


@dataclass(slots=True)
class _Group:
    """One round's sum. `files` is None until one process of the group could be counted."""

    processes: list[Process] = field(default_factory=list)
    user_s: float = 0.0  # used since the round before
    system_s: float = 0.0
    resident_bytes: int = 0
    virtual_bytes: int = 0
    threads: int = 0
    started_ticks: int | None = None

    def add(self, process: Process) -> None:
        self.processes.append(process)
        self.resident_bytes += process.resident_bytes
        self.virtual_bytes += process.virtual_bytes
        self.threads += process.threads
        if self.started_ticks is None or process.started_ticks < self.started_ticks:
            self.started_ticks = process.started_ticks

    def join(self, other: _Group) -> None:
        self.user_s += other.user_s
        self.system_s += other.system_s
        for process in other.processes:
            self.add(process)


class Processes:
    """Rounds over /proc. Not thread-safe."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._last: dict[int, Process] = {}
        self._recent_s: dict[str, float] = {}
        self._counted: dict[str, tuple[float, float]] = {}  # user and system, by shown group
        self._boot_s = _boot_time_s(proc)

    def families(self) -> list[Family]:
        """About 20 us a process. Raises OSError if there is no /proc."""
        groups = self._groups()
        shown = self._shown(groups)
        rows: dict[str, _Group] = {name: groups[name] for name in sorted(shown)}
        rest = _Group()
        for name, group in groups.items():
            if name not in shown:
                rest.join(group)
        if rest.processes:
            rows[REST] = rest
        return self._as_families(rows)

    def _groups(self) -> dict[str, _Group]:
        groups: dict[str, _Group] = {}
        now: dict[int, Process] = {}
        for process in self._found():
            now[process.pid] = process
            group = groups.setdefault(process.group, _Group())
            group.add(process)
            user_s, system_s = self._used(process)
            group.user_s += user_s
            group.system_s += system_s
        self._last = now
        return groups

    def _used(self, process: Process) -> tuple[float, float]:
        before = self._last.get(process.pid)
        if before is None or before.started_ticks != process.started_ticks:
            return process.user_s, process.system_s
        return (
            max(0.0, process.user_s - before.user_s),
            max(0.0, process.system_s - before.system_s),
        )

    def _found(self) -> Iterator[Process]:
        pids = sorted(int(name) for name in os.listdir(self._proc) if name.isdecimal())
        for pid in pids[:PROCESSES_MAX]:
            try:
                fd = os.open(f"{self._proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # it has ended
                continue
            try:
                yield Process.parse(os.read(fd, 4096).decode("utf-8", "replace"))
            except (OSError, ValueError, IndexError):
                continue
            finally:
                os.close(fd)

    def _shown(self, groups: dict[str, _Group]) -> set[str]:
        for name in groups.keys() | self._recent_s.keys():
            group = groups.get(name)
            used_s = group.user_s + group.system_s if group else 0.0
            faded_s = self._recent_s.get(name, 0.0) * FADING + used_s
            if group is None and faded_s < 0.001:
                del self._recent_s[name]
            else:
                self._recent_s[name] = faded_s
        by_cpu = sorted(groups, key=lambda name: -self._recent_s[name])[:TOP_CPU]
        by_memory = sorted(groups, key=lambda name: -groups[name].resident_bytes)[:TOP_MEMORY]
        # Idle kernel threads would fill what is left of both.
        busy = {name for name in by_cpu if self._recent_s[name] > 0}
        return busy | {name for name in by_memory if groups[name].resident_bytes}

    def _as_families(self, rows: dict[str, _Group]) -> list[Family]:
        made = {
            key: Family(f"namedprocess_namegroup_{name}", kind, sentence)
            for key, (name, kind, sentence) in _FAMILIES.items()
        }
        to_count = FILES_COUNTED_MAX
        for name, group in rows.items():
            label = ("groupname", name)
            user_s, system_s = self._count(name, group)
            made["cpu"].add(user_s, label, ("mode", "user"))
            made["cpu"].add(system_s, label, ("mode", "system"))
            made["memory"].add(group.resident_bytes, label, ("memtype", "resident"))
            made["memory"].add(group.virtual_bytes, label, ("memtype", "virtual"))
            made["processes"].add(len(group.processes), label)
            made["threads"].add(group.threads, label)
            made["started"].add(self._boot_s + (group.started_ticks or 0) / TICKS_PER_S, label)
            if name != REST and len(group.processes) <= to_count:
                to_count -= len(group.processes)
                files = self._files(group)
                if files is not None:
                    made["files"].add(files, label)
        return list(made.values())

    def _count(self, name: str, group: _Group) -> tuple[float, float]:
        user_s, system_s = self._counted.pop(name, (0.0, 0.0))
        total = (user_s + group.user_s, system_s + group.system_s)
        self._counted[name] = total
        if len(self._counted) > GROUPS_REMEMBERED_MAX:
            del self._counted[next(iter(self._counted))]
        return total

    def _files(self, group: _Group) -> int | None:
        counts = [self._open_files(process.pid) for process in group.processes]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def _open_files(self, pid: int) -> int | None:
        directory = f"{self._proc}/{pid}/fd"
        try:
            # Linux 6.2 and later say how many there are; before, the size is 0.
            return os.stat(directory).st_size or len(os.listdir(directory))
        except OSError:
            return None


def _boot_time_s(proc: Path) -> int:
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
