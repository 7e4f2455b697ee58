"""The console's files: which are served how, and that nothing else is."""

import gzip

import httpx
import pytest

from presenting import Api
from trilens.present.static_files import StaticFiles

HASHED = "assets/index-Ab3_x9Zq.js"
FILES = {
    "index.html": b"<!doctype html>console",
    "favicon.svg": b"<svg/>",
    HASHED: b"let a=1",
    f"{HASHED}.gz": gzip.compress(b"let a=1"),
    f"{HASHED}.br": b"brotli bytes",
    "assets/plain.css": b"a{}",
    "assets/font-0a1b2c3d.woff2": b"wOF2",
}
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    top = tmp_path_factory.mktemp("ui")
    for name, content in FILES.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(content)
    (top.parent / "secret.txt").write_text("root:")
    return top


@pytest.fixture(scope="module")
def client(directory):
    api = Api(None, ui=directory)
    yield api.client
    api.close()


def raw(client, path, **headers):
    """The bytes on the wire, not unpacked."""
    with client.stream("GET", path, headers=headers) as reply:
        return reply, b"".join(reply.iter_raw())


@pytest.mark.parametrize(
    ("path", "media_type", "cached"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
        (f"/{HASHED}", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/plain.css", "text/css; charset=utf-8", "no-cache"),
        ("/assets/font-0a1b2c3d.woff2", "font/woff2", "public, max-age=31536000, immutable"),
    ],
)
def test_files_and_their_headers(client, path, media_type, cached):
    reply, body = raw(client, path, **{"accept-encoding": "identity"})
    assert (reply.status_code, body) == (200, FILES[path[1:] or "index.html"])
    assert reply.headers["content-type"] == media_type
    assert reply.headers["cache-control"] == cached
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in reply.headers["content-security-policy"]
    assert "unsafe-eval" not in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip;q=1.0", "gzip"),
        ("br;q=0.0, gzip; q=0", None),
        ("br; q=0.8", "br"),
        ("identity", None),
        ("", None),
        (";;,=,q", None),
    ],
)
def test_the_packed_neighbour_is_sent_to_who_takes_it(client, accepted, encoding):
    reply, body = raw(client, f"/{HASHED}", **{"accept-encoding": accepted})
    assert reply.headers.get("content-encoding") == encoding
    end = {"br": ".br", "gzip": ".gz", None: ""}[encoding]
    assert body == FILES[HASHED + end]
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.headers["content-type"].startswith("text/javascript")


def test_metrics_is_a_screen_to_a_browser_and_text_to_a_scraper(client):
    reply = client.get("/metrics?metric=up", headers=PAGE)
    assert (reply.status_code, reply.content) == (200, FILES["index.html"])
    for accepted in ("*/*", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/json"):
        text = client.get("/metrics", headers={"accept": accepted})
        assert text.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("path", ["/logs", "/traces/ab12", "/metrics/x", "/logs?from=1"])
def test_a_page_of_the_console_is_its_index(client, path):
    reply = client.get(path, headers=PAGE)
    assert (reply.status_code, reply.content) == (200, FILES["index.html"])
    assert client.get(path).status_code == 404  # not asked for as a page


@pytest.mark.parametrize(
    "path",
    ["/nothing.js", f"/{HASHED}.gz", "/api/nothing", "/v1/nothing", "/-/nothing", "/assets",
     "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt",
     "//etc/passwd", "/%00", "/assets/%2fetc%2fpasswd", "/\\..\\secret.txt"],
)  # fmt: skip
def test_nothing_else(client, path):
    for headers in ({}, PAGE):
        request = client.build_request("GET", "/", headers=headers)
        request.url = httpx.URL(str(request.url), raw_path=path.encode())
        reply = client.send(request)
        assert b"root:" not in reply.content
        is_page = (
            headers
            and "." not in path.rpartition("/")[2]
            and not path.startswith(("/api", "/v1", "/-"))
        )
        assert reply.status_code == (200 if is_page else 404), path


def test_nothing_of_the_api_is_json(client):
    reply = client.get("/api/nothing", headers=PAGE)
    assert reply.json()["error"]["code"] == "not_found"


def test_other_methods_are_named(client):
    for method, path, allowed in (
        ("GET", "/api/v1/read", "POST"),
        ("PUT", "/api/sql", "GET, HEAD, POST"),
        ("POST", "/favicon.svg", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
    ):
        reply = client.request(method, path, headers=PAGE)
        assert (reply.status_code, reply.headers["allow"]) == (405, allowed), path
    assert client.get("/api/v1/read").json()["error"]["code"] == "method_not_allowed"
    for path in ("/api/nothing", "/v1/nothing", "/nothing"):
        assert client.post(path, content=b"x").status_code == 404


def test_head_and_ranges(client):
    reply = client.head("/favicon.svg")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-length"] == str(len(FILES["favicon.svg"]))
    reply = client.get("/favicon.svg", headers={"range": "bytes=1-3"})
    assert (reply.status_code, reply.content) == (206, b"svg")
    reply = client.get("/favicon.svg", headers={"range": "bytes=900-"})
    assert reply.status_code == 416


def test_a_checkout_without_a_console_says_how_to_build_it():
    api = Api(None)
    reply = api.client.get("/", headers=PAGE)
    api.close()
    assert reply.status_code == 503
    assert "make console" in reply.text
    assert reply.headers["cache-control"] == "no-store"


def test_a_file_that_is_not_there_at_the_start_is_not_served(directory):
    files = StaticFiles(directory)
    assert set(files._assets) == {name for name in FILES if not name.endswith((".br", ".gz"))}
