"""host:port, as settings write it and listeners take it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_HOST_PORT: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]*)):(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True)
class HostPort:
    """Port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it; a name other than localhost does not count."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_host_port(text: str) -> HostPort:
    """`127.0.0.1:4280`, `[::1]:4280`, `:4280` for every address. Raises ValueError."""
    match = _HOST_PORT.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address; one looks like 127.0.0.1:4280")
    return HostPort(match["six"] or match["host"] or "0.0.0.0", int(match["port"]))  # noqa: S104
