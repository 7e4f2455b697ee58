"""Endpoints of the sources screen: what arrives, dead letters, the program itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trilens import __version__
from trilens.envelope import WIRE_FORMATS, WireFormat
from trilens.present.endpoint import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    RANGE,
    TEXT,
    Args,
    Context,
    Endpoint,
    Parameter,
    array,
    of,
    or_null,
)  # fmt: skip
from trilens.present.program import DeadLetter, SpoolStatus
from trilens.query import sources
from trilens.query.times import NS

SIGNAL_OF: dict[WireFormat, str] = {
    "otlp_traces": "spans",
    "otlp_logs": "logs",
    "otlp_metrics": "samples",
    "prometheus_write": "samples",
}
LETTERS_MAX = 1000


def _sources(context: Context, args: Args) -> dict[str, Any]:
    within = args.within()
    senders = [
        sources.sender(signal, row, within)
        for signal in ("logs", "spans", "samples")
        for row in context.ask.rows(sources.senders(within, signal))
    ]
    spool = {status.format: status for status in context.program.spool()}
    return {
        "formats": _formats(context, spool),
        "senders": senders,
        "spool": {
            "bytes": sum(status.bytes for status in spool.values()),
            "bytes_max": context.program.spool_bytes_max,
        },
        "engine": _engine(context)
        | {
            "version": context.ask.rows(sources.version())[0]["version"],
            "tables": context.ask.rows(sources.tables()),
        },
    }


def _formats(context: Context, spool: dict[WireFormat, SpoolStatus]) -> list[dict[str, Any]]:
    now_ns = context.clock.now_ns()
    letters = context.program.dead_letters.totals()
    rates = context.rates.per_s()
    return [
        _format(context, name, spool.get(name), now_ns)
        | dict(zip(("requests_per_s", "bytes_per_s"), rates.get(name, (0.0, 0.0)), strict=True))
        | {"dead_letters": letters.get(name, 0)}
        for name in WIRE_FORMATS
    ]


def _format(
    context: Context, name: WireFormat, spool: SpoolStatus | None, now_ns: int
) -> dict[str, Any]:
    totals = context.rates.totals(name)
    return {
        "format": name,
        "signal": SIGNAL_OF[name],
        "requests": int(totals.requests),
        "records": int(totals.records),
        "refused": int(totals.refused),
        "bytes": int(totals.bytes),
        "last_received_ms": spool and spool.last_received_ns and spool.last_received_ns // 10**6,
        "spool_bytes": spool.bytes if spool else 0,
        "spool_frames": spool.frames if spool else 0,
        "lag_ms": lag_ms(spool, now_ns),
    }


def lag_ms(spool: SpoolStatus | None, now_ns: int) -> int:
    """Age of the oldest frame that cannot be queried yet."""
    if spool is None or spool.oldest_ns is None:
        return 0
    return max(0, (now_ns - spool.oldest_ns) // 1_000_000)


def _engine(context: Context) -> dict[str, Any]:
    state = context.program.engine()
    return {
        "kind": state.kind,
        "ready": state.is_ready,
        "restarts": state.restarts,
        "memory_bytes": state.memory_bytes,
    }


def _letters(context: Context, args: Args) -> dict[str, Any]:
    letters = context.program.dead_letters
    return {
        "dead_letters": [_letter(letter) for letter in letters.newest(args.number("limit"))],
        "total": sum(letters.totals().values()),
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "format": letter.format,
        "received_at": utc(letter.received_at_ns),
        "size_bytes": letter.size_bytes,
        "reason": letter.reason,
        "code": letter.code,
        "attempts": letter.attempts,
    }


def _replay(context: Context, args: Args) -> dict[str, Any]:
    context.program.dead_letters.replay(args.text("id"))
    return {"replayed": True}


def _delete(context: Context, args: Args) -> dict[str, Any]:
    context.program.dead_letters.delete(args.text("id"))
    return {"deleted": True}


def _status(context: Context, _args: Args) -> dict[str, Any]:
    program = context.program
    return {
        "version": __version__,
        "started_at": utc(program.started_at_ns),
        "ready": program.is_ready(),
        "engine": _engine(context),
        "retention": [
            {"signal": one.signal, "time_s": one.time_s, "size_bytes_max": one.size_bytes_max}
            for one in program.retention()
        ],
        "listening": [
            {"protocol": one.protocol, "address": one.address} for one in program.listening()
        ],
    }


def utc(at_ns: int) -> str:
    """RFC 3339 with 9 decimals."""
    whole = datetime.fromtimestamp(at_ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ns % NS:09d}Z"


_ENGINE = {
    "kind": TEXT, "ready": BOOLEAN, "restarts": INTEGER, "memory_bytes": INTEGER,
}  # fmt: skip
ENDPOINTS = (
    Endpoint(
        "GET", "/sources", "What arrives: by wire format since the start, by sender in the range.",
        RANGE,
        of(formats=array(of(
            format=TEXT, signal=TEXT, requests=INTEGER, records=INTEGER, refused=INTEGER,
            bytes=INTEGER, requests_per_s=NUMBER, bytes_per_s=NUMBER,
            last_received_ms=or_null(INTEGER), spool_bytes=INTEGER, spool_frames=INTEGER,
            lag_ms=INTEGER, dead_letters=INTEGER)),
           senders=array(of(signal=TEXT, service=TEXT, node=TEXT, rows=INTEGER,
                            rows_per_s=NUMBER, last_seen_ms=INTEGER)),
           spool=of(bytes=INTEGER, bytes_max=INTEGER),
           engine=of(**_ENGINE, version=TEXT,
                     tables=array(of(table=TEXT, rows=INTEGER, bytes=INTEGER)))), _sources,
    ),
    Endpoint(
        "GET", "/dead_letters", "Frames that could not be decoded, newest first.",
        (Parameter("limit", "integer", "At most so many.", 100, least=1, most=LETTERS_MAX),),
        of(total=INTEGER, dead_letters=array(of(
            id=TEXT, format=TEXT, received_at=TEXT, size_bytes=INTEGER, reason=TEXT,
            code=INTEGER, attempts=INTEGER))), _letters,
    ),
    Endpoint("POST", "/dead_letters/{id}/replay", "Put a dead letter back into the spool.", (),
             of(replayed=BOOLEAN), _replay),
    Endpoint("DELETE", "/dead_letters/{id}", "Forget a dead letter.", (),
             of(deleted=BOOLEAN), _delete),
    Endpoint(
        "GET", "/status", "The program itself: version, engine, retention, addresses.", (),
        of(version=TEXT, started_at=TEXT, ready=BOOLEAN, engine=of(**_ENGINE),
           retention=array(of(signal=TEXT, time_s=or_null(INTEGER),
                              size_bytes_max=or_null(INTEGER))),
           listening=array(of(protocol=TEXT, address=TEXT))), _status,
    ),
)  # fmt: skip
