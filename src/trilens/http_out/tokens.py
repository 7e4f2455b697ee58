"""Tokens of OAuth 2 by the grant of client credentials (RFC 6749, 4.4): what is asked and answered.

Nothing is sent here. A token is kept until some seconds before it ends.
"""

from __future__ import annotations

import base64
import time
from typing import Final
from urllib.parse import quote, urlencode

import orjson

from trilens.config_files.http_config import OAuth2

FORM: Final = "application/x-www-form-urlencoded"
EARLY_S: Final = 10
LASTS_S: Final = 3600.0  # where the answer does not say
# Some read the secret only where the form has it, and answer this where it stands in the header.
ASK_WITH_FORM: Final = (400, 401)


def asked(oauth2: OAuth2, *, in_form: bool) -> tuple[dict[str, str], bytes]:
    """Headers and body of the request for a token. Raises OSError for a file of the secret."""
    secret = oauth2.client_secret.read()
    form = {"grant_type": "client_credentials", **oauth2.endpoint_params}
    if oauth2.scopes:
        form["scope"] = " ".join(oauth2.scopes)
    headers = {"content-type": FORM, "accept": "application/json"}
    if in_form:
        form |= {"client_id": oauth2.client_id, "client_secret": secret}
    else:
        pair = f"{quote(oauth2.client_id, safe='')}:{quote(secret, safe='')}"
        headers["authorization"] = basic(pair)
    return headers, urlencode(form).encode()


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Token:
    """The one that was answered last. For one thread at a time."""

    def __init__(self) -> None:
        self._value = ""
        self._ends_at_s = 0.0

    @property
    def value(self) -> str:
        """What stands in the Authorization header; empty where a new one has to be asked for."""
        return self._value if time.monotonic() < self._ends_at_s else ""

    def keep(self, status: int, body: bytes) -> None:
        """Raises ValueError."""
        if status // 100 != 2:
            raise ValueError(f"oauth2: cannot fetch token: {status}")
        try:
            answer = orjson.loads(body)
            kind, token = answer.get("token_type") or "Bearer", answer["access_token"]
            lasts_s = float(answer.get("expires_in") or LASTS_S)
            value = f"{'Bearer' if kind.lower() == 'bearer' else kind} " + token
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"oauth2: the answer has no token: {error!r}") from None
        self._value = value
        self._ends_at_s = time.monotonic() + max(lasts_s - EARLY_S, 1)
