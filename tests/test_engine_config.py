"""What the embedded engine is told is what it says it has."""

import pytest

from trilens.store import engine_config
from trilens.store.engine_config import MERGE_PARTS_MAX, MERGE_PARTS_MIN, merge_parts_max
from trilens.store.engine_embedded import EmbeddedEngine

MIB = 1 << 20
MERGE_TREE = (
    "SELECT name, value FROM system.merge_tree_settings WHERE name IN "
    "('fsync_after_insert', 'max_parts_to_merge_at_once')"
)


@pytest.mark.parametrize(
    ("memory_bytes_max", "parts"),
    [(1, MERGE_PARTS_MIN), (1500 * MIB, 20), (64 << 30, MERGE_PARTS_MAX)],
)
def test_merges_read_as_many_parts_as_there_is_memory_for(memory_bytes_max, parts):
    assert merge_parts_max(memory_bytes_max) == parts


def test_the_engine_has_taken_it(tmp_path):
    memory_bytes_max = 900 * MIB
    embedded = EmbeddedEngine(tmp_path, memory_bytes_max)
    embedded.start()
    try:
        merge_tree = dict(embedded.engine.rows(MERGE_TREE).rows)
        applied = dict(embedded.engine.rows("SELECT name, value FROM system.server_settings").rows)
    finally:
        embedded.stop()
    wanted = str(merge_parts_max(memory_bytes_max))
    assert merge_tree == {"fsync_after_insert": "1", "max_parts_to_merge_at_once": wanted}
    assert engine_config.unapplied(engine_config.server_settings(memory_bytes_max), applied) == []
