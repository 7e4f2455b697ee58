"""The loader over the real spool and the real engine: everything once, whatever happens."""

import os
import signal
import threading
import time
import weakref

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from storing import MEMORY_BYTES_MAX, Store, gauges, logs, spans, until, writes
from trilens.envelope import Envelope
from trilens.store import engine_config, engine_embedded, schema_sql
from trilens.store import load as load_module
from trilens.store import loader as loader_module
from trilens.store.engine import EngineBusy
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.load import Load, Unanswered
from trilens.store.loader import Patience


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("loader"), MEMORY_BYTES_MAX)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def store(tmp_path, embedded):
    store = Store(tmp_path, embedded).start()
    yield store
    store.stop()


def logs_envelope(payload):
    return Envelope("otlp_logs", time.time_ns(), "identity", payload)


def batches(store, outcome, wire_format="otlp_logs"):
    return store.measures.value("trilens_load_batches_total", wire_format, outcome)


def test_every_format_is_loaded_and_measured(store):
    store.put("otlp_logs", logs("one", "two"))
    store.put("otlp_traces", spans("a", "b", "c"))
    store.put("otlp_metrics", gauges("g", 1, 2, 3, 4))
    store.put("prometheus_write", writes("w", 1, 2, 3, 4, 5))
    store.until_idle()
    assert store.counts() == {"log_rows": 2, "span_rows": 3, "sample_rows": 9}
    loaded = store.measures.by_labels("trilens_load_rows_total")
    assert loaded == {
        ("otlp_logs",): 2, ("otlp_traces",): 3, ("otlp_metrics",): 4, ("prometheus_write",): 5,
    }  # fmt: skip
    for wire_format in ("otlp_logs", "otlp_traces", "otlp_metrics", "prometheus_write"):
        assert batches(store, "done", wire_format) == 1
        assert batches(store, "retried", wire_format) == 0
    assert 'trilens_visible_seconds_count{format="otlp_logs"} 1' in store.measures.exposition()


def test_small_bodies_are_visible_within_a_second(store):
    store.put("otlp_logs", logs("first"))
    store.until_idle()
    waits = []
    for place in range(8):
        started_at = time.monotonic()
        store.put("otlp_logs", logs(f"line {place}"))
        until(lambda place=place: store.counts().get("log_rows") == place + 2)
        waits.append(time.monotonic() - started_at)
    assert sorted(waits)[-2] < 1.0, waits


def test_it_says_which_samples_are_shown(store):
    """Those of before the oldest that is not loaded; what fails holds up others for a while only."""
    store.put("prometheus_write", writes("m", 1.0))
    store.until_idle()
    assert time.time_ns() - store.loader.samples_shown_until_ns() < 10**9
    (create,) = store.rows("SHOW CREATE TABLE trilens.sample_rows")[0]
    store.engine.command("DROP TABLE trilens.sample_rows SYNC")
    before_ns = time.time_ns()
    store.put("prometheus_write", writes("m", 2.0))
    store.put("otlp_logs", logs("others do not count"))
    time.sleep(1.0)
    assert before_ns <= store.loader.samples_shown_until_ns() <= time.time_ns() - 10**9
    store.engine.command(create)
    until(lambda: time.time_ns() - store.loader.samples_shown_until_ns() < 10**9, 60)
    assert store.rows("SELECT count() FROM trilens.sample_rows WHERE metric = 'm'")


def test_many_small_bodies_are_few_loads(store):
    for place in range(400):
        store.spool.append(logs_envelope(logs(str(place))))
    store.put("otlp_logs", logs("last"))
    store.until_idle()
    assert store.counts() == {"log_rows": 401}
    assert batches(store, "done") < 10


def test_lists_take_the_fallback_and_are_there_once(store):
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.array_value.values.add().array_value.values.add().string_value = "deep"
    for _ in range(3):
        store.put("otlp_logs", logs("flat"))
        store.put("otlp_logs", request.SerializeToString())
        store.until_idle()
    bodies = store.rows("SELECT body, count() FROM trilens.logs GROUP BY body ORDER BY body")
    assert bodies == [('[["deep"]]', 3), ("flat", 3)]
    assert batches(store, "retried") == 0


