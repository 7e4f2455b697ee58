"""Realistic OTLP bodies for measuring: the same ones for the same seed.

    spans(count, seed)  -> ExportTraceServiceRequest bytes, <= 1,000 spans, 11 attributes each
    logs(count, seed)   -> ExportLogsServiceRequest bytes, 1,000 lines of about 300 bytes

Spans come in traces of 10 on average over 24 services, ids are random as the SDKs make them,
children start and end inside their parents. Attributes are those of HTTP, database and queue
instrumentation; users, paths and pods follow Zipf's law, statement ids and addresses are spread
wide. A pod's spans leave in bodies of its own, so the spans of a trace are spread over many bodies
of a window. A quarter of the lines are an access log, the others 20 sentences of applications
with 2 to 4 blanks (words, ids, durations, addresses, unique request ids) and the constant fields
that structured loggers add. Time runs by one span or line each 20 us from START_NS.

    python bench/generate.py spans 100000 > spans.frames    length-delimited, as the engine reads it
"""

from __future__ import annotations

import random
import re
import sys
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START_NS = 1_790_000_000_000_000_000
STEP_NS = 20_000
RECORDS_A_REQUEST = 1_000
WINDOW_SPANS = 24_000
SERVICES = [
    "frontend",
    "checkout",
    "cart",
    "catalog",
    "search",
    "payment",
    "shipping",
    "ads",
    "recommend",
    "email",
    "currency",
    "quote",
    "accounts",
    "sessions",
    "inventory",
    "pricing",
    "reviews",
    "media",
    "orders",
    "fraud",
    "ledger",
    "notify",
    "geo",
    "gateway",
]
NOUNS = [
    "order",
    "user",
    "cart",
    "item",
    "session",
    "invoice",
    "product",
    "review",
    "address",
    "coupon",
    "batch",
    "job",
    "token",
    "device",
    "account",
    "event",
    "message",
    "region",
    "bucket",
    "replica",
]
VERBS = [
    "get",
    "list",
    "create",
    "update",
    "delete",
    "check",
    "reserve",
    "refund",
    "sync",
    "publish",
    "resolve",
    "render",
]
AGENTS = [
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0"
    for system in ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X")
    for major in range(118, 126)
] + ["kube-probe/1.30", "Go-http-client/2.0", "python-requests/2.32.3", "okhttp/4.12.0"]


class Zipf:
    """Ranks 0..size-1, the first one most often."""

    def __init__(self, size: int, exponent: float = 1.1) -> None:
        self._sums = list(accumulate((rank + 1) ** -exponent for rank in range(size)))

    def pick(self, draw: random.Random) -> int:
        return bisect(self._sums, draw.random() * self._sums[-1])


USERS, ITEMS, PODS = Zipf(200_000, 1.02), Zipf(20_000), Zipf(6)
ROUTES = [f"/api/v{1 + n % 2}/{noun}s" for n, noun in enumerate(NOUNS)]


def resource(service: str, pod: int, namespace: str = "shop") -> Resource:
    key = random.Random(f"{service}{pod}").getrandbits(40)
    return Resource(
        attributes=[
            _text("service.name", service),
            _text("service.version", f"2.{len(service)}.{pod}"),
            _text("k8s.cluster.name", "prod-1"),
            _text("k8s.namespace.name", namespace),
            _text("k8s.deployment.name", service),
            _text("k8s.pod.name", f"{service}-{key:010x}"),
            _text("k8s.node.name", f"ip-10-0-{key % 12}-{key % 7}.ec2.internal"),
            _text("k8s.container.name", "app"),
            _text("telemetry.sdk.language", ("go", "java", "python")[len(service) % 3]),
        ]
    )


