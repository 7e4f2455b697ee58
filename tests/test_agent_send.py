"""The outbox keeps its bounds and its order; bodies of remote write are what Prometheus reads."""

from __future__ import annotations

import socket
import threading
import time

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.agent.remote_write import Encoder, Family
from trilens.agent.send import NotSent, Outbox, OutcomeUnknown, Parcel, Sender
from trilens.measures import Measures
from trilens.protobuf_wire import varint
from trilens.receive.prometheus_schema import V1
from trilens.tracing import SELF_HEADER
from watching import RecordingServer, until

DROPPED = "trilens_agent_dropped_total"


def a_parcel(n=0, size=10, records=1):
    return Parcel("numbers", f"/{n}", {}, bytes(size), records)


@pytest.fixture
def measures():
    return Measures()


def test_parcels_go_in_order_with_our_mark_and_token(measures):
    with RecordingServer(lambda path, n: 204) as server:
        outbox = Outbox(Sender(server.url, {"Authorization": "Bearer x"}), measures)
        outbox.start()
        for n in range(50):
            outbox.put(a_parcel(n))
        outbox.stop(5)
        assert [path for path, _ in server.requests] == [f"/{n}" for n in range(50)]
        headers = server.requests[0][1]
        assert headers[SELF_HEADER] == "1"
        assert headers["Authorization"] == "Bearer x"
        assert measures.value("trilens_agent_sent_records_total", "numbers") == 50


@pytest.mark.parametrize("way", [503, 401, "cut_before", "cut_after"])
def test_a_parcel_is_tried_again_and_the_next_waits_for_it(measures, way):
    with RecordingServer(lambda path, n: way if n < 2 else 204) as server:
        outbox = Outbox(Sender(server.url, {}, 5), measures)
        outbox.start()
        outbox.put(a_parcel(1))
        outbox.put(a_parcel(2))
        assert until(lambda: len(server.requests) == 4)
        outbox.stop(5)
        assert [path for path, _ in server.requests] == ["/1", "/1", "/1", "/2"]
        assert measures.by_labels(DROPPED) == {}


def test_a_parcel_that_is_refused_for_good_does_not_hold_up_others(measures):
    with RecordingServer(lambda path, n: 400 if path == "/1" else 204) as server:
        outbox = Outbox(Sender(server.url, {}), measures)
        outbox.start()
        outbox.put(a_parcel(1, records=7))
        outbox.put(a_parcel(2))
        assert until(lambda: len(server.requests) == 2)
        assert outbox.last_error == "/1: status 400" or outbox.last_error == ""
        outbox.stop(5)
        assert measures.by_labels(DROPPED) == {("numbers", "refused"): 7}


def test_a_full_outbox_drops_the_oldest_and_counts_them(measures):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outbox = Outbox(Sender(url, {}, 1), measures, bytes_max=1000)
        outbox.start()
        for n in range(100):
            outbox.put(a_parcel(n, size=100, records=2))
            assert sum(len(parcel.body) for parcel in outbox._parcels) <= 1000
        held = [parcel.path for parcel in outbox._parcels]
        assert held[-1] == "/99"
        assert len(held) == 10
        assert measures.value(DROPPED, "numbers", "outbox_full") == 180
        outbox.stop(0.2)
    assert measures.value(DROPPED, "numbers", "stopped") in (18, 20)


def test_stopping_while_the_server_is_away_does_not_take_longer_than_it_may(measures):
    outbox = Outbox(Sender("http://127.0.0.1:1", {}), measures)
    outbox.start()
    outbox.put(a_parcel())
    time.sleep(0.1)
    began_s = time.monotonic()
    outbox.stop(3)
    assert time.monotonic() - began_s < 2, "it had failed: there is no sense in waiting"
    assert measures.value(DROPPED, "numbers", "stopped") == 1


def test_a_fault_of_our_own_costs_one_parcel(measures):
    with RecordingServer(lambda path, n: 204) as server:
        outbox = Outbox(Sender(server.url, {}), measures)
        outbox.start()
        outbox.put(Parcel("numbers", "/1", {"Bad": object()}, b"", 1))
        outbox.put(a_parcel(2))
        assert until(lambda: len(server.requests) == 1)
        outbox.stop(5)
        assert measures.by_labels(DROPPED) == {("numbers", "failed"): 1}
        assert measures.value("trilens_agent_failures_total", "outbox") == 1


def test_outcomes_are_told_apart():
    sender = Sender("http://127.0.0.1:1", {})
    with pytest.raises(NotSent):
        sender.post("/", b"", {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = Sender(f"http://127.0.0.1:{silent.getsockname()[1]}", {}, 0.2)
        with pytest.raises(OutcomeUnknown):
            sender.post("/", b"x", {})
    with pytest.raises(ValueError, match="not an http"):
        Sender("ftp://x", {})


def test_a_server_that_answers_nonsense_leaves_the_outcome_unknown():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        sender = Sender(f"http://127.0.0.1:{listening.getsockname()[1]}", {}, 5)
        with pytest.raises(OutcomeUnknown):
            sender.post("/", b"x", {})
        thread.join()


def test_a_connection_that_the_server_closed_meanwhile_is_not_used():
    with RecordingServer(lambda path, n: 204) as server:
        sender = Sender(server.url, {}, 5)
        assert sender.post("/", b"x", {}).status == 204
        port = server.port
    with RecordingServer(lambda path, n: 204, port=port):
        assert sender.post("/", b"x", {}).status == 204
        sender.close()


def test_bodies_are_read_by_the_schema_and_series_that_end_are_marked():
    encoder = Encoder({"job": "node", "empty": ""})
    family = Family("m", "counter", "Said.")
    family.add(1.5, ("b", "2"), ("a", "é"), ("none", ""), ("job", "other"))
    family.add(2, ("b", "3"))
    body, samples = encoder.body([family], 1234)
    message = V1["WriteRequest"].FromString(bytes(cramjam.snappy.decompress_raw(body)))
    assert samples == 2
    labels = [(label.name, label.value) for label in message.timeseries[0].labels]
    assert labels == [("__name__", "m"), ("a", "é"), ("b", "2"), ("job", "node")]
    assert [(s.value, s.timestamp) for s in message.timeseries[0].samples] == [(1.5, 1234)]
    assert message.metadata[0].help == "Said."
    family.samples.pop()
    body, samples = encoder.body([family], 2000)
    message = V1["WriteRequest"].FromString(bytes(cramjam.snappy.decompress_raw(body)))
    assert samples == 2
    ended = message.timeseries[1].samples[0].value
    assert ended != ended, "a staleness marker is a NaN"
    assert encoder.body([family], 3000)[1] == 1


@given(st.integers(0, 2**64 - 1))
def test_varint(number):
    value, shift = 0, 0
    for byte in varint(number):
        value |= (byte & 127) << shift
        shift += 7
    assert value == number