def test_poisoned_frames_are_isolated_and_the_others_loaded(store):
    sent = []
    for place in range(40):
        sent.append(store.spool.append(logs_envelope(logs(f"line {place}"))))
        if place % 13 == 5:
            sent.append(store.spool.append(logs_envelope(b"\x0a\xff\xff\xff\xff\x01 no protobuf")))
    for future in sent:
        future.result(10)
    store.put("otlp_logs", b"not snappy", encoding="snappy")
    store.put("otlp_traces", spans("beside"))
    store.until_idle()
    assert store.counts() == {"log_rows": 40, "span_rows": 1}
    assert store.rows("SELECT uniqExact(body) FROM trilens.logs") == [(40,)]
    letters = store.letters.newest(10)
    assert store.letters.totals() == {"otlp_logs": 4}
    assert batches(store, "isolated") == 4
    assert letters[0].reason.startswith("not snappy")
    assert all(letter.code for letter in letters[1:])
    store.letters.replay(letters[1].id)
    until(lambda: store.letters.totals() == {"otlp_logs": 4})
    assert sorted(letter.attempts for letter in store.letters.newest(10)) == [1, 1, 1, 2]
    assert store.counts() == {"log_rows": 40, "span_rows": 1}


def test_a_frame_fails_with_an_error_that_may_be_anybodys_fault(store):
    """A metric of two kinds: code 36, which no list of ours holds. Only this frame is to blame."""
    gauge, total = ExportMetricsServiceRequest(), ExportMetricsServiceRequest()
    one = gauge.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    one.gauge.data_points.add(as_int=1)
    two = total.resource_metrics.add().scope_metrics.add().metrics.add()
    two.sum.data_points.add(as_int=2)
    message = one.SerializeToString() + two.SerializeToString()
    for tag in (0x12, 0x12, 0x0A):  # in a scope, in a resource, in the request
        message = bytes([tag, len(message)]) + message
    store.put("otlp_metrics", gauges("good", 1, 2))
    store.put("otlp_metrics", message)
    store.put("otlp_metrics", gauges("good", 3))
    store.until_idle()
    (letter,) = store.letters.newest(10)
    assert letter.code == 36
    assert "OneOf has more than one value" in letter.reason
    assert store.counts() == {"sample_rows": 3}


def test_an_engine_that_is_killed_while_it_loads(store):
    stop = threading.Event()

    def kill():
        while not stop.wait(0.5):
            pid = store.embedded.state().pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for place in range(60):
            store.put("otlp_logs", logs(*(f"{place} {n}" for n in range(20))))
            store.put("prometheus_write", writes("w", *range(20), first=place * 20))
            time.sleep(0.02)
    finally:
        stop.set()
        killer.join()
    store.until_idle()
    assert store.counts() == {"log_rows": 1200, "sample_rows": 1200}
    assert store.rows("SELECT uniqExact(body) FROM trilens.logs") == [(1200,)]
    assert store.rows("SELECT uniqExact(series_id) FROM trilens.series") == [(1200,)]
    assert store.letters.totals() == {}
    assert batches(store, "retried") + batches(store, "retried", "prometheus_write") > 0


def said(caplog):
    return "".join(getattr(record, "reason", "") for record in caplog.records)


def test_a_table_that_is_missing_is_waited_for(store, caplog):
    (create,) = store.rows("SHOW CREATE TABLE trilens.log_rows")[0]
    store.engine.command("DROP TABLE trilens.log_rows SYNC")
    for place in range(5):
        store.put("otlp_logs", logs(f"line {place}"))
    until(lambda: "Code: 60" in said(caplog))
    store.put("otlp_traces", spans("others go on"))
    until(lambda: store.counts().get("span_rows") == 1)
    store.engine.command(create)
    store.until_idle()
    assert store.letters.totals() == {}
    assert store.counts() == {"log_rows": 5, "span_rows": 1}


