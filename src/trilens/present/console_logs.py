"""Endpoints of the logs screen; following live is in console_follow.py."""

from __future__ import annotations

from typing import Any

from trilens.present.endpoint import (
    COST,
    FILTER,
    INTEGER,
    RANGE,
    TEXT,
    TEXT_MAP,
    Args,
    Context,
    Endpoint,
    Parameter,
    array,
    map_of,
    of,
    or_null,
)  # fmt: skip
from trilens.query import log_context, log_facets, log_search, logs
from trilens.query.filters import parse_filter

QUERY = Parameter(
    "query",
    "text",
    'Free text: words are ANDed, case is ignored, "a phrase", -word, OR, (groups), word*, '
    "field:value, field:>5.",
)
ROW = of(
    id=TEXT, timestamp=TEXT, observed_at=TEXT, severity=TEXT, severity_number=INTEGER,
    severity_text=TEXT, body=TEXT, trace_id=TEXT, span_id=TEXT, attributes=TEXT_MAP,
    attribute_types=array(TEXT), resource=TEXT_MAP, cluster=TEXT, node=TEXT, namespace=TEXT,
    workload=TEXT, pod=TEXT, container=TEXT, service=TEXT, scope_name=TEXT, event_name=TEXT,
)  # fmt: skip
BUCKETS_MAX = 500
CONTEXT_MAX = 500


def _rows(context: Context, args: Args) -> dict[str, Any]:
    cursor = args.text("cursor")
    rows, following = logs.page(
        context.ask,
        question(args),
        limit=args.number("limit"),
        order="asc" if args.text("order") == "asc" else "desc",
        cursor=logs.Cursor.parse(cursor) if cursor else None,
    )
    return {
        "rows": rows,
        "next_cursor": str(following) if following else None,
        **cost(context),
    }


def _histogram(context: Context, args: Args) -> dict[str, Any]:
    asked = question(args)
    step_ms = asked.within.step_ms(args.number("buckets"))
    rows = context.ask.rows(log_facets.histogram(asked, step_ms=step_ms))
    return {
        "step_ms": step_ms,
        "buckets": log_facets.buckets(rows, asked.within, step_ms),
        "total": sum(row["n"] for row in rows),
        **cost(context),
    }


def _facets(context: Context, args: Args) -> dict[str, Any]:
    rows = context.ask.rows(log_facets.facets(question(args)))
    return {"facets": log_facets.facet_list(rows)}


def _context(context: Context, args: Args) -> dict[str, Any]:
    row_id = log_context.RowId.parse(args.text("id"))
    return log_context.context(
        context.ask, row_id, before=args.number("before"), after=args.number("after")
    )


def question(args: Args) -> logs.LogQuestion:
    return logs.LogQuestion(
        args.within(), log_search.parse(args.text("query")), parse_filter(args.text("filter"))
    )


def cost(context: Context) -> dict[str, Any]:
    return {
        "read_rows": context.ask.cost.read_rows,
        "elapsed_ms": round(context.ask.cost.elapsed_ms, 3),
    }


ENDPOINTS = (
    Endpoint(
        "GET", "/logs", "Log rows, newest first, page by page.",
        (*RANGE, QUERY, FILTER,
         Parameter("limit", "integer", "Rows of a page.", 200, least=1, most=logs.PAGE_ROWS_MAX),
         Parameter("cursor", "text", "`next_cursor` of the page before."),
         Parameter("order", "text", "By time.", "desc", choices=("desc", "asc"))),
        of(rows=array(ROW), next_cursor=or_null(TEXT), **COST), _rows,
    ),
    Endpoint(
        "GET", "/logs/histogram", "How many rows over time, by severity.",
        (*RANGE, QUERY, FILTER,
         Parameter("buckets", "integer", "At most so many.", 60, least=1, most=BUCKETS_MAX)),
        of(step_ms=INTEGER, total=INTEGER, **COST,
           buckets=array(of(t_ms=INTEGER, counts=map_of(INTEGER)))), _histogram,
    ),
    Endpoint(
        "GET", "/logs/facets",
        "Values of fields and of frequent attributes, counted over at most "
        f"{log_facets.FACET_ROWS_MAX} rows.",
        (*RANGE, QUERY, FILTER),
        of(facets=array(of(field=TEXT, distinct=INTEGER,
                           values=array(of(value=TEXT, count=INTEGER))))), _facets,
    ),
    Endpoint(
        "GET", "/logs/context", "A row and its neighbours from the same source.",
        (Parameter("id", "text", "`id` of a row.", is_required=True),
         Parameter("before", "integer", "Rows before it.", 20, most=CONTEXT_MAX),
         Parameter("after", "integer", "Rows after it.", 20, most=CONTEXT_MAX)),
        of(before=array(ROW), row=ROW, after=array(ROW)), _context,
    ),
)  # fmt: skip
