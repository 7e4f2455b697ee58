"""The section `alerting` of a prometheus.yml: Alertmanagers, and relabelling of what they see.

Alertmanagers speak API v2, as all do since 0.16. They are found as targets are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.config_files.aws_config import AwsAccess, read_sigv4
from trilens.config_files.http_config import Files, HttpConfig, read_http
from trilens.config_files.section import Section
from trilens.scrape.discovery_config import Discovery, read_discoveries
from trilens.scrape.relabel import Rule
from trilens.scrape.scrape_config import read_rules

TIMEOUT_MS: Final = 10_000
API_VERSION: Final = "v2"


@dataclass(frozen=True, slots=True)
class AlertmanagerSet:
    """Alertmanagers that are found, asked and told alike. Each of them is told of every alert."""

    scheme: str = "http"
    path_prefix: str = ""
    timeout_ms: int = TIMEOUT_MS
    client: HttpConfig = field(default_factory=HttpConfig)
    sigv4: AwsAccess | None = None
    discoveries: tuple[Discovery, ...] = ()
    relabel: tuple[Rule, ...] = ()
    alert_relabel: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Alerting:
    """`relabel` is of alerts, before those of the sets."""

    relabel: tuple[Rule, ...] = ()
    sets: tuple[AlertmanagerSet, ...] = ()


def read_alerting(section: Section, folder: Path, *, legacy: bool) -> Alerting:
    null = "empty or null alert relabeling rule"
    found = Alerting(
        read_rules(section, "alert_relabel_configs", null, legacy=legacy),
        tuple(
            _set(one, folder, legacy=legacy)
            for one in section.sections(
                "alertmanagers", "an Alertmanager config", "empty or null Alertmanager config"
            )
        ),
    )
    section.end()
    return found


def _set(section: Section, folder: Path, *, legacy: bool) -> AlertmanagerSet:
    version = section.text("api_version", API_VERSION)
    if version != API_VERSION:
        section.problem(
            "api_version", f"expected Alertmanager api version to be one of [{API_VERSION}] but "
            f"got {version}",
        )  # fmt: skip
    null = "empty or null Alertmanager target relabeling rule"
    found = AlertmanagerSet(
        scheme=section.text("scheme", "http"),
        path_prefix=section.text("path_prefix"),
        timeout_ms=section.duration_ms("timeout", TIMEOUT_MS) or TIMEOUT_MS,
        client=read_http(section, Files(folder, are_checked=True)),
        sigv4=read_sigv4(section) if "sigv4" in section else None,
        discoveries=read_discoveries(section, folder, legacy=legacy),
        relabel=read_rules(section, "relabel_configs", null, legacy=legacy),
        alert_relabel=read_rules(
            section, "alert_relabel_configs", "empty or null alert relabeling rule", legacy=legacy
        ),
    )
    client = found.client
    if found.sigv4 and (client.has_basic or client.credentials or client.oauth2 is not None):
        section.problem(
            "sigv4", "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured"
        )
    if found.scheme not in {"http", "https"}:
        section.problem("scheme", f"unsupported scheme {found.scheme!r}: only http and https are")
    section.end()
    return found
