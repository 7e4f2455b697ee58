"""The section `global`: what receivers take where they say nothing themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trilens.config_files.http_config import (
    Files,
    HttpConfig,
    Secret,
    Tls,
    read_http,
    read_tls,
    read_url,
    secret,
)
from trilens.config_files.section import Section
from trilens.notify.durations import MINUTE_NS

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
    smtp_tls: Tls
    slack_api_url: Secret
    slack_app_token: Secret
    slack_app_url: str
    pagerduty_url: str
    opsgenie_api_url: str
    opsgenie_api_key: Secret


def read_global(section: Section, files: Files) -> GlobalConfig:
    for name in _NOT_DONE:
        section.not_done(name, "no notification is sent that way")
    app_url = read_url(section, "slack_app_url", "https://slack.com/api/chat.postMessage")
    has_token = "slack_app_token" in section or "slack_app_token_file" in section
    has_url = "slack_api_url" in section or "slack_api_url_file" in section
    # The same URL in both is how tokens were used before there was a key for them.
    if has_token and has_url and section.text("slack_api_url") != app_url:
        section.problem(
            "slack_api_url", "at most one of slack_app_token and slack_api_url may be set"
        )
    if "slack_api_url" in section:
        read_url(section, "slack_api_url")
    resolve_timeout_ns = section.duration_ms("resolve_timeout") * 1_000_000
    http = section.section("http_config", "http_config")
    found = GlobalConfig(
        resolve_timeout_ns=resolve_timeout_ns or RESOLVE_TIMEOUT_NS,
        http=read_http(http, files),
        smtp_from=section.text("smtp_from"),
        smtp_hello=section.text("smtp_hello", "localhost"),
        smtp_smarthost=host_port(section, "smtp_smarthost"),
        smtp_username=section.text("smtp_auth_username"),
        smtp_password=secret(section, "smtp_auth_password", files),
        smtp_secret=secret(section, "smtp_auth_secret", files),
        smtp_identity=section.text("smtp_auth_identity"),
        smtp_require_tls=section.boolean("smtp_require_tls", default=True),
        smtp_implicit_tls=section.boolean_or_none("smtp_force_implicit_tls"),
        smtp_tls=read_tls(section, "smtp_tls_config", files),
        slack_api_url=secret(section, "slack_api_url", files),
        slack_app_token=secret(section, "slack_app_token", files),
        slack_app_url=app_url,
        pagerduty_url=read_url(section, "pagerduty_url", "https://events.pagerduty.com/v2/enqueue"),
        opsgenie_api_url=read_url(section, "opsgenie_api_url", "https://api.opsgenie.com/"),
        opsgenie_api_key=secret(section, "opsgenie_api_key", files),
    )
    http.end()
    section.end()
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
        section.fault(f'{name} "{text}" must be host:port', section.place_of(name))
        return None
    return (host[1:-1] if is_bare else host), int(port)
