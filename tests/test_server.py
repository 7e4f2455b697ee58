"""The program as a user meets it: started, refused, stopped, started again."""

from __future__ import annotations

import socket
import subprocess
import sys

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from serving import Trilens


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Trilens(tmp_path_factory.mktemp("server") / "data") as trilens:
        yield trilens


def get(trilens, path, **kwargs):
    return httpx.get(trilens.url + path, trust_env=False, timeout=20, **kwargs)


def send_spans(exporter, service, count):
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for number in range(count):
        with tracer.start_as_current_span(f"operation {number}", attributes={"n": number}):
            pass
    provider.shutdown()


def test_it_says_where_everything_is(running):
    said = "\n".join(running.said)
    for word in ("console", "OTLP gRPC", "OTLP HTTP", "/api/v1/write", "/api/sql", "data"):
        assert word in said
    assert len(running.said) < 10


def test_health_readiness_and_measures(running):
    assert get(running, "/-/healthy").status_code == 200
    assert get(running, "/-/ready").status_code == 200
    metrics = get(running, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE trilens_receive_requests_total counter" in metrics.text
    assert get(running, "/api/docs").status_code == 200


def test_spans_of_the_sdk_arrive_once_by_every_way(running):
    send_spans(GrpcSpanExporter(endpoint=running.otlp_grpc, insecure=True), "by-grpc", 5)
    send_spans(HttpSpanExporter(endpoint=f"{running.otlp_http}/v1/traces"), "by-http", 6)
    send_spans(HttpSpanExporter(endpoint=f"{running.url}/v1/traces"), "by-main-port", 7)
    for service, count in (("by-grpc", 5), ("by-http", 6), ("by-main-port", 7)):
        assert running.wait_count("spans", count, f"service = '{service}'") == count


def test_the_sql_command_asks_the_running_server(running):
    command = [
        sys.executable,
        "-m",
        "trilens.cli",
        "sql",
        "--http",
        running.url.removeprefix("http://"),
    ]
    asked = subprocess.run([*command, "SELECT 1 AS one"], capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
    assert asked.stdout == "one\n1\n"
    refused = subprocess.run([*command, "SELECT nonsense"], capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert refused.returncode == 1
    assert "nonsense" in refused.stderr


def test_a_second_server_on_the_same_data_is_refused(running):
    second = subprocess.run(
        running.command, capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 1
    assert f"process {running.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("flag", ["--http", "--otlp-grpc", "--otlp-http"])
def test_a_taken_port_is_named(tmp_path, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [*Trilens(tmp_path / "data").command, flag, address]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert address in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_server_is_said_in_plain_words():
    command = [sys.executable, "-m", "trilens.cli", "sql", "--http", "127.0.0.1:1", "SELECT 1"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert asked.returncode == 1
    assert "no Trilens answers on 127.0.0.1:1" in asked.stderr


def test_wrong_settings_are_refused_before_anything_starts(tmp_path):
    command = [sys.executable, "-m", "trilens.cli", "check", "--http", "nowhere"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert "nowhere" in refused.stderr


def test_a_token_guards_everything_but_the_health(tmp_path):
    with Trilens(tmp_path / "data", TRILENS_TOKEN="opensesame") as trilens:
        assert get(trilens, "/api/console/status").status_code == 401
        assert get(trilens, "/-/ready").status_code == 200
        assert (
            httpx.post(f"{trilens.url}/v1/traces", content=b"", trust_env=False).status_code == 401
        )
        known = {"Authorization": "Bearer opensesame"}
        assert get(trilens, "/api/console/status", headers=known).status_code == 200
        assert (
            get(trilens, "/api/console/status", auth=("anybody", "opensesame")).status_code == 200
        )


def test_data_outlives_a_stop_and_a_kill(tmp_path):
    trilens = Trilens(tmp_path / "data").start()
    send_spans(GrpcSpanExporter(endpoint=trilens.otlp_grpc, insecure=True), "before", 3)
    assert trilens.stop() == 0
    trilens.start()
    assert trilens.wait_count("spans", 3, "service = 'before'") == 3
    send_spans(GrpcSpanExporter(endpoint=trilens.otlp_grpc, insecure=True), "before", 4)
    trilens.kill()
    trilens.start()
    assert trilens.wait_count("spans", 7, "service = 'before'") == 7
    assert trilens.stop() == 0
