"""The section `global`: what receivers take where they say nothing themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trilens.notify.durations import MINUTE_NS
from trilens.notify.http_config import (
    HttpConfig,
    Secret,
    TlsConfig,
    read_http,
    read_tls,
    secret,
    url,
)
from trilens.notify.yaml_nodes import Section

RESOLVE_TIMEOUT_NS: Final = 5 * MINUTE_NS
_NOT_DONE: Final = (
    "jira_api_url", "wechat_api_url", "wechat_api_secret", "wechat_api_secret_file",
    "wechat_api_corp_id", "victorops_api_url", "victorops_api_key", "victorops_api_key_file",
    "telegram_api_url", "telegram_bot_token", "telegram_bot_token_file", "webex_api_url",
    "rocketchat_api_url", "rocketchat_token", "rocketchat_token_file", "rocketchat_token_id",
    "rocketchat_token_id_file", "mattermost_webhook_url", "mattermost_webhook_url_file",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GlobalConfig:
    resolve_timeout_ns: int
    http: HttpConfig
    smtp_from: str
    smtp_hello: str
    smtp_smarthost: tuple[str, int] | None
    smtp_username: str
    smtp_password: Secret
    smtp_secret: Secret
    smtp_identity: str
    smtp_require_tls: bool
    smtp_implicit_tls: bool | None
    smtp_tls: TlsConfig
    slack_api_url: Secret
    slack_app_token: Secret
    slack_app_url: str
    pagerduty_url: str
    opsgenie_api_url: str
    opsgenie_api_key: Secret


def read_global(section: Section, directory: Path) -> GlobalConfig:
    for name in _NOT_DONE:
        section.not_done(**{name: "no notification is sent that way"})
    app_url = url(section, "slack_app_url", "https://slack.com/api/chat.postMessage")
    has_token = section.has("slack_app_token") or section.has("slack_app_token_file")
    has_url = section.has("slack_api_url") or section.has("slack_api_url_file")
    # The same URL in both is how tokens were used before there was a key for them.
    if has_token and has_url and section.text("slack_api_url") != app_url:
        section.fault("at most one of slack_app_token and slack_api_url may be set",
                      section.line_of("slack_api_url"))  # fmt: skip
    if section.has("slack_api_url"):
        url(section, "slack_api_url")
    resolve_timeout_ns = section.duration_ns("resolve_timeout", RESOLVE_TIMEOUT_NS)
    found = GlobalConfig(
        resolve_timeout_ns=resolve_timeout_ns or RESOLVE_TIMEOUT_NS,
        http=read_http(section.section("http_config"), directory),
        smtp_from=section.text("smtp_from"),
        smtp_hello=section.text("smtp_hello", "localhost"),
        smtp_smarthost=host_port(section, "smtp_smarthost"),
        smtp_username=section.text("smtp_auth_username"),
        smtp_password=secret(section, "smtp_auth_password", directory),
        smtp_secret=secret(section, "smtp_auth_secret", directory),
        smtp_identity=section.text("smtp_auth_identity"),
        smtp_require_tls=section.boolean("smtp_require_tls", default=True),
        smtp_implicit_tls=section.boolean_or_none("smtp_force_implicit_tls"),
        smtp_tls=read_tls(section.section("smtp_tls_config"), directory),
        slack_api_url=secret(section, "slack_api_url", directory),
        slack_app_token=secret(section, "slack_app_token", directory),
        slack_app_url=app_url,
        pagerduty_url=url(section, "pagerduty_url", "https://events.pagerduty.com/v2/enqueue"),
        opsgenie_api_url=url(section, "opsgenie_api_url", "https://api.opsgenie.com/"),
        opsgenie_api_key=secret(section, "opsgenie_api_key", directory),
    )
    section.refuse_rest()
    return found


def host_port(section: Section, name: str) -> tuple[str, int] | None:
    """host:port, the host of IPv6 in brackets."""
    text = section.text(name)
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    is_bare = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not port.isdecimal()
        or not 0 < int(port) < 65536
        or (":" in host and not is_bare)
    ):
        section.fault(f'{name} "{text}" must be host:port', section.line_of(name))
        return None
    return (host[1:-1] if is_bare else host), int(port)
