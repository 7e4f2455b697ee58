"""What the tests of scraping share: an exposition, and what it has written, as series and samples."""

from __future__ import annotations

import math
import struct

from trilens.receive.prometheus_schema import V1
from trilens.scrape.exposition import Exposition, Reading, Scratch, shown_labels

NOW_MS = 1_790_000_000_000
STALE = 0x7FF0000000000002
TARGET = {"instance": "i:1", "job": "j"}


class Read:
    """One target, whose bodies are read one after the other."""

    def __init__(self, labels=TARGET, **options) -> None:
        self.exposition = Exposition(labels, Reading(**options), seed=7)
        self.scratch = Scratch()
        self.at_ms = NOW_MS

    def __call__(self, body: str | bytes, form="text"):
        data = body.encode() if isinstance(body, str) else body
        self.at_ms += 1000
        self.scraped = self.exposition.read(data, form, self.at_ms, self.scratch)
        self.request = V1["WriteRequest"].FromString(self.scraped.body)
        return self

    def end(self):
        self.at_ms += 1000
        self.request = V1["WriteRequest"].FromString(self.exposition.end(self.at_ms, self.scratch))
        return self

    @property
    def error(self):
        return self.scraped.error

    def samples(self) -> dict[str, object]:
        """By series as text: the value, "stale", or (value, ms) where the time is another one."""
        found = {}
        for series in self.request.timeseries:
            labels = labels_of(series)
            assert list(labels) == sorted(labels)
            for sample in series.samples:
                value = valued(sample.value)
                found[shown(labels)] = (
                    value if sample.timestamp == self.at_ms else (value, sample.timestamp)
                )
        return found

    def exemplars(self) -> list[tuple[str, dict[str, str], float, int]]:
        return [
            (
                shown(labels_of(series)),
                {one.name: one.value for one in exemplar.labels},
                exemplar.value,
                exemplar.timestamp,
            )
            for series in self.request.timeseries
            for exemplar in series.exemplars
        ]

    def histograms(self):
        return {
            shown(labels_of(series)): one
            for series in self.request.timeseries
            for one in series.histograms
        }

    def metadata(self) -> dict[str, tuple[int, str, str]]:
        return {
            one.metric_family_name: (one.type, one.help, one.unit) for one in self.request.metadata
        }


def labels_of(series) -> dict[str, str]:
    return {label.name: label.value for label in series.labels}


def shown(labels: dict[str, str]) -> str:
    """Without the labels that every series of TARGET has."""
    left = {name: value for name, value in labels.items() if TARGET.get(name) != value}
    name = left.pop("__name__", "")
    return name + (shown_labels(left) if left else "")


def valued(value: float):
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    if bits == STALE:
        return "stale"
    if math.isnan(value):
        assert bits == 0x7FF8000000000001
        return "nan"
    return value
