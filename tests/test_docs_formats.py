"""docs/formats names every column of the documented views, and no other."""

import re
from pathlib import Path

import pytest

from querying import engine
from trilens.query.sql_gate import VIEWS

FORMATS = Path(__file__).parent.parent / "docs" / "formats"
PAGES = {
    "logs": "tables-logs-spans.md",
    "spans": "tables-logs-spans.md",
    **dict.fromkeys(
        ("samples", "series", "exemplars", "histograms", "metadata"), "tables-metrics.md"
    ),
}


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_every_column_is_documented(view):
    text = (FORMATS / PAGES[view]).read_text()
    words = set(re.findall(r"\w+", text))
    columns = [row[0] for row in engine().rows(f"DESCRIBE TABLE trilens.{view}").rows]
    assert [name for name in columns if name not in words] == []


@pytest.mark.parametrize("view", ["logs", "spans"])
def test_no_column_is_documented_that_is_not_there(view):
    text = (FORMATS / PAGES[view]).read_text()
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    shared = next(part for part in parts if part.startswith("Columns that both have"))
    own = next(part for part in parts if part.startswith(f"`{view}`"))
    cells = re.findall(r"^\| ([a-z_, ]+) \|", shared + own, flags=re.MULTILINE)
    named = {name.strip() for cell in cells for name in cell.split(",")} - {"column"}
    columns = {row[0] for row in engine().rows(f"DESCRIBE TABLE trilens.{view}").rows}
    assert named == columns


def test_no_column_is_of_several_types():
    """An aggregate function takes none of these."""
    sql = (
        "SELECT table, name, type FROM system.columns WHERE database = 'trilens' "
        "AND (type LIKE '%Variant%' OR type LIKE '%Dynamic%')"
    )
    assert engine().rows(sql).rows == []


def test_types_of_the_contract():
    sql = (
        "SELECT table, name, type FROM system.columns WHERE database = 'trilens' "
        "AND name IN ('timestamp', 'trace_id', 'value', 'attributes')"
    )
    types = {(table, name): kind for table, name, kind in engine().rows(sql).rows}
    assert types["logs", "timestamp"].startswith("DateTime64(9")
    assert types["samples", "timestamp"] == "DateTime64(3, 'UTC')"
    assert types["samples", "value"] == "Float64"
    assert types["spans", "trace_id"] == "String"
    assert types["logs", "attributes"] == "Map(LowCardinality(String), String)"
