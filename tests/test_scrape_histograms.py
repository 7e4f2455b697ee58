"""Classic histograms that become native ones with custom buckets; native ones made coarser."""

from __future__ import annotations

import random

import pytest

from exposing import Read, valued
from test_scrape_protobuf import EXEMPLAR, HISTOGRAM, family, pairs
from trilens.scrape.limits import Limits

CLASSIC = (
    '# TYPE h histogram\nh_bucket{le="0.1"} 1\nh_bucket{le="1"} 3\nh_bucket{le="5"} 3\n'
    'h_bucket{le="10"} 3\nh_bucket{le="20"} 3\nh_bucket{le="+Inf"} 7\nh_sum 12.5\nh_count 7\n'
)
ANOTHER = CLASSIC.replace("7\n", "9\n")


def spans(found) -> list[tuple[int, int]]:
    return [(one.offset, one.length) for one in found.positive_spans]


def test_classic_becomes_custom_buckets() -> None:
    read = Read(custom_buckets=True)
    for turn, body in enumerate((CLASSIC, CLASSIC, ANOTHER, CLASSIC)):
        assert read(body).samples() == {}
        ((name, found),) = read.histograms().items()
        assert (name, found.schema, found.sum, found.timestamp) == ("h", -53, 12.5, read.at_ms)
        assert list(found.custom_values) == [0.1, 1, 5, 10, 20]
        assert spans(found) == [(0, 2), (3, 1)]  # three empty ones are left out
        most = 6 if body == ANOTHER else 4
        assert list(found.positive_deltas) == [1, 1, most - 2]
        assert (read.scraped.scraped, read.scraped.added) == (1, 0 if turn else 1)
    assert valued(read("").histograms()["h"].sum) == "stale"


def test_beside_the_classic_one() -> None:
    read = Read(custom_buckets=True, classic_histograms=True)
    for turn in range(3):
        read(CLASSIC)
        assert (len(read.samples()), len(read.histograms())) == (8, 1)
        assert read.scraped.scraped == 9
        assert read.scraped.added == (0 if turn else 9)


def test_fractions_are_a_histogram_of_floats() -> None:
    body = (
        '# TYPE h histogram\nh_bucket{le="1"} 1.5\nh_bucket{le="2"} 1.5\nh_bucket{le="+Inf"} 2.5\n'
    )
    found = Read(custom_buckets=True)(body).histograms()["h"]
    assert (found.count_float, list(found.positive_counts)) == (2.5, [1.5, 1])
    assert spans(found) == [(0, 1), (1, 1)]


def test_exemplars_go_to_the_histogram_if_they_have_a_time() -> None:
    body = (
        '# TYPE h histogram\nh_bucket{le="1"} 1 # {t="1"} 0.5 100.5\n'
        'h_bucket{le="+Inf"} 2 # {t="2"} 3\n# EOF\n'
    )
    read = Read(custom_buckets=True)
    assert read(body, "openmetrics").exemplars() == [("h", {"t": "1"}, 0.5, 100_500)]
    assert read(body, "openmetrics").exemplars() == []
    newer = body.replace("100.5", "200.5")
    assert read(newer, "openmetrics").exemplars() == [("h", {"t": "1"}, 0.5, 200_500)]


NONE = {
    "falling": '# TYPE h histogram\nh_bucket{le="1"} 5\nh_bucket{le="2"} 3\nh_count 5\n',
    "another count": '# TYPE h histogram\nh_bucket{le="+Inf"} 5\nh_count 6\n',
    "fewer than in a bucket": '# TYPE h histogram\nh_bucket{le="1"} 5\nh_count 3\n',
    "negative": '# TYPE h histogram\nh_bucket{le="1"} -5\nh_count 3\n',
    "huge": '# TYPE h histogram\nh_bucket{le="1"} 1e300\nh_count 3\n',
    "no number": '# TYPE h histogram\nh_bucket{le="1"} NaN\nh_count NaN\n',
}


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
def test_what_is_no_histogram_is_left_out(body) -> None:
    read = Read(custom_buckets=True)(body + "# TYPE g gauge\ng 1\n")
    assert (read.error, read.samples(), read.histograms()) == (None, {"g": 1}, {})


def test_buckets_in_any_order_and_many() -> None:
    """Sorted once: a target that sends a great many the wrong way round costs no more."""
    lines = [f'h_bucket{{le="{bound}"}} {bound}\n' for bound in range(1, 50_001)]
    random.Random(1).shuffle(lines)
    body = "# TYPE h histogram\n" + "".join(lines) + "h_count 50000\n"
    found = Read(custom_buckets=True)(body).histograms()["h"]
    assert list(found.custom_values) == list(range(1, 50_001))
    assert found.count_int == 50_000


