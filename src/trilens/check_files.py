"""What `trilens check FILE` says about files of others: is it right, and what is in it.

The kind of a file is known by its first keys: `groups` are rules; `tests` are unit tests of rules,
which are carried out; `route` or `receivers` an alertmanager.yml; what else Prometheus knows, a
prometheus.yml, whose rule files are read too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from trilens.alert.check import Verdict, check_rules, check_tests
from trilens.clock import SystemClock
from trilens.config_files.problems import FileRefused
from trilens.config_files.yaml_nodes import Mapping, Scalar, read_file, read_yaml
from trilens.notify.config import load_config
from trilens.prometheus_config.file import load

_ALERTMANAGER: Final = frozenset(
    {"route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals", "templates"}
)
_PROMETHEUS: Final = frozenset(
    {"global", "scrape_configs", "scrape_config_files", "rule_files", "alerting", "remote_write",
     "remote_read", "storage", "tracing", "otlp", "runtime"}
)  # fmt: skip


def check(path: Path) -> Verdict:
    """Raises nothing that a file can do wrong."""
    verdict = Verdict(str(path))
    try:
        _check(path, verdict)
    except FileRefused as refused:
        verdict.is_well = False
        verdict.lines += map(str, refused.problems)
    return verdict


def _check(path: Path, verdict: Verdict) -> None:
    """Raises FileRefused."""
    keys = _keys(path)
    if "tests" in keys:
        check_tests(path, verdict)
    elif "groups" in keys or not keys & (_ALERTMANAGER | _PROMETHEUS):
        check_rules(path, verdict)
    elif keys & _ALERTMANAGER:
        config = load_config(path, SystemClock().now_ns)
        routes = sum(1 for _ in config.route.walk())
        verdict.lines.append(f"{path}: {len(config.receivers)} receivers, {routes} routes")
    else:
        prometheus = load(path, os.environ)
        rules = sum(len(group.rules) for group in prometheus.groups)
        verdict.lines.append(
            f"{path}: {len(prometheus.scraping.jobs)} jobs, {rules} rules in "
            f"{len(prometheus.groups)} groups, {len(prometheus.alerting.sets)} sets of "
            "Alertmanagers"
        )


def _keys(path: Path) -> frozenset[str]:
    """Those at the top. Raises FileRefused."""
    node = read_yaml(read_file(path), str(path))
    if not isinstance(node, Mapping):
        return frozenset()
    return frozenset(key.value for key, _ in node.pairs if isinstance(key, Scalar))
