"""Which proxy a URL goes through: that of the config, that of the environment, or none."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.request import getproxies_environment

import httpx

from trilens.config_files.http_config import Proxy


def proxy_of(proxy: Proxy | None, url: httpx.URL) -> httpx.Proxy | None:
    if proxy is None:
        return None
    if proxy.from_environment:
        found = getproxies_environment()
        address, no_proxy = found.get(url.scheme, ""), found.get("no", "")
    else:
        address, no_proxy = proxy.url, proxy.no_proxy
    # As in prometheus/common: only where exceptions can be made, this machine is one of them.
    has_exceptions = proxy.from_environment or bool(no_proxy)
    if not address or (has_exceptions and is_direct(url.host, url.port, no_proxy)):
        return None
    headers = [(name, value) for name, values in proxy.connect_headers.items() for value in values]
    return httpx.Proxy(address, headers=headers)


def is_direct(host: str, port: int | None, no_proxy: str) -> bool:
    """As Go's httpproxy: names with their subdomains, addresses, networks; with a port or not."""
    try:
        is_loopback = ip_address(host).is_loopback
        is_address = True
    except ValueError:
        is_loopback, is_address = host == "localhost", False
    entries = [part.strip().lower() for part in no_proxy.split(",")]
    return is_loopback or any(_excepts(entry, host, port, is_address) for entry in entries)


def _excepts(entry: str, host: str, port: int | None, is_address: bool) -> bool:
    if entry == "*":
        return True
    name, _, wanted = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    if not name or (wanted and wanted != str(port)):
        return False
    if is_address:
        return _has(name, host)
    below = name.removeprefix("*")
    if below.startswith("."):  # those below it, without itself
        return host.endswith(below)
    return host == below or host.endswith(f".{below}")


def _has(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
