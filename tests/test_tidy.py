"""The habits that a program can check: names, sizes, what must not stand in a file."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "trilens"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(
    path
    for tree in ("src", "tests", "bench", "docs", "console")
    for path in (ROOT / tree).rglob("*")
    if path.suffix in {".py", ".sql", ".ts", ".tsx", ".css", ".md", ".toml", ".json", ".lock"}
    and not {"node_modules", "ui", "results", "__pycache__"} & set(path.relative_to(ROOT).parts)
)
BANNED_NAMES = {"utils", "util", "common", "helpers", "misc", "manager", "handler", "processor",
                "base", "core"}  # fmt: skip
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PACKAGE_FILES_MAX = 30
DEPTH_MAX = 3


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_reads_well(path):
    text = path.read_text()
    assert path.stem not in BANNED_NAMES
    assert path.stem not in sys.stdlib_module_names or path.stem == "ast"
    assert len(path.relative_to(PACKAGE).parts) <= DEPTH_MAX
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    assert len(text.splitlines()) <= FILE_LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


def test_a_package_can_be_seen_at_once():
    for package in {path.parent for path in MODULES}:
        assert len(list(package.glob("*.py"))) <= PACKAGE_FILES_MAX, named(package)
        code = ast.parse((package / "__init__.py").read_text()).body
        assert all(not isinstance(node, ast.FunctionDef | ast.ClassDef) for node in code)


def test_only_the_server_reads_settings():
    allowed = {"settings.py", "server.py", "server_status.py", "cli.py"}
    readers = {named(path) for path in MODULES if "trilens.settings" in path.read_text()}
    assert {Path(reader).name for reader in readers} <= allowed


def test_only_the_clock_asks_for_the_time():
    """Monotonic time of waiting loops apart, times come from a Clock that a test can set."""
    for path in MODULES:
        if path.name != "clock.py":
            assert not re.search(r"\btime\.time(_ns)?\(|datetime\.now\(", path.read_text()), path


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_nothing_of_a_machine_or_of_a_registry(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(^|[^\w./-])/(root|home)/\w", text)
    if path.suffix in {".lock", ".json", ".toml"}:
        assert '"resolved"' not in text
        assert "index-url" not in text


@pytest.mark.parametrize("path", [p for p in SOURCES if p.suffix in {".py", ".ts", ".tsx", ".sql"}],
                         ids=named)  # fmt: skip
def test_no_unfinished_marks(path):
    if path != Path(__file__):
        assert not re.search(r"\b(TODO|FIXME|XXX)\b|NotImplementedError", path.read_text())


def test_every_schema_file_is_numbered_and_says_what_a_row_is():
    files = sorted((PACKAGE / "store" / "schema").glob("*.sql"))
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == list(range(numbers[0], numbers[0] + len(files)))
    for path in files:
        assert "one row" in path.read_text().lower(), path.name
