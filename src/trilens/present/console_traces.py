"""Endpoints of the traces screen."""

from __future__ import annotations

from typing import Any

from trilens.errors import Refused
from trilens.present.console_logs import cost
from trilens.present.endpoint import (
    BOOLEAN,
    COST,
    FILTER,
    INTEGER,
    NUMBER,
    RANGE,
    TEXT,
    TEXT_MAP,
    Args,
    Context,
    Endpoint,
    Parameter,
    array,
    of,
    or_null,
)  # fmt: skip
from trilens.query import operations, traces
from trilens.query.filters import parse_filter

SERVICE = Parameter("service", "text", "Only this service.")
OPERATION = of(
    service=TEXT, name=TEXT, kind=TEXT, count=INTEGER, rate_per_s=NUMBER, error_count=INTEGER,
    error_ratio=NUMBER, p50_ns=INTEGER, p90_ns=INTEGER, p95_ns=INTEGER, p99_ns=INTEGER,
)  # fmt: skip
_TRACE = of(
    trace_id=TEXT, start=TEXT, duration_ns=INTEGER, root_service=TEXT, root_name=TEXT,
    root_status=TEXT, span_count=INTEGER, error_count=INTEGER,
    services=array(of(service=TEXT, span_count=INTEGER)),
)  # fmt: skip
_SPAN = of(
    timestamp=TEXT, duration_ns=INTEGER, trace_id=TEXT, span_id=TEXT, parent_span_id=TEXT,
    trace_state=TEXT, name=TEXT, kind=TEXT, status=TEXT, status_message=TEXT,
    attributes=TEXT_MAP, attribute_types=array(TEXT), resource=TEXT_MAP, scope_name=TEXT,
    scope_version=TEXT, flags=INTEGER, dropped_attributes_count=INTEGER,
    dropped_events_count=INTEGER, dropped_links_count=INTEGER,
    cluster=TEXT, node=TEXT, namespace=TEXT, workload=TEXT, pod=TEXT, container=TEXT,
    service=TEXT,
    events=array(of(timestamp=TEXT, name=TEXT, attributes=TEXT_MAP,
                    dropped_attributes_count=INTEGER)),
    links=array(of(trace_id=TEXT, span_id=TEXT, trace_state=TEXT, attributes=TEXT_MAP,
                   flags=INTEGER, dropped_attributes_count=INTEGER)),
)  # fmt: skip


def _list(context: Context, args: Args) -> dict[str, Any]:
    cursor = args.text("cursor") or "0"
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise Refused("malformed", f"not a cursor of ours: {cursor!r}")
    question = traces.TraceQuestion(
        args.within(),
        service=args.text("service"),
        operation=args.text("operation"),
        status=args.text("status"),
        min_duration_ns=args.number_or_none("min_duration_ns"),
        max_duration_ns=args.number_or_none("max_duration_ns"),
        conditions=parse_filter(args.text("filter")),
    )
    found, following = traces.page(
        context.ask,
        question,
        limit=args.number("limit"),
        order="slowest" if args.text("order") == "slowest" else "newest",
        offset=int(cursor),
    )
    return {
        "traces": found,
        "next_cursor": None if following is None else str(following),
        **cost(context),
    }


def _one(context: Context, args: Args) -> dict[str, Any]:
    return traces.trace(context.ask, args.text("trace_id"))


def _operations(context: Context, args: Args) -> dict[str, Any]:
    within = args.within()
    statement = operations.operations(
        within, service=args.text("service"), limit=args.number("limit")
    )
    rows = context.ask.rows(statement)
    return {"operations": [operations.operation(row, within) for row in rows]}


def _services(context: Context, args: Args) -> dict[str, Any]:
    return {"services": context.ask.rows(traces.services(args.within()))}


ENDPOINTS = (
    Endpoint(
        "GET", "/traces", "Traces with a span that fits all conditions.",
        (*RANGE, SERVICE, FILTER,
         Parameter("operation", "text", "The name of the span."),
         Parameter("min_duration_ns", "integer", "The span took at least so long."),
         Parameter("max_duration_ns", "integer", "The span took at most so long."),
         Parameter("status", "text", "Status of the span.", choices=("UNSET", "OK", "ERROR")),
         Parameter("limit", "integer", "Traces of a page.", 50, least=1,
                   most=traces.PAGE_TRACES_MAX),
         Parameter("order", "text", "By time or by the duration of the span.", "newest",
                   choices=("newest", "slowest")),
         Parameter("cursor", "text", "`next_cursor` of the page before.")),
        of(traces=array(_TRACE), next_cursor=or_null(TEXT), **COST), _list,
    ),
    Endpoint(
        "GET", "/traces/operations", "Rate, errors and latency of each operation.",
        (*RANGE, SERVICE,
         Parameter("limit", "integer", "At most so many, the most frequent.", 200, least=1,
                   most=operations.OPERATIONS_MAX)),
        of(operations=array(OPERATION)), _operations,
    ),
    Endpoint(
        "GET", "/traces/services", "Services and the names of their operations.", RANGE,
        of(services=array(of(service=TEXT, span_count=INTEGER, operations=array(TEXT)))),
        _services,
    ),
    Endpoint(
        "GET", "/traces/{trace_id}",
        f"All spans of one trace; `truncated` when it has more than {traces.SPANS_MAX}.", (),
        of(trace_id=TEXT, spans=array(_SPAN), truncated=BOOLEAN), _one,
    ),
)  # fmt: skip