def test_nobodys_data_is_to_blame_for_a_function_that_is_missing(store, caplog):
    migrations = {file.name: file for file in schema_sql.migrations()}
    store.engine.command("DROP FUNCTION trilens_sample_exponent")
    for place in range(5):
        store.put("otlp_metrics", gauges("g", place))
    until(lambda: batches(store, "retried", "otlp_metrics") >= 2)
    assert "`trilens_sample_exponent` does not exist" in said(caplog)
    for statement in schema_sql.rendered(migrations["0004_samples"], None):
        store.engine.command(statement)
    store.until_idle()
    assert store.letters.totals() == {}
    assert store.counts() == {"sample_rows": 5}


def test_batches_in_doubt_are_loaded_once_by_the_next_start(store):
    """As after a kill: begun, some of the rows there, nothing finished."""
    store.loader.stop(10)
    for place in range(6):
        store.put("otlp_logs", logs(f"line {place}"))
    stream = store.spool.stream("otlp_logs")
    load = Load(store.engine, "otlp_logs")
    start = stream.resume_at()
    for _ in range(3):
        run = stream.read(start, unpacked_bytes_max=1 << 20, frames_max=2)
        batch = stream.begin(run.start, run.end)
        load.run(batch.number, loader_module.unpacked(run.frames[: _ + 1]))
        start = run.end
    store.spool.close()
    store.open_spool()
    assert len(store.spool.stream("otlp_logs").in_doubt()) == 3
    store.start_loader()
    store.put("otlp_logs", logs("line 6"))
    store.until_idle()
    assert store.rows("SELECT body FROM trilens.logs ORDER BY body") == [
        (f"line {place}",) for place in range(7)
    ]


def test_stop_ends_soon_without_an_engine_and_loses_nothing(tmp_path):
    store = Store(tmp_path)
    store.start_loader()
    store.put("otlp_logs", logs("later"))
    time.sleep(0.3)
    started_at = time.monotonic()
    assert store.loader.stop(5)
    assert time.monotonic() - started_at < 2
    store.spool.close()
    again = Store(tmp_path).start()
    try:
        again.until_idle()
        assert again.counts() == {"log_rows": 1}
    finally:
        again.stop()


def test_a_frame_that_the_engine_does_not_survive_becomes_a_dead_letter(store, monkeypatch):
    monkeypatch.setattr(loader_module, "BUSY_PATIENCE", {0: Patience(few=0, alone=1)})
    monkeypatch.setattr(engine_embedded, "RESTART_PAUSE_S_MAX", 0.2)
    run = Load.run

    def deadly(self, number, body):
        if any(b"deadly" in piece for piece in body):
            timer = threading.Timer(0.02, os.kill, (store.embedded.state().pid, signal.SIGKILL))
            timer.start()
            timer.join()
        return run(self, number, body)

    monkeypatch.setattr(Load, "run", deadly)
    futures = [store.spool.append(logs_envelope(logs(f"line {place}"))) for place in range(4)]
    futures.append(store.spool.append(logs_envelope(logs("deadly"))))
    for future in futures:
        future.result(10)
    store.until_idle()
    (letter,) = store.letters.newest(10)
    assert letter.code == 0
    assert store.counts() == {"log_rows": 4}


def test_bodies_that_do_not_fit_into_memory_become_smaller(store, monkeypatch):
    monkeypatch.setitem(load_module.INSERT_SETTINGS, "max_memory_usage", "20000000")
    store.loader.stop(10)
    futures = [
        store.spool.append(
            Envelope("prometheus_write", time.time_ns(), "identity", writes("w", *range(2000)))
        )
        for _ in range(24)
    ]
    for future in futures:
        future.result(10)
    store.start_loader()
    store.until_idle()
    assert store.counts() == {"sample_rows": 48_000}
    assert store.letters.totals() == {}
    assert batches(store, "retried", "prometheus_write") >= 1


