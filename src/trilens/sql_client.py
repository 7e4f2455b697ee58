"""`trilens sql`: one question to a running server over POST /api/sql."""

from __future__ import annotations

import http.client
from typing import BinaryIO, Final
from urllib.parse import urlencode

import orjson

from trilens.addresses import HostPort
from trilens.errors import Broken

TIMEOUT_S: Final = 600.0
PIECE_BYTES: Final = 1 << 16
# The server's `0.0.0.0` is reached from here as loopback.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def ask(address: HostPort, sql: str, *, fmt: str, token: str | None, out: BinaryIO) -> int:
    """Write the answer to `out`; returns 0. Raises Broken with what the server said."""
    host = _ANY.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("POST", f"/api/sql?{urlencode({'format': fmt})}", sql.encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise Broken(_reason(response.status, response.read()))
        while piece := response.read1(PIECE_BYTES):
            out.write(piece)
        out.flush()
    except ConnectionRefusedError:
        raise Broken(f"no Trilens answers on {address}; start one with `trilens up`") from None
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"the answer of {address} broke off: {error!r}") from None
    finally:
        connection.close()
    return 0


def _reason(status: int, body: bytes) -> str:
    try:
        error = orjson.loads(body)["error"]
        position = f" (at character {error['position']})" if "position" in error else ""
        return f"{error['message']}{position}"
    except (ValueError, KeyError, TypeError):
        return f"the server answers {status}: {body[:200].decode('utf-8', 'replace')}"