def spans(count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` spans in bodies of RECORDS_A_REQUEST, each from one pod."""
    draw = random.Random(seed)
    now_ns = START_NS
    while count > 0:
        groups: dict[tuple[str, int], list[Span]] = {}
        left = min(count, WINDOW_SPANS)
        count -= left
        while left:
            size = min(left, 1 + draw.randrange(19))
            now_ns += STEP_NS * size
            _trace(draw, size, now_ns, groups)
            left -= size
        for (service, pod), members in sorted(groups.items()):
            for first in range(0, len(members), RECORDS_A_REQUEST):
                yield _spans_request(service, pod, members[first : first + RECORDS_A_REQUEST])


def logs(count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` lines in bodies of RECORDS_A_REQUEST, each body from three pods."""
    draw = random.Random(seed)
    now_ns = START_NS
    while count > 0:
        request = ExportLogsServiceRequest()
        left = min(count, RECORDS_A_REQUEST)
        count -= left
        for share in (left // 3, left // 3, left - 2 * (left // 3)):
            service = SERVICES[draw.randrange(len(SERVICES))]
            group = request.resource_logs.add()
            group.resource.CopyFrom(resource(service, PODS.pick(draw)))
            scope = group.scope_logs.add()
            scope.scope.name = f"{service}.app"
            for _ in range(share):
                now_ns += STEP_NS
                _line(draw, service, scope.log_records.add(), now_ns)
        yield request.SerializeToString()


def _text(key: str, value: str) -> KeyValue:
    made = KeyValue(key=key)
    made.value.string_value = value
    return made


def _trace(
    draw: random.Random, size: int, start_ns: int, groups: dict[tuple[str, int], list[Span]]
) -> None:
    trace_id = draw.randbytes(16)
    known: list[tuple[bytes, int, int]] = []
    for place in range(size):
        parent, begin, length = known[draw.randrange(len(known))] if known else (b"", start_ns, 0)
        if known:
            begin += draw.randrange(1, max(2, length // 2))
            length = draw.randrange(1, max(2, length // 2))
        else:
            length = int(draw.lognormvariate(17.5, 1.0))
        own = draw.randbytes(8)
        known.append((own, begin, length))
        service = SERVICES[0] if place == 0 else SERVICES[draw.randrange(len(SERVICES))]
        span = Span(
            trace_id=trace_id,
            span_id=own,
            parent_span_id=parent,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + length,
            flags=257,
        )
        (_http, _http, _database, _queue)[draw.randrange(4)](draw, service, span)
        groups.setdefault((service, PODS.pick(draw)), []).append(span)


def _spans_request(service: str, pod: int, members: list[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.CopyFrom(resource(service, pod))
    scope = group.scope_spans.add()
    scope.scope.name = "io.opentelemetry.contrib.http"
    scope.scope.version = "0.52.0"
    scope.spans.extend(members)
    body: bytes = request.SerializeToString()
    return body


def _put(record: Any, **values: str | int) -> None:
    add = record.attributes.add
    for key, value in values.items():
        made = add(key=key.replace("_", "."))
        if isinstance(value, int):
            made.value.int_value = value
        else:
            made.value.string_value = value


def _http(draw: random.Random, service: str, span: Any) -> None:
    route = ROUTES[(ITEMS.pick(draw) + len(service)) % len(ROUTES)]
    method = ("GET", "GET", "GET", "POST", "PUT")[draw.randrange(5)]
    status = (200, 200, 200, 200, 200, 200, 201, 204, 404, 500)[draw.randrange(10)]
    item = ITEMS.pick(draw)
    span.name, span.kind = f"{method} {route}/{{id}}", 2
    if status == 500:
        span.status.code = 2
    _put(
        span,
        http_request_method=method,
        http_route=f"{route}/{{id}}",
        url_path=f"{route}/{item}",
        url_scheme="https",
        http_response_status_code=status,
        server_address=f"{service}.shop.svc.cluster.local",
        server_port=8080,
        client_address=f"10.{item % 4}.{item % 200}.{draw.randrange(250)}",
        user_agent_original=AGENTS[min(ITEMS.pick(draw), len(AGENTS) - 1)],
        user_id=f"user-{USERS.pick(draw)}",
        thread_id=draw.randrange(1, 64),
    )


def _database(draw: random.Random, service: str, span: Any) -> None:
    noun = NOUNS[draw.randrange(len(NOUNS))]
    span.name, span.kind = f"SELECT {service}.{noun}s", 3
    _put(
        span,
        db_system_name="postgresql",
        db_namespace=service,
        db_collection_name=f"{noun}s",
        db_operation_name="SELECT",
        db_query_text=f"SELECT * FROM {noun}s WHERE id = $1 AND state = $2 LIMIT 50",
        db_response_returned_rows=min(ITEMS.pick(draw), 50),
        server_address=f"{service}-db.shop.svc.cluster.local",
        server_port=5432,
        network_peer_address=f"10.9.0.{len(service)}",
        user_id=f"user-{USERS.pick(draw)}",
        thread_id=draw.randrange(1, 64),
    )


def _queue(draw: random.Random, service: str, span: Any) -> None:
    topic = f"{service}-{NOUNS[draw.randrange(3)]}-events"
    span.name, span.kind = f"publish {topic}", 4
    _put(
        span,
        messaging_system="kafka",
        messaging_operation_type="publish",
        messaging_destination_name=topic,
        messaging_destination_partition_id=str(draw.randrange(24)),
        messaging_kafka_offset=draw.randrange(10**9, 10**9 + 10**6),
        messaging_message_body_size=draw.randrange(200, 4000),
        server_address=f"kafka-{draw.randrange(3)}.shop.svc.cluster.local",
        server_port=9092,
        network_peer_address=f"10.8.0.{draw.randrange(3)}",
        user_id=f"user-{USERS.pick(draw)}",
        thread_id=draw.randrange(1, 64),
    )


# What the lines say: {blanks} are drawn for each line, the rest is constant as in any program.
TEMPLATES = [
    "{verb} {noun} {item} finished in {ms} ms",
    "{noun} {item} {verb} requested by user-{user}",
    "cache miss for key {noun}:{item}, loading from replica {few}",
    "request {request} completed with status {status} in {ms} ms",
    "could not {verb} {noun} {item}: connection to 10.9.0.{few}:5432 timed out after {few}s",
    "retrying {verb} of {noun} {item} (attempt {few} of 5) after {ms} ms",
    "consumed {few} messages from {noun}-events partition {few} up to offset {offset}",
    "connection pool has {few} of 64 connections in use, {few} waiting",
    "scheduled job {noun}-{verb} started on worker {few}",
    "scheduled job {noun}-{verb} finished: {item} rows in {ms} ms",
    "user-{user} signed in from 10.{few}.{few}.{item}",
    "validation of {noun} {item} failed: field {noun}_id must not be empty",
    "published {noun} changed event {request} to topic {noun}-events",
    "slow query took {ms} ms: SELECT * FROM {noun}s WHERE id = {item} AND state = 'open'",
    "circuit breaker for {noun} service is now closed after {few} successful calls",
    "session {request} of user-{user} expired after {few} minutes without activity",
    "wrote snapshot of {noun}s to /var/lib/{noun}/snapshot-{few}.db, {item} entries",
    "feature flag {noun}_{verb}_v2 evaluated to true for user-{user}",
    "garbage collection paused for {few} ms, heap is {few} % full",
    "health check of {noun} service passed in {few} ms",
]
ACCESS = (
    '10.{few}.{few}.{item} - user-{user} "GET {route}/{item} HTTP/1.1" {status} {size} '
    '"https://shop.example.com{route}" "{agent}" rt={ms} vhost=shop.example.com '
    "upstream=10.9.0.{few}:8080 tls=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 proto=h2 edge=use1-az1"
)
SMALL, MILLISECONDS = Zipf(64, 0.9), Zipf(3_000, 0.9)
SIZES = [random.Random(rank).randrange(200, 90_000) for rank in range(5_000)]
SIZE_RANKS = Zipf(len(SIZES), 1.0)
BLANKS: dict[str, Callable[[random.Random], object]] = {
    "verb": lambda draw: VERBS[draw.randrange(len(VERBS))],
    "noun": lambda draw: NOUNS[draw.randrange(len(NOUNS))],
    "item": ITEMS.pick,
    "user": USERS.pick,
    "few": SMALL.pick,
    "ms": MILLISECONDS.pick,
    "request": lambda draw: f"{draw.getrandbits(64):016x}",
    "offset": lambda draw: draw.randrange(10**9, 10**9 + 10**6),
    "status": lambda draw: (200, 200, 200, 200, 201, 304, 404, 502)[draw.randrange(8)],
    "size": lambda draw: SIZES[SIZE_RANKS.pick(draw)],
    "route": lambda draw: ROUTES[draw.randrange(len(ROUTES))],
    "agent": lambda draw: AGENTS[min(ITEMS.pick(draw), len(AGENTS) - 1)],
}
LEVELS = [(9, "INFO")] * 70 + [(5, "DEBUG")] * 15 + [(13, "WARN")] * 12 + [(17, "ERROR")] * 3
LINE_BYTES = 300
_BLANK = re.compile(r"\{(\w+)\}")


def _parts(template: str) -> list[tuple[str, Callable[[random.Random], object] | None]]:
    texts = _BLANK.split(template)
    return [(text, BLANKS[text] if place % 2 else None) for place, text in enumerate(texts)]


LINES = [_parts(template) for template in TEMPLATES]
ACCESS_LINE = _parts(ACCESS)


def _line(draw: random.Random, service: str, record: Any, now_ns: int) -> None:
    """A quarter access lines; the others end in what a structured logger adds to each line."""
    number, level = LEVELS[draw.randrange(len(LEVELS))]
    rank = draw.randrange(4)
    parts = LINES[ITEMS.pick(draw) % len(LINES)] if rank else ACCESS_LINE
    body = "".join(str(blank(draw)) if blank else text for text, blank in parts)
    if rank:
        thread, where = SMALL.pick(draw), NOUNS[len(body) % len(NOUNS)]
        body += (
            f" level={level} logger=com.example.shop.{service}.{where.title()}Controller"
            f" thread=http-nio-8080-exec-{thread} env=prod region=us-east-1 service={service}"
            f" version=2.{len(service)}.0 team=platform cluster=prod-1 namespace=shop"
            f" runtime=jvm-21 component=worker file=/srv/app/{service}/{where}.java"
        )
    record.body.string_value = body[: LINE_BYTES + 30]
    record.time_unix_nano = now_ns
    record.observed_time_unix_nano = now_ns + draw.randrange(1000, 9000)
    record.severity_number, record.severity_text = number, level
    _put(record, log_file_name=f"{service}.log", thread_name=f"worker-{draw.randrange(16)}")


def delimited(body: bytes) -> bytes:
    """The body behind its length as a varint: what format Protobuf reads one after another."""
    length, head = len(body), bytearray()
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    for body in (spans if kind == "spans" else logs)(count):
        sys.stdout.buffer.write(delimited(body))


if __name__ == "__main__":
    main()
