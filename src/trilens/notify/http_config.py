"""http_config of prometheus/common 0.66 read: credentials, TLS, proxies, OAuth2, headers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trilens.notify.yaml_nodes import Node, Section

_RESERVED_HEADERS: Final = frozenset({
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent",
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate",
    "accept-encoding",
})  # fmt: skip
_TLS_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """A name that ends in _file is read at every use, so that it may be renewed."""

    ca: str = ""
    ca_file: str = ""
    cert: str = ""
    cert_file: str = ""
    key: str = field(default="", repr=False)
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    max_version: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value or the file that has it."""

    value: str = field(default="", repr=False)
    file: str = ""

    def __bool__(self) -> bool:
        return bool(self.value or self.file)

    def read(self) -> str:
        """Raises OSError."""
        return Path(self.file).read_text().strip() if self.file else self.value


@dataclass(frozen=True, slots=True)
class OAuth2:
    client_id: str
    client_secret: Secret
    token_url: str
    scopes: tuple[str, ...]
    endpoint_params: dict[str, str]
    tls: TlsConfig


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """`authorization` is (type, credentials). `headers` may have several values each."""

    username: str = ""
    password: Secret = Secret()
    has_basic_auth: bool = False
    authorization: tuple[str, Secret] | None = None
    oauth2: OAuth2 | None = None
    tls: TlsConfig = TlsConfig()
    follow_redirects: bool = True
    proxy_url: str = ""
    no_proxy: str = ""
    is_proxy_from_environment: bool = False
    proxy_headers: dict[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, Secret], ...] = ()


def secret(section: Section, name: str, directory: Path) -> Secret:
    """`name` or `name`_file."""
    section.at_most_one(name, f"{name}_file")
    return Secret(section.text(name), beside(section.text(f"{name}_file"), directory))


def beside(file: str, directory: Path) -> str:
    """Paths of a configuration are relative to the file that they stand in."""
    return str(directory / file) if file and not os.path.isabs(file) else file  # noqa: PTH117


def read_tls(section: Section | None, directory: Path) -> TlsConfig:
    if section is None:
        return TlsConfig()
    versions = [section.text(name) for name in ("min_version", "max_version")]
    for name, version in zip(("min_version", "max_version"), versions, strict=True):
        if version and version not in _TLS_VERSIONS:
            section.fault(f"{name} must be one of {', '.join(_TLS_VERSIONS)}",
                          section.line_of(name))  # fmt: skip
    section.not_done(
        ca_ref="secret managers are not read",
        cert_ref="secret managers are not read",
        key_ref="secret managers are not read",
    )
    for name in ("ca", "cert", "key"):
        section.at_most_one(name, f"{name}_file")
    found = TlsConfig(
        ca=section.text("ca"),
        ca_file=beside(section.text("ca_file"), directory),
        cert=section.text("cert"),
        cert_file=beside(section.text("cert_file"), directory),
        key=section.text("key"),
        key_file=beside(section.text("key_file"), directory),
        server_name=section.text("server_name"),
        insecure_skip_verify=section.boolean("insecure_skip_verify", default=False),
        min_version=versions[0],
        max_version=versions[1],
    )
    if bool(found.cert or found.cert_file) != bool(found.key or found.key_file):
        section.fault("a client certificate needs both cert and key")
    section.refuse_rest()
    return found


def read_http(section: Section | None, directory: Path) -> HttpConfig:
    if section is None:
        return HttpConfig()
    username, password, has_basic = _basic(section, directory)
    given = [name for name in ("basic_auth", "authorization", "oauth2", "bearer_token",
                               "bearer_token_file") if section.has(name)]  # fmt: skip
    if len(given) > 1:
        section.fault(f"at most one of {' and '.join(given)} may be set", section.line_of(given[1]))
    found = HttpConfig(
        username=username,
        password=password,
        has_basic_auth=has_basic,
        authorization=_authorization(section, directory),
        oauth2=_oauth2(section, directory),
        tls=read_tls(section.section("tls_config"), directory),
        follow_redirects=section.boolean("follow_redirects", default=True),
        proxy_url=url(section, "proxy_url", schemes=("http", "https", "socks5")),
        no_proxy=section.text("no_proxy"),
        is_proxy_from_environment=section.boolean("proxy_from_environment", default=False),
        proxy_headers=_proxy_headers(section),
        headers=_headers(section, directory),
    )
    _check_proxy(section, found)
    # Whether HTTP/2 may be spoken changes nothing that a receiver sees: HTTP/1.1 is always right.
    section.boolean("enable_http2", default=True)
    section.refuse_rest()
    return found


