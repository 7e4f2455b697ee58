"""Who finds targets: the static_configs, file_sd_configs and so on of a scrape config.

All other kinds that Prometheus knows are named as not supported, with their lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trilens.config_files.http_config import Files, HttpConfig, read_http
from trilens.config_files.section import Section
from trilens.scrape.discovery_groups import Group
from trilens.scrape.ec2 import Ec2Discovery, read_ec2
from trilens.scrape.kubernetes.config import KubernetesDiscovery, read_kubernetes
from trilens.scrape.names import is_label_name

OTHER_KINDS: Final = (
    "aws", "azure", "consul", "digitalocean", "docker", "dockerswarm", "eureka", "gce",
    "hetzner", "ionos", "kuma", "lightsail", "linode", "marathon", "nerve", "nomad",
    "oci", "openstack", "outscale", "ovhcloud", "puppetdb", "scaleway", "serverset", "stackit",
    "triton", "uyuni", "vultr",
)  # fmt: skip
_FILE_NAME: Final = re.compile(r"[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)")
_RECORDS: Final = ("SRV", "A", "AAAA", "MX", "NS")


@dataclass(frozen=True, slots=True)
class StaticDiscovery:
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class FileDiscovery:
    patterns: tuple[Path, ...]
    refresh_ms: int


@dataclass(frozen=True, slots=True)
class HttpDiscovery:
    url: str
    refresh_ms: int
    client: HttpConfig


@dataclass(frozen=True, slots=True)
class DnsDiscovery:
    names: tuple[str, ...]
    record: str
    port: int
    refresh_ms: int


Discovery = (
    StaticDiscovery | FileDiscovery | HttpDiscovery | DnsDiscovery | Ec2Discovery
    | KubernetesDiscovery
)  # fmt: skip


def read_discoveries(section: Section, folder: Path, *, legacy: bool) -> tuple[Discovery, ...]:
    for kind in OTHER_KINDS:
        section.not_done(f"{kind}_sd_configs")
    groups = tuple(
        read_group(one, str(number), legacy=legacy)
        for number, one in enumerate(
            section.sections(
                "static_configs", "a static config", "empty or null section in static_configs"
            )
        )
    )
    found: list[Discovery] = [StaticDiscovery(groups)] if groups else []
    null = "empty or null section in {}"
    for kind, read in (
        ("file", _file), ("http", _http), ("dns", _dns), ("ec2", read_ec2),
        ("kubernetes", read_kubernetes),
    ):  # fmt: skip
        key = f"{kind}_sd_configs"
        what = f"a discovery by {kind}"
        found += [read(one, folder) for one in section.sections(key, what, null.format(key))]
    return tuple(found)


def read_group(section: Section, source: str, *, legacy: bool = False) -> Group:
    """One of static_configs, or of a file of file_sd."""
    targets = section.texts("targets")
    labels = section.text_map("labels")
    for name in labels:
        if not is_label_name(name, legacy=legacy):
            section.problem("labels", f'"{name}" is not a valid label name')
    for target in targets:
        if "/" in target:
            section.problem("targets", f'"{target}" is not a valid hostname')
    section.end()
    return Group(source, tuple({"__address__": target} for target in targets), labels)


def _file(section: Section, folder: Path) -> FileDiscovery:
    names = section.texts("files")
    if not names:
        section.problem(
            "files", "file service discovery config must contain at least one path name"
        )
    for name in names:
        if not _FILE_NAME.fullmatch(name):
            section.problem("files", f'path name "{name}" is not valid for file discovery')
    found = FileDiscovery(
        tuple(folder / name for name in names), section.duration_ms("refresh_interval", 300_000)
    )
    section.end()
    return found


def _http(section: Section, folder: Path) -> HttpDiscovery:
    url = section.text("url")
    parts = urlsplit(url)
    if not url:
        section.problem("url", "URL is missing")
    elif parts.scheme not in ("http", "https"):
        section.problem("url", "URL scheme must be 'http' or 'https'")
    elif not parts.hostname:
        section.problem("url", "host is missing in URL")
    found = HttpDiscovery(
        url,
        section.duration_ms("refresh_interval", 60_000),
        read_http(section, Files(folder, are_checked=True)),
    )
    section.end()
    return found


def _dns(section: Section, _folder: Path) -> DnsDiscovery:
    names = section.texts("names")
    record = section.text("type", "SRV").upper()
    port = section.integer("port")
    if not names:
        section.problem("names", "DNS-SD config must contain at least one SRV record name")
    if record not in _RECORDS:
        section.problem("type", f"invalid DNS-SD records type {record}")
    if record != "SRV" and not port:
        section.problem(
            "port", "a port is required in DNS-SD configs for all record types except SRV"
        )
    found = DnsDiscovery(names, record, port, section.duration_ms("refresh_interval", 30_000))
    section.end()
    return found


def matching(pattern: Path) -> list[Path]:
    """The files of a pattern whose last part may have stars."""
    try:
        return sorted(path for path in pattern.parent.glob(pattern.name) if path.is_file())
    except OSError:
        return []
