"""What a scrape says of itself: up, scrape_duration_seconds and their like, as remote write.

Their labels are those of the target alone; metric_relabel_configs do not see them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from trilens.protobuf_wire import block, double, varint
from trilens.scrape.exposition import label_fields

NAMES: Final = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
EXTRA_NAMES: Final = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")
_STALE: Final = struct.pack("<Q", 0x7FF0000000000002)


class Report:
    """Of one target."""

    def __init__(self, labels: Mapping[str, str], *, has_extra: bool) -> None:
        """A label of the target that is called __name__ cannot be: it begins with __."""
        names = NAMES + EXTRA_NAMES if has_extra else NAMES
        self._heads = [label_fields({**labels, "__name__": name}) for name in names]

    def body(self, values: Sequence[float], time_ms: int) -> bytes:
        """`values` in the order of NAMES and EXTRA_NAMES; what is beyond the names is left out."""
        return self._body([double(value) for value in values], time_ms)

    def end(self, time_ms: int) -> bytes:
        """Markers of staleness."""
        return self._body([_STALE] * len(self._heads), time_ms)

    def _body(self, values: Sequence[bytes], time_ms: int) -> bytes:
        at = b"\x10" + varint(time_ms)
        return b"".join(
            block(1, head + block(2, b"\x09" + value + at))
            for head, value in zip(self._heads, values, strict=False)
        )
