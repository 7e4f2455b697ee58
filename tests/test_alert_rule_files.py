"""Rule files: what is taken, what is refused and where; the same that promtool says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruling import PROMTOOL, promtool
from trilens.alert.rule_files import duplicates, files_of, read_rule_files, read_rules
from trilens.config_files.problems import FileRefused

HEAD = "groups:\n- name: g\n  rules:\n"

# What every Prometheus takes.
TAKEN = {
    "nothing": "",
    "a comment": "# nothing\n",
    "no groups": "groups:\n",
    "null": "~\n",
    "an empty list": "groups: []\n",
    "a group without rules": "groups:\n- name: g\n",
    "rules of nothing": "groups: [{name: g, rules: }]\n",
    "a group of nothing": "groups:\n-\n",
    "a rule of nothing": HEAD + "  -\n  - {record: r, expr: up}\n",
    "one rule": HEAD + "  - {record: r, expr: up}\n",
    "all of an alert": HEAD + """
  - alert: Some thing with "spaces"
    expr: up{job=~"a|b"} == 0
    for: 1h30m
    keep_firing_for: 5m
    labels: {severity: page, n: 5, t: true, nothing: , text: "{{ $labels.job }}"}
    annotations:
      summary: "{{ $value | humanize }} of {{ $labels.instance }}"
      description: |
        {{ range query "up" }}{{ .Labels.job }}{{ end }}
