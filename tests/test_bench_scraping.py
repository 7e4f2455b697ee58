"""The benchmark of scraping, for seconds and with few targets: what it counts is right."""

import zlib

import pytest
from bench import peers, scraping
from bench.scrape_targets import LAYOUTS, SERIES, bodies, metrics

from exposing import Read

LOAD = scraping.Load(targets=5, interval_s=1.0, warm_s=4.0, measured_s=4.0)


def unpacked(body):
    return zlib.decompress(body, 31)


def test_targets_expose_what_they_say_and_it_changes():
    first, second = (
        Read()(unpacked(body)).samples() for body, _ in zip(bodies(0), range(2), strict=False)
    )
    assert first.keys() == second.keys()
    assert len(first) == SERIES
    assert {name.partition("{")[0] for name in first} == set(metrics())
    assert first != second
    other = Read()(unpacked(next(bodies(LAYOUTS - 1)))).samples()
    assert other.keys() != first.keys()


def check(scraped):
    assert scraped.done == pytest.approx(LOAD.targets * 4, abs=2 * LOAD.targets)
    assert scraped.stored == scraped.exposed == scraped.done * SERIES
    assert scraped.peak_bytes >= scraped.mean_bytes > 0
    assert all(share > 0 for share in scraped.cpu.values())
    return scraped


@pytest.mark.timeout(120)
def test_a_short_run_of_ours():
    ours = check(scraping.of_trilens(LOAD))
    shown = {one.what: one for one in scraping.figures(ours, ours)}
    assert shown["samples stored, of those exposed"].value == 1
    assert shown["server and engine"].peer_value == shown["server and engine"].value


@pytest.mark.soak
@pytest.mark.timeout(120)
@pytest.mark.skipif(not peers.is_installed("prometheus"), reason="prometheus is not installed")
def test_a_short_run_of_prometheus():
    check(scraping.of_prometheus(LOAD))
