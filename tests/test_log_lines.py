"""Our own log: one line a record, whatever is in it."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from trilens.log_lines import LogfmtFormatter

PAIR = re.compile(r'([A-Za-z_.]+)=("(?:[^"\\]|\\.)*"|[^\s"=]+)(?: |$)')


def line(message, **extra):
    record = logging.makeLogRecord({"name": "trilens.x", "levelname": "INFO", "msg": message, "created": 0.5, **extra})  # fmt: skip
    return LogfmtFormatter().format(record)


def test_fields_follow_the_message():
    said = line("engine ready", took_ms=612, reason='it says "no"')
    assert said == (
        'time=1970-01-01T00:00:00.500Z level=info logger=trilens.x msg="engine ready" took_ms=612 '
        'reason="it says \\"no\\""'
    )


def test_a_trace_stays_on_the_line():
    try:
        int("two\nlines")
    except ValueError:
        said = line("failed", exc_info=sys.exc_info())
    assert "\n" not in said
    assert 'exception="Traceback' in said


@given(st.text())
def test_any_text_is_one_line_of_pairs(text):
    said = line("x", given=text)
    assert "\n" not in said
    assert "".join(match[0] for match in PAIR.finditer(said)) == said


def test_requests_to_others_are_not_logged_with_their_urls():
    """A Slack webhook's URL is a secret."""
    script = (
        "import httpx; from trilens.log_lines import configure; configure('info');"
        "client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)));"
        "client.post('https://hooks.example.org/T0/s3cret')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "s3cret" not in done.stderr
