"""Lines to OTLP log records: the quick ways give what the plain ones give."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from trilens.agent.log_records import (
    _offset_field,
    attribute,
    observed_field,
    packed,
    record,
    resource_logs,
    severities,
    severity_field,
)
from watching import unzstd

# What the search means, written plainly.
PLAIN = re.compile(
    rb"(?<![\w/.-])(?:(?P<n21>fatal|crit(?:ical)?|emerg(?:ency)?|alert|panic)|(?P<n17>err(?:or)?)"
    rb"|(?P<n13>warn(?:ing)?)|(?P<n9>info(?:rmation)?|notice)|(?P<n5>debug)|(?P<n1>trace))(?![\w/-])",
    re.IGNORECASE,
)
WORDS = st.sampled_from(
    ["INFO", "error", "Warn", "warning", "errors", "inform", "x", "_debug", "TRACE", "crit", "[",
     "]", " ", "-", "/", ".", ":", "\t", "é", "I1124 ", "panic", "9", "notice", "=", "F0102 "]
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (b"2026-01-01 INFO started", (9, b"INFO")),
        (b"[error] no", (17, b"error")),
        (b"level=warning msg=x", (13, b"warning")),
        (b"CRITICAL", (21, b"CRITICAL")),
        (b"E1124 16:13:36.1 1 x.go:1] x", (17, b"E")),
        (b"e1124 16:13:36.1 x", None),
        (b"no errors here, informal", None),
        (b"error_count=0 and debug", (5, b"debug")),
        (b"Unpacking libgpg-error-dev (1.46) ...", None),
        (b"reading /var/log/error.log", None),
        (b"x" * 200 + b" error", None),
        (b"", None),
    ],
)
def test_severity_is_the_first_word_near_the_start_that_names_one(line, severity):
    assert severities(line, [0]).get(0) == severity
    lines = b"plain\n" + line + b"\nplain\n"
    assert severities(lines, [0, 6, 7 + len(line)]).get(1) == severity


@given(st.lists(st.lists(WORDS, max_size=6).map("".join), min_size=1, max_size=6))
def test_severities_are_what_the_plain_search_finds(texts):
    lines = [text.encode() for text in texts]
    starts = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))]
    found = severities(b"\n".join(lines), starts)
    for n, line in enumerate(lines):
        match = PLAIN.search(line)
        if not re.match(rb"[IWEF]\d{4} ", line):
            expected = (int(match.lastgroup[1:]), match[0]) if match else None
            assert found.get(n) == expected, line


@given(st.integers(0, 2**63 - 1))
def test_the_offset_is_an_attribute_like_any_other(offset):
    assert _offset_field(offset) == attribute("log.file.offset", offset)


@given(st.integers(1, 2**63), st.text(), st.integers(0, 24))
def test_a_record_is_read_by_the_schema(at_ns, text, severity):
    body = text.encode("utf-8", "replace")
    fields = observed_field(at_ns + 1) + severity_field(severity, b"X")
    part = resource_logs({"service.name": "s", "empty": ""}, "scope", [record(at_ns, fields, body)])
    read = ExportLogsServiceRequest.FromString(unzstd(packed([part]))).resource_logs[0]
    made = read.scope_logs[0].log_records[0]
    assert [a.key for a in read.resource.attributes] == ["service.name"]
    assert (made.time_unix_nano, made.observed_time_unix_nano) == (at_ns, at_ns + 1)
    assert made.body.string_value == body.decode()
    assert made.severity_number == severity
