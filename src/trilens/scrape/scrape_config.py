"""prometheus.yml as it is, as far as it is about scraping: `global` and `scrape_configs`.

Refused is what Prometheus 3 refuses, and what it knows and is not done here: nothing is ignored.
The whole file is read in prometheus_config/file.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from trilens.config_files.http_config import Files, HttpConfig, read_http
from trilens.config_files.problems import FileRefused, Place, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_file, read_yaml
from trilens.query.promql.literals import quote
from trilens.scrape.discovery_config import Discovery, matching, read_discoveries
from trilens.scrape.limits import SCHEMA_MAX, SCHEMA_MIN, Limits
from trilens.scrape.names import is_label_name
from trilens.scrape.relabel import (
    ACTIONS,
    DEFAULT_REGEX,
    DEFAULT_REPLACEMENT,
    DEFAULT_SEPARATOR,
    Rule,
)

PROTOCOLS: Final[Mapping[str, str]] = {
    "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
    "encoding=delimited",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
    "PrometheusText1.0.0": "text/plain;version=1.0.0",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
}
PROTOCOLS_DEFAULT: Final = (
    "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4",
)  # fmt: skip
ESCAPINGS: Final = ("allow-utf-8", "underscores", "dots", "values")
_PATTERN: Final = re.compile(r"[^*]*(\*[^/]*)?")
_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Histograms:
    """What is made of histograms; labels of a target may say otherwise for all but `schema_max`.

    native            native ones are read, if they are exposed
    custom_buckets    classic ones become native ones with custom buckets
    keeps_classic     classic ones beside both
    schema_max        finer native ones become coarser
    """

    native: bool = False
    custom_buckets: bool = False
    keeps_classic: bool = False
    schema_max: int = SCHEMA_MAX


@dataclass(frozen=True, slots=True)
class Job:
    """One of scrape_configs, with what it has from `global`; `written` may hold secrets."""

    name: str
    interval_ms: int
    timeout_ms: int
    protocols: tuple[str, ...] = PROTOCOLS_DEFAULT
    fallback_protocol: str = ""
    metrics_path: str = "/metrics"
    scheme: str = "http"
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps: bool = False
    compression: bool = True
    legacy_names: bool = False
    escaping: str = "allow-utf-8"
    histograms: Histograms = field(default_factory=Histograms)
    extra_metrics: bool = False
    limits: Limits = field(default_factory=Limits)
    failure_log: Path | None = None
    body_bytes_max: int = 0
    targets_max: int = 0
    dropped_targets_kept: int = 0
    client: HttpConfig = field(default_factory=HttpConfig)
    discoveries: tuple[Discovery, ...] = ()
    relabel: tuple[Rule, ...] = ()
    metric_relabel: tuple[Rule, ...] = ()
    place: Place = field(default=Place(1, 1), compare=False)
    written: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """Of `global` what is about scraping, and the jobs, those of scrape_config_files too."""

    interval_ms: int
    timeout_ms: int
    external_labels: Mapping[str, str]
    jobs: tuple[Job, ...]


SCRAPE_CLASSES: Final = (
    "scrape classes are of the Prometheus Operator, which writes what they say into each scrape "
    "config of the prometheus.yml that it makes: bring that file"
)


def read_scraping(
    root: Section, common: Section, folder: Path, environment: Mapping[str, str]
) -> ScrapeConfig:
    """Of a whole prometheus.yml in `folder`, of which `common` is the section `global`.

    `environment` fills ${VARIABLE} of external labels. Keys that are not about scraping are left to
    the caller, as are the ends of both sections. Raises FileRefused for files that
    scrape_config_files names.
    """
    for section in (root, common):
        section.not_done("scrape_classes", SCRAPE_CLASSES)
    defaults = _defaults(common, folder)
    labels = _external_labels(common, environment, legacy=defaults.legacy_names)
    jobs = _jobs(root, defaults, folder)
    refused = []
    for pattern in read_patterns(root, "scrape_config_files", "scrape config file path"):
        for path in matching(folder / pattern):
            try:
                jobs += _jobs_of_file(path, defaults)
            except FileRefused as error:
                refused += error.problems
    _check_unique(jobs, root.problems)
    if refused:
        raise FileRefused([*root.problems.found, *refused])
    return ScrapeConfig(defaults.interval_ms, defaults.timeout_ms, labels, tuple(jobs))


def read_patterns(root: Section, key: str, what: str) -> tuple[str, ...]:
    """Paths whose last part may have stars."""
    patterns = root.texts(key)
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            root.problem(key, f"invalid {what} {quote(pattern)}")
    return tuple(one for one in patterns if _PATTERN.fullmatch(one))


def _jobs(section: Section, defaults: Job, folder: Path) -> list[Job]:
    null = "empty or null scrape config section"
    return [
        _job(one, defaults, folder)
        for one in section.sections("scrape_configs", "a scrape config", null)
    ]


def _jobs_of_file(path: Path, defaults: Job) -> list[Job]:
    """Raises FileRefused."""
    problems = Problems(str(path))
    section = Section(read_yaml(read_file(path), str(path)), "a file of scrape configs", problems)
    jobs = _jobs(section, defaults, path.parent)
    section.end()
    problems.raise_any()
    return jobs


def _check_unique(jobs: list[Job], problems: Problems) -> None:
    names: set[str] = set()
    for job in jobs:
        if job.name in names:
            text = f"found multiple scrape configs with job name {quote(job.name)}"
            problems.add(job.place, text)
        names.add(job.name)


def _defaults(section: Section, folder: Path) -> Job:
    """What `global` says, as a job without a name."""
    interval_ms = section.duration_ms("scrape_interval", 60_000) or 60_000
    timeout_ms = section.duration_ms("scrape_timeout", 0)
    if timeout_ms > interval_ms:
        section.problem("scrape_timeout", "global scrape timeout greater than scrape interval")
    bare = Job("", interval_ms, timeout_ms or min(10_000, interval_ms))
    return _shared(section, bare, folder)


def _external_labels(
    section: Section, environment: Mapping[str, str], *, legacy: bool
) -> dict[str, str]:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return "$" if name is None else environment.get(name, "")

    labels = section.text_map("external_labels")
    for name in labels:
        if not is_label_name(name, legacy=legacy):
            section.problem("external_labels", f"{quote(name)} is not a valid label name")
    return {name: _VARIABLE.sub(value, text) for name, text in labels.items()}


def _shared(section: Section, before: Job, folder: Path) -> Job:
    """The keys that `global` and a scrape config both have."""
    scheme = section.text("metric_name_validation_scheme")
    if scheme not in ("", "utf8", "legacy"):
        section.problem(
            "metric_name_validation_scheme", f"unknown global name validation method specified, "
            f"must be either '', 'legacy' or 'utf8', got {quote(scheme)}"
        )  # fmt: skip
    legacy = before.legacy_names if not scheme else scheme == "legacy"
    escaping = section.text("metric_name_escaping_scheme")
    if escaping and escaping not in ESCAPINGS:
        section.problem(
            "metric_name_escaping_scheme",
            f"unknown global name escaping method specified, must be one of "
            f"{', '.join(ESCAPINGS)}, got {quote(escaping)}",
        )
    if escaping == "allow-utf-8" and legacy:
        section.problem(
            "metric_name_escaping_scheme",
            "utf8 metric names requested but validation scheme is not set to UTF8",
        )
    limits, histograms = before.limits, _histograms(section, before.histograms)
    failure_log = section.text("scrape_failure_log_file")
    if failure_log and not (folder / failure_log).parent.is_dir():
        section.problem("scrape_failure_log_file", "there is no such folder")
    return replace(
        before,
        legacy_names=legacy,
        escaping=escaping or ("underscores" if legacy else before.escaping),
        histograms=histograms,
        extra_metrics=section.boolean("extra_scrape_metrics", default=before.extra_metrics),
        protocols=_protocols(section, before.protocols, native=histograms.native),
        limits=Limits(
            section.integer("sample_limit", limits.samples),
            section.integer("label_limit", limits.labels),
            section.integer("label_name_length_limit", limits.label_name_bytes),
            section.integer("label_value_length_limit", limits.label_value_bytes),
        ),
        failure_log=folder / failure_log if failure_log else before.failure_log,
        body_bytes_max=section.size_bytes("body_size_limit", before.body_bytes_max),
        targets_max=section.integer("target_limit", before.targets_max),
        dropped_targets_kept=section.integer("keep_dropped_targets", before.dropped_targets_kept),
    )


def _histograms(section: Section, before: Histograms) -> Histograms:
    return replace(
        before,
        native=section.boolean("scrape_native_histograms", default=before.native),
        custom_buckets=section.boolean(
            "convert_classic_histograms_to_nhcb", default=before.custom_buckets
        ),
        keeps_classic=section.boolean(
            "always_scrape_classic_histograms", default=before.keeps_classic
        ),
    )


def schema_of(factor: float) -> int:
    """The finest one whose buckets are each at least `factor` times as wide as the one before."""
    if not factor > 1:
        return SCHEMA_MAX
    if factor == math.inf:
        return SCHEMA_MIN
    return max(SCHEMA_MIN, min(SCHEMA_MAX, math.floor(-math.log2(math.log2(factor)))))


def _protocols(section: Section, before: tuple[str, ...], *, native: bool) -> tuple[str, ...]:
    names = section.texts("scrape_protocols")
    if "scrape_protocols" not in section:
        if native and "PrometheusProto" not in before:
            return ("PrometheusProto", *before)
        return before
    if not names:
        section.problem("scrape_protocols", "scrape_protocols cannot be empty")
    for name in names:
        if name not in PROTOCOLS:
            section.problem("scrape_protocols", _unknown_protocol(name))
    if len(set(names)) < len(names):
        section.problem("scrape_protocols", "duplicated protocol in scrape_protocols")
    return names


def _unknown_protocol(name: str) -> str:
    return f"unknown scrape protocol {name}, supported: [{' '.join(PROTOCOLS)}]"


def _job(section: Section, defaults: Job, folder: Path) -> Job:
    name = section.text("job_name")
    if not name:
        section.problem("job_name", "job_name is empty")
    section.not_done("scrape_classes", SCRAPE_CLASSES)
    section.not_done("scrape_class", SCRAPE_CLASSES)
    job = _shared(section, defaults, folder)
    interval_ms, timeout_ms = _times(section, defaults, name)
    fallback = section.text("fallback_scrape_protocol")
    if fallback and fallback not in PROTOCOLS:
        section.problem("fallback_scrape_protocol", _unknown_protocol(fallback))
    factor = section.number("native_histogram_min_bucket_factor")
    params = section.section("params", "params")
    legacy = job.legacy_names
    job = replace(
        job,
        name=name,
        interval_ms=interval_ms,
        timeout_ms=timeout_ms,
        fallback_protocol=fallback,
        histograms=replace(job.histograms, schema_max=schema_of(factor)),
        limits=replace(job.limits, buckets=section.integer("native_histogram_bucket_limit")),
        metrics_path=section.text("metrics_path", "/metrics"),
        scheme=section.text("scheme", "http"),
        params={key: params.texts(key) for key in params.names()},
        honor_labels=section.boolean("honor_labels", default=False),
        honor_timestamps=section.boolean("honor_timestamps", default=True),
        track_timestamps=section.boolean("track_timestamps_staleness", default=False),
        compression=section.boolean("enable_compression", default=True),
        client=read_http(section, Files(folder, are_checked=True)),
        discoveries=read_discoveries(section, folder, legacy=legacy),
        relabel=_rules(section, "relabel_configs", "target", legacy=legacy),
        metric_relabel=_rules(section, "metric_relabel_configs", "metric", legacy=legacy),
        place=section.place,
        written=section.values(),
    )
    section.end()
    return job


def _times(section: Section, defaults: Job, name: str) -> tuple[int, int]:
    interval_ms = section.duration_ms("scrape_interval", 0) or defaults.interval_ms
    timeout_ms = section.duration_ms("scrape_timeout", 0)
    if timeout_ms > interval_ms:
        section.problem(
            "scrape_timeout",
            "scrape timeout greater than scrape interval for scrape config with job name "
            f"{quote(name)}",
        )
    return interval_ms, timeout_ms or min(defaults.timeout_ms, interval_ms)


def _rules(section: Section, key: str, what: str, *, legacy: bool) -> tuple[Rule, ...]:
    null = f"empty or null {what} relabeling rule in scrape config"
    return read_rules(section, key, null, legacy=legacy)


def read_rules(section: Section, key: str, null: str, *, legacy: bool) -> tuple[Rule, ...]:
    """A list of relabel_config; for others than scrape configs too."""
    rules = [_rule(one, legacy=legacy) for one in section.sections(key, "a relabel config", null)]
    return tuple(rule for rule in rules if rule is not None)


def _rule(section: Section, *, legacy: bool) -> Rule | None:
    action = section.text("action", "replace").lower()
    values: dict[str, Any] = {
        "source_labels": section.texts("source_labels") if "source_labels" in section else None,
        "separator": section.text("separator", DEFAULT_SEPARATOR),
        "regex": section.text("regex", DEFAULT_REGEX),
        "modulus": section.integer("modulus"),
        "target_label": section.text("target_label"),
        "replacement": section.text("replacement", DEFAULT_REPLACEMENT),
    }
    section.end()
    if "" in (values["source_labels"] or ()):
        section.problem("source_labels", '"" is not a valid label name')
    if action not in ACTIONS:
        section.problem("action", f"unknown relabel action {quote(action)}")
        return None
    try:
        return Rule(action=action, legacy_names=legacy, **values)
    except ValueError as error:
        section.fault(str(error))
        return None
