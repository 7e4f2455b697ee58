"""kubernetes_sd_configs, key by key. Raises nothing: what is wrong becomes problems of the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.config_files.http_config import Files, HttpConfig, is_url, read_http
from trilens.config_files.section import Section

ROLES: Final = ("pod", "service", "endpoints", "endpointslice", "node", "ingress")
_SELECTORS: Final = {
    "pod": ("pod", "node"),
    "service": ("service",),
    "endpointslice": ("pod", "service", "endpointslice"),
    "endpoints": ("pod", "service", "endpoints"),
    "node": ("node",),
    "ingress": ("ingress",),
}
_FIELDS: Final = re.compile(r"(?:[^=!,]+(?:==?|!=)[^=!,]*(?:,|$))*")
_KEY: Final = r"\s*[\w./-]+\s*"
_LABELS: Final = re.compile(
    rf"\s*|(?:(?:!{_KEY}|{_KEY}(?:==?[\w.\s-]*|!=[\w.\s-]*|[<>]\s*\d+\s*"
    rf"|\b(?:not)?in\s*\([\w.\s,-]*\)\s*)?)(?:,(?!$)|$))+"
)


@dataclass(frozen=True, slots=True)
class Selector:
    role: str
    label: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """What of other objects the labels of a target have too."""

    node: bool = False
    namespace: bool = False
    deployment: bool = False
    job: bool = False
    cronjob: bool = False


@dataclass(frozen=True, slots=True)
class KubernetesDiscovery:
    """`api_server` and `kubeconfig` are empty for one that runs in a pod of the cluster."""

    role: str
    api_server: str = ""
    kubeconfig: Path | None = None
    client: HttpConfig = field(default_factory=HttpConfig)
    namespaces: tuple[str, ...] = ()
    own_namespace: bool = False
    selectors: tuple[Selector, ...] = ()
    attached: Attached = Attached()


def read_kubernetes(section: Section, folder: Path) -> KubernetesDiscovery:
    role = section.text("role")
    if not role:
        section.fault(
            "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"
        )
    elif role not in ROLES:
        section.problem("role", f'unknown Kubernetes SD role "{role}"')
    namespaces = section.section("namespaces", "namespaces")
    attach = section.section("attach_metadata", "attach_metadata")
    kubeconfig = section.text("kubeconfig_file")
    found = KubernetesDiscovery(
        role=role,
        api_server=section.text("api_server"),
        kubeconfig=folder / kubeconfig if kubeconfig else None,
        client=read_http(section, Files(folder, are_checked=True)),
        namespaces=tuple(dict.fromkeys(namespaces.texts("names"))),
        own_namespace=namespaces.boolean("own_namespace", default=False),
        selectors=_selectors(section, role),
        attached=Attached(
            *(attach.boolean(name, default=False) for name in
              ("node", "namespace", "deployment", "job", "cronjob"))
        ),
    )  # fmt: skip
    for part in (namespaces, attach, section):
        part.end()
    _check(section, found)
    return found


def _check(section: Section, found: KubernetesDiscovery) -> None:
    has_client = found.client != HttpConfig()
    if found.api_server and not is_url(found.api_server):
        section.problem("api_server", f"{found.api_server!r} is not a URL of http or https")
    if found.api_server and found.kubeconfig is not None:
        section.problem(
            "kubeconfig_file", "cannot use 'kubeconfig_file' and 'api_server' simultaneously"
        )
    if found.kubeconfig is not None and has_client:
        section.problem(
            "kubeconfig_file",
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
        )
    if not found.api_server and found.kubeconfig is None and has_client:
        section.fault(
            "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"
        )
    for key in ("api_server", "kubeconfig_file"):
        if section.text(key) and found.own_namespace:
            section.problem(
                key, f"cannot use '{key}' and 'namespaces.own_namespace' simultaneously"
            )


def _selectors(section: Section, role: str) -> tuple[Selector, ...]:
    found: dict[str, Selector] = {}
    allowed = _SELECTORS.get(role, ROLES)
    for one in section.sections("selectors", "a selector"):
        selector = Selector(one.text("role"), one.text("label"), one.text("field"))
        one.end()
        if selector.role in found:
            one.fault(f"duplicated selector role: {selector.role}")
        elif selector.role not in allowed:
            one.fault(f"{role} role supports only {', '.join(allowed)} selectors")
        for key, form in (("label", _LABELS), ("field", _FIELDS)):
            if not form.fullmatch(getattr(selector, key)):
                one.problem(key, f"invalid {key} selector {getattr(selector, key)!r}")
        found[selector.role] = selector
    return tuple(found.values())
