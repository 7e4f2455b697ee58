"""Templates of labels and annotations: the texts that promtool expands, and what is newer."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ruling import PROMTOOL, promtool, source_of
from trilens.alert.alert_text import Expander, Outside, template_problem
from trilens.alert.instant_query import InstantQuery, Sample
from trilens.alert.unit_test_run import run_tests
from trilens.alert.unit_tests import read_test_file
from trilens.go_template.errors import TemplateError
from trilens.go_template.execute import Template
from trilens.go_template.printf import sprintf
from trilens.go_template.values import GoList, GoMap, GoStruct

# One a line; Go 1.19's text/template in Prometheus 2.42 says what becomes of each.
TEXTS = r"""
{{ $labels.job }}|{{ .Labels.job }}|{{ $labels.nope }}|{{ $value }}|{{ .Value }}
{{ $value | humanize }} {{ humanize 1234567.0 }} {{ humanize 0.00123 }} {{ humanize "12" }} {{ humanize 0.0 }}
{{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }} {{ humanizeDuration 93784.5 }} {{ humanizeDuration 0.00015 }} {{ humanizeDuration -3661.0 }} {{ humanizeDuration 59.99999 }}
{{ humanizePercentage 0.1234567 }} {{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0.0 }}
{{ title "hello world foo" }} {{ toUpper "abc" }} {{ toLower "ABC" }}
{{ match "a.c" "xabcx" }} {{ match "^a$" "b" }} {{ reReplaceAll "(.)b" "$1-" "abxbb" }} {{ reReplaceAll "x*" "-" "axxb" }} {{ reReplaceAll "^a" "z" "aaa" }}
{{ with query "sort(up)" }}{{ range . }}{{ .Labels.job }}={{ .Value }};{{ end }}{{ end }}
{{ range query "sort(up)" | sortByLabel "job" }}{{ .Labels.job }},{{ end }}{{ query "up{job=\"b\"}" | first | value | printf "%.2f" }}
{{ query "sum(up)" | first | value }} {{ query "nothing" | len }} {{ query "nothing" | first }}
{{ query "sum(" }}
{{ $labels }}|{{ . }}
{{ if gt $value 1.0 }}big{{ else if eq $value 0.0 }}zero{{ else }}other{{ end }}
{{ if eq $labels.job "a" }}is a{{ end }}{{ if and (eq $labels.job "a") (ne $labels.x "") }}both{{else}}not both{{ end }}
{{ define "x" }}[{{ .arg0 }} {{ .arg1 }} {{ .arg2 }}]{{ end }}{{ template "x" (args 1 "b" $value) }}
{{ printf "%.3f %5.1f %-6s| %q %v %d %x %e %g %t %%" 3.14159 2.5 "ab" "q" $value 42 255 12345.678 1e21 true }}
{{ printf "%d" $value }} {{ printf "%s" $value }} {{ printf "%f" 3 }} {{ printf "%s %s" "a" }} {{ printf "%s" "a" "b" }} {{ printf "%z" 1 }}
{{ printf "%+d %05d %08.3f % d %x %X %o %b %c %U" 5 42 3.14159 7 "hi" 255 8 5 65 9731 }}
{{ printf "%*d|%-*d|%6.2f%%|%[2]d %[1]d" 5 42 3 7 9.5 }}
{{ print 1 2 "a" "b" 3 4 }} {{ println "x" 1 }}
{{ len "abc" }} {{ index $labels "job" }} {{ slice "abcdef" 1 3 }} {{ html "<a&b>" }} {{ js "it's" }} {{ urlquery "a b&c" }}
{{ stripPort "host:80" }} {{ stripPort "[::1]:80" }} {{ stripPort "::1" }} {{ stripDomain "a.b.c:9100" }} {{ stripDomain "1.2.3.4:9" }} {{ stripDomain "x.y" }}
{{ parseDuration "1h30m" }} {{ toTime 1435065584.128 }} {{ (toTime 1435065584.128).Format "2006-01-02T15:04:05Z07:00" }} {{ (toTime 0.0).Year }}
{{ 1 }} {{ $externalLabels.region }} {{ $externalURL }} {{ .ExternalURL }}
{{ graphLink "up == 0" }} {{ tableLink "up{a=\"b\"}" }} {{ safeHtml "<b>" }}
{{- "trim" -}}   x   {{- /* comment */ -}}  y
{{ $x := 5 }}{{ $x = 6 }}{{ $x }}{{ range $i, $e := query "sort(up)" }}{{ $i }}{{ $e.Labels.job }}{{ end }}
{{ range query "sort(up)" }}{{ if eq .Labels.job "a" }}{{ continue }}{{ end }}{{ .Labels.job }}{{ break }}{{ end }}
{{ with $labels.nope }}yes{{ else }}no{{ end }} {{ not true }} {{ or "" "d" }} {{ and 1 0 }} {{ eq 1 2 1 }} {{ lt "a" "b" }} {{ ge 2 2 }}
{{ $value | toUpper }}
{{ .Nope }}
{{ $labels.job.foo }}
{{ gt $value 1 }}
{{ humanize "x" }}
{{ humanize }}
{{ toUpper 5 }}
{{ template "nope" . }}
{{ index "abc" 5 }}
{{ len 3 }}
{{ eq $labels 1 }}
{{ lt nil 1 }}
{{ label "job" 1 }}
{{ "a" "b" }}
{{ 1.5 }} {{ 1e6 }} {{ 1e5 }} {{ 0x1F }} {{ 'a' }} {{ -3 }} {{ 1_000 }} {{ 0b11 }} {{ 0o17 }} {{ 017 }} {{ .5 }} {{ 1e-7 }} {{ 123456789.0 }} {{ true }} {{ 2i }}
{{ humanize 999999.0 }} {{ humanize 1e30 }} {{ humanize 1e-30 }} {{ humanize 12345.0 }} {{ humanize -1234.0 }} {{ humanizePercentage 12345.0 }}
{{ "\u00e4\n\x41" }}{{ `raw\n` }} {{ printf "%q" "ä\n\x00" }}
{{ ($labels).job }} {{ (query "sort(up)" | first).Labels.job }} {{ (index (query "sort(up)") 1).Value }}
{{ strvalue (query "sort(up)" | first) }}|{{ args 1 2 }}|{{ (args "x").arg0 }}|{{ (args "x").arg9 }}
{{ range $k, $v := $labels }}{{ $k }}:{{ $v }} {{ end }}{{ range "abc" }}{{ end }}
{{ block "bl" $labels }}B{{ .job }}{{ end }}
{{ printf "%v %v %v" $labels nil 1e21 }} {{ printf "%6v|%-6v|%06d" 1.5 "a" -42 }} {{ printf "%.2s|%.0f|%x" "abc" 2.5 "é" }}
{{ printf "%t %v %s" 1 true true }} {{ printf "%e %E %G" 0.0 1e10 1e-10 }} {{ printf "%.3g %.10g %g" 1234567.0 1234567.0 100000.0 }} {{ printf "%!" }} {{ printf "%" }}
""".strip("\n").split("\n")
_TOLD = re.compile(r'alertname: (A\d+), time.*?Annotations: ?\{t="((?:[^"\\]|\\.)*)"\}', re.DOTALL)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_expands_the_same(tmp_path):
    rules = [
        {"alert": f"A{at}", "expr": 'up{job="a"} > 0', "annotations": {"t": text}}
        for at, text in enumerate(TEXTS)
    ]
    (tmp_path / "r.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    test = {
        "external_labels": {"region": "eu"},
        "external_url": "http://x/y",
        "input_series": [
            {"series": 'up{job="a",z="1"}', "values": "0.25x3"},
            {"series": 'up{job="b"}', "values": "7x3"},
        ],
        "alert_rule_test": [
            {"eval_time": "1m", "alertname": f"A{at}", "exp_alerts": []} for at in range(len(TEXTS))
        ],
    }
    path = tmp_path / "t.yml"
    path.write_text(yaml.safe_dump({"rule_files": ["r.yml"], "tests": [test]}))
    _, said = promtool("test", "rules", path)
    theirs = dict(_TOLD.findall(said))
    ours = dict(_TOLD.findall("\n".join(run_tests(read_test_file(path))[0].failures)))
    assert len(theirs) == len(TEXTS)
    for at, text in enumerate(TEXTS):
        # Prometheus 3 can have a histogram there.
        wanted = theirs[f"A{at}"].replace("Value float64 }", "Value interface {} }")
        # Newer versions of Go say which types they are.
        have = re.sub(r"(incompatible types for comparison): .*? and [^>]*", r"\1", ours[f"A{at}"])
        assert have == wanted, text


NOT_DEFINED = (
    "<error expanding template: error parsing template __alert_X: template: "
    '__alert_X:1: function "nope" not defined>'
)
SAMPLE = Sample((("__name__", "up"), ("job", "a")), 0.5)


def expand(text, sample=SAMPLE, at_ms=1_500):
    query = InstantQuery(lambda: source_of({'up{job="a"}': "1 2"}))
    outside = Outside((("region", "eu"),), "http://x/base")
    return Expander("X", sample, at_ms, outside, lambda said: query.text(said, at_ms)).expand(text)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("{{ now }}", "1.5"),
        ("{{ now | toTime }}", "1970-01-01 00:00:01.5 +0000 UTC"),
        ("{{ toDuration 93784.5 }} {{ (toDuration 90).Minutes }}", "26h3m4.5s 1.5"),
        ("{{ toDuration 0.0015 }} {{ toDuration 0 }} {{ toDuration -61 }}", "1.5ms 0s -1m1s"),
        ("{{ humanizeDuration (toDuration 90) }}", "1m 30s"),
        ("{{ externalURL }}{{ pathPrefix }}", "http://x/base/base"),
        ("{{ urlQueryEscape `a b&c` }}", "a+b%26c"),
        ("{{ with 0 }}{{ else with 1 }}x{{ end }}", "x"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range $i := 2 }}{{ $i }}{{ else }}none{{ end }}", "01"),
        ("{{ ($value | toTime).Format `15:04:05.000` }}", "00:00:00.500"),
        ("{{ (toTime 1e9).Weekday }} {{ (toTime 1e9).Month }} {{ (toTime 1e9).YearDay }}",
         "Sunday September 252"),
        ("{{ ((toTime 1e9).Add (toDuration 60)).Unix }}", "1000000060"),
        ("{{ parseDuration `-5m` }}", "-300"),
        ("{{ nope }}", NOT_DEFINED),
        ("{{ query `up` | first | value }}", "1"),
        ("plain } text", "plain } text"),
    ],
)  # fmt: skip
def test_newer_than_the_promtool_at_hand(text, expanded):
    assert expand(text) == expanded


# What the template package of Prometheus 3.14, built with Go 1.26, gives for a sample of 0.25 with
# job="a" at 1.5 s, where every query has the two answers below.
EXPANDED = json.loads((Path(__file__).parent / "cases/alert_templates/expanded.json").read_text())
ANSWERS = [
    Sample((("__name__", "up"), ("job", "b")), 7.0),
    Sample((("__name__", "up"), ("job", "a"), ("z", "1")), 0.25),
]


def test_prometheus_3_expands_the_same():
    outside = Outside((("region", "eu"),), "http://x/base")
    for row in EXPANDED:
        sample = Sample((("job", "a"),), 0.25)
        expander = Expander("X", sample, 1_500, outside, lambda _text: list(ANSWERS))
        assert expander.expand(row["text"]) == row["gives"], row["text"]


def test_a_histogram_is_a_value_too():
    (found,) = InstantQuery(
        lambda: source_of({"h": "{{schema:0 count:3 sum:4 buckets:[1 2]}}"})
    ).text("h", 0)
    assert expand("{{ $value }}", found) == "{count:3, sum:4, (0.5,1]:1, (1,2]:2}"


def test_regular_expressions_take_their_time_and_no_more():
    assert expand('{{ match "(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }}') == "false"
    assert "missing closing )" in expand('{{ match "(" "a" }}')
    assert "missing closing )" in expand('{{ reReplaceAll "(" "a" "b" }}')
    assert expand('{{ reReplaceAll "(?P<x>a)(b)?" "[$x$2]" "abac" }}') == "[ab][a]c"
    assert expand('{{ reReplaceAll "\\\\bfoo" "x" "foo barfoo foo" }}') == "x barfoo x"


@pytest.mark.parametrize(
    "text",
    ["{{ range 100000000 }}x{{ end }}", '{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}',
     "{{ range 2000 }}{{ range 2000 }}{{ end }}{{ end }}",
     '{{ printf "%1000000d" 1 | len }}{{ range 1000 }}{{ printf "%9999d" 1 }}{{ end }}',
     "{{ range 200 }}{{ query `up` }}{{ end }}", "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
     "{{ if 1 }}" * 500 + "{{ end }}" * 500],
    ids=range(7),
)  # fmt: skip
def test_what_would_never_end_ends(text):
    assert expand(text).startswith("<error expanding template: ")


_PIECES = st.lists(
    st.sampled_from(
        ["{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define", "template",
         "block", "break", "continue", "nil", "true", "$", "$x", ":=", "=", "|", "(", ")", ",", ".",
         ".Labels", ".a", "$x.b", "1", "1.5", "'a'", '"s"', "`r`", "printf", "eq", "len", "index",
         "slice", "and", "not", "{{end}}", "{{else}}", "{{/*", "*/}}", "\n", "x", "%", "ä", "\0"]
    ),
    max_size=14,
).map(" ".join)  # fmt: skip


@given(_PIECES | st.text(max_size=40) | _PIECES.map(lambda text: "{{" + text + "}}"))
def test_any_text_is_a_template_or_refused(text):
    data = GoStruct("d", {"Labels": GoMap({"a": "b"}), "a": GoList([1, 2.5, "x"])})
    try:
        Template.of(text, "t", set()).execute(data, {})
    except TemplateError as error:
        assert str(error).startswith("template: t:")


@given(st.text(alphabet="%+-# 0123456789.*[]vdsqxXfeEgGtcUbo!T", max_size=12),
       st.lists(st.integers() | st.floats() | st.text(max_size=4) | st.booleans() | st.none(), max_size=3))  # fmt: skip
def test_any_pattern_prints_something(pattern, values):
    assert len(sprintf(pattern, tuple(values))) < 100_000


def test_why_a_text_is_no_template():
    assert template_problem("X", "{{ $value }}") is None
    assert template_problem("X", "{{ if }}") == "template: __alert_X:1: missing value for if"
