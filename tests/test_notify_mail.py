"""E-mail: to a server that speaks TLS and checks who logs in; to servers that are slow or refuse."""

from __future__ import annotations

import email
import socket
import threading
import time
from email.policy import default

import pytest

from mailing import OPENSSL, MailServer, certificate
from test_notify_channels import channel
from test_notify_templates import notification

NEEDS_OPENSSL = pytest.mark.skipif(OPENSSL is None, reason="LEFT OUT: no openssl program")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


def mail_channel(port: int, more: str = "", host: str = "127.0.0.1"):
    return channel("email", (
        f"{{to: 'Ops <ops@example.org>, b@example.org', smarthost: '{host}:{port}', from: a@b.c, "
        f"text: 'now {{{{ .Status }}}}', headers: {{subject: 'über {{{{ .GroupLabels.alertname }}}}'}}{more}}}"
    ))  # fmt: skip


def test_mail():
    server = MailServer(auth="CRAM-MD5 PLAIN")
    more = ", require_tls: false, auth_username: u, auth_password: p, threading: {enabled: true, thread_by_date: daily}"
    assert mail_channel(server.port, more).send(notification(), 5).kind == "sent"
    assert "AUTH PLAIN AHUAcA==" in server.said
    assert [line for line in server.said if line.startswith(("mail", "MAIL", "rcpt", "RCPT"))] == [
        "mail FROM:<a@b.c>", "rcpt TO:<ops@example.org>", "rcpt TO:<b@example.org>",
    ]  # fmt: skip
    mail = email.message_from_bytes(server.mails[0].removesuffix(b".\r\n"), policy=default)
    assert mail["Subject"] == "über A"
    assert mail["To"] == "Ops <ops@example.org>, b@example.org"
    assert mail["References"].endswith("-2026-03-01@alertmanager>")
    text, page = mail.iter_parts()
    assert text.get_content().strip() == "now firing"
    assert "[2] Firing" in page.get_content()
    assert page.get_content_type() == "text/html"
    server.close()


@NEEDS_OPENSSL
@pytest.mark.parametrize("is_implicit", [False, True])
@pytest.mark.parametrize(("auth", "more"), [
    ("PLAIN", "auth_password: p"), ("LOGIN", "auth_password: p"), ("CRAM-MD5", "auth_secret: p"),
    ("CRAM-MD5 LOGIN", "auth_password: p"), ("", "auth_password: p"),
])  # fmt: skip
def test_tls_and_who_logs_in(tls, is_implicit, auth, more):
    server = MailServer(auth=auth, tls=tls, is_implicit=is_implicit)
    options = (
        f", auth_username: u, {more}, force_implicit_tls: {str(is_implicit).lower()}, "
        f"tls_config: {{ca_file: {tls[0]}}}"
    )
    outcome = mail_channel(server.port, options, "localhost").send(notification(), 5)
    assert (outcome.kind, outcome.error) == ("sent", "")
    assert len(server.mails) == 1
    assert ("STARTTLS" in server.said) != is_implicit
    server.close()


@NEEDS_OPENSSL
@pytest.mark.parametrize(("options", "host", "want"), [
    ("tls_config: {ca_file: CA}, auth_username: u, auth_password: wrong", "localhost", "535"),
    ("auth_username: u", "localhost", "CERTIFICATE_VERIFY_FAILED"),
    ("tls_config: {ca_file: CA}", "127.0.0.1", "IP address mismatch"),
])  # fmt: skip
def test_nobody_is_trusted_unseen(tls, options, host, want):
    server = MailServer(auth="PLAIN", tls=tls)
    options = ", " + options.replace("CA", str(tls[0]))
    outcome = mail_channel(server.port, options, host).send(notification(), 5)
    assert (outcome.kind, outcome.should_retry) == ("failed", True)
    assert want in outcome.error
    assert server.mails == []
    server.close()


def test_a_password_does_not_go_over_an_open_connection(monkeypatch):
    server = MailServer(auth="PLAIN")
    monkeypatch.setattr("trilens.notify.channels.mail._LOCAL", frozenset())
    more = ", require_tls: false, auth_username: u, auth_password: p"
    outcome = mail_channel(server.port, more).send(notification(), 5)
    assert "without TLS" in outcome.error
    assert not any(line.startswith("AUTH") for line in server.said)
    server.close()


@pytest.mark.parametrize(("options", "more", "kind", "again"), [
    ({}, "", "failed", True),  # TLS is wanted and not offered
    ({"refuses": "RCPT"}, ", require_tls: false", "failed", True),
    ({"refuses": "DATA"}, ", require_tls: false", "failed", True),
    ({}, ", require_tls: false, html: '{{ .No }}'", "failed", False),
])  # fmt: skip
def test_mail_that_is_not_taken(options, more, kind, again):
    server = MailServer(**options)
    outcome = mail_channel(server.port, more).send(notification(), 5)
    assert (outcome.kind, outcome.should_retry) == (kind, again)
    assert server.mails == []
    server.close()


class Drips:
    """Says a byte now and then, and never comes to an end."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                for byte in self._text * 1000:
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        break
                    time.sleep(0.2)

    def close(self) -> None:
        self._listener.close()


TLS_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0" + b"a" * 64


@pytest.mark.parametrize(("text", "more"), [
    (b"220-more to say", ", require_tls: false"),
    (TLS_RECORD, ", force_implicit_tls: true"),
])  # fmt: skip
def test_a_server_that_never_ends_its_greeting(text, more):
    drips = Drips(text)
    began_s = time.monotonic()
    outcome = mail_channel(drips.port, more).send(notification(), 1)
    assert outcome.kind == "failed"
    assert outcome.should_retry
    assert time.monotonic() - began_s < 3
    drips.close()


def test_a_web_server_that_never_ends_its_greeting():
    drips = Drips(TLS_RECORD)
    began_s = time.monotonic()
    one = channel("webhook", f"{{url: 'https://127.0.0.1:{drips.port}/'}}")
    outcome = one.send(notification(), 1)
    assert outcome.kind == "failed"
    assert time.monotonic() - began_s < 3
    drips.close()
