"""The protobuf messages of remote write 1.0 and 2.0, as tables.

Field numbers are those of prometheus.WriteRequest and io.prometheus.write.v2.Request. Histograms
are the same message in both. Enums are int32 here: an unknown value is kept, not refused.
"""

from __future__ import annotations

from typing import Final

from trilens.receive.protobuf_schema import message_classes

_HISTOGRAM: Final = {
    "BucketSpan": ("1 sint32 offset", "2 uint32 length"),
    "Histogram": (
        "1 uint64 count_int",
        "2 double count_float",
        "3 double sum",
        "4 sint32 schema",
        "5 double zero_threshold",
        "6 uint64 zero_count_int",
        "7 double zero_count_float",
        "8 BucketSpan[] negative_spans",
        "9 sint64[] negative_deltas",
        "10 double[] negative_counts",
        "11 BucketSpan[] positive_spans",
        "12 sint64[] positive_deltas",
        "13 double[] positive_counts",
        "14 int32 reset_hint",
        "15 int64 timestamp",
        "16 double[] custom_values",
        "17 int64 start_timestamp",
    ),
}
_SAMPLE: Final = ("1 double value", "2 int64 timestamp", "3 int64 start_timestamp")

_V1: Final = {
    **_HISTOGRAM,
    "Sample": _SAMPLE,
    "Label": ("1 string name", "2 string value"),
    "Exemplar": ("1 Label[] labels", "2 double value", "3 int64 timestamp"),
    "TimeSeries": (
        "1 Label[] labels",
        "2 Sample[] samples",
        "3 Exemplar[] exemplars",
        "4 Histogram[] histograms",
    ),
    "MetricMetadata": (
        "1 int32 type",
        "2 string metric_family_name",
        "4 string help",
        "5 string unit",
    ),
    "WriteRequest": ("1 TimeSeries[] timeseries", "3 MetricMetadata[] metadata"),
}
V1: Final = message_classes("trilens.remote_write_1", _V1)

# As V1, and with samples of known series (prometheus_split.py), which no sender may send: what the
# store reads.
V1_KEPT: Final = message_classes(
    "trilens.remote_write_1_kept",
    {
        **_V1,
        "KnownSamples": (
            "1 string metric",
            "2 fixed64[] series_ids",
            "3 sfixed64[] timestamps",
            "4 double[] values",
        ),
        "WriteRequest": (*_V1["WriteRequest"], "16 KnownSamples[] known"),
    },
)

_METADATA_2: Final = ("1 int32 type", "3 uint32 help_ref", "4 uint32 unit_ref")
_EXEMPLAR_2: Final = ("1 uint32[] labels_refs", "2 double value", "3 int64 timestamp")

V2: Final = message_classes(
    "trilens.remote_write_2",
    {
        **_HISTOGRAM,
        "Sample": _SAMPLE,
        "Exemplar": _EXEMPLAR_2,
        "Metadata": _METADATA_2,
        "TimeSeries": (
            "1 uint32[] labels_refs",
            "2 Sample[] samples",
            "3 Histogram[] histograms",
            "4 Exemplar[] exemplars",
            "5 Metadata metadata",
            "6 int64 created_timestamp",
        ),
        "Request": ("4 string[] symbols", "5 TimeSeries[] timeseries"),
    },
)

# The same bytes with what is only passed on left as bytes.
V2_SLICES: Final = message_classes(
    "trilens.remote_write_2_slices",
    {
        "Exemplar": _EXEMPLAR_2,
        "Metadata": _METADATA_2,
        "LabelsRefs": ("1 uint32[] labels_refs",),
        "TimeSeries": (
            "1 uint32[] labels_refs",
            "2 bytes[] samples",
            "3 bytes[] histograms",
            "4 bytes[] exemplars",
            "5 bytes metadata",
            "6 int64 created_timestamp",
        ),
        "Request": ("4 bytes[] symbols", "5 bytes[] timeseries"),
    },
)