""",
    "all of a group": "groups: [{name: g, interval: 1m, limit: 10, rules: [{record: r, expr: '1'}]}]",
    "numbers as text": HEAD + "  - {record: r, expr: 1}\n",
    "limit of a float": "groups: [{name: g, limit: 5.0}]",
    "limit of hexadecimal": "groups: [{name: g, limit: 0x10}]",
    "limit below zero": "groups: [{name: g, limit: -1}]",
    "for of nothing": HEAD + "  - {alert: a, expr: up, for: }\n",
    "for of zero": HEAD + "  - {alert: a, expr: up, for: 0}\n",
    "for of zero seconds in a record": HEAD + "  - {record: a, expr: up, for: 0s}\n",
    "an expression of a string": HEAD + "  - {record: r, expr: '\"text\"'}\n",
    "an anchor": "x: &x\n".replace("x: &x\n", "") + "groups: [{name: a, rules: &r [{record: x, expr: up}]}, {name: b, rules: *r}]",
    "a merge": "groups: [{name: a, rules: [&r {record: x, expr: up}, {<<: *r, record: y}]}]",
    "two documents": "groups: []\n---\nfoo: bar\n",
    "the same rule twice": HEAD + "  - {record: r, expr: up}\n  - {record: r, expr: up}\n",
    "a label of nothing": HEAD + "  - {record: r, expr: up, labels: {a: ''}}\n",
    "block text": HEAD + "  - record: r\n    expr: >-\n      sum(\n      up)\n",
    "Windows lines": "groups:\r\n- name: g\r\n  rules:\r\n  - record: r\r\n    expr: up\r\n",
    "JSON": '{"groups": [{"name": "g", "rules": [{"record": "r", "expr": "up"}]}]}',
    "an alert named as a number": HEAD + "  - {alert: 5, expr: up}\n",
    "alertname as a label": HEAD + "  - {alert: a, expr: up, labels: {alertname: b}}\n",
    "a template that defines": HEAD + "  - {alert: a, expr: up, annotations: {s: '{{define \"x\"}}y{{end}}{{template \"x\"}}'}}\n",
    "a template that will fail": HEAD + "  - {alert: a, expr: up, annotations: {s: '{{ gt $value 1 }}{{ template \"no\" }}'}}\n",
    "a template of a record's label": HEAD + "  - {record: r, expr: up, labels: {a: '{{ foo'}}\n",
    "tags": HEAD + "  - {record: !!str r, expr: !!str up}\n",
}  # fmt: skip

# What no Prometheus takes: text, line and column, and the words that say why.
REFUSED = {
    "a list": ("- a\n", 1, 1, "cannot read a list as a rule file"),
    "a text": ("abc\n", 1, 1, "cannot read `abc` as a rule file"),
    "an unknown field": ("foo: 1\n", 1, 1, "field foo not found in a rule file"),
    "groups of a mapping": ("groups: {}\n", 1, 9, "groups: cannot read a mapping as a list"),
    "no YAML": ("a: [\n", 2, 1, "yaml: did not find expected node content"),
    "a tab": ("groups:\n\t- name: g\n", 2, 1, "yaml: found character that cannot start any token"),
    "a key twice": ("groups: []\ngroups: []\n", 2, 1, "key 'groups' already defined at line 1"),
    "a group without a name": ("groups:\n- rules: []\n", 2, 3, "Groupname must not be empty"),
    "a group twice": ("groups:\n- name: g\n- name: g\n", 3, 3, 'groupname: "g" is repeated'),
    "an unknown field of a group": ("groups:\n- name: g\n  x: 1\n", 3, 3, "field x not found in a rule group"),
    "limit of a text": ("groups: [{name: g, limit: '5'}]", 1, 27, "limit: cannot read `5` as an integer"),
    "limit of a word": ("groups: [{name: g, limit: x}]", 1, 27, "limit: cannot read `x` as an integer"),
    "interval of a number": ("groups: [{name: g, interval: 30}]", 1, 30, 'interval: not a valid duration string: "30"'),
    "interval of nonsense": ("groups: [{name: g, interval: 1x}]", 1, 30, 'interval: unknown unit "x" in duration "1x"'),
    "interval in the wrong order": ("groups: [{name: g, interval: 1s1m}]", 1, 30, 'interval: not a valid duration string: "1s1m"'),
    "a name of a list": ("groups: [{name: [g]}]", 1, 17, "name: cannot read a list as a text"),
    "no expression": (HEAD + "  - record: r\n", 4, 5, "field 'expr' must be set in rule"),
    "an expression that is none": (HEAD + "  - record: r\n    expr: sum(\n", 5, 15, "could not parse expression: 1:5: parse error"),
    "an expression of a list": (HEAD + "  - {record: r, expr: [up]}\n", 4, 23, "expr: cannot read a list as a text"),
    "neither record nor alert": (HEAD + "  - expr: up\n", 4, 5, "one of 'record' or 'alert' must be set"),
    "record and alert": (HEAD + "  - {record: r, alert: a, expr: up}\n", 4, 14, "only one of 'record' and 'alert' must be set"),
    "an unknown field of a rule": (HEAD + "  - {record: r, expr: up, x: 1}\n", 4, 27, "field x not found in a rule"),
    "for in a record": (HEAD + "  - {record: r, expr: up, for: 1m}\n", 4, 32, "invalid field 'for' in recording rule"),
    "keep_firing_for in a record": (HEAD + "  - {record: r, expr: up, keep_firing_for: 1m}\n", 4, 44, "invalid field 'keep_firing_for' in recording rule"),
    "annotations in a record": (HEAD + "  - {record: r, expr: up, annotations: {a: b}}\n", 4, 40, "invalid field 'annotations' in recording rule"),
    "__name__ as a label": (HEAD + "  - {record: r, expr: up, labels: {__name__: b}}\n", 4, 35, "invalid label name: __name__"),
    "a label without a name": (HEAD + "  - {record: r, expr: up, labels: {'': b}}\n", 4, 35, "invalid label name: "),
    "labels of a list": (HEAD + "  - {record: r, expr: up, labels: [a]}\n", 4, 35, "labels: cannot read a list as a mapping"),
    "a label of a list": (HEAD + "  - {record: r, expr: up, labels: {a: [b]}}\n", 4, 39, "labels: a: cannot read a list as a text"),
    "a label twice": (HEAD + "  - {record: r, expr: up, labels: {a: b, a: c}}\n", 4, 42, "key 'a' already defined at line 4"),
    "braces in the name of a record": (HEAD + "  - {record: 'r{a=\"b\"}', expr: up}\n", 4, 14, "braces present in the recording rule name"),
    "an unknown function": (HEAD + "  - {alert: a, expr: up, annotations: {s: '{{ foo }}'}}\n", 4, 39, 'annotation "s": template: __alert_a:1: function "foo" not defined'),
    "an unknown variable": (HEAD + "  - {alert: a, expr: up, annotations: {s: '{{ $label }}'}}\n", 4, 39, 'undefined variable "$label"'),
    "an unclosed action": (HEAD + "  - {alert: a, expr: up, labels: {s: '{{ $value'}}\n", 4, 34, 'label "s": template: __alert_a:1: unclosed action'),
    "an unclosed if": (HEAD + "  - {alert: a, expr: up, labels: {s: '{{ if true }}'}}\n", 4, 34, "unexpected EOF"),
    "an end too many": (HEAD + "  - {alert: a, expr: up, labels: {s: '{{ end }}'}}\n", 4, 34, "unexpected {{end}}"),
    "an unknown anchor": ("groups: *a\n", 1, 9, "unknown anchor"),
}  # fmt: skip

# What Prometheus 3 takes and the promtool of Debian 12 (2.42) does not know yet.
NEWER = {
    "query_offset": "groups: [{name: g, query_offset: 1m}]",
    "labels of a group": "groups: [{name: g, labels: {a: b}, rules: [{record: r, expr: up}]}]",
    "names of UTF-8": HEAD + "  - {record: my.metric, expr: '{\"a.b\"}', labels: {\"x y\": z}}\n",
    "annotations of UTF-8": HEAD + "  - {alert: a, expr: up, annotations: {'a.b': c}}\n",
    "now": HEAD + "  - {alert: a, expr: up, annotations: {a: '{{ now | toTime }}'}}\n",
    "else with": HEAD + "  - {alert: a, expr: up, annotations: {a: '{{ with 0 }}{{ else with 1 }}x{{ end }}'}}\n",
    "a range over a number": HEAD + "  - {alert: a, expr: up, annotations: {a: '{{ range 3 }}x{{ end }}'}}\n",
}  # fmt: skip


def read(text):
    return read_rules(text.encode(), "rules.yml")


@pytest.mark.parametrize("text", [*TAKEN.values(), *NEWER.values()], ids=[*TAKEN, *NEWER])
def test_taken(text):
    read(text)


@pytest.mark.parametrize(("text", "line", "column", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_place_and_reason(text, line, column, message):
    with pytest.raises(FileRefused) as refused:
        read(text)
    said = [str(one) for one in refused.value.problems if message in one.message]
    assert said, str(refused.value)
    assert said[0].startswith(f"rules.yml:{line}:{column}: "), said[0]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_takes_and_refuses_the_same(tmp_path):
    files = {}
    for name, text in {**TAKEN, **{name: case[0] for name, case in REFUSED.items()}}.items():
        path = tmp_path / f"{len(files)}.yml"
        path.write_bytes(text.encode())
        files[name] = path
    _, said = promtool("check", "rules", "--lint=none", *files.values())
    for name, path in files.items():
        verdict = said.partition(f"Checking {path}\n")[2].lstrip().partition("\n")[0]
        assert verdict.startswith("SUCCESS") is (name in TAKEN), f"{name}: {verdict}"


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(FileRefused) as refused:
        read("x: 1\ngroups:\n- name: g\n  y: 2\n  rules:\n  - {record: r, expr: (, for: 5}\n")
    assert [one.place.line for one in refused.value.problems] == [6, 4, 6, 1] or (
        len(refused.value.problems) == 4
    )


def test_what_a_file_says():
    (group,) = read(TAKEN["all of an alert"])
    (rule,) = group.rules
    assert (rule.name, rule.for_ms, rule.keep_firing_for_ms) == (
        'Some thing with "spaces"', 5_400_000, 300_000,
    )  # fmt: skip
    assert dict(rule.labels)["n"] == "5"
    assert dict(rule.labels)["nothing"] == ""
    assert rule.query == 'up{job=~"a|b"} == 0'
    first, second = read(TAKEN["a merge"])[0].rules
    assert (first.name, second.name, second.query) == ("x", "y", "up")
    assert read("groups: [{name: g, limit: 5.0}]")[0].limit == 5


def test_duplicate_rules_are_found():
    groups = read(TAKEN["the same rule twice"])
    assert duplicates(groups) == [("r", ())]
    assert duplicates(read(TAKEN["one rule"])) == []


def test_files_by_glob_with_all_their_problems(tmp_path):
    (tmp_path / "b.yml").write_text("groups: [{name: b}]")
    (tmp_path / "a.yml").write_text("groups: [{name: a}]")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.yml").write_text("groups: [{name: c}]")
    found = read_rule_files(["*.yml", "deep/c.yml", "a.yml"], tmp_path)
    assert [group.name for group in found] == ["a", "b", "c"]
    assert files_of("nothing*.yml", tmp_path) == []
    (tmp_path / "a.yml").write_text("x: 1")
    (tmp_path / "b.yml").write_text("y: 1")
    with pytest.raises(FileRefused) as refused:
        read_rule_files(["*.yml", "gone.yml"], tmp_path)
    assert [one.message.split(";")[0] for one in refused.value.problems] == [
        "field x not found in a rule file",
        "field y not found in a rule file",
        "cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"a: " * 50_000, b"\xff\xfe", b"\x00", b"- " * 30_000, b"groups: " + b"{" * 50,
     b"&a [*a]", b"groups: &a [*a, *a]", b"%YAML 9.9\n---\n", b"!!python/object:os.system {}",
     b"groups: [{name: g, rules: [" + b"{record: r, expr: '" + b"(" * 5000 + b"'}]}]"],
    ids=range(11),
)  # fmt: skip
def test_hostile_files_are_refused_or_taken(content):
    try:
        read_rules(content, "f")
    except FileRefused as refused:
        assert refused.problems


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_taken_or_refused(content):
    try:
        read_rules(content, "f")
    except FileRefused as refused:
        assert all(one.place.line > 0 for one in refused.problems)


_SCALARS = st.sampled_from(["up", "5", "", "null", "1m", "'x'", "[a]", "{a: b}", "true", "{{ x }}"])


@given(
    st.dictionaries(
        st.sampled_from(["record", "alert", "expr", "for", "labels", "annotations", "nope"]),
        _SCALARS,
    )
)
def test_any_rule_is_taken_or_refused(fields):
    rule = ", ".join(f"{name}: {value}" for name, value in fields.items())
    try:
        read(f"groups: [{{name: g, rules: [{{{rule}}}]}}]")
    except FileRefused as refused:
        assert refused.problems
