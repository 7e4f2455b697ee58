"""Receivers of alertmanager.yml: each kind's keys, their defaults, what must be there.

Defaults and demands are those of Alertmanager 0.34. What it knows and we do not send to is in
NOT_DONE and refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from trilens.config_files.aws_config import read_sigv4
from trilens.config_files.http_config import (
    Files,
    HttpConfig,
    Secret,
    is_url,
    read_http,
    read_tls,
    read_url,
    secret,
)
from trilens.config_files.problems import Place
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import plain
from trilens.notify.durations import parse_go_duration_ns
from trilens.notify.global_config import GlobalConfig, host_port
from trilens.notify.templates import TemplateFault, Templates

NOT_DONE: Final = (
    "incidentio", "jira", "mattermost", "pushover", "rocketchat", "telegram", "victorops",
    "webex", "wechat",
)  # fmt: skip
_RESPONDERS: Final = ("team", "teams", "user", "escalation", "schedule")
_PAGERDUTY_DETAILS: Final = {
    "firing": "{{ .Alerts.Firing | toJson }}",
    "resolved": "{{ .Alerts.Resolved | toJson }}",
    "num_firing": "{{ .Alerts.Firing | len }}",
    "num_resolved": "{{ .Alerts.Resolved | len }}",
}
_POST_MESSAGE: Final = "https://slack.com/api/chat.postMessage"
_SLACK_TEXTS: Final = (
    "color", "username", "title", "pretext", "text", "fallback", "footer",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Integration:
    """One way to one receiver. `options` are the kind's own, by their names in the file."""

    receiver: str
    kind: str
    index: int
    send_resolved: bool
    http: HttpConfig
    options: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.receiver}/{self.kind}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Receiver:
    name: str
    labels: dict[str, str]
    integrations: tuple[Integration, ...]


@dataclass(frozen=True, slots=True)
class _Reader:
    common: GlobalConfig
    templates: Templates
    files: Files

    def template(self, section: Section, name: str, default: str = "") -> str:
        text = section.text(name, default)
        self.check(section, text, section.place_of(name))
        return text

    def check(self, section: Section, text: str, place: Place) -> None:
        try:
            self.templates.check(text)
        except TemplateFault as fault:
            section.fault(str(fault), place)

    def templates_of(self, section: Section, name: str) -> dict[str, str]:
        found = section.text_map(name)
        for text in found.values():
            self.check(section, text, section.place_of(name))
        return found

    def check_all(self, section: Section, value: Any, place: Place) -> None:
        if isinstance(value, str):
            self.check(section, value, place)
        elif isinstance(value, dict):
            for one in (*value.keys(), *value.values()):
                self.check_all(section, one, place)
        elif isinstance(value, list):
            for one in value:
                self.check_all(section, one, place)


def read_receiver(
    section: Section, common: GlobalConfig, templates: Templates, files: Files
) -> Receiver:
    reader = _Reader(common, templates, files)
    name = section.text("name")
    if not name:
        section.fault("missing name in receiver")
    labels = section.text_map("labels")
    if labels.get("name", name) != name:
        section.problem("labels", f'receiver label "name" must be "{name}"')
    for kind in NOT_DONE:
        section.not_done(f"{kind}_configs", "no notification is sent that way")
    found: list[Integration] = []
    for kind, read in _KINDS.items():
        key = f"{kind}_configs"
        for index, one in enumerate(section.sections(key, key, f"an entry of {key} is null")):
            found.append(_integration(one, name, kind, index=index, read=read, reader=reader))
    section.end()
    return Receiver(name, labels | {"name": name}, tuple(found))


_Read = Callable[[Section, _Reader, HttpConfig], tuple[dict[str, Any], HttpConfig]]


