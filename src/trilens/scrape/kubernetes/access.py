"""Where the API server is, and who we are there.

in a pod      the service account that Kubernetes mounts; its token is read again for each request
api_server    a URL, with the http_config beside it
kubeconfig    the current context of a file: token, client certificate, basic authentication, or a
              program that says who we are (`exec`)
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trilens.config_files.http_config import HttpConfig, Proxy, Secret, Tls
from trilens.config_files.problems import FileRefused, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_file, read_yaml
from trilens.scrape.kubernetes.config import KubernetesDiscovery
from trilens.scrape.kubernetes.exec_credentials import ExecPlugin, cluster_info, read_exec

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoAccess(Exception):
    """Why there is no API server to ask."""


@dataclass(frozen=True, slots=True)
class Access:
    """`server` has no slash at its end; `namespaces` are those to look into, empty for all."""

    server: str
    client: HttpConfig
    namespaces: tuple[str, ...]
    plugin: ExecPlugin | None = None


def access_of(discovery: KubernetesDiscovery) -> Access:
    """Raises NoAccess."""
    if discovery.api_server:
        return Access(discovery.api_server.rstrip("/"), discovery.client, discovery.namespaces)
    try:
        if discovery.kubeconfig is not None:
            server, client, plugin = _of_kubeconfig(discovery.kubeconfig)
            return Access(server.rstrip("/"), client, discovery.namespaces, plugin)
        return _in_pod(discovery)
    except (OSError, UnicodeDecodeError, FileRefused) as error:
        raise NoAccess(str(error)) from None


def _in_pod(discovery: KubernetesDiscovery) -> Access:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise NoAccess(
            "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"
        )
    namespaces = discovery.namespaces
    if discovery.own_namespace:
        own = (ACCOUNT / "namespace").read_text().strip()
        namespaces = tuple(dict.fromkeys((*namespaces, own)))
    client = HttpConfig(
        credentials=Secret(path=ACCOUNT / "token"), tls=Tls(ca=Secret(path=ACCOUNT / "ca.crt"))
    )
    host = f"[{host}]" if ":" in host else host
    return Access(f"https://{host}:{port}", client, namespaces)


def _of_kubeconfig(path: Path) -> tuple[str, HttpConfig, ExecPlugin | None]:
    """Raises NoAccess, FileRefused."""
    problems = Problems(str(path))
    root = Section(read_yaml(read_file(path), str(path)), "a kubeconfig", problems)
    context = _named(root, "contexts", root.text("current-context")).section("context", "context")
    cluster = _named(root, "clusters", context.text("cluster")).section("cluster", "cluster")
    user = _named(root, "users", context.text("user")).section("user", "user")
    user.not_done("auth-provider", "Kubernetes has put exec in its place")
    for key in ("as", "as-uid", "as-groups", "as-user-extra"):
        user.not_done(key, "nobody is impersonated")
    server = cluster.text("server")
    if not server:
        cluster.fault("no server is named")
    tls = Tls(
        ca=_data(cluster, "certificate-authority", path),
        cert=_data(user, "client-certificate", path),
        key=_data(user, "client-key", path),
        server_name=cluster.text("tls-server-name"),
        insecure_skip_verify=cluster.boolean("insecure-skip-tls-verify", default=False),
    )
    token_file = user.text("tokenFile")
    proxy = cluster.text("proxy-url")
    client = HttpConfig(
        has_basic="username" in user,
        basic_username=Secret(user.text("username")),
        basic_password=Secret(user.text("password")),
        credentials=Secret(user.text("token"), path.parent / token_file if token_file else None),
        tls=tls,
        proxy=Proxy(proxy) if proxy else None,
    )
    plugin = read_exec(user, cluster_info(cluster, client), path.parent)
    problems.raise_any()
    return server, client, plugin


def _named(root: Section, key: str, name: str) -> Section:
    for one in root.sections(key, key):
        if one.text("name") == name:
            return one
    raise NoAccess(f"{root.problems.file}: there is no {name!r} among its {key}")


def _data(section: Section, name: str, path: Path) -> Secret:
    """A file, or what is in it, in base64."""
    data, file = section.text(f"{name}-data"), section.text(name)
    if not data:
        return Secret(path=path.parent / file) if file else Secret()
    try:
        return Secret(base64.b64decode(data, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        section.problem(f"{name}-data", f"{name}-data is no text in base64")
        return Secret()
