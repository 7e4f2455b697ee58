"""Go templates: what they write, what they refuse; and no text that breaks them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifying import START_NS, HandClock, alert, config_of
from trilens.go_template.values import GoList, GoMap
from trilens.notify.go_text import go_json
from trilens.notify.message import AlertView, Notification, filled_route_labels
from trilens.notify.templates import TemplateFault, Templates
from trilens.notify.templates.defaults import DEFAULTS
from trilens.notify.templates.functions import functions
from trilens.notify.templates.values import labels_value, time_value

ANY = "map[string]interface {}"
DATA = GoMap({
    "s": "text", "n": 3, "f": 2.5, "t": True, "none": None, "list": GoList([1, 2, 3]),
    "empty": GoList([]), "map": GoMap({"b": 2, "a": 1}, ANY, None),
    "kv": labels_value({"b": "2", "alertname": "A", "a": "1"}), "html": "<b>&\"'</b>",
    "at": time_value(START_NS + 123_456_789),
}, ANY, None)  # fmt: skip

WRITTEN = [
    ("plain", "plain"),
    ("{{ .s }}-{{ .n }}-{{ .f }}-{{ .t }}", "text-3-2.5-true"),
    ("{{ .none }} {{ .nosuch }}", "<no value> <no value>"),
    ("{{ .kv.nosuch }}|", "|"),
    ("a {{- .n -}} b", "a3b"),
    ("a {{/* no */}} b{{- /* no */ -}} c", "a  bc"),
    ("{{ if .t }}y{{ else }}n{{ end }}{{ if .empty }}y{{ else if .n }}m{{ else }}n{{ end }}", "ym"),
    ("{{ range .list }}{{ . }},{{ end }}{{ range .empty }}x{{ else }}none{{ end }}", "1,2,3,none"),
    ("{{ range $i, $v := .list }}{{ $i }}:{{ $v }} {{ end }}", "0:1 1:2 2:3 "),
    ("{{ range $k, $v := .map }}{{ $k }}={{ $v }} {{ end }}", "a=1 b=2 "),
    ("{{ range .list }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"),
    ("{{ range .list }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "13"),
    ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    ("{{ with .s }}{{ . }}{{ end }}{{ with .empty }}x{{ else }}y{{ end }}", "texty"),
    ("{{ with $x := .n }}{{ $x }}{{ $.s }}{{ end }}", "3text"),
    ('{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ end }}{{ $x }}', "b"),
    ('{{ $x := "a" }}{{ if true }}{{ $x := "b" }}{{ end }}{{ $x }}', "a"),
    (
        '{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" .s }}{{ template "x" }}',
        "<text><<no value>>",
    ),
    ('{{ block "b" .n }}[{{ . }}]{{ end }}', "[3]"),
    ("{{ \"q\\t\\u00e9\" }}{{ `raw\\n` }}{{ 'a' }}", "q\té" + "raw\\n97"),
    ("{{ 0x10 }} {{ 1_000 }} {{ 1e3 }} {{ -5 }} {{ 017 }}", "16 1000 1000 -5 15"),
    (
        "{{ eq .n 3 }} {{ ne .n 3 }} {{ lt .n 4 }} {{ ge 2.5 .f }} {{ eq .s `a` `text` }}",
        "true false true true true",
    ),
    ("{{ and .t .empty }} {{ or .empty .s }} {{ not .t }}", "[] text false"),
    ("{{ or .t (index .list 99) }}", "true"),
    (
        "{{ len .list }} {{ len .s }} {{ index .list 1 }} {{ index .map `a` }} {{ slice .s 1 3 }}",
        "3 4 2 1 ex",
    ),
    ("{{ .list }} {{ .map }} {{ .kv }}", "[1 2 3] map[a:1 b:2] alertname=A, a=1, b=2"),
    (
        "{{ .kv.SortedPairs.Names }} {{ .kv.Values | join `,` }} {{ (.kv.Remove .kv.Names) | len }}",
        "[alertname a b] A,1,2 0",
    ),
    ("{{ .kv.Names.Join `+` }} {{ (.kv.Remove (stringSlice `a`)).b }}", "alertname+a+b 2"),
    ("{{ range .kv.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}", "alertname=A;a=1;b=2;"),
    ("{{ .s | toUpper | printf `%s-%d` }}", "%!s"),
    (
        '{{ printf "%s %q %d %5.2f %v %x %t %05d|%-4s|%4s|%%" "a" "b" 3 1.5 .list 255 true 42 "l" "r" }}',
        'a "b" 3  1.50 [1 2 3] ff true 00042|l   |   r|%',
    ),
    ('{{ print 1 2 "a" 3 }}{{ println "x" 1 }}', "1 2a3x 1\n"),
    (
        "{{ html .html }} {{ urlquery `a b&c` }} {{ js `it's` }}",
        "&lt;b&gt;&amp;&#34;&#39;&lt;/b&gt; a+b%26c it\\'s",
    ),
    (
        "{{ toLower `AB` }}{{ title `hello WORLD don't` }}{{ trimSpace `  x ` }}",
        "abHello World Don'tx",
    ),
    (
        "{{ match `^te.t$` .s }} {{ match `^e` .s }} {{ reReplaceAll `(t)(e)` `$2$1` .s }}",
        "true false etxt",
    ),
    ("{{ reReplaceAll `(?P<x>a+)` `<${x}>` `aa b a` }}", "<aa> b <a>"),
    ("{{ stringSlice `a` `b` | join `-` }} {{ join `,` (stringSlice) }}", "a-b "),
    ("{{ .at.Format `2006-01-02T15:04:05.000Z07:00` }}", "2026-03-01T12:00:00.123Z"),
    (
        "{{ .at | tz `America/New_York` | date `Jan 2 3:04PM MST Monday` }}",
        "Mar 1 7:00AM EST Sunday",
    ),
    (
        "{{ .at.Unix }} {{ .at.Year }} {{ .at.Month }} {{ .at.Weekday }}",
        "1772366400 2026 March Sunday",
    ),
    ("{{ since .at }} {{ now | date `15:04` }}", "-123.456789ms 12:00"),
    (
        "{{ humanizeDuration 93784 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration `65` }}",
        "1d 2h 3m 4s 12.3ms 1m 5s",
    ),
    (
        "{{ toJson .map }} {{ toJson .html }} {{ toJson (list 1 `a` nil) }}",
        '{"a":1,"b":2} "\\u003cb\\u003e\\u0026\\"\'\\u003c/b\\u003e" [1,"a",null]',
    ),
    (
        "{{ base64encode `a?>` }} {{ base64decode `YT8-` }} {{ urlUnescape `a%20b` }}",
        "YT8- a?> a b",
    ),
    ("{{ (dict `k` (list 1 2)).k }} {{ append (list 1) 2 3 }}", "[1 2] [1 2 3]"),
    ("{{ (mustToDate `2006-01-02` `2026-03-01`).Unix }}", "1772323200"),
    ("{{- range .list }}\n- {{ . }}\n{{- end }}", "\n- 1\n- 2\n- 3"),
]
FAULTS = [
    ("{{", "unclosed action"), ("{{ if }}x{{ end }}", "missing value for if"),
    ("{{ if true }}", "unexpected EOF"), ("{{ end }}", "unexpected {{end}}"),
    ("{{ nosuch }}", "function \"nosuch\" not defined"), ("{{ $x }}", "undefined variable \"$x\""),
    ("{{ break }}", "{{break}} outside {{range}}"), ("{{ .s.x }}", "can't evaluate field x"),
    ("{{ .none.x }}", "nil pointer evaluating interface"), ("{{ template `no` }}", "template \"no\" not defined"),
    ("{{ index .list 9 }}", "index out of range"), ("{{ lt .s 1 }}", "incompatible types"),
    ("{{ match `(` `x` }}", "missing closing )"), ("{{ .s 1 }}", "has arguments"),
    ("{{ 1 | 2 }}", "non executable command in pipeline"), ("{{ range .s }}{{ end }}", "can't iterate"),
    ('{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}', "exceeded maximum template depth (30)"),
    ("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}", "steps"),
    ("{{ range 9000 }}{{ printf `%1000d` 1 }}{{ end }}", "wrote more than"),
    ('{{ "x" "y" }}', "can't give argument"), ("{{/* x", "unclosed comment"),
    ('{{ $x := "aaaa" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}', "texts of more than"),
    ("{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "lists of more than"),
    ('{{ $x := "%10000[1]d" }}{{ range 9 }}{{ $x = print $x $x }}{{ end }}{{ printf $x 1 }}',
     "texts of more than"),
    ("{{ tz `No/Where` .at }}", "unknown time zone"), ("{{ 'ab' }}", ""), ("{{ ) }}", ""),
    ("{{ (1 }}", "unclosed left paren"), ("{{ .s\n.n }}", "has arguments"),
]  # fmt: skip


@pytest.fixture(scope="module")
def templates():
    made = Templates(functions(lambda: START_NS))
    made.add(DEFAULTS, "default.tmpl")
    return made


@pytest.mark.parametrize(("source", "want"), WRITTEN, ids=[source for source, _ in WRITTEN])
def test_what_is_written(templates, source, want):
    found = templates.text(source, DATA)
    assert found == want or (want == "%!s" and "%!" in found)


@pytest.mark.parametrize(("source", "want"), FAULTS, ids=[source for source, _ in FAULTS])
def test_what_is_refused(templates, source, want):
    with pytest.raises(TemplateFault) as fault:
        templates.text(source, DATA)
    assert want in str(fault.value)


@pytest.mark.parametrize(("source", "value", "want"), [
    ("<p>{{ . }}</p>", "<b>&'\"", "<p>&lt;b&gt;&amp;&#39;&#34;</p>"),
    ("<p>{{ . | safeHtml }}</p>", "<b>", "<p><b></p>"),
    ('<a href="{{ . }}">', "http://h/?a=1&b=ü", '<a href="http://h/?a=1&amp;b=%C3%BC">'),
    ('<a href="{{ . }}">', "javascript:alert(1)", '<a href="#ZgotmplZ">'),
    ('<a href="{{ . | safeUrl }}">', "javascript:x", '<a href="javascript:x">'),
    ('<a href="/x?q={{ . }}">', "a:b\"c", '<a href="/x?q=a:b%22c">'),
    ("<a title='{{ . }}'>", "it's", "<a title='it&#39;s'>"),
    ("<a title={{ . }}>", "a b>", "<a title=a&#32;b&gt;>"),
    ("<!-- {{ . }} -->x{{ . }}", "--><b>", "<!--  -->x--&gt;&lt;b&gt;"),
    ("{{ if true }}<b>{{ end }}{{ . }}", "<", "<b>&lt;"),
])  # fmt: skip
def test_pages_escape_values_by_their_place(templates, source, value, want):
    assert templates.html(source, value) == want


@pytest.mark.parametrize("source", [
    "<script>{{ . }}</script>", "<style>{{ . }}</style>", '<a onclick="{{ . }}">',
    '<a style="{{ . }}">',
])  # fmt: skip
def test_places_that_are_not_escaped_are_refused(templates, source):
    with pytest.raises(TemplateFault):
        templates.html(source, "x")


def notification(**options):
    clock = HandClock()
    alerts = [alert(clock, alertname="A", instance=str(number), job="j") for number in (1, 2)]
    alerts.append(alert(clock, alertname="A", instance="3", job="j", ends_in_s=0))
    given = {
        "group_key": '{}:{alertname="A"}', "receiver": "team.x",
        "alerts": tuple(AlertView(one, clock.now_ns()) for one in alerts),
        "group_labels": {"alertname": "A"}, "route_labels": {}, "reason": "first notification",
        "external_url": "http://am", "at_ns": clock.now_ns(),
        "templates": config_of("route: {receiver: x}\nreceivers: [{name: x}]").templates,
    } | options  # fmt: skip
    return Notification(**given)


def test_the_default_templates():
    one = notification()
    assert one.text('{{ template "__subject" . }}') == "[FIRING:2] A (j)"
    assert (
        one.text('{{ template "slack.default.titlelink" . }}')
        == "http://am/#/alerts?receiver=team%5C.x"
    )
    for name in one.templates.names():
        if ".default." in name and name != "pagerduty.default.instances":  # that takes alerts
            one.text(f'{{{{ template "{name}" . }}}}')
    text = one.text('{{ template "discord.default.message" . }}')
    assert "Alerts Firing:\nLabels:\n - alertname = A\n - instance = 1\n" in text
    assert "Alerts Resolved:" in text
    page = one.html('{{ template "email.default.html" . }}')
    assert "[2] Firing" in page
    assert "[1] Resolved" in page
    assert '<a href="http://p/graph">Source</a>' in page


def test_route_labels_are_templates_that_may_ask_for_each_other():
    labels = {"a": "{{ .GroupLabels.alertname }}", "b": '<{{ routeLabels "a" }}>', "c": "plain"}
    one = notification(route_labels=labels)
    filled = filled_route_labels(one.data, one.templates)
    assert filled == {"a": "A", "b": "<A>", "c": "plain"}
    one = notification(route_labels=filled)
    assert one.text('{{ .RouteLabels.b }}{{ routeLabels "c" }}') == "<A>plain"


def test_a_character_that_was_cut_keeps_nothing_back():
    one = notification(group_labels={"x": "ééé"})
    assert one.text("{{ slice .GroupLabels.x 1 4 }}") == "\ufffdé"
    assert go_json(one.text("{{ slice .GroupLabels.x 0 1 }}")) == '"\ufffd"'.encode()


def test_words_are_those_of_unicode():
    one = notification()
    assert one.text("{{ title `a.b it's x:y c-d e.  f` }}") == "A.b It's X:y C-D E.  F"


def test_a_route_label_that_cannot_be_filled_in_keeps_nothing_back():
    turning = {
        "a": '{{ routeLabels "b" }}',
        "b": '{{ routeLabels "a" }}',
        "c": "{{ .No }}",
        "d": "x",
    }
    one = notification(route_labels=turning)
    assert filled_route_labels(one.data, one.templates) == {"d": "x"}


PIECES = st.sampled_from([
    "{{", "}}", "{{-", "-}}", " ", ".", "$", "x", "if", "end", "range", "else", "with", "define",
    '"a"', "`b`", "(", ")", "|", ":=", "=", ",", "1", "1.5", ".s", ".list", "$v", "printf", "len",
    "index", "and", "template", "block", "/*", "*/", "\n", "<a href=", ">", "<script>", "break",
])  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80))
def test_any_text_is_written_or_refused(source):
    templates = Templates(functions(lambda: START_NS))
    for write in (templates.text, templates.html):
        with contextlib.suppress(TemplateFault):
            write(source, DATA)
