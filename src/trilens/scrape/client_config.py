"""How requests to targets and discoverers are made: Prometheus's http_config, key by key.

Relative file names are seen from the folder of the config file. Files with secrets are read again
for every request (fetch.py), since others change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trilens.scrape.config_file import Section

KEYS: Final = (
    "basic_auth", "authorization", "bearer_token", "bearer_token_file", "oauth2", "tls_config",
    "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "http_headers",
    "follow_redirects", "enable_http2",
)  # fmt: skip
TLS_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")
_RESERVED_HEADERS: Final = frozenset(
    ("authorization", "host", "content-encoding", "content-length", "content-type", "user-agent",
     "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate",
     "accept-encoding", "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
     "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token",
     "x-amz-content-sha256")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Secret:
    """A text, or the file that has it."""

    value: str = field(default="", repr=False)
    path: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.value) or self.path is not None

    def read(self) -> str:
        """Raises OSError."""
        return self.value if self.path is None else self.path.read_text().strip()


@dataclass(frozen=True, slots=True)
class Tls:
    ca: Secret = Secret()
    cert: Secret = Secret()
    key: Secret = Secret()
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    max_version: str = ""


@dataclass(frozen=True, slots=True)
class OAuth2:
    client_id: str
    client_secret: Secret
    token_url: str
    scopes: tuple[str, ...] = ()
    endpoint_params: Mapping[str, str] = field(default_factory=dict)
    tls: Tls = Tls()
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """`url` is empty where the environment says which."""

    url: str = ""
    from_environment: bool = False
    no_proxy: str = ""
    connect_headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    basic_username: Secret = Secret()
    basic_password: Secret = Secret()
    has_basic: bool = False
    authorization_type: str = "Bearer"
    credentials: Secret = Secret()
    oauth2: OAuth2 | None = None
    tls: Tls = Tls()
    proxy: Proxy | None = None
    headers: Mapping[str, tuple[Secret, ...]] = field(default_factory=dict)
    follow_redirects: bool = True


def read_client(section: Section, folder: Path) -> Client:
    """The keys of http_config among those of `section`."""
    basic = section.section("basic_auth", "config.plain")
    authorization = section.section("authorization", "config.plain")
    bearer = _secret(section, "bearer_token", "bearer_token_file", folder)
    has_basic, has_authorization = "basic_auth" in section, "authorization" in section
    has_oauth2 = "oauth2" in section
    if has_basic + bool(bearer) + has_oauth2 > 1:
        section.problem(
            "oauth2" if has_oauth2 else "basic_auth",
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
            "configured",
        )
    if has_authorization and (bearer or has_basic or has_oauth2):
        section.problem(
            "authorization",
            "authorization is not compatible with bearer_token & bearer_token_file, basic_auth "
            "and oauth2",
        )
    kind, credentials = _authorization(authorization, folder)
    username = _secret(basic, "username", "username_file", folder)
    password = _secret(basic, "password", "password_file", folder)
    basic.end()
    section.boolean("enable_http2", default=True)  # HTTP/1.1 is what every target speaks
    return Client(
        basic_username=username,
        basic_password=password,
        has_basic=has_basic,
        authorization_type=kind,
        credentials=bearer or credentials,
        oauth2=_oauth2(section, folder) if has_oauth2 else None,
        tls=_tls(section, folder),
        proxy=_proxy(section),
        headers=_headers(section, folder),
        follow_redirects=section.boolean("follow_redirects", default=True),
    )


def _authorization(section: Section, folder: Path) -> tuple[str, Secret]:
    kind = section.text("type", "Bearer").strip() or "Bearer"
    credentials = _secret(section, "credentials", "credentials_file", folder)
    section.not_done("credentials_ref", "there is no secret manager")
    if kind.lower() == "basic":
        section.problem(
            "type", 'authorization type cannot be set to "basic", use "basic_auth" instead'
        )
    section.end()
    return kind, credentials


def _secret(section: Section, key: str, file_key: str, folder: Path) -> Secret:
    value, name = section.text(key), section.text(file_key)
    if value and name:
        section.problem(file_key, f"at most one of {key} & {file_key} must be configured")
    path = folder / name if name else None
    # As promtool: a file of authorities may come later.
    if path is not None and not path.is_file() and file_key != "ca_file":
        section.problem(file_key, f"error checking {file_key} {str(path)!r}: no such file")
    return Secret(value, path)


def _tls(parent: Section, folder: Path) -> Tls:
    section = parent.section("tls_config", "config.TLSConfig")
    tls = Tls(
        ca=_secret(section, "ca", "ca_file", folder),
        cert=_secret(section, "cert", "cert_file", folder),
        key=_secret(section, "key", "key_file", folder),
        server_name=section.text("server_name"),
        insecure_skip_verify=section.boolean("insecure_skip_verify", default=False),
        min_version=section.text("min_version"),
        max_version=section.text("max_version"),
    )
    for key in ("min_version", "max_version"):
        version = section.text(key)
        if version and version not in TLS_VERSIONS:
            section.problem(key, f"unknown TLS version: {version}")
    if bool(tls.cert) != bool(tls.key):
        has, lacks = ("cert", "key") if tls.cert else ("key", "cert")
        section.problem(
            has, f"exactly one of {lacks} or {lacks}_file must be configured when a {has} is"
        )
    section.end()
    return tls


def _proxy(section: Section) -> Proxy | None:
    url, no_proxy = section.text("proxy_url"), section.text("no_proxy")
    from_environment = section.boolean("proxy_from_environment", default=False)
    headers = section.section("proxy_connect_header", "config.ProxyHeader")
    connect = {name: headers.texts(name) or () for name in headers.names()}
    if from_environment and url:
        section.problem(
            "proxy_url", "if proxy_from_environment is configured, proxy_url must not be configured"
        )
    if from_environment and no_proxy:
        section.problem(
            "no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured"
        )
    if no_proxy and not url:
        section.problem("no_proxy", "if no_proxy is configured, proxy_url must also be configured")
    if url and urlsplit(url).scheme not in ("http", "https"):
        section.problem("proxy_url", f"proxy_url {url!r} is not supported: only http and https are")
    if not url and not from_environment:
        return None
    return Proxy(url, from_environment, no_proxy, connect)


def _headers(parent: Section, folder: Path) -> dict[str, tuple[Secret, ...]]:
    section = parent.section("http_headers", "config.Headers")
    found = {}
    for name in section.names():
        if name.lower() in _RESERVED_HEADERS:
            section.problem(name, f'setting header "{name}" is not allowed')
        header = section.section(name, "config.Header")
        values = [Secret(value) for value in header.texts("values") or ()]
        values += [Secret(value) for value in header.texts("secrets") or ()]
        values += [Secret(path=folder / name) for name in header.texts("files") or ()]
        header.end()
        found[name] = tuple(values)
    return found


def _oauth2(parent: Section, folder: Path) -> OAuth2:
    section = parent.section("oauth2", "config.plain")
    secret = _secret(section, "client_secret", "client_secret_file", folder)
    section.not_done("client_secret_ref", "there is no secret manager")
    grant = section.text("grant_type") or "client_credentials"
    if grant != "client_credentials":
        section.problem("grant_type", f"grant_type {grant!r} is not supported")
    for key in (
        "client_certificate_key_id",
        "client_certificate_key",
        "client_certificate_key_file",
        "client_certificate_key_ref",
        "signature_algorithm",
        "iss",
        "audience",
        "claims",
    ):
        section.not_done(key)  # fmt: skip
    found = OAuth2(
        client_id=section.text("client_id"),
        client_secret=secret,
        token_url=section.text("token_url"),
        scopes=section.texts("scopes") or (),
        endpoint_params=section.text_map("endpoint_params"),
        tls=_tls(section, folder),
        proxy=_proxy(section),
    )
    for key in ("client_id", "token_url"):
        if not section.text(key):
            section.problem(key, f"oauth2 {key} must be configured")
    if not secret:
        section.problem(
            "client_secret", "either client_secret or client_secret_file must be configured"
        )
    section.end()
    return found
