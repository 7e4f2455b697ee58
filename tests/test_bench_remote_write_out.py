"""The benchmark of remote write out, with few samples: all of them are counted, once."""

import pytest
from bench import peers, remote_write_out
from bench.generate_metrics import SERIES


@pytest.fixture(scope="module")
def load():
    return remote_write_out.made(2 * SERIES)


def check(sent, load):
    assert sent.counts["samples"] == load.samples == 2 * SERIES
    assert sent.counts["requests"] >= 2 * SERIES // 2000
    assert sent.seconds > 0
    return sent


@pytest.mark.timeout(120)
@pytest.mark.skipif(not peers.is_installed("prometheus"), reason="prometheus is not installed")
def test_a_short_run_of_prometheus(load):
    check(remote_write_out.of_prometheus(load), load)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", remote_write_out.MESSAGES)
def test_a_short_run_of_ours(load, version, monkeypatch):
    monkeypatch.setattr("bench.program.REST_S", 0.5)
    ours = check(remote_write_out.of_trilens(load, version), load)
    assert ours.counts["refused"] > 0  # it waited
    assert ours.cpu_s_a_million() > 0
    shown = {one.what: one for one in remote_write_out.figures({version: ours}, ours)}
    assert shown[f"{version}: what waited, sent"].value > 0
    beside = ours.cpu_s_a_million() if version == "1.0" else None
    assert shown[f"{version}: server and engine"].peer_value == beside
