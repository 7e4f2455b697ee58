"""prometheus.yml, as it is (Prometheus 3.14), with the rule files that it names.

Refused is what Prometheus refuses, and what it knows and is not done here, each with its place.
What would only say how Prometheus's own store keeps samples is read, and says nothing here:
samples out of order and exemplars are taken as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.alert.rule_files import RuleGroup, read_rule_files
from trilens.config_files.problems import FileRefused, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_file, read_yaml
from trilens.prometheus_config.alerting import Alerting, read_alerting
from trilens.prometheus_config.remote_write import RemoteWrite, read_remote_writes
from trilens.scrape.scrape_config import ScrapeConfig, read_patterns, read_scraping

EVALUATION_MS: Final = 60_000
_NOT_DONE: Final = {
    "remote_read": "samples of other servers are not asked for",
    "tracing": "spans of the server itself are kept in its own store",
    "otlp": "what OTLP brings is kept as it came",
}


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """`text` is the file as it was read; it may hold secrets."""

    path: Path
    text: str = field(repr=False)
    scraping: ScrapeConfig
    rule_files: tuple[str, ...]
    groups: tuple[RuleGroup, ...]
    evaluation_ms: int
    rule_query_offset_ms: int
    alerting: Alerting
    remote_writes: tuple[RemoteWrite, ...] = ()


def load(path: Path, environment: Mapping[str, str]) -> PrometheusConfig:
    """`environment` fills ${VARIABLE} of external labels. Raises FileRefused, with all faults."""
    content = read_file(path)
    problems = Problems(str(path))
    root = Section(read_yaml(content, str(path)), "prometheus.yml", problems)
    folder = path.parent
    refused = []
    common = root.section("global", "global")
    try:
        scraping = read_scraping(root, common, folder, environment)
    except FileRefused as error:
        refused += error.problems
        scraping = ScrapeConfig(0, 0, {}, ())
    legacy = common.text("metric_name_validation_scheme") == "legacy"
    alerting = read_alerting(root.section("alerting", "alerting"), folder, legacy=legacy)
    external = scraping.external_labels
    remote_writes = read_remote_writes(root, folder, dict(external), legacy=legacy)
    evaluation_ms = common.duration_ms("evaluation_interval", EVALUATION_MS) or EVALUATION_MS
    offset_ms = common.duration_ms("rule_query_offset")
    common.not_done("query_log_file", "questions are not logged")
    patterns = read_patterns(root, "rule_files", "rule file path")
    _end(root, common)
    groups: list[RuleGroup] = []
    try:
        groups = read_rule_files(patterns, folder)
    except FileRefused as error:
        refused += error.problems
    problems.found += [one for one in refused if one not in problems.found]
    problems.raise_any()
    return PrometheusConfig(
        path, content.decode("utf-8", "replace"), scraping, patterns, tuple(groups),
        evaluation_ms, offset_ms, alerting, remote_writes,
    )  # fmt: skip


def _end(root: Section, common: Section) -> None:
    """What is left: keys that say nothing here, those that are not done, and no others."""
    for key, why in _NOT_DONE.items():
        root.not_done(key, why)
    for section in (root, common):
        runtime = section.section("runtime", "runtime")
        runtime.integer("gogc")
        runtime.end()
    storage = root.section("storage", "storage")
    tsdb = storage.section("tsdb", "storage.tsdb")
    tsdb.duration_ms("out_of_order_time_window")
    tsdb.number("stale_series_compaction_threshold")
    encoding = tsdb.section("chunk_encoding", "storage.tsdb.chunk_encoding")
    if encoding.text("floats", "xor") not in {"xor", "xor2"}:
        encoding.problem("floats", "a chunk encoding of floats is xor or xor2")
    encoding.end()
    tsdb.not_done("retention", "how long samples are kept is a setting of Trilens")
    tsdb.end()
    exemplars = storage.section("exemplars", "storage.exemplars")
    exemplars.integer("max_exemplars")
    exemplars.end()
    storage.end()
    common.end()
    root.end()
