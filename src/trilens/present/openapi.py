"""The OpenAPI 3.1 document, made from the endpoints, and a page that shows it.

GET /api/console/openapi.json    GET /api/docs
"""

from __future__ import annotations

import html
import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from trilens import __version__
from trilens.present import sql_api
from trilens.present.alertmanager.api import BASE as ALERTMANAGER_BASE
from trilens.present.alertmanager.table import CALLS as ALERTMANAGER
from trilens.present.alertmanager.table import PARAMETERS as ALERTMANAGER_PARAMETERS
from trilens.present.answers import JSON, json_reply
from trilens.present.console_api import BASE, ENDPOINTS
from trilens.present.endpoint import TEXT, Endpoint, Parameter, Schema, array, of
from trilens.present.health import HEALTHY_PATH, READY_PATH
from trilens.present.prometheus_api import BASES, PARAMETERS, PrometheusEndpoint
from trilens.present.prometheus_api import ENDPOINTS as PROMETHEUS
from trilens.present.prometheus_federate import PATH as FEDERATE
from trilens.present.prometheus_live.reloading import PATH as RELOAD

DOCUMENT_PATH: Final = f"{BASE}/openapi.json"
PAGE_PATH: Final = "/api/docs"
_ERROR: Final[Schema] = of(
    error=of(
        "code",
        "message",
        code=TEXT,
        message=TEXT,
        position={"type": "integer", "description": "Characters before it in the query text."},
        clickhouse_code={"type": "integer"},
    )
)

ADMIN: Final = {
    "tsdb/delete_series": "Deletes the series match[], or their samples from start to end.",
    "tsdb/clean_tombstones": "Nothing to do here: what is deleted is gone.",
    "tsdb/snapshot": "Keeps hard links of all data in snapshots/.",
    "rules/backfill": "Recording rules over the past, from start to end.",
}
_SUCCESS: Final[Schema] = of(
    "status", "data", status=TEXT, data={}, warnings=array(TEXT), infos=array(TEXT)
)


def document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    paths[sql_api.PATH] = _sql()
    for base in BASES:
        paths |= {
            base + one.path: {method.lower(): _prometheus(base, one) for method in one.methods}
            for one in PROMETHEUS
        }
        paths[f"{base}/read"] = {"post": _plain("Remote read.", "application/x-protobuf", base)}
        for name, sentence in ADMIN.items():
            call = _plain(f"{sentence} Off unless enable_admin_api is set.", JSON, base)
            paths[f"{base}/admin/{name}"] = {"post": call, "put": call}
    paths |= _alertmanager()
    reload = _plain("Takes over its files anew; 500 if they are not right.", "text/plain")
    paths[RELOAD] = {"post": reload, "put": reload}
    paths[FEDERATE] = {"get": _plain("The newest sample of each series match[].", "text/plain")}
    paths[HEALTHY_PATH] = {"get": _plain("Whether the program lives.", "text/plain")}
    paths[READY_PATH] = {"get": _plain("Whether it is ready; 503 if not.", "text/plain")}
    paths["/metrics"] = {"get": _plain("Its own measures, Prometheus text.", "text/plain")}
    paths[DOCUMENT_PATH] = {"get": _plain("This document.", JSON)}
    paths[PAGE_PATH] = {"get": _plain("This document as a page.", "text/html")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trilens",
            "version": __version__,
            "description": "Times are UTC. Parameters that are not named here are refused, by "
            "Prometheus's API ignored.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def routes() -> list[BaseRoute]:
    return [Route(DOCUMENT_PATH, _document), Route(PAGE_PATH, _page)]


async def _document(_request: Request) -> Response:
    return json_reply(document())


async def _page(_request: Request) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(page(document()), headers={"Content-Security-Policy": policy})


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    in_path = map(_in_path, re.findall(r"\{(\w+)\}", endpoint.path))
    media_type = JSON if endpoint.stream is None else "text/event-stream"
    return {
        "summary": endpoint.sentence,
        "parameters": [*in_path, *map(_parameter, endpoint.parameters)],
        "responses": _responses(media_type, endpoint.answer),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: Schema = {"type": "string" if parameter.kind == "text" else "integer"}
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.kind == "integer":
        schema |= {"minimum": parameter.least, "maximum": parameter.most}
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.sentence,
        "schema": schema,
    }


def _responses(media_type: str, schema: Schema) -> dict[str, Any]:
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "The answer.", "content": {media_type: {"schema": schema}}},
        "default": {"description": "It was refused or failed.", "content": error},
    }


