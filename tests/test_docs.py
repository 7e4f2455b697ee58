"""Docs that stay true: generated pages are as the code says, and what prose names exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trilens.measures import METRICS
from trilens.receive import KnownSeries, receivers

ROOT = Path(__file__).resolve().parent.parent
PROSE = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "console").glob("*.md")]
)
TREES = ("src/", "tests/", "docs/", "bench/", "console/", ".ci/")
# In prose a module of the package may be named from the package on.
STAGES = ("receive/", "spool/", "store/", "query/", "present/", "agent/", "decode/", "schema/")


def pages():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGES


@pytest.mark.parametrize("name", ["settings.md", "metrics.md"])
def test_generated_pages_are_current(name):
    assert (ROOT / "docs" / name).read_text() == pages()[name](), "run `make docs`"


def test_every_receiver_has_its_page():
    for receiver in receivers(KnownSeries()):
        page = (ROOT / "docs" / "protocols" / f"{receiver.name}.md").read_text()
        for path in receiver.paths:
            assert path in page


def test_every_metric_is_named_once():
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    assert all(metric.sentence.endswith(".") for metric in METRICS)


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_prose_names_exists(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
    for name in re.findall(r"`([\w./-]+/[\w./-]+)`", text):
        if name.startswith(TREES):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
        elif name.startswith(STAGES) and name.endswith((".py", ".sql")):
            found = list((ROOT / "src" / "trilens").rglob(name))
            assert found, f"{page.name} names {name}"
    for target in re.findall(r"`make (\w+)`", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_help_of_every_command_is_there():
    for verb in ([], ["serve"], ["up"], ["sql"], ["check"], ["spool"], ["spool", "dump"]):
        said = subprocess.run(
            [sys.executable, "-m", "trilens.cli", *verb, "--help"],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout  # fmt: skip
        assert "usage: trilens" in said
        assert len(said.splitlines()) > 4
