"""The scraper without the server: an agent needs a config, a clock and a function that writes."""

from __future__ import annotations

import json
import subprocess
import sys

from test_scrape_loop import exporter  # noqa: F401 - a fixture

PROGRAM = """
import asyncio, json, sys, time
from pathlib import Path
from trilens.clock import SystemClock
from trilens.config_files.problems import Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_yaml
from trilens.scrape.scrape_config import read_scraping
from trilens.scrape.scraper import Scraper

problems = Problems("config")
root = Section(read_yaml(sys.argv[1].encode(), "config"), "config", problems)
config = read_scraping(root, root.section("global", "global"), Path(), {})
problems.raise_any()
bodies = []

async def write(body):
    bodies.append(body)

scraper = Scraper(write, SystemClock())
scraper.start(config)
until = time.monotonic() + 20
while not any(b"what_is_exposed" in body for body in bodies) and time.monotonic() < until:
    time.sleep(0.05)
scraper.stop(5)
known = {name.split(".")[1] for name in sys.modules if name.startswith("trilens.")}
print(json.dumps([any(b"what_is_exposed" in body for body in bodies), sorted(known)]))
"""
NOT_NEEDED = {
    "server", "server_files", "server_rules", "settings", "store", "present", "spool", "agent",
    "alert", "alert_sending", "notify", "prometheus_config", "receive", "go_template",
}  # fmt: skip


def test_it_runs_alone(exporter) -> None:  # noqa: F811
    exporter.pages["/metrics"] = "what_is_exposed 1\n"
    config = {
        "global": {"scrape_interval": "200ms"},
        "scrape_configs": [
            {"job_name": "j", "static_configs": [{"targets": [exporter.address]}]},
        ],
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    has_written, known = json.loads(done.stdout)
    assert has_written
    assert not NOT_NEEDED & set(known)
