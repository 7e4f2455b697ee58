"""Every metric about ourselves: one row a metric, one process-wide set of values.

`GET /metrics` prints them in the Prometheus text format 0.0.4. A name that is not in METRICS
cannot be counted, so the table is the documentation.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: Kind
    labels: tuple[str, ...]
    sentence: str


METRICS: tuple[Metric, ...] = (
    Metric("trilens_receive_requests_total", "counter", ("format", "transport"),
           "Requests that reached a receiver."),
    Metric("trilens_receive_accepted_total", "counter", ("format", "transport"),
           "Requests answered with success: on disk and synced."),
    Metric("trilens_receive_refused_total", "counter", ("format", "transport", "code"),
           "Requests refused, by reason."),
    Metric("trilens_receive_bytes_total", "counter", ("format", "transport"),
           "Body bytes of accepted requests, as they came."),
    Metric("trilens_receive_seconds", "histogram", ("format",),
           "From the whole body until the answer."),
    Metric("trilens_spool_bytes", "gauge", ("format",), "Bytes held by the spool."),
    Metric("trilens_spool_frames", "gauge", ("format",), "Frames not loaded yet."),
    Metric("trilens_spool_lag_seconds", "gauge", ("format",),
           "Age of the oldest frame that is not loaded yet."),
    Metric("trilens_spool_syncs_total", "counter", ("format",), "Group commits."),
    Metric("trilens_spool_sync_seconds", "histogram", ("format",), "One write and sync."),
    Metric("trilens_spool_damaged_files_total", "counter", ("format",),
           "Files put aside because a frame in them does not match its checksum."),
    Metric("trilens_load_rows_total", "counter", ("format",), "Rows written to the engine."),
    Metric("trilens_load_batches_total", "counter", ("format", "outcome"),
           "Loads by outcome: done, retried, isolated."),
    Metric("trilens_load_seconds", "histogram", ("format",), "One load, all its statements."),
    Metric("trilens_visible_seconds", "histogram", ("format",),
           "From receipt of a load's oldest frame until its rows can be queried."),
    Metric("trilens_dead_letters", "gauge", ("format",), "Frames that could not be decoded."),
    Metric("trilens_dead_letters_damaged_total", "counter", (),
           "Files of dead letters put aside because they are not as they were written."),
    Metric("trilens_engine_parts", "gauge", ("table",),
           "Parts of the table's fullest partition: grows when merges do not keep up."),
    Metric("trilens_engine_merge_seconds", "gauge", (), "Age of the oldest merge that runs."),
    Metric("trilens_engine_restarts_total", "counter", (), "Times the engine was started again."),
    Metric("trilens_engine_memory_bytes", "gauge", (), "Resident memory of the engine."),
    Metric("trilens_server_memory_bytes", "gauge", (), "Resident memory of the server."),
    Metric("trilens_promql_cache_bytes", "gauge", (), "Samples held in memory for PromQL."),
    Metric("trilens_query_seconds", "histogram", ("surface",), "Queries, by surface."),
    Metric("trilens_query_errors_total", "counter", ("surface", "code"), "Queries that failed."),
    Metric("trilens_notify_attempts_total", "counter", ("kind", "result"),
           "Attempts to notify, by kind of receiver: sent, failed, or unknown."),
    Metric("trilens_notify_undelivered_total", "counter", ("kind",),
           "Notifications that were given up until the group is looked at again."),
    Metric("trilens_notify_alerts", "gauge", (), "Alerts that are held, resolved ones included."),
    Metric("trilens_alertmanager_told_total", "counter", ("url",),
           "Alerts that an outside Alertmanager was told of."),
    Metric("trilens_alertmanager_errors_total", "counter", ("url",),
           "Requests to an outside Alertmanager that failed."),
    Metric("trilens_alertmanager_dropped_total", "counter", ("url",),
           "Alerts that an outside Alertmanager refused, or that waited for it too long."),
    Metric("trilens_remote_write_sent_total", "counter", ("destination", "kind"),
           "Samples, histograms, exemplars and metadata that a remote_write has taken."),
    Metric("trilens_remote_write_sent_bytes_total", "counter", ("destination",),
           "Bytes of the requests that it has taken, compressed."),
    Metric("trilens_remote_write_retries_total", "counter", ("destination",),
           "Requests to a remote_write that failed and are sent again."),
    Metric("trilens_remote_write_dropped_total", "counter", ("destination", "reason"),
           "Not sent: refused, relabelled, too_old, duplicate, delta, alone (exemplars), gone, "
           "unreadable."),
    Metric("trilens_remote_write_seconds", "histogram", ("destination",),
           "Requests that a remote_write has taken."),
    Metric("trilens_remote_write_lag_seconds", "gauge", ("destination",),
           "Age of the oldest batch that is not sent yet."),
    Metric("trilens_remote_write_waiting_rows", "gauge", ("destination",),
           "Rows that are loaded and not sent yet."),
    Metric("trilens_remote_write_shards", "gauge", ("destination",),
           "Requests to a remote_write that may be on their way at the same time."),
    Metric("trilens_scrape_targets", "gauge", ("health",),
           "Targets of the prometheus.yml by health: up, down, unknown."),
    Metric("trilens_scrape_missed", "gauge", (),
           "Scrapes of present targets that were left out because the one before took too long."),
    Metric("trilens_scrape_lost_writes", "gauge", (),
           "Scrapes of present targets whose samples the spool did not take in time."),
    Metric("trilens_config_last_reload_successful", "gauge", (),
           "1 if the files of Prometheus and Alertmanager were taken over the last time."),
    Metric("trilens_config_last_reload_success_timestamp_seconds", "gauge", (),
           "When they were taken over."),
    Metric("trilens_retention_dropped_bytes_total", "counter", ("signal", "reason"),
           "Bytes dropped by retention: reason is time or size."),
    Metric("trilens_rule_evaluations_total", "counter", ("outcome",),
           "Evaluations of recording and alerting rules: outcome is ok or err."),
    Metric("trilens_rule_iterations_missed_total", "counter", (),
           "Evaluations of rule groups left out because the one before took too long."),
    Metric("trilens_rules_behind_seconds", "gauge", (),
           "How late the rule group is that waits longest for the store to show samples."),
    Metric("trilens_rule_group_seconds", "histogram", (), "One evaluation of a rule group."),
    Metric("trilens_agent_sent_records_total", "counter", ("source",),
           "Records of this machine that the server acknowledged."),
    Metric("trilens_agent_sent_bytes_total", "counter", ("source",),
           "Bytes of their bodies, compressed."),
    Metric("trilens_agent_retries_total", "counter", ("source",),
           "Attempts to send that are made again."),
    Metric("trilens_agent_dropped_total", "counter", ("source", "reason"),
           "Records of this machine that were given up, by reason."),
    Metric("trilens_agent_unchecked_total", "counter", ("source",),
           "Batches sent again though it could not be found out if the server had them."),
    Metric("trilens_agent_failures_total", "counter", ("source",),
           "Rounds of watching that failed."),
    Metric("trilens_agent_files", "gauge", ("state",),
           "Log files by state: followed, unreadable, over_limit."),
    Metric("trilens_agent_unread_bytes", "gauge", (),
           "Bytes of followed files that are not acknowledged yet."),
)  # fmt: skip

Labels = tuple[str, ...]


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0


class Measures:
    """Values of METRICS. Thread-safe; label values come in the order of the metric's labels."""

    def __init__(self) -> None:
        self._known = {metric.name: metric for metric in METRICS}
        self._values: dict[str, dict[Labels, float]] = {m.name: {} for m in METRICS}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {m.name: {} for m in METRICS}
        self._refreshers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        values = self._values[self._check(name, labels)]
        with self._lock:
            values[labels] = values.get(labels, 0) + by

    def set(self, name: str, *labels: str, to: float) -> None:
        values = self._values[self._check(name, labels)]
        with self._lock:
            values[labels] = to

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        histograms = self._histograms[self._check(name, labels)]
        with self._lock:
            histogram = histograms.setdefault(labels, _Histogram())
            histogram.counts[bisect_left(SECONDS, seconds)] += 1
            histogram.total += seconds

    def refresh_with(self, refresher: Callable[[], None]) -> None:
        """`refresher` sets gauges that are only worth computing when somebody looks."""
        self._refreshers.append(refresher)

    def value(self, name: str, *labels: str) -> float:
        return self._values[self._check(name, labels)].get(labels, 0.0)

    def by_labels(self, name: str) -> dict[Labels, float]:
        with self._lock:
            return dict(self._values[name])

    def samples(self) -> Iterator[Sample]:
        """All values, metrics in the order of METRICS."""
        for refresher in self._refreshers:
            refresher()
        with self._lock:
            rows = [
                sample
                for metric in METRICS
                for sample in (
                    *_plain(metric, self._values[metric.name]),
                    *_buckets(metric, self._histograms[metric.name]),
                )
            ]
        yield from rows

    def exposition(self) -> str:
        """All values in the Prometheus text format, version 0.0.4."""
        lines = {
            metric.name: [
                f"# HELP {metric.name} {metric.sentence}",
                f"# TYPE {metric.name} {metric.kind}",
            ]
            for metric in METRICS
        }
        for metric, suffix, labels, value in self.samples():
            pairs = ",".join(f'{name}="{_escaped(label)}"' for name, label in labels)
            text = f"{{{pairs}}}" if pairs else ""
            lines[metric.name].append(f"{metric.name}{suffix}{text} {_number(value)}")
        return "\n".join(line for group in lines.values() for line in group) + "\n"

    def _check(self, name: str, labels: Labels) -> str:
        if len(labels) != len(self._known[name].labels):
            raise ValueError(f"{name} takes the labels {self._known[name].labels}, not {labels}")
        return name


# metric, suffix of its name, names and values of labels, value
Sample = tuple[Metric, str, tuple[tuple[str, str], ...], float]


def _plain(metric: Metric, values: dict[Labels, float]) -> Iterator[Sample]:
    for labels, value in sorted(values.items()):
        yield metric, "", tuple(zip(metric.labels, labels, strict=True)), value


def _buckets(metric: Metric, histograms: dict[Labels, _Histogram]) -> Iterator[Sample]:
    for labels, histogram in sorted(histograms.items()):
        pairs, running = tuple(zip(metric.labels, labels, strict=True)), 0
        for bound, count in zip((*SECONDS, float("inf")), histogram.counts, strict=True):
            running += count
            edge = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield metric, "_bucket", (*pairs, ("le", edge)), running
        yield metric, "_sum", pairs, histogram.total
        yield metric, "_count", pairs, running


def _number(value: float) -> str:
    """All its digits: a counter of bytes has more than six."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
