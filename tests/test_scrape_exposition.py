"""Bodies of the text formats and of OpenMetrics: what is written of them, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exposing import NOW_MS, TARGET, Read
from trilens.receive.prometheus_schema import V1
from trilens.scrape import exposition
from trilens.scrape.exposition import Limits

INF = math.inf
TEXT = [
    ("", {}),
    ("\n\n  \n", {}),
    ("a 1\n", {"a": 1}),
    ("a 1", {"a": 1}),
    ("  a   1  \n", {"a": 1}),
    ("a\t1\t\n", {"a": 1}),
    ("a{} 1\n", {"a": 1}),
    ('a{b="c"} 1\n', {'a{b="c"}': 1}),
    ('a{b="c",} 1\n', {'a{b="c"}': 1}),
    ('a { b = "c" , d="e" } 1\n', {'a{b="c", d="e"}': 1}),
    ('a{b="c" d="e"} 1\n', {'a{b="c", d="e"}': 1}),
    ('a{b="c"}1\n', {'a{b="c"}': 1}),
    ('a{z="1",b="2"} 1\n', {'a{b="2", z="1"}': 1}),
    ('a{b=""} 1\n', {"a": 1}),
    (r'a{b="q\"\\n\n\x"} 1' + "\n", {r'a{b="q\"\\n\n\\x"}': 1}),
    ('a{b="x\ny"} 1\n', {'a{b="x\\ny"}': 1}),
    ('a{b="}{#,="} 1\n', {'a{b="}{#,="}': 1}),
    ("a:b_C9 1\n:x 2\n_ 3\n", {"a:b_C9": 1, ":x": 2, "_": 3}),
    ("# only a comment\na 1\n#\n#x\n# HELPER a\n", {"a": 1}),
    ("a 1\na2 +1.5e-3\na3 .5\na4 5.\na5 -0\n", {"a": 1, "a2": 0.0015, "a3": 0.5, "a4": 5, "a5": -0.0}),
    ("a NaN\nb nan\nc +Inf\nd -inf\ne Infinity\nf +infinity\n",
     {"a": "nan", "b": "nan", "c": INF, "d": -INF, "e": INF, "f": INF}),
    ("a 123456789012345678901234567890\nb 0.1\nc 1e308\nd 5e-324\n",
     {"a": 123456789012345678901234567890.0, "b": 0.1, "c": 1e308, "d": 5e-324}),
    ("a 9007199254740993\nb 999999999999999\n", {"a": 9007199254740992, "b": 999999999999999}),
    (f"a 1 {NOW_MS - 5}\n", {"a": (1, NOW_MS - 5)}),
    ("a 1 0\n", {"a": (1, 0)}),
    ("a 1\na 2\n", {"a": 1}),
    (f"a 1 {NOW_MS}\na 2 {NOW_MS + 1}\n", {"a": (2, NOW_MS + 1)}),
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\n",
     {'h_bucket{le="1.0"}': 1, 'h_bucket{le="+Inf"}': 2, "h_sum": 3}),
    ("# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"1\"} 2\n", {'s{quantile="0.5"}': 1, 's{quantile="1.0"}': 2}),
    ("# TYPE h histogram\n" + "".join(f'h_bucket{{le="{le}"}} 1\n' for le in
     ("0", "-0", "1e5", "100000", "1000000", "0.00001", "1.5e7", "2.5", "123456.7", "12345678", "inf", "x", "1e-7")),
     {f'h_bucket{{le="{le}"}}': 1 for le in
     ("0.0", "-0.0", "100000.0", "1e+06", "1e-05", "1.5e+07", "2.5", "123456.7", "1.2345678e+07", "+Inf", "x", "1e-07")}),
    ('h_bucket{le="1"} 1\n', {'h_bucket{le="1"}': 1}),
    ('{"utf.8"} 1\n', {"utf.8": 1}),
    ('{"utf.8","lab el"="v"} 1\n', {'utf.8{"lab el"="v"}': 1}),
    ('{a="b","é"} 1\n', {'é{a="b"}': 1}),
    ('a{"x.y"="z"} 1\n', {'a{"x.y"="z"}': 1}),
    ('a{instance="x",job="y"} 1\n', {'a{exported_instance="x", exported_job="y"}': 1}),
    ('a{instance="x",exported_instance="y"} 1\n', {'a{exported_exported_instance="x", exported_instance="y"}': 1}),
    ('a{instance=""} 1\n', {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "samples"), TEXT)
def test_text(body, samples) -> None:
    read = Read()
    for _ in range(3):  # new, known, known again
        read(body)
        assert read.error is None
        found = read.samples()
        assert found == samples
        assert [math.copysign(1, v) for v in found.values() if isinstance(v, float)] == [
            math.copysign(1, v) for v in samples.values() if not isinstance(v, str | tuple)
        ]


TEXT_REFUSED = [
    ("a", 'expected value after metric, got "" ("INVALID") while parsing: "a"'),
    ("a \n", "expected value after metric, got"),
    ("1a 1\n", 'expected a valid start token, got "1" ("INVALID") while parsing: "1"'),
    ("a-b 1\n", 'strconv.ParseFloat: parsing "-b": invalid syntax while parsing: "a-b"'),
    ("a 1 1 1\n", 'expected next entry after timestamp, got "1\\n" ("TS")'),
    ("a 1 x\n", 'expected timestamp or new record, got "x" ("INVALID") while parsing: "a 1 x"'),
    ("a 1 1.5\n", "expected next entry after timestamp"),
    ("a 1 -5\n", "expected timestamp or new record"),
    ("a 1 99999999999999999999\n", 'strconv.ParseInt: parsing "99999999999999999999": value out of range'),
    ("a x\n", 'strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a x"'),
    ("a 1_0\n", "unsupported character in float"), ("a 0x1p3\n", "unsupported character in float"), ("a +nan\n", "invalid syntax"),
    ("a .\n", "invalid syntax"), ("a 1e\n", "invalid syntax"), ("a 1\r\n", "invalid syntax"),
    ("a 1e999\n", "value out of range"),
    ("a{b} 1\n", "expected equal"),
    ('a{"b"} 1\n', "metric name already set"),
    ("a{b=c} 1\n", "expected label value"),
    ('a{b="c} 1\n', "expected label value"),
    ('a{b="c"', "expected label name"),
    ("a{,} 1\n", 'expected label name, got ",}" ("COMMA")'),
    ("{} 1\n", "metric name not set while parsing"),
    ('{a="b"} 1\n', "metric name not set while parsing"),
    (b'a{b="\xff"} 1\n', "invalid UTF-8 label value"),
    (b"# HELP a \xff\na 1\n", "is not a valid utf8 string"),
    (b'{"\xff"} 1\n', "invalid metric name or label names"),
    ('{""} 1\n', "missing metric name (__name__ label)"),
    ("# TYPE a nothing\na 1\n", 'invalid metric type "nothing"'),
    ("# TYPE a\n", 'invalid metric type ""'),
    ("# TYPE 1 counter\n", "expected metric name after TYPE"),
    ("# HELP \n", "expected metric name after HELP"),
    ('a{b="1",b="2"} 1\n', 'label name "b" is not unique'),
    ("a 1\n\0 2\n", "expected a valid start token"),
    ("<html>\n", 'expected a valid start token, got "<" ("INVALID") while parsing: "<"'),
    (b"\x1f\x8b\x08\x00", "expected a valid start token"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), TEXT_REFUSED)
def test_text_refused(body, text) -> None:
    read = Read()("good 1\n")
    read(body)
    assert read.error is not None
    assert text in read.error
    assert read.samples() == {"good": "stale"}
    assert Read()(body).error == read.error


OPEN = [
    ("# EOF\n", {}),
    ("# EOF", {}),
    ("a 1\n# EOF\n", {"a": 1}),
    ('# TYPE a counter\na_total{b="c"} 1\na_created{b="c"} 1.5\n# EOF\n', {'a_total{b="c"}': 1, 'a_created{b="c"}': 1.5}),
    (f"a 1 {NOW_MS / 1000 - 1}\n# EOF\n", {"a": (1, NOW_MS - 1000)}),
    ("a 1 1.5e3\n# EOF\n", {"a": (1, 1_500_000)}),
    ("a 1 -1.5\n# EOF\n", {"a": (1, -1500)}),
    ('# TYPE h histogram\nh_bucket{le="1"} 1\n# EOF\n', {'h_bucket{le="1.0"}': 1}),
    ('# TYPE g gaugehistogram\ng_bucket{le="1"} 1\n# EOF\n', {'g_bucket{le="1.0"}': 1}),
    ('# TYPE i info\ni_info{v="1"} 1\n# TYPE s stateset\ns{s="a"} 1\n# EOF\n', {'i_info{v="1"}': 1, 's{s="a"}': 1}),
    ('{"utf.8","x y"="z"} 1\n# EOF\n', {'utf.8{"x y"="z"}': 1}),
    ('a{b="c",} 1\n# EOF\n', {'a{b="c"}': 1}),
]  # fmt: skip
OPEN_REFUSED = [
    ("", "data does not end with # EOF"), ("a 1\n", "data does not end with # EOF"),
    ("a 1", "data does not end with # EOF"),
    ("# EOF\na 1\n", "unexpected data after # EOF"),
    ("\n# EOF\n", "expected a valid start token"),
    ("a 1\n\n# EOF\n", "expected a valid start token"),
    ("#comment\n# EOF\n", "expected a valid start token"),
    ("a  1\n# EOF\n", "expected value after metric"),
    ('a{b="c" , d="e"} 1\n# EOF\n', "expected comma or brace close"),
    ('a{b="c" d="e"} 1\n# EOF\n', "expected comma or brace close"),
    ('a{b="x\ny"} 1\n# EOF\n', "expected label value"),
    ("a 1 nan\n# EOF\n", "invalid timestamp"), ("a 1 x\n# EOF\n", "invalid syntax"),
    ("a 1 1 1\n# EOF\n", "expected next entry after timestamp"),
    ("# UNIT a_x seconds\n# EOF\n", 'unit "seconds" not a suffix of metric "a_x"'),
    ("# TYPE a untyped\n# EOF\n", 'invalid metric type "untyped"'),
    ('a 1 # {b="c"} x\n# EOF\n', "invalid syntax"), ('a 1 # {b="c"}\n# EOF\n', "expected value after exemplar labels"),
    ('a 1 # {b="c"} 1 nan\n# EOF\n', "invalid exemplar timestamp"), ("a 1 # {b} 1\n# EOF\n", "expected equal"),
    ("a 1\r\n# EOF\n", "invalid syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "samples"), OPEN)
def test_openmetrics(body, samples) -> None:
    read = Read()
    for _ in range(3):
        read(body, "openmetrics")
        assert read.error is None
        assert read.samples() == samples


@pytest.mark.parametrize(("body", "text"), OPEN_REFUSED)
def test_openmetrics_refused(body, text) -> None:
    read = Read()("good 1\n# EOF\n", "openmetrics")(body, "openmetrics")
    assert read.error is not None
    assert text in read.error
    assert read.samples() == {"good": "stale"}


def test_exemplars_come_once() -> None:
    body = 'a_total{c="d"} 1 # {trace_id="x",s="é"} 0.5%s\nb 1 1.5 # {} 2\n# EOF\n'
    read = Read()(body % "", "openmetrics")
    first = [('a_total{c="d"}', {"trace_id": "x", "s": "é"}, 0.5, read.at_ms), ("b", {}, 2.0, 1500)]
    assert read.exemplars() == first
    assert read(body % "", "openmetrics").exemplars() == []
    assert read(body % " 1.25", "openmetrics").exemplars() == [(*first[0][:3], 1250)]
    assert read(body % " 1.25", "openmetrics").exemplars() == []
    long = 'a_total{c="d"} 1 # {trace_id="' + "x" * 130 + '"} 0.5\n# EOF\n'
    assert read(long, "openmetrics").exemplars() == []
    assert read.error is None


def test_metadata_comes_once_and_when_it_changes() -> None:
    read = Read()("# HELP a All \\\\ of\\nit.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n")
    assert read.metadata() == {"a": (1, "All \\ of\nit.", ""), "b": (2, "", "")}
    assert (
        read("# HELP a All \\\\ of\\nit.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n").metadata()
        == {}
    )
    assert read("# HELP a Less.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n").metadata() == {
        "a": (1, "Less.", "")
    }
    body = "# TYPE x_seconds histogram\n# UNIT x_seconds seconds\n# HELP x_seconds X.\n# EOF\n"
    assert read(body, "openmetrics").metadata() == {"x_seconds": (3, "X.", "seconds")}


def test_staleness() -> None:
    read = Read()(f"a 1\nb 1\nc 1 {NOW_MS}\n")
    assert read("a 2\n").samples() == {"a": 2, "b": "stale"}
    assert read("a 3\n").samples() == {"a": 3}
    assert read("a 3\nb 4\n").samples() == {"a": 3, "b": 4}
    assert read("a {\n").samples() == {"a": "stale", "b": "stale"}
    assert read("a {\n").samples() == {}
    assert read("b 4\n").samples() == {"b": 4}
    assert read.end().samples() == {"b": "stale"}
    assert read.end().samples() == {}


def test_staleness_of_series_with_timestamps() -> None:
    body = f"c 1 {NOW_MS}\n"
    assert Read(track_timestamps=True)(body)("").samples() == {"c": "stale"}
    assert Read(honor_timestamps=False)(body).samples() == {"c": 1}
    assert Read(honor_timestamps=False)(body)("").samples() == {"c": "stale"}
    far = f"c 1 {NOW_MS + 10_000_000}\n"
    read = Read()(far)
    assert read.samples() == {}
    assert read.scraped.out_of_bounds == 1


def test_a_series_under_another_spelling_is_the_same() -> None:
    read = Read()('a{b="1",c="2"} 1\n')
    assert read('a{c="2",b="1"} 2\n').samples() == {'a{b="1", c="2"}': 2}
    assert read.scraped.added == 1
    assert read('a{c="2",b="1"} 3\na{b="1",c="2"} 4\n').samples() == {'a{b="1", c="2"}': 3}
    assert read.scraped.duplicates == 1


def counts(read: Read) -> tuple[int, int, int]:
    return read.scraped.scraped, read.scraped.kept, read.scraped.added


def test_counts() -> None:
    def only_a(labels: dict[str, str]) -> dict[str, str] | None:
        return labels if labels["__name__"] == "a" else None

    read = Read(relabel=only_a)
    assert counts(read('a{x="1"} 1\na{x="2"} 1\nb 1\n')) == (3, 2, 2)
    assert counts(read('a{x="1"} 1\na{x="2"} 1\nb 1\n')) == (3, 2, 0)
    assert counts(read('a{x="1"} 1\na{x="3"} 1\n')) == (2, 2, 1)
    for _ in range(4):
        read('a{x="1"} 1\n')
    assert counts(read('a{x="1"} 1\na{x="2"} 1\n')) == (2, 2, 1)


def test_honor_labels() -> None:
    read = Read(honor_labels=True)
    assert read('a{instance="x"} 1\n').samples() == {'a{instance="x"}': 1}
    body = read('b{instance=""} 1\n').request.timeseries[0]
    assert [label.name for label in body.labels] == ["__name__", "job"]


def test_relabelling_new_series() -> None:
    calls = []

    def relabel(labels: dict[str, str]) -> dict[str, str] | None:
        calls.append(labels)
        if labels["__name__"] == "drop":
            return None
        return {**labels, "x": "y", "__name__": labels["__name__"].upper()}

    read = Read(relabel=relabel)
    for _ in range(3):
        assert read('a{b="c"} 1\ndrop 2\n').samples() == {'A{b="c", x="y"}': 1}
        assert len(calls) == 2
    assert calls[0] == {"__name__": "a", "b": "c", "instance": "i:1", "job": "j"}
    assert read("").samples() == {'A{b="c", x="y"}': "stale"}
    assert "missing metric name" in Read(relabel=lambda _labels: {"a": "b"})("a 1\n").error
    assert "invalid metric name" in Read(relabel=lambda x: {**x, "": "b"})("a 1\n").error
    legacy = Read(relabel=lambda x: {**x, "a.b": "b"}, legacy_names=True)
    assert "invalid metric name" in legacy("a 1\n").error
    exemplar = 'a_total 1 # {t="1"} 2\nb_total 1 # {t="1"} 2\n# EOF\n'
    assert len(Read(relabel=relabel)(exemplar, "openmetrics").exemplars()) == 2


LIMITS = [
    (Limits(samples=2), "a 1\nb 1\n", None),
    (Limits(samples=2), "a 1\nb 1\nc 1\n", "sample limit exceeded"),
    (Limits(labels=4), 'a{b="c"} 1\n', None),
    (Limits(labels=3), 'a{b="c"} 1\n', "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"),
    (Limits(label_name_bytes=8), 'a{b="c"} 1\n', None),
    (Limits(label_name_bytes=10), 'a{bbbbbbbbbbb="c"} 1\n',
     "label_name_length_limit exceeded (metric: a, label name: bbbbbbbbbbb, length: 11, limit: 10)"),
    (Limits(label_value_bytes=3), 'a{b="c"} 1\n', None),
    (Limits(label_value_bytes=3), 'a{b="cccc"} 1\n',
     'label_value_length_limit exceeded (metric: a, label name: b, value: "cccc", length: 4, limit: 3)'),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "body", "error"), LIMITS)
@pytest.mark.parametrize("relabel", [None, lambda labels: labels])
def test_limits(limits, body, error, relabel) -> None:
    read = Read(limits=limits, relabel=relabel)(body)
    assert read.error == error
    if error == "sample limit exceeded":
        assert counts(read) == (3, 3, 2)


def test_legacy_names() -> None:
    assert Read(legacy_names=True)('{"a.b"} 1\n').error is not None
    assert Read(legacy_names=True)("a:b 1\n").error is None


def test_many_series_come_and_go() -> None:
    read = Read()
    for turn in range(60):
        body = "".join(f'a{{n="{turn * 100 + n}"}} {n}\n' for n in range(500))
        samples = read(body).samples()
        assert sum(value == "stale" for value in samples.values()) == (100 if turn else 0)
        assert len(samples) == 500 + (100 if turn else 0)
    series, size = read.exposition.held()
    assert series < 2000
    assert size < 1 << 20


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not name.startswith("__"))
ALL = st.dictionaries(NAMES, st.text(max_size=8), max_size=5)


def escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'


@given(st.text(min_size=1, max_size=8), ALL, st.floats())
def test_what_was_exposed_is_written(name: str, labels: dict[str, str], value: float) -> None:
    text = (
        "{"
        + ",".join([escaped(name), *(f"{escaped(k)}={escaped(v)}" for k, v in labels.items())])
        + "}"
    )
    number = "NaN" if math.isnan(value) else repr(value)
    read = Read({})
    for form, body in (
        ("text", f"{text} {number}\n"),
        ("openmetrics", f"{text} {number}\n# EOF\n"),
    ) * 2:
        if form == "openmetrics" and "\r" in body:
            continue
        (series,) = read(body, form).request.timeseries
        found = {label.name: label.value for label in series.labels}
        assert found == {"__name__": name, **{k: v for k, v in labels.items() if v}}
        assert series.samples[0].value == value or math.isnan(value)


PIECES = st.sampled_from(
    [b"a", b"b_total", b"{", b"}", b'"', b"\\", b"=", b",", b" ", b"\n", b"# ", b"HELP ", b"TYPE ", b"UNIT ", b"EOF",
     b"1", b"1.5", b"NaN", b"le", b"histogram", b'a{b="c"} 1\n', b'# {t="x"} 1', b"\xff", b"\0", b"# EOF\n",
     b"9" * 30, b"# TYPE a counter\n", b'{"x.y"} 2\n', b"\t", b"#"]
)  # fmt: skip
BODIES = st.lists(PIECES | st.binary(max_size=4), max_size=40).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(BODIES, st.sampled_from(["text", "openmetrics", "protobuf"])), min_size=1, max_size=4),
       st.booleans())  # fmt: skip
@example([(b'a{b="\\', "text")], False)
@example([(b'a{"', "openmetrics")], True)
def test_any_bytes_are_read_or_refused(bodies, relabels) -> None:
    read = Read(relabel=(lambda labels: labels) if relabels else None, native_histograms=True)
    for body, form in bodies:
        read(body, form)
        for series in read.request.timeseries:
            assert len(series.labels) >= 3
        assert len(read.scraped.body) < 4000 + 40 * len(body)
    V1["WriteRequest"].FromString(read.exposition.end(NOW_MS, read.scratch))


def test_what_is_written_of_a_short_body_is_bounded(monkeypatch) -> None:
    """The same series at many moments: each line is written with all labels of the target."""
    read = Read({**TARGET, "long": "x" * 1000})
    monkeypatch.setattr(exposition, "WRITTEN_BYTES_MAX", 100_000)
    lines = "".join(f"a 1 {at}\n" for at in range(1000))
    assert "more than 100000 bytes" in (read(lines).error or "")
    assert read.samples() == {}
    assert read("a 1 5\n").error is None
