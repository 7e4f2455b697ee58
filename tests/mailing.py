"""A mail server for tests: SMTP with STARTTLS, TLS and AUTH (RFC 5321, 3207, 4954), on a thread."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

OPENSSL = shutil.which("openssl")
CHALLENGE = b"<1.2@here>"


def certificate(directory: Path) -> tuple[Path, Path]:
    """Of localhost, signed by itself: certificate and key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


class MailServer:
    """One connection after another; what was said is kept, before and after TLS."""

    def __init__(
        self, *, auth: str = "", user: tuple[str, str] = ("u", "p"), refuses: str = "",
        tls: tuple[Path, Path] | None = None, is_implicit: bool = False,
    ) -> None:  # fmt: skip
        self.said: list[str] = []
        self.mails: list[bytes] = []
        self._auth, self._user, self._refuses, self._is_implicit = auth, user, refuses, is_implicit
        self._context: ssl.SSLContext | None = None
        if tls is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*tls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with connection:
                    if self._is_implicit:
                        connection = self._context.wrap_socket(connection, server_side=True)
                    _Talk(self, connection).run()
            except (OSError, ValueError):
                continue  # the client left, or trusts us not

    def close(self) -> None:
        self._listener.close()


class _Talk:
    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._file = connection.makefile("rwb", buffering=0)

    def run(self) -> None:
        self._say("220 here")
        while line := self._file.readline():
            text = line.decode().strip()
            self._server.said.append(text)
            verb = text.split(" ")[0].upper()
            if self._server._refuses and text.upper().startswith(self._server._refuses):
                self._say("550 no")
            elif verb == "EHLO":
                self._hello()
            elif verb == "STARTTLS":
                self._start_tls()
            elif verb == "AUTH":
                self._say("235 in" if self._is_in(text.split(" ")[1:]) else "535 wrong")
            elif verb == "DATA":
                self._mail()
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self._file.write(text.encode() + b"\r\n")

    def _hello(self) -> None:
        names = ["here"]
        if self._server._auth:
            names.append(f"AUTH {self._server._auth}")
        if self._server._context is not None and not isinstance(self._connection, ssl.SSLSocket):
            names.append("STARTTLS")
        for name in names[:-1]:
            self._say(f"250-{name}")
        self._say(f"250 {names[-1]}")

    def _start_tls(self) -> None:
        self._say("220 go")
        self._connection = self._server._context.wrap_socket(self._connection, server_side=True)
        self._file = self._connection.makefile("rwb", buffering=0)

    def _is_in(self, words: list[str]) -> bool:
        name, secret = self._server._user
        if words[0] == "PLAIN":
            return base64.b64decode(words[1]) == f"\0{name}\0{secret}".encode()
        if words[0] == "CRAM-MD5":
            digest = hmac.new(secret.encode(), CHALLENGE, hashlib.md5).hexdigest()
            return self._asked(CHALLENGE) == f"{name} {digest}".encode()
        given = base64.b64decode(words[1]) if len(words) > 1 else self._asked(b"Username:")
        return (given, self._asked(b"Password:")) == (name.encode(), secret.encode())

    def _asked(self, question: bytes) -> bytes:
        self._say("334 " + base64.b64encode(question).decode())
        return base64.b64decode(self._file.readline())

    def _mail(self) -> None:
        self._say("354 go")
        mail = b""
        while not mail.endswith(b"\r\n.\r\n"):
            mail += self._file.readline()
        self._server.mails.append(mail)
        self._say("250 taken")
