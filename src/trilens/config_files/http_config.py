"""How requests are made: http_config of prometheus/common 0.66, key by key.

prometheus.yml has these keys among those of a scrape config, a discoverer and an Alertmanager;
alertmanager.yml in a section of their own. Files with secrets are read again for every request,
since others change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trilens.config_files.section import Section

TLS_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")
_NO_SECRETS: Final = "there is no secret manager"
_JWT_KEYS: Final = (
    "client_certificate_key_id", "client_certificate_key", "client_certificate_key_file",
    "client_certificate_key_ref", "signature_algorithm", "iss", "audience", "claims",
)  # fmt: skip
_RESERVED_HEADERS: Final = frozenset(
    ("authorization", "host", "content-encoding", "content-length", "content-type", "user-agent",
     "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate",
     "accept-encoding", "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
     "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token",
     "x-amz-content-sha256")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """Relative names are seen from `folder`. `are_checked`: what is named has to be there."""

    folder: Path
    are_checked: bool = False


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
class Proxy:
    """`url` is empty where the environment says which."""

    url: str = ""
    from_environment: bool = False
    no_proxy: str = ""
    connect_headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


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
class HttpConfig:
    """At most one of basic authentication, `credentials` and `oauth2` is there."""

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


def read_http(section: Section, files: Files) -> HttpConfig:
    """The keys of http_config among those of `section`; the caller ends it."""
    basic = section.section("basic_auth", "basic_auth")
    for key in ("username_ref", "password_ref"):
        basic.not_done(key, _NO_SECRETS)
    bearer = secret(section, "bearer_token", files)
    _check_one_way(section, bearer)
    kind, credentials = _authorization(section, files)
    username = secret(basic, "username", files)
    password = secret(basic, "password", files)
    basic.end()
    section.boolean("enable_http2", default=True)  # HTTP/1.1 is what every server speaks
    return HttpConfig(
        basic_username=username,
        basic_password=password,
        has_basic="basic_auth" in section,
        authorization_type=kind,
        credentials=bearer or credentials,
        oauth2=_oauth2(section, files) if section.node("oauth2") is not None else None,
        tls=read_tls(section, "tls_config", files),
        proxy=_proxy(section),
        headers=_headers(section, files),
        follow_redirects=section.boolean("follow_redirects", default=True),
    )


def secret(section: Section, key: str, files: Files) -> Secret:
    """`key` or `key`_file."""
    section.at_most_one(key, f"{key}_file")
    value, name = section.text(key), section.text(f"{key}_file")
    path = files.folder / name if name else None
    # As promtool: a file of authorities may come later.
    if files.are_checked and path is not None and not path.is_file() and key != "ca":
        section.problem(f"{key}_file", f"error checking {key}_file {str(path)!r}: no such file")
    return Secret(value, path)


def read_tls(parent: Section, name: str, files: Files) -> Tls:
    section = parent.section(name, name)
    for key in ("ca_ref", "cert_ref", "key_ref"):
        section.not_done(key, _NO_SECRETS)
    tls = Tls(
        ca=secret(section, "ca", files),
        cert=secret(section, "cert", files),
        key=secret(section, "key", files),
        server_name=section.text("server_name"),
        insecure_skip_verify=section.boolean("insecure_skip_verify", default=False),
        min_version=section.text("min_version"),
        max_version=section.text("max_version"),
    )
    for key in ("min_version", "max_version"):
        version = section.text(key)
        if key in section and version not in TLS_VERSIONS:
            section.problem(key, f"unknown TLS version: {version}")
    if bool(tls.cert) != bool(tls.key):
        has, lacks = ("cert", "key") if tls.cert else ("key", "cert")
        section.problem(
            has, f"exactly one of {lacks} or {lacks}_file must be configured when a {has} is"
        )
    section.end()
    return tls


def _check_one_way(section: Section, bearer: Secret) -> None:
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


def _authorization(parent: Section, files: Files) -> tuple[str, Secret]:
    section = parent.section("authorization", "authorization")
    kind = section.text("type", "Bearer").strip() or "Bearer"
    credentials = secret(section, "credentials", files)
    section.not_done("credentials_ref", _NO_SECRETS)
    if kind.lower() == "basic":
        section.problem(
            "type", 'authorization type cannot be set to "basic", use "basic_auth" instead'
        )
    section.end()
    return kind, credentials


def _proxy(section: Section) -> Proxy | None:
    url, no_proxy = section.text("proxy_url"), section.text("no_proxy")
    from_environment = section.boolean("proxy_from_environment", default=False)
    headers = section.section("proxy_connect_header", "proxy_connect_header")
    connect = {name: headers.texts(name) for name in headers.names()}
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
    if connect and not (url or from_environment):
        section.problem(
            "proxy_connect_header",
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also "
            "be configured",
        )
    if url and not is_url(url):
        section.problem("proxy_url", f"proxy_url {url!r} is not supported: only http and https are")
    if not url and not from_environment:
        return None
    return Proxy(url, from_environment, no_proxy, connect)


def _headers(parent: Section, files: Files) -> dict[str, tuple[Secret, ...]]:
    section = parent.section("http_headers", "http_headers")
    found = {}
    for name in section.names():
        if name.lower() in _RESERVED_HEADERS:
            section.problem(name, f'setting header "{name}" is not allowed')
        header = section.section(name, "a header")
        values = [Secret(value) for value in header.texts("values")]
        values += [Secret(value) for value in header.texts("secrets")]
        values += [Secret(path=files.folder / file) for file in header.texts("files")]
        header.end()
        found[name] = tuple(values)
    return found


def _oauth2(parent: Section, files: Files) -> OAuth2:
    section = parent.section("oauth2", "oauth2")
    client_secret = secret(section, "client_secret", files)
    section.not_done("client_secret_ref", _NO_SECRETS)
    grant = section.text("grant_type") or "client_credentials"
    if grant != "client_credentials":
        section.problem("grant_type", f"grant_type {grant!r} is not supported")
    for key in _JWT_KEYS:
        section.not_done(key)
    found = OAuth2(
        client_id=section.text("client_id"),
        client_secret=client_secret,
        token_url=section.text("token_url"),
        scopes=section.texts("scopes"),
        endpoint_params=section.text_map("endpoint_params"),
        tls=read_tls(section, "tls_config", files),
        proxy=_proxy(section),
    )
    for key in ("client_id", "token_url"):
        if not section.text(key):
            section.problem(key, f"oauth2 {key} must be configured")
    if found.token_url and not is_url(found.token_url):
        section.problem("token_url", f"{found.token_url!r} is not a URL of http or https")
    section.end()
    return found


def read_url(section: Section, name: str, default: str = "") -> str:
    """An absolute URL, or nothing."""
    text = section.text(name, default)
    if (text or name in section) and not is_url(text):
        section.problem(name, f"{name} must be a URL that begins with http or https and has a host")
    return text


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        is_host = bool(host) and not any(char.isspace() for char in host)
        is_port = parts.port != 0
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and is_host and is_port
