"""Our own metrics: names that the table knows, values that threads do not lose, valid text."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading

import pytest

from trilens.measures import METRICS, SECONDS, Measures

PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"trilens_[a-z0-9_]+")


def test_the_table_keeps_the_rules_of_names() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert NAME.fullmatch(metric.name)
        assert metric.sentence.endswith(".")
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")


def test_an_unknown_name_or_a_wrong_number_of_labels_is_an_error() -> None:
    measures = Measures()
    with pytest.raises(KeyError):
        measures.count("trilens_nothing_total")
    with pytest.raises(ValueError, match="takes the labels"):
        measures.count("trilens_spool_syncs_total")


def test_threads_lose_nothing() -> None:
    measures = Measures()

    def work() -> None:
        for _ in range(2000):
            measures.count("trilens_spool_syncs_total", "otlp_logs")
            measures.observe("trilens_load_seconds", "otlp_logs", seconds=0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measures.value("trilens_spool_syncs_total", "otlp_logs") == 8000
    assert 'trilens_load_seconds_count{format="otlp_logs"} 8000' in measures.exposition()


def test_a_histogram_counts_upwards_and_its_edges_are_included() -> None:
    measures = Measures()
    for seconds in (*SECONDS, 99.0):
        measures.observe("trilens_load_seconds", "otlp_logs", seconds=seconds)
    lines = [
        x for x in measures.exposition().splitlines() if x.startswith("trilens_load_seconds_b")
    ]
    assert [int(line.rpartition(" ")[2]) for line in lines] == list(range(1, len(SECONDS) + 2))
    assert 'le="+Inf"' in lines[-1]


def test_values_keep_their_digits() -> None:
    measures = Measures()
    measures.count("trilens_spool_syncs_total", "a", by=123_456_789_012)
    measures.count("trilens_spool_syncs_total", "b", by=0.1)
    measures.set("trilens_engine_memory_bytes", to=float("inf"))
    text = measures.exposition()
    assert 'trilens_spool_syncs_total{format="a"} 123456789012\n' in text
    assert 'trilens_spool_syncs_total{format="b"} 0.1\n' in text
    assert "trilens_engine_memory_bytes inf\n" in text


def test_gauges_are_refreshed_when_somebody_looks() -> None:
    measures = Measures()
    measures.refresh_with(lambda: measures.set("trilens_engine_memory_bytes", to=5.0))
    assert "\ntrilens_engine_memory_bytes 5\n" in measures.exposition()


def test_the_text_is_valid_with_any_label_value() -> None:
    measures = Measures()
    for value in ('"', "\\", "\n", "é", "", "a b"):
        measures.count("trilens_agent_sent_records_total", value)
    for metric in METRICS:
        if metric.kind == "gauge":
            measures.set(metric.name, *("x" for _ in metric.labels), to=1e15)
        elif metric.kind == "histogram":
            measures.observe(metric.name, *("x" for _ in metric.labels), seconds=1)
        else:
            measures.count(metric.name, *("x" for _ in metric.labels), by=0.5)
    text = measures.exposition()
    sample = re.compile(r'[a-z0-9_]+(\{([a-z]+="(\\.|[^"\\\n])*",?)*\})? \S+')
    for line in text.splitlines():
        assert line.startswith("#") or sample.fullmatch(line), line
    if PROMTOOL is not None:
        result = subprocess.run(
            [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert result.returncode in (0, 3), result.stderr  # 3: remarks of its linter
        assert "parse" not in result.stderr