@pytest.mark.parametrize("error", [EngineBusy(241, "no memory"), Unanswered("none", "it died")])
def test_what_fails_beside_other_loads_is_loaded_alone_and_whole(store, monkeypatch, error):
    """Any of those that run may be to blame: none is split, and none becomes a dead letter."""
    strict = Patience(few=0, alone=0)
    monkeypatch.setattr(loader_module, "BUSY_PATIENCE", {0: strict, 241: strict})
    run, running, refused = Load.run, [], []

    def crowded(self, number, body):
        running.append(number)
        try:
            time.sleep(0.3)
            if len(running) > 1:
                refused.append(number)
                raise error
            return run(self, number, body)
        finally:
            running.remove(number)

    monkeypatch.setattr(Load, "run", crowded)
    store.loader.stop(10)
    for _ in range(8):
        store.put("otlp_logs", logs("a", "b"))
        store.put("otlp_traces", spans("a", "b"))
        store.put("otlp_metrics", gauges("a", 1, 2))
    store.start_loader()
    store.until_idle()
    assert refused
    assert store.counts() == {"log_rows": 16, "span_rows": 16, "sample_rows": 16}
    assert store.letters.totals() == {}
    for wire_format in ("otlp_logs", "otlp_traces", "otlp_metrics"):
        assert batches(store, "done", wire_format) == 1, "it was split"


def test_an_engine_that_is_away_is_no_strike(store, monkeypatch):
    """A load that waited for its turn meanwhile would be blamed for an engine it never reached."""
    monkeypatch.setattr(loader_module, "BUSY_PATIENCE", {0: Patience(few=1, alone=1)})
    run, ping, tried, asked = Load.run, store.engine.ping, [], []

    def lost(self, number, body):
        tried.append(number)
        if len(tried) == 1:
            raise Unanswered("none", "it died")
        return run(self, number, body)

    def away(**watched):
        if watched:  # who watches over the engine asks too
            return ping(**watched)
        asked.append(len(tried))
        return len(asked) > 4 and ping()

    monkeypatch.setattr(Load, "run", lost)
    monkeypatch.setattr(store.engine, "ping", away)
    store.put("otlp_logs", logs("a"))
    store.until_idle()
    assert asked == [1, 1, 1, 1, 1]
    assert len(tried) == 2
    assert store.counts() == {"log_rows": 1}


def test_a_load_that_failed_keeps_none_of_its_memory(store, monkeypatch):
    run, made = Load.run, []

    class Body(bytearray):
        """One that can be referred to weakly."""

    def failing(self, number, body):
        if not made:
            columns = Body(10)
            made.append(weakref.ref(columns))
            raise EngineBusy(0, "not now") from ValueError(len(columns))
        made.append(made[0]())
        return run(self, number, body)

    monkeypatch.setattr(Load, "run", failing)
    store.put("otlp_logs", logs("a"))
    store.until_idle()
    assert made[1:] == [None]


def test_a_disk_that_refuses_a_dead_letter_is_waited_for(store, monkeypatch):
    put, attempts = store.letters.put, []

    def full(envelope, *, reason, code):
        attempts.append(reason)
        if len(attempts) < 3:
            raise OSError(28, "No space left on device")
        return put(envelope, reason=reason, code=code)

    monkeypatch.setattr(store.letters, "put", full)
    store.put("otlp_logs", b"garbage!")
    store.until_idle()
    assert len(attempts) == 3
    assert store.letters.totals() == {"otlp_logs": 1}


def test_short_memory_means_smaller_loads_and_fewer_at_once():
    most = loader_module.LOADS_AT_ONCE
    assert loader_module.loads_at_once(engine_config.body_bytes_max(1664 << 20)) == most
    assert loader_module.loads_at_once(engine_config.body_bytes_max(740 << 20)) == most - 1
    assert engine_config.body_bytes_max(740 << 20) < 20_000_000


def test_the_largest_message_that_is_taken_can_be_loaded(tmp_path):
    size_bytes = engine_config.message_bytes_max(1)  # for an engine with the least there is
    request = ExportTraceServiceRequest.FromString(spans(*(f"name {n}" for n in range(1000))))
    for span in request.resource_spans[0].scope_spans[0].spans:
        for key in range(10):
            span.attributes.add(key=f"some.key.{key}").value.string_value = span.name
    part = request.SerializeToString()
    parts = size_bytes // len(part)
    small = EmbeddedEngine(tmp_path / "small", 1)
    small.start()
    store = Store(tmp_path, small).start()
    store.put("otlp_traces", part * parts)
    store.until_idle()
    assert store.counts() == {"span_rows": parts * 1000}
    assert not store.letters.newest(1)
    store.stop()
    small.stop()