def _integration(
    section: Section, receiver: str, kind: str, *, index: int, read: _Read, reader: _Reader
) -> Integration:
    send_resolved = section.boolean("send_resolved", default=kind not in {"email", "slack"})
    http = reader.common.http
    if kind != "email" and section.node("http_config") is not None:
        own = section.section("http_config", "http_config")
        http = read_http(own, reader.files)
        own.end()
    options, http = read(section, reader, http)
    section.end()
    return Integration(receiver, kind, index, send_resolved, http, options)


def _webhook(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    target = secret(section, "url", reader.files)
    place = section.place_of("url")
    if not target:
        section.fault("one of url and url_file must be set")
    elif target.value and "{{" in target.value:
        reader.check(section, target.value, place)
    elif target.value and not is_url(target.value):
        section.fault("url must be a URL that begins with http or https and has a host", place)
    payload = plain(section.node("payload"), section.problems)
    reader.check_all(section, payload, section.place_of("payload"))
    return {
        "url": target,
        "max_alerts": section.integer("max_alerts"),
        "timeout_ns": _timeout_ns(section),
        "payload": payload,
    }, http


def _email(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    common = reader.common
    to = reader.template(section, "to")
    smarthost = host_port(section, "smarthost") or common.smtp_smarthost
    sender = reader.template(section, "from") or common.smtp_from
    for value, what in ((to, "to address"), (smarthost, "smarthost"), (sender, "from address")):
        if not value:
            section.fault(f"missing {what} in email config")
    headers = {
        "-".join(part.capitalize() for part in name.split("-")): value
        for name, value in reader.templates_of(section, "headers").items()
    }
    if len(headers) != len(section.text_map("headers")):
        section.problem("headers", "a header is there twice")
    return {
        "to": to,
        "from": sender,
        "smarthost": smarthost,
        "hello": section.text("hello") or common.smtp_hello,
        "username": section.text("auth_username") or common.smtp_username,
        "password": secret(section, "auth_password", reader.files) or common.smtp_password,
        "secret": secret(section, "auth_secret", reader.files) or common.smtp_secret,
        "identity": section.text("auth_identity") or common.smtp_identity,
        "require_tls": section.boolean("require_tls", default=common.smtp_require_tls),
        "implicit_tls": _or(section.boolean_or_none("force_implicit_tls"),
                            common.smtp_implicit_tls),
        "tls": read_tls(section, "tls_config", reader.files)
        if section.node("tls_config") is not None else common.smtp_tls,
        "headers": headers,
        "html": reader.template(section, "html", '{{ template "email.default.html" . }}'),
        "text": reader.template(section, "text"),
        "threading": _threading(section, headers),
    }, http  # fmt: skip


def _or(one: bool | None, other: bool | None) -> bool | None:
    return other if one is None else one


def _threading(section: Section, headers: dict[str, str]) -> str:
    """Nothing, or how threads are cut: none, daily."""
    found = section.section("threading", "threading")
    enabled = found.boolean("enabled", default=False)
    by_date = found.text("thread_by_date")
    found.end()
    if not enabled:
        return ""
    if by_date not in {"none", "daily"}:
        found.fault("thread_by_date must be none or daily")
    for name in ("References", "In-Reply-To"):
        if name in headers:
            found.fault(f"threading excludes a header {name}")
    return by_date


def _slack(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    target, http = _slack_target(section, reader, http)
    options = {
        name: reader.template(section, name, f'{{{{ template "slack.default.{name}" . }}}}')
        for name in _SLACK_TEXTS
    }
    for name in ("title_link", "icon_emoji", "icon_url", "callback_id"):
        default = f'{{{{ template "slack.default.{name.replace("_", "")}" . }}}}'
        options[name] = reader.template(section, name, default)
    for name in ("channel", "message_text", "image_url", "thumb_url"):
        options[name] = reader.template(section, name)
    does_update = section.boolean("update_message", default=False)
    if does_update and section.text("api_url") != _POST_MESSAGE:
        section.problem("update_message", f"update_message needs api_url: {_POST_MESSAGE}")
    return options | {
        "api_url": target,
        "update_message": does_update,
        "short_fields": section.boolean("short_fields", default=False),
        "link_names": section.boolean("link_names", default=False),
        "mrkdwn_in": section.texts("mrkdwn_in"),
        "fields": [_slack_field(one, reader) for one in section.sections("fields", "fields")],
        "actions": [_slack_action(one, reader) for one in section.sections("actions", "actions")],
        "timeout_ns": _timeout_ns(section),
    }, http


def _slack_target(section: Section, reader: _Reader, http: HttpConfig) -> tuple[Secret, HttpConfig]:
    common = reader.common
    app_url = read_url(section, "app_url") or common.slack_app_url
    token = secret(section, "app_token", reader.files)
    target = secret(section, "api_url", reader.files)
    if target.value:
        read_url(section, "api_url")
    if token and target:
        section.fault("at most one of api_url and app_token may be set")
    if not token and not target and not http.credentials:
        token = common.slack_app_token
    target = target or common.slack_api_url
    if not token:
        if not target:
            section.fault("no Slack API URL nor app token is set, here or globally")
        return target, http
    if http.credentials:
        section.fault("http_config.authorization excludes a Slack app token")
    return Secret(app_url), replace(http, authorization_type="Bearer", credentials=token)


def _slack_field(one: Section, reader: _Reader) -> dict[str, Any]:
    found = {
        "title": reader.template(one, "title"),
        "value": reader.template(one, "value"),
        "short": one.boolean_or_none("short"),
    }
    for name in ("title", "value"):
        if not found[name]:
            one.fault(f"missing {name} in Slack field")
    one.end()
    return found


def _slack_action(one: Section, reader: _Reader) -> dict[str, Any]:
    names = ("type", "text", "url", "style", "name", "value")
    found: dict[str, Any] = {name: reader.template(one, name) for name in names}
    found["confirm"] = None
    if one.node("confirm") is not None:
        confirm = one.section("confirm", "confirm")
        parts = ("text", "title", "ok_text", "dismiss_text")
        found["confirm"] = {name: reader.template(confirm, name) for name in parts}
        confirm.end()
        if not found["confirm"]["text"]:
            confirm.fault("missing text in Slack confirmation")
    for name in ("type", "text"):
        if not found[name]:
            one.fault(f"missing {name} in Slack action")
    if found["url"]:
        found |= {"name": "", "value": "", "confirm": None}
    elif not found["name"]:
        one.fault("missing name or url in Slack action")
    one.end()
    return found


def _pagerduty(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    routing = secret(section, "routing_key", reader.files)
    service = secret(section, "service_key", reader.files)
    if not routing and not service:
        section.fault("missing service_key or routing_key in PagerDuty config")
    details = plain(section.node("details"), section.problems) or {}
    if not isinstance(details, dict):
        section.problem("details", "details must be a mapping")
        details = {}
    reader.check_all(section, details, section.place_of("details"))
    client = reader.template(section, "client", '{{ template "pagerduty.default.client" . }}')
    options: dict[str, Any] = {
        name: reader.template(section, name) for name in ("severity", "class", "component", "group")
    }
    return options | {
        "routing_key": routing,
        "service_key": service,
        "url": read_url(section, "url") or reader.common.pagerduty_url,
        "client": client,
        "client_url": reader.template(
            section, "client_url", '{{ template "pagerduty.default.clientURL" . }}'
        ),
        "description": reader.template(
            section, "description", '{{ template "pagerduty.default.description" . }}'
        ),
        "source": reader.template(section, "source") or client,
        "details": _PAGERDUTY_DETAILS | details,
        "images": _rows(section, reader, "images", ("src", "alt", "href")),
        "links": _rows(section, reader, "links", ("href", "text")),
        "timeout_ns": _timeout_ns(section),
    }, http


def _rows(
    section: Section, reader: _Reader, name: str, keys: tuple[str, ...]
) -> list[dict[str, str]]:
    found = []
    for one in section.sections(name, name):
        found.append({key: reader.template(one, key) for key in keys})
        one.end()
    return found


def _opsgenie(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    key = secret(section, "api_key", reader.files) or reader.common.opsgenie_api_key
    if not key:
        section.fault("no Opsgenie api_key is set, here or globally")
    responders = _rows(section, reader, "responders", ("id", "name", "username", "type"))
    for responder in responders:
        if not any(responder[name] for name in ("id", "name", "username")):
            section.problem("responders", "a responder needs one of id, username and name")
        if "{{" not in responder["type"]:
            responder["type"] = responder["type"].lower()
            if responder["type"] not in _RESPONDERS:
                section.problem(
                    "responders", f"a responder's type must be one of {', '.join(_RESPONDERS)}"
                )
    options: dict[str, Any] = {
        name: reader.template(section, name, f'{{{{ template "opsgenie.default.{name}" . }}}}')
        for name in ("message", "description", "source")
    }
    for name in ("entity", "actions", "tags", "note", "priority"):
        options[name] = reader.template(section, name)
    api_url = read_url(section, "api_url") or reader.common.opsgenie_api_url
    return options | {
        "api_key": key,
        "api_url": api_url.rstrip("/") + "/",
        "details": reader.templates_of(section, "details"),
        "responders": responders,
        "update_alerts": section.boolean("update_alerts", default=False),
    }, http


def _sns(section: Section, reader: _Reader, http: HttpConfig) -> tuple[dict[str, Any], HttpConfig]:
    options: dict[str, Any] = {
        name: reader.template(section, name)
        for name in ("topic_arn", "phone_number", "target_arn", "api_url")
    }
    if sum(bool(options[name]) for name in ("topic_arn", "phone_number", "target_arn")) != 1:
        section.fault("exactly one of topic_arn, phone_number and target_arn must be set")
    # Which of Go's HTTP clients is used changes nothing that can be seen.
    section.boolean("use_aws_http_client", default=False)
    for name in ("subject", "message"):
        options[name] = reader.template(section, name, f'{{{{ template "sns.default.{name}" . }}}}')
    return options | {
        "attributes": reader.templates_of(section, "attributes"),
        "sigv4": read_sigv4(section),
    }, http


def _discord(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    options = _named_webhook(section, reader, "discord", ("title", "message"))
    return options | {
        "content": reader.template(section, "content"),
        "username": section.text("username"),
        "avatar_url": section.text("avatar_url"),
    }, http


def _msteams(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    return _named_webhook(section, reader, "msteams", ("title", "summary", "text")), http


def _msteamsv2(
    section: Section, reader: _Reader, http: HttpConfig
) -> tuple[dict[str, Any], HttpConfig]:
    return _named_webhook(section, reader, "msteamsv2", ("title", "text")), http


def _named_webhook(
    section: Section, reader: _Reader, kind: str, names: tuple[str, ...]
) -> dict[str, Any]:
    target = secret(section, "webhook_url", reader.files)
    if target.value:
        read_url(section, "webhook_url")
    if not target:
        section.fault("one of webhook_url and webhook_url_file must be set")
    return {"webhook_url": target} | {
        name: reader.template(section, name, f'{{{{ template "{kind}.default.{name}" . }}}}')
        for name in names
    }


def _timeout_ns(section: Section) -> int:
    return section.parsed("timeout", parse_go_duration_ns, 0, "a duration")


_KINDS: Final[Mapping[str, _Read]] = {
    "discord": _discord,
    "email": _email,
    "msteams": _msteams,
    "msteamsv2": _msteamsv2,
    "opsgenie": _opsgenie,
    "pagerduty": _pagerduty,
    "slack": _slack,
    "sns": _sns,
    "webhook": _webhook,
}
