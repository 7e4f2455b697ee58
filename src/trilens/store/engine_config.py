"""What the embedded engine is told at its start, as ClickHouse's own configuration files.

chDB ignores unknown keys silently, so `unapplied` compares what was asked with what
system.server_settings says. Keys that chDB is known to ignore (max_concurrent_queries,
concurrent_threads_soft_limit_num, timezone, inline profiles) are not written: the front bounds
concurrency itself, TZ is in the environment, profiles lie in users.xml.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

MEBIBYTE = 1 << 20
# Resident memory outside the tracker's sight: 195 MiB of the mapped library, the interpreter,
# bodies on their way. With the memory worker on, the tracker follows what is really resident;
# without it (chDB's default) freed pages took a 1.0 GB budget to 1.3 GB.
UNTRACKED_BYTES = 240 * MEBIBYTE
# With less an engine cannot merge what it has loaded: a budget under 496 MiB is not kept.
TRACKED_BYTES_MIN = 256 * MEBIBYTE
# Of what is tracked, for one statement, and for one that only reads, whatever it asks for: a query
# may fail, loads beside it should not.
STATEMENT_SHARE = 0.7
READ_SHARE = 0.3
# One statement of a user at once for so much of what is tracked.
TRACKED_BYTES_A_GUEST = 200 * MEBIBYTE
# Of what is tracked, for the bytes of one load: spans need 6 times as much, there are two or three
# loads, and merges and queries beside them.
BODY_SHARE = 1 / 28
# A message alone cannot be decoded in pieces: spans need 13 times its bytes, more where attributes
# are short. And something else is always there.
MESSAGE_SHARE = 1 / 19
BESIDE_A_MESSAGE_BYTES = 128 * MEBIBYTE
# Of what is tracked: beyond it no further merge is begun. The engine's own is half of the machine.
MERGES_SHARE = 0.25
# What the text index of one merge may hold before it writes; the engine's own is 1 GiB.
TEXT_INDEX_SHARE = 1 / 8
# A merge of lines holds 13 MB for each of its parts. With the engine's own 100 parts at once merges
# after a burst failed for want of memory, were begun again, and parts only became more.
MERGE_BYTES_A_PART = 13_000_000
MERGE_PARTS_SHARE = 0.2
MERGE_PARTS_MIN, MERGE_PARTS_MAX = 8, 100
MEMORY_WORKER_PERIOD_MS = 50
# Freed pages kept for the next load, of what is tracked. With the engine's own 0.2 a load of spans
# spent a third of its CPU time in the kernel on pages that it had just given back: 2.6 us a span,
# with this 1.6 to 2.0.
DIRTY_SHARE_MAX = 0.5
# They count as used, so near the limit they go all the same: a load that takes this much between
# two looks of the memory worker would be refused (241) for pages that nobody uses.
HEADROOM_BYTES = 256 * MEBIBYTE
HEADROOM_SHARE_MIN, HEADROOM_SHARE_MAX = 0.1, 0.3

_USERS = """<clickhouse>
  <profiles><default>
    <use_cache_for_count_from_files>0</use_cache_for_count_from_files>
    <schema_inference_use_cache_for_file>0</schema_inference_use_cache_for_file>
    <storage_file_read_method>pread</storage_file_read_method>
    <max_memory_usage>{statement_bytes_max}</max_memory_usage>
    <max_bytes_ratio_before_external_group_by>0.5</max_bytes_ratio_before_external_group_by>
    <max_bytes_ratio_before_external_sort>0.5</max_bytes_ratio_before_external_sort>
  </default></profiles>
  <users><default>
    <password></password><profile>default</profile><quota>default</quota>
    <networks><ip>127.0.0.1</ip></networks>
  </default></users>
  <quotas><default></default></quotas>
