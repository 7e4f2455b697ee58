"""Go's text/template: what Go 1.26 made of each text of a table, and limits."""

import json
from pathlib import Path

import pytest

from trilens.go_template.errors import FunctionError, TemplateError
from trilens.go_template.execute import Template
from trilens.go_template.values import Function, GoList, GoMap, GoStruct

# What `template.New("t").Option("missingkey=zero")` of Go 1.26 gives over the data below.
ROWS = json.loads((Path(__file__).parent / "cases/go_template/expanded.json").read_text())
DATA = GoStruct(
    "main.data",
    {
        "Labels": GoMap({"job": "a", "b c": "d"}),
        "List": GoList([1, 2.5, "x"]),
        "Any": GoMap({"n": None, "f": 1.5}, "map[string]interface {}", None),
        "Value": 0.25,
    },
)


def expand(text, functions=None):
    functions = functions or {}
    return Template.of(text, "t", set(functions)).execute(DATA, functions)


@pytest.mark.parametrize("row", ROWS, ids=[row["text"] for row in ROWS])
def test_as_go(row):
    if "gives" in row:
        assert expand(row["text"]) == row["gives"]
        return
    with pytest.raises(TemplateError) as error:
        expand(row["text"])
    assert str(error.value) == row["error"]


def test_functions_are_told_what_they_get():
    def fail(_text):
        raise FunctionError("no")

    functions = {
        "twice": Function(("string",), lambda text: text * 2),
        "add": Function(("int", "int"), lambda left, right: left + right, is_variadic=False),
        "half": Function(("float64",), lambda value: value / 2),
        "fail": Function(("string",), fail),
        "join": Function(("string", "string"), lambda *parts: "+".join(parts), is_variadic=True),
    }
    assert expand('{{ twice "a" }} {{ "b" | twice }} {{ add 1 2 }}', functions) == "aa bb 3"
    assert (
        expand('{{ half 3 }} {{ half .Value }} {{ join "a" "b" "c" }}', functions)
        == "1.5 0.125 a+b+c"
    )
    for text, message in (
        ("{{ twice 1 }}", "<1>: expected string; found 1"),
        ("{{ twice .Value }}", "<.Value>: wrong type for value; expected string; got float64"),
        ("{{ twice nil }}", "<nil>: cannot assign nil to string"),
        ("{{ twice .Any.n }}", "<.Any.n>: invalid value; expected string"),
        ("{{ twice }}", "<twice>: wrong number of args for twice: want 1 got 0"),
        ("{{ join }}", "<join>: wrong number of args for join: want at least 1 got 0"),
        ('{{ add "a" 1 }}', '<"a">: expected integer; found "a"'),
        ('{{ fail "a" }}', '<fail "a">: error calling fail: no'),
    ):
        with pytest.raises(TemplateError) as error:
            expand(text, functions)
        assert message in str(error.value), text


def test_a_template_may_be_carried_out_again():
    template = Template.of("{{ $x := .Value }}{{ $x }}", "t", set())
    assert [template.execute(DATA, {}) for _ in range(2)] == ["0.25", "0.25"]
