"""The built console, at `/`.

A file of the bundle is served as it is, its precompressed neighbour (.br, .gz) where the browser
takes it; names with a hash in them never change, so they are kept for a year. Any other path that
a browser asks for as a page is the console's own: it gets index.html. The files are looked at once,
when the program starts; there is nothing to serve outside of that list.
"""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route

from trilens.errors import Refused
from trilens.present.answers import refusal

UI_DIRECTORY: Final = Path(__file__).parent / "ui"
_HASHED: Final = re.compile(r"[.-][A-Za-z0-9_-]{8,}\.(?:js|css|woff2?|svg|png|map|json|wasm)$")
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_METHODS_OF_FILES: Final = ("GET", "HEAD")
_METHODS: Final = (*_METHODS_OF_FILES, "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Trilens</title><body style="font:16px/1.5 system-ui,sans-serif;margin:3rem">
<h1>The console is not built</h1>
<p>Trilens runs and takes data, but this checkout has no console yet. Build it with
<code>make console</code>, or start with <code>make up</code>, which does that first, then load
this page again.</p><p>The API is there all the same: <a href="/api/docs">/api/docs</a>.</p>"""


@dataclass(frozen=True, slots=True)
class _Asset:
    path: Path
    media_type: str
    is_hashed: bool
    encoded: dict[str, Path]


class StaticFiles:
    def __init__(self, directory: Path) -> None:
        self._assets = _assets(directory)

    def routes(self) -> list[BaseRoute]:
        """Everything that no other route has taken: these come last."""
        return [Route("/{path:path}", self.serve, methods=list(_METHODS))]

    def page(self, request: Request) -> Response | None:
        """For paths with two meanings: the console, if it is built and a browser wants a page."""
        index = self._assets.get("index.html")
        if index is None or not _wants_page(request):
            return None
        answer = _file(index, request.headers.get("accept-encoding", ""))
        answer.headers["Vary"] = "Accept, Accept-Encoding"
        return answer

    async def serve(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        asset = self._assets.get(path or "index.html")
        allowed = _methods_of_others(request)
        if not allowed and asset is not None and request.method not in _METHODS_OF_FILES:
            allowed = set(_METHODS_OF_FILES)
        if allowed:
            return _not_allowed(request, allowed)
        if asset is None and _wants_page(request):
            asset = self._assets.get("index.html")
            if asset is None:
                return HTMLResponse(_NOT_BUILT, 503, _HEADERS | {"Cache-Control": "no-store"})
        if asset is None:
            return _nothing(request)
        return _file(asset, request.headers.get("accept-encoding", ""))


def _assets(directory: Path) -> dict[str, _Asset]:
    """By path below `directory`, with slashes."""
    if not directory.is_dir():
        return {}
    found = {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    return {
        name: _Asset(
            path,
            mimetypes.guess_type(name)[0] or "application/octet-stream",
            _HASHED.search(name) is not None,
            {word: found[name + end] for word, end in _ENCODINGS if name + end in found},
        )
        for name, path in found.items()
        if not name.endswith(tuple(end for _, end in _ENCODINGS))
    }


def _file(asset: _Asset, accepted: str) -> Response:
    headers = dict(_HEADERS)
    headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if asset.is_hashed else "no-cache"
    )
    path = asset.path
    if asset.encoded:
        headers["Vary"] = "Accept-Encoding"
        words = {
            part.partition(";")[0].strip().lower()
            for part in accepted.split(",")
            if "q=0" not in part.replace(" ", "").removesuffix(".0").split(";")
        }
        for word, encoded in asset.encoded.items():
            if word in words:
                headers["Content-Encoding"] = word
                path = encoded
                break
    return FileResponse(path, headers=headers, media_type=asset.media_type)


def _methods_of_others(request: Request) -> set[str]:
    """Those that this path has on routes before this one, which has come since none of them fit."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return {method for route in fitting for method in route.methods or ()}


def _not_allowed(request: Request, allowed: set[str]) -> Response:
    allow = ", ".join(sorted(allowed))
    text = f"{request.method} is not a method of {request.url.path}, which has {allow}"
    if request.url.path.startswith("/api/"):
        answer: Response = refusal(Refused("method_not_allowed", text))
    else:
        answer = PlainTextResponse(text + "\n", 405)
    answer.headers["Allow"] = allow
    return answer


def _nothing(request: Request) -> Response:
    if request.url.path.startswith("/api/"):
        return refusal(Refused("not_found", f"there is no {request.url.path}; see /api/docs"))
    return PlainTextResponse("not found\n", 404)


def _wants_page(request: Request) -> bool:
    """A browser's navigation: `Accept` begins with text/html, and no file was meant."""
    path = request.url.path
    is_ours = not path.startswith(("/api/", "/v1/", "/-/"))
    accepts_page = "text/html" in request.headers.get("accept", "")
    return is_ours and accepts_page and "." not in path.rpartition("/")[2]