def _prometheus(base: str, endpoint: PrometheusEndpoint) -> dict[str, Any]:
    in_path = re.findall(r"\{(\w+)\}", base + endpoint.path)
    known = [Parameter(name, "text", PARAMETERS[name]) for name in endpoint.parameters]
    return {
        "summary": f"{endpoint.sentence} As in Prometheus.",
        "parameters": [*map(_in_path, in_path), *map(_parameter, known)],
        "responses": {
            "200": {"description": "The answer.", "content": {JSON: {"schema": _SUCCESS}}},
            "default": {"description": "It was refused or failed.", "content": {JSON: {
                "schema": of(status=TEXT, errorType=TEXT, error=TEXT)}}},
        },
    }  # fmt: skip


def _alertmanager() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method, path, sentence, parameters in ALERTMANAGER:
        call = _plain(f"{sentence} There if alertmanager_config is set.", JSON, path)
        call["parameters"] += [
            _parameter(Parameter(name, "text", ALERTMANAGER_PARAMETERS[name]))
            for name in parameters
        ]
        paths.setdefault(ALERTMANAGER_BASE + path, {})[method.lower()] = call
    return paths


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def _plain(sentence: str, media_type: str, path: str = "") -> dict[str, Any]:
    return {
        "summary": sentence,
        "parameters": [*map(_in_path, re.findall(r"\{(\w+)\}", path))],
        "responses": {"200": {"description": "It.", "content": {media_type: {}}}},
    }


def _sql() -> dict[str, Any]:
    fmt = Parameter(
        "format", "text", "Any output format of ClickHouse; FORMAT in the SQL wins.",
        sql_api.FORMAT_DEFAULT,
    )  # fmt: skip
    query = Parameter("query", "text", "The SQL, where there is no body.")
    operation = {
        "summary": "Read-only ClickHouse SQL over the documented views.",
        "parameters": [_parameter(fmt), _parameter(query)],
        "responses": _responses("*/*", {}),
    }
    body = {"content": {"text/plain": {"schema": TEXT}}}
    return {"get": operation, "post": operation | {"requestBody": body}}


# --- the page

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font:13px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:.5rem;border:1px solid #8886}
summary{cursor:pointer}h2{margin:2rem 0 0;font-size:1.05rem}td{padding:.1rem 1rem .1rem 0;
vertical-align:top}
"""


def page(made_from: dict[str, Any]) -> str:
    """Plain HTML without scripts."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Trilens API</title>',
        f"<style>{_STYLE}</style><h1>Trilens API</h1>",
        f"<p>{_text(made_from['info']['description'])}",
        f' As a document: <a href="{DOCUMENT_PATH}">openapi.json</a>.</p>',
    ]
    for path, methods in made_from["paths"].items():
        for method, operation in methods.items():
            parts.append(_section(path, method, operation))
    return "".join(parts)


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(one['name'])}</code>{' *' if one['required'] else ''}"
        f"<td>{_text(_described(one))}"
        for one in operation.get("parameters", [])
    )
    content = operation["responses"]["200"]["content"]
    shapes = "".join(
        f"<p><code>{_text(media_type)}</code><pre>{_text(outline(body.get('schema', {})))}</pre>"
        for media_type, body in content.items()
        if body.get("schema")
    )
    answer = f"<details><summary>Answer</summary>{shapes}</details>" if shapes else ""
    return (
        f"<h2><code>{method.upper()} {_text(path)}</code></h2>"
        f"<p>{_text(operation['summary'])}</p><table>{rows}</table>{answer}"
    )


def _described(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    extra = ""
    if "enum" in schema:
        extra = f" One of {', '.join(schema['enum'])}."
    if "default" in schema:
        extra += f" {schema['default']} if absent."
    return f"{parameter.get('description', 'In the path.')}{extra}"


def outline(schema: Schema, depth: int = 0) -> str:
    """A schema as indented text: names, and what they are."""
    kinds = schema.get("type", "any")
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    pad = "  " * (depth + 1)
    if "properties" in schema:
        lines = [
            f"{pad}{name}: {outline(inner, depth + 1)}"
            for name, inner in schema["properties"].items()
        ]
        return "\n".join(["", *lines])
    if "items" in schema:
        return f"[] {outline(schema['items'], depth)}"
    if "additionalProperties" in schema:
        return "{} " + outline(schema["additionalProperties"], depth)
    return kind


def _text(value: str) -> str:
    return html.escape(value)
