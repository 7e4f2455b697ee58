"""What it means to a PromQL query that the engine refused a question of it."""

from __future__ import annotations

import re
from typing import Final

from trilens.errors import Refused
from trilens.query.promql.ast import Span
from trilens.query.promql.errors import PromqlError
from trilens.query.sql_errors import SqlFailed

TOO_MANY_SAMPLES: Final = (
    "query processing would load too many samples into memory in query execution"
)
TIMED_OUT: Final = "query timed out in query execution"
CANCELED: Final = "query was canceled in query execution"
_CANNOT_COMPILE_REGEXP: Final = 427
_REGEXP_ERROR: Final = re.compile(r"cannot compile re2: (.*?), error: (.*?)\. Look at ", re.DOTALL)


def from_refused(refused: Refused, span: Span | None, *, is_stopped: bool) -> PromqlError:
    """In Prometheus's words where it has some."""
    if is_stopped:
        return PromqlError(CANCELED, span, error_type="canceled")
    if isinstance(refused, SqlFailed) and refused.clickhouse_code == _CANNOT_COMPILE_REGEXP:
        found = _REGEXP_ERROR.search(refused.message)
        why = found[2] if found else refused.message
        return PromqlError(f"error parsing regexp: {why}", span, error_type="bad_data")
    if refused.code == "timeout":
        return PromqlError(TIMED_OUT, span, error_type="timeout")
    if refused.code == "limit_exceeded":
        return PromqlError(TOO_MANY_SAMPLES, span)
    return PromqlError(refused.message, span, error_type="internal")