def _check_proxy(section: Section, found: HttpConfig) -> None:
    if found.is_proxy_from_environment and (found.proxy_url or found.no_proxy):
        section.fault("proxy_from_environment excludes proxy_url and no_proxy")
    if found.no_proxy and not found.proxy_url:
        section.fault("no_proxy needs proxy_url")
    if "/" in found.no_proxy:
        section.fault(
            "no_proxy: ranges of addresses are known to Alertmanager but not done here: "
            "names, addresses and *", section.line_of("no_proxy"),
        )  # fmt: skip
    if found.proxy_headers and not (found.proxy_url or found.is_proxy_from_environment):
        section.fault("proxy_connect_header needs a proxy")
    if found.proxy_url.startswith("socks5"):
        section.fault("proxy_url: a SOCKS proxy is known to Alertmanager but not done here",
                      section.line_of("proxy_url"))  # fmt: skip


def _basic(section: Section, directory: Path) -> tuple[str, Secret, bool]:
    basic = section.section("basic_auth")
    if basic is None:
        return "", Secret(), False
    basic.not_done(
        username_ref="secret managers are not read",
        password_ref="secret managers are not read",  # noqa: S106
    )
    name = secret(basic, "username", directory)
    password = secret(basic, "password", directory)
    username = name.value
    if name.file:
        try:
            username = name.read()
        except OSError as error:
            basic.fault(f"username_file: {error.strerror}: {name.file}")
    basic.refuse_rest()
    return username, password, True


def _authorization(section: Section, directory: Path) -> tuple[str, Secret] | None:
    section.at_most_one("bearer_token", "bearer_token_file")
    bearer = Secret(
        section.text("bearer_token"), beside(section.text("bearer_token_file"), directory)
    )
    found = section.section("authorization")
    if found is None:
        return ("Bearer", bearer) if bearer else None
    found.not_done(credentials_ref="secret managers are not read")
    kind = found.text("type", "Bearer").strip() or "Bearer"
    if kind.lower() == "basic":
        found.fault('type "Basic" belongs into basic_auth', found.line_of("type"))
    credentials = secret(found, "credentials", directory)
    found.refuse_rest()
    return kind, credentials


def _oauth2(section: Section, directory: Path) -> OAuth2 | None:
    found = section.section("oauth2")
    if found is None:
        return None
    found.not_done(
        client_secret_ref="secret managers are not read",  # noqa: S106
        client_certificate_key="JWT grants are not made",
        client_certificate_key_file="JWT grants are not made",
        client_certificate_key_ref="JWT grants are not made",
        client_certificate_key_id="JWT grants are not made",
        signature_algorithm="JWT grants are not made",
        iss="JWT grants are not made",
        audience="JWT grants are not made",
        claims="JWT grants are not made",
        proxy_url="the token is asked for without a proxy",
        no_proxy="the token is asked for without a proxy",
        proxy_from_environment="the token is asked for without a proxy",
        proxy_connect_header="the token is asked for without a proxy",
    )
    if found.text("grant_type", "client_credentials") not in {"", "client_credentials"}:
        found.fault("grant_type is known to Alertmanager but not done here: only "
                    "client_credentials", found.line_of("grant_type"))  # fmt: skip
    oauth2 = OAuth2(
        client_id=found.text("client_id"),
        client_secret=secret(found, "client_secret", directory),
        token_url=url(found, "token_url"),
        scopes=tuple(found.texts("scopes")),
        endpoint_params=found.text_map("endpoint_params"),
        tls=read_tls(found.section("tls_config"), directory),
    )
    if not oauth2.client_id or not oauth2.token_url:
        found.fault("oauth2 needs client_id and token_url")
    found.refuse_rest()
    return oauth2


def _proxy_headers(section: Section) -> dict[str, str]:
    found = section.section("proxy_connect_header")
    if found is None:
        return {}
    node = section.node("proxy_connect_header")
    assert node is not None
    names = node.value if isinstance(node.value, dict) else {}
    return {name: ",".join(found.texts(name)) for name in names}


def _headers(section: Section, directory: Path) -> tuple[tuple[str, Secret], ...]:
    node = section.node("http_headers")
    if node is None or not isinstance(node.value, dict):
        if node is not None:
            section.fault("http_headers must be a mapping", node.line)
        return ()
    found: list[tuple[str, Secret]] = []
    for name, one in node.value.items():
        if name.lower() in _RESERVED_HEADERS:
            section.fault(f"http_headers: {name} cannot be set this way", one.line)
        found += _header(name, one, section, directory)
    return tuple(found)


def _header(name: str, node: Node, section: Section, directory: Path) -> list[tuple[str, Secret]]:
    one = Section(node, f"http_headers.{name}", section.problems)
    values = [Secret(text) for text in (*one.texts("values"), *one.texts("secrets"))]
    values += [Secret(file=beside(file, directory)) for file in one.texts("files")]
    one.refuse_rest()
    return [(name, value) for value in values]


def url(
    section: Section, name: str, default: str = "", *, schemes: tuple[str, ...] = ("http", "https")
) -> str:
    """An absolute URL, or nothing."""
    text = section.text(name, default)
    if text and not is_url(text, schemes):
        begins = " or ".join(schemes)
        section.fault(
            f"{name} must be a URL that begins with {begins} and has a host", section.line_of(name)
        )
    return text


def is_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
