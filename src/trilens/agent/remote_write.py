"""Prometheus remote write 1.0 (prometheus.io/docs/specs/prw/remote_write_spec): the body.

    message WriteRequest   { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    message TimeSeries     { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label          { string name = 1; string value = 2; }
    message Sample         { double value = 1; int64 timestamp = 2; }
    message MetricMetadata { MetricType type = 1; string metric_family_name = 2; string help = 4; }

Written by hand through `wire`.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import cramjam

from trilens.protobuf_wire import block, double, number, text, varint

Kind = Literal["counter", "gauge", "histogram", "unknown"]
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]

HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
SERIES_MAX: Final = 50_000  # encoded label sets that are kept for the next round
METADATA_EVERY: Final = 60  # bodies; the senders of Prometheus repeat it each minute

_KINDS: Final[dict[Kind, int]] = {"unknown": 0, "counter": 1, "gauge": 2, "histogram": 3}
_STALE: Final = (0x7FF0000000000002).to_bytes(8, "little")  # "this series has ended"


@dataclass(slots=True)
class Family:
    """All samples of one metric. A sample's name may have the suffix of a histogram."""

    name: str
    kind: Kind
    sentence: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, *labels: tuple[str, str]) -> None:
        self.samples.append((self.name, labels, value))


class Encoder:
    """Families to bodies, for one job. Not thread-safe.

    `constant` labels are added to each series (they win over a series' own). A series that was
    in the last body and is not in this one gets a staleness marker, so that a query does not
    show an unmounted disk or an ended process for five more minutes.
    """

    def __init__(self, constant: dict[str, str]) -> None:
        self._constant = constant
        self._encoded: dict[tuple[str, Labels], bytes] = {}
        self._last: set[tuple[str, Labels]] = set()
        self._bodies = 0

    def body(self, families: Iterable[Family], at_ms: int) -> tuple[bytes, int]:
        """The compressed body and the number of its samples, all at `at_ms`."""
        families = list(families)
        moment = b"\x10" + varint(at_ms)
        parts: list[bytes] = []
        seen: set[tuple[str, Labels]] = set()
        for family in families:
            for name, labels, value in family.samples:
                seen.add((name, labels))
                parts.append(self._series((name, labels), double(value), moment))
        parts.extend(self._series(key, _STALE, moment) for key in self._last - seen)
        samples = len(parts)
        self._last = seen
        if self._bodies % METADATA_EVERY == 0:
            parts.extend(_metadata(family) for family in families)
        self._bodies += 1
        return bytes(cramjam.snappy.compress_raw(b"".join(parts))), samples

    def _series(self, key: tuple[str, Labels], value: bytes, moment: bytes) -> bytes:
        sample = b"\x09" + value + moment
        return block(1, self._labels(key) + block(2, sample))

    def _labels(self, key: tuple[str, Labels]) -> bytes:
        known = self._encoded.get(key)
        if known is not None:
            return known
        if len(self._encoded) >= SERIES_MAX:
            self._encoded.clear()
        pairs = {**dict(key[1]), **self._constant, "__name__": key[0]}
        ordered = sorted((name, value) for name, value in pairs.items() if value)
        encoded = b"".join(block(1, text(1, name) + text(2, value)) for name, value in ordered)
        self._encoded[key] = encoded
        return encoded


def _metadata(family: Family) -> bytes:
    head = number(1, _KINDS[family.kind])
    return block(3, head + text(2, family.name) + text(4, family.sentence))
