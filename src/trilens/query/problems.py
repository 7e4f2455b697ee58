"""What is not all right, from numbers that others have gathered.

Codes are what screens translate; messages are for everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

DISK_WARNING_RATIO = 0.90
DISK_ERROR_RATIO = 0.97
MEMORY_WARNING_RATIO = 0.95
SPOOL_WARNING_RATIO = 0.5
SPOOL_ERROR_RATIO = 0.9
LAG_WARNING_MS = 30_000
ERROR_RATIO = 0.05
ERROR_RATIO_SPANS_MIN = 20
SILENT_MS = 300_000
PROBLEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class Problem:
    severity: Literal["error", "warning"]
    code: str
    message: str
    args: dict[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "args": self.args,
        }


def of_hosts(hosts: Iterable[dict[str, Any]], now_ms: int) -> Iterable[Problem]:
    for host in hosts:
        node, disk, memory = host["node"], host["disk_used_ratio_max"], host["memory_used_ratio"]
        if disk is not None and disk > DISK_WARNING_RATIO:
            mount = host["disk_fullest_mount"]
            yield Problem(
                "error" if disk > DISK_ERROR_RATIO else "warning",
                "disk_filling",
                f"{mount} of {node} is {disk:.0%} full",
                {"node": node, "mount": mount, "used_ratio": disk},
            )
        if memory is not None and memory > MEMORY_WARNING_RATIO:
            yield Problem(
                "warning",
                "memory_filling",
                f"the memory of {node} is {memory:.0%} used",
                {"node": node, "used_ratio": memory},
            )
        seen_ms = host["last_seen_ms"]
        if seen_ms is not None and now_ms - seen_ms > SILENT_MS / 2:
            yield _silent(node, seen_ms)


def of_operations(operations: Iterable[dict[str, Any]]) -> Iterable[Problem]:
    for operation in operations:
        ratio = operation["error_ratio"]
        if ratio > ERROR_RATIO and operation["count"] >= ERROR_RATIO_SPANS_MIN:
            service, name = operation["service"], operation["name"]
            yield Problem(
                "warning",
                "error_rate",
                f"{ratio:.0%} of {name} in {service} fail",
                {"service": service, "operation": name, "error_ratio": ratio},
            )


def of_spool(bytes_held: int, bytes_max: int, lag_ms: int) -> Iterable[Problem]:
    ratio = bytes_held / bytes_max if bytes_max else 0.0
    if ratio > SPOOL_WARNING_RATIO:
        yield Problem(
            "error" if ratio > SPOOL_ERROR_RATIO else "warning",
            "spool_filling",
            f"the spool is {ratio:.0%} full; when it is full, senders are told to wait",
            {"used_ratio": ratio},
        )
    if lag_ms > LAG_WARNING_MS:
        yield Problem(
            "warning",
            "loading_late",
            f"what arrived {lag_ms / 1000:.0f} s ago cannot be queried yet",
            {"lag_ms": lag_ms},
        )


def of_dead_letters(total: int) -> Iterable[Problem]:
    if total:
        yield Problem(
            "warning",
            "dead_letters",
            f"{total} frames could not be decoded; see Sources",
            {"count": total},
        )


def of_engine(is_ready: bool, restarts: int) -> Iterable[Problem]:
    if not is_ready:
        yield Problem("error", "engine_down", "the engine does not answer; the spool keeps all")
    if restarts:
        yield Problem(
            "warning",
            "engine_restarted",
            f"the engine was started again {restarts} times",
            {"restarts": restarts},
        )


def _silent(node: str, seen_ms: int) -> Problem:
    """Only what comes at a beat can fall silent: logs and spans come when something happens."""
    return Problem(
        "warning",
        "sender_silent",
        f"{node} has sent no samples lately",
        {"signal": "samples", "service": "", "node": node, "last_seen_ms": seen_ms},
    )
