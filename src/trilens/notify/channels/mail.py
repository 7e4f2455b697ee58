"""E-mail over SMTP: STARTTLS or TLS from the start, CRAM-MD5, PLAIN and LOGIN."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime, getaddresses, make_msgid
from functools import partial
from typing import Final

from trilens.http_out.door import Watch
from trilens.http_out.tls import made_context
from trilens.notify.channels.outcome import Outcome, failed
from trilens.notify.message import Notification
from trilens.notify.receivers import Integration
from trilens.notify.templates import TemplateFault

IMPLICIT_TLS_PORT: Final = 465
# Each answer of the server may take so long; a mail takes about ten of them.
STEP_S_MAX: Final = 10.0
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Mail:
    is_repeatable = False

    def __init__(self, integration: Integration) -> None:
        self._options = integration.options

    def send(self, notification: Notification, timeout_s: float) -> Outcome:
        try:
            sender, recipients = self._addresses(notification)
            message = self._message(notification)
        except (TemplateFault, ValueError) as error:
            return failed(error)
        # Many recipients, a byte now and then: many steps, and all have the time of one attempt.
        with Watch(timeout_s) as watch:
            try:
                smtp = self._connected(watch, min(timeout_s, STEP_S_MAX))
            except (OSError, smtplib.SMTPException, ValueError) as error:
                return failed(f"{type(error).__name__}: {error}", should_retry=True)
            try:
                return self._delivered(smtp, sender, recipients, message)
            finally:
                smtp.close()

    def _addresses(self, notification: Notification) -> tuple[str, list[str]]:
        senders = _parsed(notification.text(self._options["from"]))
        if len(senders) != 1:
            raise ValueError(f"there must be exactly one from address, not {len(senders)}")
        recipients = _parsed(notification.text(self._options["to"]))
        if not recipients:
            raise ValueError("there is no address to send to")
        return senders[0], recipients

    def _connected(self, watch: Watch, timeout_s: float) -> smtplib.SMTP:
        options = self._options
        host, port = options["smarthost"]
        is_implicit = options["implicit_tls"]
        if is_implicit is None:
            is_implicit = port == IMPLICIT_TLS_PORT
        connection = socket.create_connection((host, port), timeout_s)
        try:
            watch.hold(connection)
            if is_implicit:
                connection = self._context().wrap_socket(connection, server_hostname=host)
            return _Smtp(connection, options["smarthost"], options["hello"], timeout_s)
        except BaseException:
            connection.close()
            raise

    def _context(self) -> ssl.SSLContext:
        return made_context(self._options["tls"])

    def _delivered(
        self, smtp: smtplib.SMTP, sender: str, recipients: list[str], message: bytes
    ) -> Outcome:
        """Raises nothing: every step of the conversation has its own outcome."""
        try:
            smtp.ehlo_or_helo_if_needed()
            if self._options["require_tls"] and not _is_encrypted(smtp):
                if not smtp.has_extn("starttls"):
                    return failed("require_tls is true, but the server does not offer STARTTLS",
                                  should_retry=True)  # fmt: skip
                smtp.starttls(context=self._context())
                smtp.ehlo_or_helo_if_needed()
            self._log_in(smtp)
            _expect(smtp.mail(sender))
            for recipient in recipients:
                _expect(smtp.rcpt(recipient))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return failed(f"{type(error).__name__}: {error}", should_retry=True)
        try:
            code, text = smtp.data(message)
        except smtplib.SMTPDataError as error:
            return failed(error, status=error.smtp_code, should_retry=True)
        except (OSError, smtplib.SMTPException) as error:
            # The server may have taken the mail and died before it could say so.
            return Outcome("unknown", f"{type(error).__name__}: {error}", should_retry=True)
        if code != 250:
            return failed(f"{code} {text.decode(errors='replace')}", status=code, should_retry=True)
        _quit(smtp)
        return Outcome("sent", status=code)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        options = self._options
        if not options["username"] or not smtp.has_extn("auth"):
            return
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        smtp.user = options["username"]
        for mechanism in offered:
            smtp.password = (options["secret"] if mechanism == "CRAM-MD5" else
                             options["password"]).read()  # fmt: skip
            if not smtp.password:
                continue
            if mechanism == "CRAM-MD5":
                smtp.auth("CRAM-MD5", smtp.auth_cram_md5)
                return
            if mechanism == "PLAIN":
                if not _is_encrypted(smtp) and options["smarthost"][0] not in _LOCAL:
                    raise ValueError("no password goes over a connection without TLS")
                smtp.auth("PLAIN", partial(_plain, options["identity"], smtp))
                return
            if mechanism == "LOGIN":
                smtp.auth("LOGIN", smtp.auth_login)
                return
        raise ValueError(f"no mechanism of {' '.join(offered)} has what it needs")

    def _message(self, notification: Notification) -> bytes:
        options = self._options
        message = MIMEMultipart("alternative")
        headers = {"Subject": '{{ template "email.default.subject" . }}', "To": options["to"],
                   "From": options["from"]} | options["headers"]  # fmt: skip
        for name, source in headers.items():
            text = " ".join(notification.text(source).split())
            message[name] = text if text.isascii() else Header(text, "utf-8").encode()
        if "Message-Id" not in headers:
            message["Message-Id"] = make_msgid(domain=socket.gethostname() or "localhost")
        at = datetime.fromtimestamp(notification.at_ns // 1_000_000_000, UTC)
        message["Date"] = format_datetime(at)
        if options["threading"]:
            day = at.strftime("%Y-%m-%d") if options["threading"] == "daily" else ""
            root = f"<alert-{notification.hashed_key[:16]}-{day}@alertmanager>"
            message["References"] = message["In-Reply-To"] = root
        for kind, source in (("plain", options["text"]), ("html", options["html"])):
            if source:
                body = notification.html(source) if kind == "html" else notification.text(source)
                message.attach(_part(kind, body))
        return message.as_bytes()


class _Smtp(smtplib.SMTP):
    """Over a connection that is there already, so that a watch can cut its greeting too."""

    def __init__(
        self, connection: socket.socket, smarthost: tuple[str, int], hello: str, timeout_s: float
    ) -> None:
        self._connection = connection
        super().__init__(*smarthost, hello or None, timeout_s)

    def _get_socket(self, *_: object) -> socket.socket:
        return self._connection


def _is_encrypted(smtp: smtplib.SMTP) -> bool:
    return isinstance(smtp.sock, ssl.SSLSocket)


def _plain(identity: str, smtp: smtplib.SMTP, _challenge: bytes | None = None) -> str:
    return f"{identity}\0{smtp.user}\0{smtp.password}"


def _part(kind: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", kind, charset="utf-8")
    charset = Charset("utf-8")
    charset.body_encoding = QP
    part.set_payload(text, charset=charset)
    return part


def _parsed(text: str) -> list[str]:
    found = [address for _, address in getaddresses([text]) if address]
    for address in found:
        if "@" not in address or any(char.isspace() for char in address):
            raise ValueError(f"{address!r} is not an address")
    return found


def _expect(answer: tuple[int, bytes]) -> None:
    code, text = answer
    if code not in {250, 251}:
        raise smtplib.SMTPResponseException(code, text.decode(errors="replace"))


def _quit(smtp: smtplib.SMTP) -> None:
    # The mail is taken; how the server says goodbye does not matter.
    with suppress(OSError, smtplib.SMTPException):
        smtp.quit()
