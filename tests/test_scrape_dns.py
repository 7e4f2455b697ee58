"""DNS: messages as they are on the wire, a server that is asked, and targets of what it answers."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naming import ASKED_AT, Server, packed, record, replied
from trilens.scrape import dns_lookup
from trilens.scrape.discovery import dns_group
from trilens.scrape.discovery_config import DnsDiscovery
from trilens.scrape.dns_lookup import LookupFailed
from trilens.scrape.dns_messages import (
    TYPES,
    Answer,
    Record,
    Resolvers,
    answer,
    question,
)

SRV = [
    record("SRV", struct.pack("!3H", 1, 2, 9100 + n) + packed(f"node{n}.example.org"))
    for n in (1, 2)
]


def test_messages() -> None:
    asked = question(7, "_metrics._tcp.example.org", "SRV", is_extended=True)
    assert asked[ASKED_AT:].startswith(packed("_metrics._tcp.example.org") + b"\0\x21\0\x01")
    message = replied(asked, *SRV, record("A", b"\x01\x02\x03\x04"))
    assert answer(message, 7, "SRV") == Answer(
        0, False, (Record("node1.example.org.", 9101), Record("node2.example.org.", 9102))
    )
    assert answer(message, 7, "A").records == (Record("1.2.3.4"),)
    mx = struct.pack("!H", 10) + b"\x04mail" + struct.pack("!H", 0xC000 | ASKED_AT)
    asked = question(7, "example.org", "MX", is_extended=False)
    assert answer(replied(asked, record("MX", mx)), 7, "MX").records == (
        Record("mail.example.org."),
    )
    asked = question(7, "example.org", "AAAA", is_extended=False)
    six = record("AAAA", socket.inet_pton(socket.AF_INET6, "2001:db8::1"))
    assert answer(replied(asked, six), 7, "AAAA").records == (Record("2001:db8::1"),)
    assert answer(replied(asked, code=3, is_truncated=True), 7, "A") == Answer(3, True, ())


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["abcdefgh"] * 40)])
def test_names_that_are_none(name) -> None:
    with pytest.raises(ValueError, match="name"):
        question(1, name, "A", is_extended=True)


@given(st.binary(max_size=300), st.sampled_from(sorted(TYPES)))
def test_any_message_is_an_answer_or_none(data, kind) -> None:
    asked = question(1, "example.org", kind, is_extended=False)
    head = asked[:2] + struct.pack("!5H", 0x8180, 1, 3, 0, 0) + asked[ASKED_AT:]
    for message in (data, head + data, head + record(kind, data)):
        with contextlib.suppress(ValueError):
            answer(message, 1, kind)


def test_a_name_that_points_to_itself() -> None:
    message = struct.pack("!6H", 1, 0x8180, 1, 0, 0, 0) + struct.pack("!H", 0xC000 | ASKED_AT)
    with pytest.raises(ValueError, match="itself"):
        answer(message + b"\0\0\0\0", 1, "A")


def test_resolv_conf() -> None:
    found = Resolvers.of(
        "# a\nnameserver 10.0.0.1 ; b\nnameserver ::1\nsearch ns.svc.local svc.local.\noptions x ndots:2\n"
    )
    assert found == Resolvers(("10.0.0.1", "::1"), ("ns.svc.local", "svc.local."), 2)
    assert found.names("a.b.c") == ["a.b.c.", "a.b.c.ns.svc.local.", "a.b.c.svc.local."]
    assert found.names("a.b") == ["a.b.ns.svc.local.", "a.b.svc.local.", "a.b."]
    assert found.names("a.") == ["a."]
    assert Resolvers.of("") == Resolvers()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def test_records_are_found_along_the_search_path(server) -> None:
    server.answers["node.example.org."] = lambda asked, _: replied(asked, *SRV)
    assert [one.port for one in server.look("node")] == [9101, 9102]
    assert server.asked == [("udp", "node.example.org.")]
    assert server.look("x.node.example.org") == (), "unknown to all: no targets"


def test_what_udp_cuts_off_is_asked_for_by_tcp(server) -> None:
    server.answers["node.example.org."] = lambda asked, way: (
        replied(asked, is_truncated=True) if way == "udp" else replied(asked, *SRV)
    )
    assert len(server.look("node")) == 2
    assert [way for way, _ in server.asked] == ["udp", "tcp"]


def test_nobody_knows(server, monkeypatch) -> None:
    monkeypatch.setattr(dns_lookup, "TIMEOUT_S", 0.2)
    server.answers["silent.example.org."] = lambda *_: b""
    server.answers["broken.example.org."] = lambda asked, _: replied(asked, code=2)
    for name, why in (("silent", "TimeoutError"), ("broken", "code 2")):
        with pytest.raises(LookupFailed, match=why):
            server.look(name)
    with pytest.raises(LookupFailed, match="no name server"):
        server.look("a", servers=())
    server.answers["there.example.org."] = lambda asked, _: replied(asked, *SRV)
    assert len(server.look("there", servers=("127.0.0.2", "127.0.0.1"))) == 2, (
        "the next one is asked"
    )


def test_targets() -> None:
    srv = DnsDiscovery(("n",), "SRV", 0, 30_000)
    assert dns_group("n", srv, [Record("a.b.", 91)]).targets == ({
        "__address__": "a.b:91", "__meta_dns_name": "n", "__meta_dns_srv_record_target": "a.b.",
        "__meta_dns_srv_record_port": "91",
    },)  # fmt: skip
    six = DnsDiscovery(("n",), "AAAA", 80, 30_000)
    assert dns_group("n", six, [Record("::1")]).targets == (
        {"__address__": "[::1]:80", "__meta_dns_name": "n"},
    )
    mx = DnsDiscovery(("n",), "MX", 25, 30_000)
    assert dns_group("n", mx, [Record("m.")]).targets[0]["__meta_dns_mx_record_target"] == "m."
