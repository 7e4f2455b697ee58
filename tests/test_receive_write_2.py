"""Remote write 2.0 re-framed to 1.0: against a plain, slow reading of the same specification."""

from __future__ import annotations

import cramjam
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiving import MESSAGES
from trilens.envelope import unpack
from trilens.errors import Refused
from trilens.receive import KnownSeries, Limits, prometheus_write
from trilens.receive.exchange import Request
from trilens.receive.prometheus_schema import V1, V2

CONTENT_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
SYMBOLS = ["", "__name__", "up", "job", "a", "b", "instance", "é" * 70, "x" * 200]
REFS = st.integers(0, len(SYMBOLS) + 1)
TIMES = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1)
VALUES = st.floats(allow_nan=False)
SAMPLES = st.fixed_dictionaries(
    {"value": VALUES, "timestamp": TIMES, "start_timestamp": st.just(0) | TIMES}
)
HISTOGRAMS = st.fixed_dictionaries(
    {"schema": st.integers(-53, 8), "sum": VALUES, "timestamp": TIMES,
     "start_timestamp": st.just(0) | TIMES, "positive_deltas": st.lists(TIMES, max_size=3),
     "custom_values": st.lists(VALUES, max_size=2)}
)  # fmt: skip
# Mostly good pairs, so that series are written; sometimes anything.
PAIRS = st.lists(st.tuples(st.sampled_from([1, 3, 4, 6]), st.integers(1, 8)), min_size=1,
                 max_size=4, unique_by=lambda pair: pair[0])  # fmt: skip
LABELS = st.one_of(
    PAIRS.map(lambda pairs: [ref for pair in pairs for ref in pair]), st.lists(REFS, max_size=6)
)
SERIES = st.fixed_dictionaries(
    {
        "labels_refs": LABELS,
        "samples": st.lists(SAMPLES, max_size=3),
        "histograms": st.just([]) | st.lists(HISTOGRAMS, max_size=2),
        "exemplars": st.lists(
            st.fixed_dictionaries({"labels_refs": LABELS, "value": VALUES, "timestamp": TIMES}),
            max_size=2,
        ),
        "created_timestamp": st.just(0) | TIMES,
    },
    optional={
        "metadata": st.fixed_dictionaries({"type": st.integers(0, 9), "help_ref": REFS,
                                           "unit_ref": REFS})
    },
)  # fmt: skip


def plain_labels(refs: list[int]) -> list | None:
    """Labels sorted by name, None where the specification forbids them."""
    if len(refs) % 2 or any(ref >= len(SYMBOLS) for ref in refs):
        return None
    pairs = [(SYMBOLS[n], SYMBOLS[v]) for n, v in zip(refs[::2], refs[1::2], strict=True)]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or any(not name or not value for name, value in pairs):
        return None
    ordered = sorted(pairs, key=lambda pair: pair[0].encode())
    return [V1["Label"](name=name, value=value) for name, value in ordered]


def plain_series(series) -> object | None:
    labels = plain_labels(list(series.labels_refs))
    exemplar_labels = [plain_labels(list(one.labels_refs)) for one in series.exemplars]
    if not labels or None in exemplar_labels or bool(series.samples) == bool(series.histograms):
        return None
    made = V1["TimeSeries"](labels=labels)
    for kind in ("samples", "histograms"):
        for one in getattr(series, kind):
            copy = getattr(made, kind).add()
            copy.ParseFromString(one.SerializeToString())
            copy.start_timestamp = one.start_timestamp or series.created_timestamp
    for one, labels_1 in zip(series.exemplars, exemplar_labels, strict=True):
        made.exemplars.add(labels=labels_1, value=one.value, timestamp=one.timestamp)
    return made


@settings(
    max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(SERIES, max_size=4))
def test_what_is_kept_and_what_is_said(series: list[dict]) -> None:
    for one in series:  # metadata is read when its series is written: bad references leave it out
        meta = one.get("metadata", {})
        if max(meta.get("help_ref", 0), meta.get("unit_ref", 0)) >= len(SYMBOLS):
            del one["metadata"]
    request = V2["Request"](symbols=SYMBOLS, timeseries=series)
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    accepted = prometheus_write.accept(
        Request("prometheus_write", CONTENT_TYPE, "snappy", body), Limits(), 1, known=KnownSeries()
    )
    expected = [made for one in request.timeseries if (made := plain_series(one)) is not None]
    kept = [MESSAGES["prometheus_write"].FromString(unpack(e.encoding, e.payload))
            for e in accepted.envelopes]  # fmt: skip
    assert [one for message in kept for one in message.timeseries] == expected
    assert accepted.reply.status == (204 if len(expected) == len(series) else 400)
    said = {name.split("-")[-2]: int(value) for name, value in accepted.reply.headers
            if name.endswith("-written")}  # fmt: skip
    assert said == {
        kind: sum(len(getattr(one, kind)) for one in expected)
        for kind in ("samples", "histograms", "exemplars")
    }
    families = {m.metric_family_name for message in kept for m in message.metadata}
    assert families <= {
        SYMBOLS[one["labels_refs"][at + 1]]
        for one in series
        for at in range(0, len(one["labels_refs"]) - 1, 2)
        if one["labels_refs"][at] == 1 and one["labels_refs"][at + 1] < len(SYMBOLS)
    }


@given(st.lists(st.text(max_size=3), max_size=3))
def test_a_symbol_table_must_begin_with_the_empty_text(symbols: list[str]) -> None:
    series = [{"labels_refs": [], "samples": [{"value": 1}]}]
    body = V2["Request"](symbols=symbols, timeseries=series).SerializeToString()
    request = Request(
        "prometheus_write", CONTENT_TYPE, "snappy", bytes(cramjam.snappy.compress_raw(body))
    )
    try:
        accepted = prometheus_write.accept(request, Limits(), 1, known=KnownSeries())
    except Refused as refused:
        assert (refused.code, symbols[:1] != [""]) == ("malformed", True)
    else:
        assert symbols[0] == ""
        assert accepted.reply.status == 400
