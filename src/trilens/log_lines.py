"""What the program says on stderr: one logfmt line a record.

    time=2026-03-01T12:00:00.123Z level=info logger=trilens.store msg="engine ready" took_ms=612

Keys given by `extra=` follow the message; a trace of an exception is one quoted value, so a record
is always one line.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

# What every LogRecord has; the rest was given by the caller.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN: Final = re.compile(r'[^\s"=\\\x00-\x1f]+')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Libraries that say at `info` what we say ourselves.
# httpx tells every request with its URL, which may be a secret: that of a Slack webhook is.
_TALKATIVE: Final = ("uvicorn", "asyncio", "httpx", "httpcore")
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')


class LogfmtFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs: list[tuple[str, Any]] = [
            ("time", at.replace("+00:00", "Z")),
            ("level", record.levelname.lower()),
            ("logger", record.name),
            ("msg", record.getMessage()),
            *given_fields(record).items(),
        ]
        if record.exc_info:
            pairs.append(("exception", self.formatException(record.exc_info)))
        return " ".join(f"{key}={_value(value)}" for key, value in pairs)


def given_fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller added by `extra=`."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def configure(level: str) -> None:
    """Send the records of the whole process to stderr from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _value(value: Any) -> str:
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + _ESCAPED.sub(lambda m: _ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text) + '"'
