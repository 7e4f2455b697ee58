"""A configuration as it may be shown: without what is secret."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import yaml

HIDDEN: Final = "<secret>"
# amtool reads what it is shown; before 0.26 it wanted a URL of a webhook to be one.
HIDDEN_URL: Final = "http://secret.invalid/"
_SECRET_KEYS: Final = frozenset({
    "password", "smtp_auth_password", "smtp_auth_secret", "auth_password", "auth_secret",
    "bearer_token", "credentials", "client_secret", "key", "secret_key", "api_key",
    "opsgenie_api_key", "routing_key", "service_key", "app_token", "slack_app_token",
    "secrets", "token", "application_secret", "consumer_key", "refresh_token", "sas_token",
})  # fmt: skip
_SECRET_URLS: Final = frozenset({
    ("webhook_configs", "url"), ("slack_configs", "api_url"), ("global", "slack_api_url"),
    ("discord_configs", "webhook_url"), ("msteams_configs", "webhook_url"),
    ("msteamsv2_configs", "webhook_url"),
})  # fmt: skip
_WITH_PASSWORD: Final = re.compile(r"(?<=://)([^/?#@:]*):[^/?#@]*@")


@lru_cache(maxsize=8)  # clients ask again and again
def masked(text: str) -> str:
    """Raises nothing: a text that was loaded is YAML."""
    try:
        # As it was loaded: its first document.
        plain = next(yaml.load_all(text, yaml.CSafeLoader), None)
    except yaml.YAMLError:  # a tag that nobody needs
        return HIDDEN
    if plain is None:
        return ""
    return masked_values(plain)


def masked_values(plain: Any) -> str:
    """As YAML, what was read of it."""
    return yaml.dump(
        _masked(plain, ""), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=1000
    )


def _masked(value: Any, within: str) -> Any:
    if isinstance(value, list):
        return [_masked(one, within) for one in value]
    if isinstance(value, str):
        return _WITH_PASSWORD.sub(r"\1:xxxxx@", value)
    if not isinstance(value, dict):
        return value
    found: dict[Any, Any] = {}
    for key, one in value.items():
        if one and (within, key) in _SECRET_URLS:
            found[key] = HIDDEN_URL
        elif one and key in _SECRET_KEYS:
            found[key] = [HIDDEN] * len(one) if isinstance(one, list) else HIDDEN
        else:
            found[key] = _masked(one, str(key))
    return found
