"""The one secret that clients show, in the two forms that all of them can send."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

# What a 401 asks for: agents send bearer tokens, browsers and Prometheus basic authentication.
CHALLENGE: Final = 'Bearer realm="trilens", Basic realm="trilens"'


def shows_token(authorization: str, token: bytes) -> bool:
    """Whether an Authorization header holds `token`, as such or as a password (RFC 6750, 7617)."""
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return hmac.compare_digest(shown.strip().encode(), token)
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(shown.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(pair.partition(b":")[2], token)
    return False