def test_the_type_decides() -> None:
    body = 'h_bucket{le="1"} 2\nh_count 2\n'
    read = Read(custom_buckets=True)
    for kind in ("", "# TYPE h gauge\n", "# TYPE x histogram\n"):
        assert len(read(kind + body).samples()) >= 2
        assert not any(one.schema for one in read.histograms().values())
        assert set(read("# TYPE h histogram\n" + body).histograms()) == {"h"}


def test_what_comes_and_goes_is_forgotten() -> None:
    read = Read(custom_buckets=True)
    for turn in range(30):
        lines = [
            f'h_bucket{{n="{turn}-{one}",le="1"}} 1\nh_count{{n="{turn}-{one}"}} 1\n'
            for one in range(200)
        ]
        assert read("# TYPE h histogram\n" + "".join(lines)).error is None
        if turn == 5:
            size = read.exposition.held()[1]
    assert read.exposition.held()[1] <= 2 * size


EXPONENTIAL = {
    "sample_count": 12, "sample_sum": 1.5, "schema": 3, "zero_threshold": 1e-6, "zero_count": 2,
    "positive_span": [{"offset": -3, "length": 3}, {"offset": 5, "length": 2}],
    "positive_delta": [2, -1, 0, 1, -1],
    "negative_span": [{"offset": 1, "length": 2}], "negative_delta": [2, -1],
}  # fmt: skip


def limited(buckets: int):
    return {"native_histograms": True, "limits": Limits(buckets=buckets)}


def test_a_limit_of_buckets_makes_coarser() -> None:
    body = family("h", HISTOGRAM, {"histogram": EXPONENTIAL})
    found = Read(**limited(7))(body, "protobuf").histograms()["h"]
    assert (found.schema, len(found.positive_deltas) + len(found.negative_deltas)) == (3, 7)
    found = Read(**limited(4))(body, "protobuf").histograms()["h"]
    assert (found.schema, found.count_int) == (2, 12)
    assert len(found.positive_deltas) + len(found.negative_deltas) <= 4
    read = Read(**limited(1))(body, "protobuf")
    assert (read.error, read.samples()) == ("histogram bucket limit exceeded", {})


def test_a_factor_makes_coarser() -> None:
    body = family("h", HISTOGRAM, {"histogram": EXPONENTIAL})
    read = Read(native_histograms=True, schema_max=0)
    found = read(body, "protobuf").histograms()["h"]
    # -3 to -1 and 5, 6 of a schema with eight buckets where this one has one.
    assert (found.schema, spans(found), list(found.positive_deltas)) == (0, [(0, 2)], [4, -1])


def test_custom_buckets_cannot_be_coarser() -> None:
    read = Read(custom_buckets=True, limits=Limits(buckets=2))(CLASSIC)
    assert read.error == "histogram bucket limit exceeded"
    assert Read(custom_buckets=True, limits=Limits(buckets=3))(CLASSIC).error is None


UNSOUND = [
    {"sample_count": 11}, {"schema": 20}, {"schema": -5}, {"schema": 99}, {"schema": -53},
    {"positive_delta": [-2, 1, 0, 5, 2]}, {"positive_delta": [1]},
    {"positive_span": [{"offset": 0, "length": 3}, {"offset": -9, "length": 2}]},
    {"positive_span": [{"offset": 0, "length": 2**32 - 1}, {"offset": 0, "length": 5}]},
]  # fmt: skip


@pytest.mark.parametrize("change", UNSOUND, ids=str)
def test_unsound_ones_fail_the_scrape(change) -> None:
    body = family("h", HISTOGRAM, {"label": pairs(a="b"), "histogram": EXPONENTIAL | change})
    read = Read(native_histograms=True)(body, "protobuf")
    assert read.error.startswith("a native histogram whose")


def test_exemplars_of_a_native_histogram_once() -> None:
    later = {**EXEMPLAR, "timestamp": {"seconds": 1_790_000_001}}
    read = Read(native_histograms=True)
    first = family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "exemplars": [EXEMPLAR, later]}})
    assert len(read(first, "protobuf").exemplars()) == 2
    assert read(first, "protobuf").exemplars() == []


def test_a_target_that_named_too_many_series_recovers() -> None:
    """A million that it never names again: what it names later fits again."""
    read = Read()
    for turn in range(3):
        read("".join(f"m{turn}_{one} 1\n" for one in range(400_000)))
    assert read.error == "more series than one target may have"
    for _ in range(4):
        read("other 1\n")
    assert (read.error, read.samples()) == (None, {"other": 1})
