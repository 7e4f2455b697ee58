"""The OpenAPI document by the rules of OpenAPI 3.1, and its page by those of HTML."""

import re
from html.parser import HTMLParser

import pytest

from trilens.present import openapi
from trilens.present.endpoint import Parameter

METHODS = {"put", "get", "post", "delete"}
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
OPERATIONS = [
    (path, method, operation)
    for path, methods in openapi.document()["paths"].items()
    for method, operation in methods.items()
]


def resolved(schema):
    if "$ref" not in schema:
        return schema
    found = openapi.document()
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def check_schema(schema, at):
    """What JSON Schema 2020-12 demands of the words that we use, and that we use no others."""
    schema = resolved(schema)
    known = {"type", "properties", "required", "items", "additionalProperties", "default", "enum",
             "minimum", "maximum", "description"}  # fmt: skip
    assert not schema.keys() - known, at
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert set(kinds) <= TYPES, at
    assert len(set(kinds)) == len(kinds), at
    properties = schema.get("properties", {})
    assert set(schema.get("required", [])) <= properties.keys(), at
    if "enum" in schema and "default" in schema:
        assert schema["default"] in schema["enum"], at
    if "default" in schema and "integer" in kinds:
        assert schema["minimum"] <= schema["default"] <= schema["maximum"], at
    for name, inner in properties.items():
        check_schema(inner, f"{at}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            check_schema(schema[word], f"{at}.{word}")


def test_the_frame():
    document = openapi.document()
    assert document.keys() == {"openapi", "info", "paths", "components"}
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert {"title", "version"} <= document["info"].keys()
    assert all(path.startswith("/") for path in document["paths"])
    assert all(methods.keys() <= METHODS for methods in document["paths"].values())


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS,
                         ids=[f"{method} {path}" for path, method, _ in OPERATIONS])  # fmt: skip
def test_operations(path, method, operation):
    assert operation["summary"]
    parameters = operation.get("parameters", [])
    names = [(parameter["in"], parameter["name"]) for parameter in parameters]
    assert len(set(names)) == len(names)
    assert {name for place, name in names if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
    for parameter in parameters:
        assert parameter["in"] in ("path", "query")
        assert parameter["required"] or parameter["in"] == "query"
        check_schema(parameter["schema"], f"{path} {parameter['name']}")
    for code, answer in operation["responses"].items():
        assert re.fullmatch(r"\d\d\d|default", code)
        assert answer["description"]
        for media_type, body in answer["content"].items():
            assert re.fullmatch(r"[\w*]+/[\w*.+-]+", media_type)
            check_schema(body.get("schema", {}), f"{path} {code}")
    assert ("requestBody" in operation) == ((path, method) == ("/api/sql", "post"))


class Balanced(HTMLParser):
    """Every element that is opened is closed, but those that HTML closes by itself."""

    VOID = ("meta", "html", "p", "tr", "td", "table")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, _attributes):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_escapes_what_it_shows():
    parser = Balanced()
    parser.feed(openapi.page(openapi.document()))
    assert parser.open == []
    name = '<script>&"'
    sly = openapi._parameter(Parameter("x", "text", name, default=name, choices=(name,)))
    operation = {"summary": name, "parameters": [sly], "responses": {"200": {"content": {}}}}
    shown = openapi.page({"info": {"description": name}, "paths": {f"/{name}": {"get": operation}}})
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 6
