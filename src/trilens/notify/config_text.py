"""The configuration as it may be shown: without what is secret."""

from __future__ import annotations

from typing import Any, Final

import yaml

HIDDEN: Final = "<secret>"
_SECRET_KEYS: Final = frozenset({
    "password", "smtp_auth_password", "smtp_auth_secret", "auth_password", "auth_secret",
    "bearer_token", "credentials", "client_secret", "key", "secret_key", "api_key",
    "opsgenie_api_key", "routing_key", "service_key", "app_token", "slack_app_token",
    "slack_api_url", "webhook_url", "secrets",
})  # fmt: skip
_SECRET_URLS: Final = {"webhook_configs": "url", "slack_configs": "api_url"}


def masked(text: str) -> str:
    """Raises nothing: a text that was loaded is YAML."""
    plain = yaml.safe_load(text)
    return yaml.safe_dump(_masked(plain, ""), sort_keys=False, allow_unicode=True, width=1000)


def _masked(value: Any, within: str) -> Any:
    if isinstance(value, list):
        return [_masked(one, within) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, one in value.items():
        is_secret = key in _SECRET_KEYS or _SECRET_URLS.get(within) == key
        if is_secret and one:
            found[key] = [HIDDEN] * len(one) if isinstance(one, list) else HIDDEN
        else:
            found[key] = _masked(one, str(key))
    return found
