"""The section `remote_write` of a prometheus.yml: who is sent samples, which, and how.

Keys and defaults are those of Prometheus 3.14, but one: `retry_on_http_429` is true where the file
does not say it, since a destination that says "later" must not cost samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.config_files.aws_config import AwsAccess, read_sigv4
from trilens.config_files.http_config import Files, HttpConfig, is_url, read_http
from trilens.config_files.section import Section
from trilens.query.promql.literals import quote
from trilens.scrape.relabel import Rule
from trilens.scrape.scrape_config import read_rules

V1: Final = "prometheus.WriteRequest"
V2: Final = "io.prometheus.write.v2.Request"
SHARDS_MAX: Final = 1000
SAMPLES_A_REQUEST_MAX: Final = 100_000
_RESERVED_HEADERS: Final = frozenset(
    ("host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
     "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate",
     "accept-encoding", "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
     "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token",
     "x-amz-content-sha256")
)  # fmt: skip
_WAYS: Final = ("basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam")
_NOT_DONE: Final = {
    "azuread": "requests are not signed for Azure",
    "google_iam": "requests are not signed for Google Cloud",
    "failed_request_logging": "the log says why a request was refused, not what was in it",
}


@dataclass(frozen=True, slots=True)
class Queue:
    """How much is sent at once. `sample_age_limit_ms` is 0 where samples never are too old."""

    capacity: int = 10_000
    max_shards: int = 50
    min_shards: int = 1
    max_samples_per_send: int = 2000
    batch_send_deadline_ms: int = 5000
    min_backoff_ms: int = 30
    max_backoff_ms: int = 5000
    retry_on_http_429: bool = True
    sample_age_limit_ms: int = 0


@dataclass(frozen=True, slots=True)
class MetadataSending:
    """Of remote write 1.0; in 2.0 each series has its own."""

    is_sent: bool = True
    interval_ms: int = 60_000
    max_samples_per_send: int = 2000


@dataclass(frozen=True, slots=True)
class RemoteWrite:
    """One destination. `key` is its name in the file, or its URL and which one of that."""

    key: str
    url: str
    name: str = ""
    timeout_ms: int = 30_000
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    relabel: tuple[Rule, ...] = ()
    external_labels: tuple[tuple[str, str], ...] = ()
    protobuf_message: str = V1
    send_exemplars: bool = False
    send_native_histograms: bool = False
    round_robin_dns: bool = False
    client: HttpConfig = field(default_factory=HttpConfig)
    sigv4: AwsAccess | None = None
    queue: Queue = Queue()
    metadata: MetadataSending = MetadataSending()

    @property
    def is_v2(self) -> bool:
        return self.protobuf_message == V2


def read_remote_writes(
    root: Section, folder: Path, external_labels: dict[str, str], *, legacy: bool
) -> tuple[RemoteWrite, ...]:
    """The caller ends `root`."""
    labels = tuple(sorted(external_labels.items()))
    found: list[RemoteWrite] = []
    null = "empty or null remote write config section"
    for section in root.sections("remote_write", "a remote write config", null):
        one = _destination(section, folder, labels, found, legacy=legacy)
        if one.name and any(one.name == other.name for other in found):
            section.problem(
                "name", f"found multiple remote write configs with job name {quote(one.name)}"
            )
        found.append(one)
    return tuple(found)


def _destination(
    section: Section, folder: Path, labels: tuple[tuple[str, str], ...],
    before: list[RemoteWrite], *, legacy: bool,
) -> RemoteWrite:  # fmt: skip
    url, name = section.text("url"), section.text("name")
    if not url:
        section.fault("url for remote_write is empty")
    elif not is_url(url):
        section.problem("url", f"url {url!r} is not supported: only http and https are")
    for key, why in _NOT_DONE.items():
        if key in section:
            section.not_done(key, why)
    message = section.text("protobuf_message", V1)
    if message not in (V1, V2):
        section.problem(
            "protobuf_message",
            f"invalid protobuf_message value: unknown type for remote write protobuf message "
            f"{message}, supported: {V1}, {V2}",
        )
    nth = sum(one.url == url and not one.name for one in before)
    null = "empty or null relabeling rule in remote write config"
    found = RemoteWrite(
        key=name or (f"{url}#{nth + 1}" if nth else url),
        url=url,
        name=name,
        timeout_ms=section.duration_ms("remote_timeout", 30_000) or 30_000,
        headers=tuple(_headers(section)),
        relabel=read_rules(section, "write_relabel_configs", null, legacy=legacy),
        external_labels=labels,
        protobuf_message=message,
        send_exemplars=section.boolean("send_exemplars", default=False),
        send_native_histograms=section.boolean("send_native_histograms", default=False)
        or message == V2,
        round_robin_dns=section.boolean("round_robin_dns", default=False),
        client=read_http(section, Files(folder)),
        sigv4=read_sigv4(section) if "sigv4" in section else None,
        queue=_queue(section.section("queue_config", "queue_config")),
        metadata=_metadata(section.section("metadata_config", "metadata_config")),
    )
    _check_one_way(section)
    if any(_without_place(one) == _without_place(found) for one in before):
        section.fault(
            f"duplicate remote write configs are not allowed, found duplicate for URL: {url}"
        )
    section.end()
    return found


def _without_place(one: RemoteWrite) -> tuple[object, ...]:
    return (
        one.url, one.name, one.timeout_ms, one.headers, one.relabel, one.protobuf_message,
        one.send_exemplars, one.send_native_histograms, one.round_robin_dns, one.client, one.sigv4,
        one.queue, one.metadata,
    )  # fmt: skip


def _check_one_way(section: Section) -> None:
    given = [name for name in _WAYS if name in section]
    if len(given) > 1:
        section.problem(
            given[-1],
            "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must "
            f"be configured. Currently configured: [{' '.join(given)}]",
        )


def _headers(section: Section) -> Iterator[tuple[str, str]]:
    own = section.section("headers", "headers")
    for name in own.names():
        lower = name.lower()
        if lower == "authorization":
            own.problem(
                name,
                "authorization header must be changed via the basic_auth, authorization, oauth2, "
                "sigv4, azuread or google_iam parameter",
            )
        elif lower in _RESERVED_HEADERS:
            own.problem(name, f"{name} is a reserved header. It must not be changed")
        yield lower, own.text(name)
    own.end()


def _queue(section: Section) -> Queue:
    usual = Queue()
    found = Queue(
        capacity=section.integer("capacity", usual.capacity, least=-(2**31)),
        max_shards=section.integer("max_shards", usual.max_shards, least=-(2**31)),
        min_shards=section.integer("min_shards", usual.min_shards, least=-(2**31)),
        max_samples_per_send=section.integer(
            "max_samples_per_send", usual.max_samples_per_send, least=-(2**31)
        ),
        batch_send_deadline_ms=section.duration_ms(
            "batch_send_deadline", usual.batch_send_deadline_ms
        ),
        min_backoff_ms=section.duration_ms("min_backoff", usual.min_backoff_ms),
        max_backoff_ms=section.duration_ms("max_backoff", usual.max_backoff_ms),
        retry_on_http_429=section.boolean("retry_on_http_429", default=True),
        sample_age_limit_ms=section.duration_ms("sample_age_limit"),
    )
    for key in ("max_shards", "min_shards", "max_samples_per_send", "capacity"):
        if getattr(found, key) <= 0:
            section.problem(key, f"remote write queue {key} must be positive")
    if found.min_shards > found.max_shards > 0:
        text = "remote write queue min_shards must not be greater than max_shards"
        section.problem("min_shards", text)
    if found.max_backoff_ms < found.min_backoff_ms:
        text = "remote write queue max_backoff must not be less than min_backoff"
        section.problem("max_backoff" if "max_backoff" in section else "min_backoff", text)
    for key, most in (("max_shards", SHARDS_MAX), ("max_samples_per_send", SAMPLES_A_REQUEST_MAX)):
        if getattr(found, key) > most:
            section.problem(key, f"{key} is not supported above {most}")
    section.end()
    return found


def _metadata(section: Section) -> MetadataSending:
    usual = MetadataSending()
    found = MetadataSending(
        is_sent=section.boolean("send", default=True),
        interval_ms=section.duration_ms("send_interval", usual.interval_ms) or usual.interval_ms,
        max_samples_per_send=section.integer(
            "max_samples_per_send", usual.max_samples_per_send, least=1
        ),
    )
    section.end()
    return found