</clickhouse>
"""


def tracked_bytes(memory_bytes_max: int) -> int:
    """What the engine may count as its own, of the resident memory that it may have."""
    return max(memory_bytes_max - UNTRACKED_BYTES, TRACKED_BYTES_MIN)


def read_bytes_max(memory_bytes_max: int) -> int:
    """Memory of one statement that only reads."""
    return int(tracked_bytes(memory_bytes_max) * READ_SHARE)


def guests_max(memory_bytes_max: int) -> int:
    """Statements of users that may run at once."""
    return max(1, tracked_bytes(memory_bytes_max) // TRACKED_BYTES_A_GUEST)


def body_bytes_max(memory_bytes_max: int) -> int:
    """Bytes of one load that leave room for what runs beside it."""
    return int(tracked_bytes(memory_bytes_max) * BODY_SHARE)


def message_bytes_max(memory_bytes_max: int) -> int:
    """Bytes of one message that can be loaded, if need be alone."""
    return int((tracked_bytes(memory_bytes_max) - BESIDE_A_MESSAGE_BYTES) * MESSAGE_SHARE)


def merge_parts_max(memory_bytes_max: int) -> int:
    """Parts that one merge may read."""
    parts = int(tracked_bytes(memory_bytes_max) * MERGE_PARTS_SHARE) // MERGE_BYTES_A_PART
    return min(max(parts, MERGE_PARTS_MIN), MERGE_PARTS_MAX)


def server_settings(memory_bytes_max: int) -> dict[str, int | float]:
    """Keys of config.xml for one memory budget in bytes.

    Caches get a fixed small share: ClickHouse's own defaults (5 GiB each) are for a machine of
    its own.
    """
    tracked = tracked_bytes(memory_bytes_max)
    cache = min(64 * MEBIBYTE, tracked // 16)
    headroom = min(max(HEADROOM_BYTES / tracked, HEADROOM_SHARE_MIN), HEADROOM_SHARE_MAX)
    return {
        "max_server_memory_usage": tracked,
        "mark_cache_size": cache,
        "primary_index_cache_size": cache,
        "index_mark_cache_size": cache,
        "uncompressed_cache_size": 0,
        "index_uncompressed_cache_size": 0,
        "query_condition_cache_size": cache // 4,
        "compiled_expression_cache_size": cache // 4,
        "merges_mutations_memory_usage_soft_limit": int(tracked * MERGES_SHARE),
        "background_pool_size": min(max(os.cpu_count() or 2, 2), 8),
        "background_schedule_pool_size": 4,
        "background_common_pool_size": 2,
        "background_move_pool_size": 1,
        "memory_worker_correct_memory_tracker": 1,
        "memory_worker_period_ms": MEMORY_WORKER_PERIOD_MS,
        "memory_worker_use_cgroup": 0,
        "memory_worker_purge_dirty_pages_threshold_ratio": DIRTY_SHARE_MAX,
        "memory_worker_purge_total_memory_threshold_ratio": round(1 - headroom, 2),
    }


def write(directory: Path, memory_bytes_max: int, settings: dict[str, int | float]) -> Path:
    """Write config.xml and users.xml into `directory`; returns the path of the first."""
    users, config = directory / "users.xml", directory / "config.xml"
    tracked = tracked_bytes(memory_bytes_max)
    statement_bytes_max = int(tracked * STATEMENT_SHARE)
    users.write_text(_USERS.format(statement_bytes_max=statement_bytes_max))
    merge_tree = {
        "fsync_after_insert": 1,
        "fsync_part_directory": 1,
        "max_parts_to_merge_at_once": merge_parts_max(memory_bytes_max),
        "text_index_max_memory_usage_before_flush": int(tracked * TEXT_INDEX_SHARE),
    }
    config.write_text(
        f"<clickhouse>\n{_elements(settings)}\n"
        f"<merge_tree>\n{_elements(merge_tree)}\n</merge_tree>\n"
        f"<users_config>{escape(str(users))}</users_config>\n</clickhouse>\n"
    )
    return config


def _elements(settings: Mapping[str, int | float]) -> str:
    return "\n".join(f"  <{key}>{value}</{key}>" for key, value in settings.items())


def unapplied(asked: dict[str, int | float], applied: dict[str, str]) -> list[str]:
    """Names asked for whose value in system.server_settings differs."""
    return [name for name, value in asked.items() if applied.get(name) != str(value)]
