"""The TLS context of a config, made anew when its files have changed."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from typing import Final

from trilens.config_files.http_config import Secret, Tls

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_Stamp = tuple[int, int]


class TlsContext:
    """Many connections share one context. Safe for any thread."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._files = [one.path for one in (tls.ca, tls.cert, tls.key) if one.path is not None]
        self._stamps: list[_Stamp] = []
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one), ValueError."""
        stamps = self._found_stamps()
        with self._lock:
            if self._context is None or stamps != self._stamps:
                self._context, self._stamps = made_context(self._tls), stamps
            return self._context

    async def loaded(self) -> ssl.SSLContext:
        """As context(), which reads files, for event loops."""
        if self._context is not None and self._stamps == self._found_stamps():
            return self._context
        return await asyncio.to_thread(self.context)

    def _found_stamps(self) -> list[_Stamp]:
        return [(one.st_mtime_ns, one.st_size) for one in (path.stat() for path in self._files)]


def made_context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError is one), ValueError."""
    context = ssl.create_default_context(cadata=tls.ca.read() if tls.ca else None)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.min_version:
        context.minimum_version = _VERSIONS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    if tls.cert:
        _load(context, tls.cert, tls.key)
    return context


def _load(context: ssl.SSLContext, cert: Secret, key: Secret) -> None:
    """OpenSSL reads a certificate from files only."""
    with (
        tempfile.NamedTemporaryFile("w") as cert_file,
        tempfile.NamedTemporaryFile("w") as key_file,
    ):
        for secret, file in ((cert, cert_file), (key, key_file)):
            file.write(secret.read() + "\n")
            file.flush()
        context.load_cert_chain(cert_file.name, key_file.name)
