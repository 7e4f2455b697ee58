"""What OTLP's metrics and attributes are called in PromQL: cases of the specification."""

from __future__ import annotations

import math

import pytest

from trilens.query.promql_store.otlp_names import (
    Family,
    bound_text,
    label_name,
    labels_of,
    metric_name,
    part_names,
    scope_labels,
    target_info_labels,
    target_labels,
    unit_name,
)

# (name, unit, kind, is it monotonic, what it is called)
METRICS = [
    ("simple_metric", "", "gauge", False, "simple_metric"),
    ("metric@with#special$chars", "", "gauge", False, "metric_with_special_chars"),
    ("metric@@##$$name", "", "gauge", False, "metric_name"),
    ("@#$%", "", "gauge", False, ""),
    ("", "", "gauge", False, ""),
    ("123metric", "", "gauge", False, "_123metric"),
    ("requests", "", "sum", True, "requests_total"),
    ("requests_total", "", "sum", True, "requests_total"),
    ("total.requests", "", "sum", True, "requests_total"),
    ("requests", "1", "sum", True, "requests_total"),
    ("requests", "{request}", "sum", True, "requests_total"),
    ("cpu_seconds_total", "s", "sum", True, "cpu_seconds_total"),
    ("process.cpu.time", "s", "sum", True, "process_cpu_time_seconds_total"),
    ("requests", "1/s", "sum", True, "requests_per_second_total"),
    ("active_connections", "", "sum", False, "active_connections"),
    ("active_connections", "1", "sum", False, "active_connections"),
    ("cpu_usage", "1", "gauge", False, "cpu_usage_ratio"),
    ("cpu_usage_ratio", "1", "gauge", False, "cpu_usage_ratio"),
    ("ratio.of.cpu", "1", "gauge", False, "of_cpu_ratio"),
    ("response_time", "ms", "gauge", False, "response_time_milliseconds"),
    ("response_time_seconds", "s", "gauge", False, "response_time_seconds"),
    ("seconds.left", "s", "gauge", False, "seconds_left"),
    ("system.memory.usage", "By", "sum", False, "system_memory_usage_bytes"),
    ("cache", "MiBy", "gauge", False, "cache_mebibytes"),
    ("cache", "GBy", "gauge", False, "cache_gigabytes"),
    ("heat", "Cel", "gauge", False, "heat_celsius"),
    ("disk", "%", "gauge", False, "disk_percent"),
    ("clock", "Hz", "gauge", False, "clock_hertz"),
    ("uptime", "d", "gauge", False, "uptime_days"),
    ("uptime", "min", "gauge", False, "uptime_minutes"),
    ("requests", "1/s", "gauge", False, "requests_per_second"),
    ("speed", "m/s", "gauge", False, "speed_meters_per_second"),
    ("throughput", "By/s", "gauge", False, "throughput_bytes_per_second"),
    ("throughput", "By / m", "gauge", False, "throughput_bytes_per_minute"),
    ("broken", "/", "gauge", False, "broken"),
    ("broken", "By/", "gauge", False, "broken_bytes"),
    ("custom", "custom_unit", "gauge", False, "custom_custom_unit"),
    ("custom", "{custom}", "gauge", False, "custom"),
    ("custom", "By/{custom}", "gauge", False, "custom_bytes"),
    ("custom", "{object}/s", "gauge", False, "custom_per_second"),
    ("custom", "unit@with#special/chars", "gauge", False, "custom_unit_with_special_per_chars"),
    ("a__b", "u__v", "gauge", False, "a_b_u_v"),
    ("a:b", "", "gauge", False, "a:b"),
    ("métrique", "", "gauge", False, "m_trique"),
    ("request_duration", "s", "histogram", False, "request_duration_seconds"),
    ("request_size", "By", "exponential_histogram", False, "request_size_bytes"),
    ("response_time", "ms", "summary", False, "response_time_milliseconds"),
]


@pytest.mark.parametrize(("sent", "unit", "kind", "is_monotonic", "name"), METRICS)
def test_metrics(sent, unit, kind, is_monotonic, name) -> None:
    assert metric_name(Family(sent, unit, kind, is_monotonic=is_monotonic)) == name


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gauge", [("value", "d_s")]),
        ("histogram", [("bucket", "d_s_bucket"), ("count", "d_s_count"), ("sum", "d_s_sum")]),
        ("summary", [("quantile", "d_s"), ("count", "d_s_count"), ("sum", "d_s_sum")]),
        ("exponential_histogram", [("native", "d_s")]),
    ],
)
def test_parts(kind, expected) -> None:
    assert part_names(Family("d.s", "", kind)) == expected
    assert part_names(Family(".", "", kind)) == []


@pytest.mark.parametrize(
    ("unit", "name"),
    [("s", "seconds"), ("By/s", "bytes_per_second"), ("1", ""), ("{x}", ""), ("1/s", "per_second"),
     ("a%", "a")],
)  # fmt: skip
def test_units(unit, name) -> None:
    assert unit_name(unit) == name


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("http.status_code", "http_status_code"),
        ("label:with:colons", "label_with_colons"),
        ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
        ("label!with&special$chars)", "label_with_special_chars_"),
        ("label_with_foreign_characters_字符", "label_with_foreign_characters___"),
        ("a..b", "a__b"),
        ("123label", "key_123label"),
        ("_private", "key_private"),
        (".private", "key_private"),
        ("__reserved", "__reserved"),
        ("ようこそ", ""),
        ("__", ""),
        ("", ""),
    ],
)
def test_attributes(attribute, name) -> None:
    assert label_name(attribute) == name


def test_values_of_one_label_are_joined() -> None:
    assert labels_of({"a_b": "2", "a.b": "1", "c": "", "é": "x"}) == {"a_b": "1;2"}
    assert labels_of({"a/b": "2", "a.b": ""}) == {"a_b": "2"}


def test_scopes() -> None:
    attributes = {"build.id": "7", "name": "own"}
    assert scope_labels("shop", "1.2", attributes) == {
        "otel_scope_build_id": "7", "otel_scope_name": "shop", "otel_scope_version": "1.2",
    }  # fmt: skip
    assert scope_labels("", "", {}) == {}


@pytest.mark.parametrize(
    ("resource", "labels"),
    [
        ({"service.name": "a", "service.namespace": "n", "service.instance.id": "i"},
         {"job": "n/a", "instance": "i"}),
        ({"service.name": "a", "service.namespace": ""}, {"job": "a"}),
        ({"service.namespace": "n"}, {}),
        ({"service.instance.id": "i"}, {"instance": "i"}),
    ],
)  # fmt: skip
def test_targets(resource, labels) -> None:
    assert target_labels(resource) == labels


def test_what_is_told_of_a_target() -> None:
    whole = {"service.name": "a", "service.instance.id": "i", "k8s.pod.name": "p", "job": "x"}
    assert target_info_labels(whole) == {"job": "a", "instance": "i", "k8s_pod_name": "p"}
    assert target_info_labels({"service.name": "a", "service.instance.id": "i"}) is None
    assert target_info_labels({"k8s.pod.name": "p"}) is None


@pytest.mark.parametrize(
    ("bound", "text"),
    [(0.005, "0.005"), (5, "5"), (10.0, "10"), (1e20, "100000000000000000000"), (-1.5, "-1.5"),
     (1e-7, "0.0000001"), (0.0, "0"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)  # fmt: skip
def test_bounds(bound, text) -> None:
    assert bound_text(bound) == text
