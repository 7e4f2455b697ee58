"""The ways a person takes through Overview, Sources and the frame around them, in a browser."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from browsing import browser, console, context, page, picture  # noqa: F401
from querying import at, clear, insert
from trilens.present.program import DeadLetter, EngineStatus, Listening

pytestmark = pytest.mark.browser

S = 10**9
NODE = "ip-10-0-1-17.internal"
LETTERS = 3


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    now_ns = time.time_ns()
    insert("log_rows", [_log(now_ns - n * 20 * S, n) for n in range(1, 150)])
    insert("span_rows", [_span(now_ns - n * 30 * S, n) for n in range(1, 100)])
    _insert_host(now_ns)


def _log(at_ns: int, n: int) -> dict:
    severity = "ERROR" if n % 10 == 0 else "INFO"
    return {"timestamp": at(at_ns), "severity": severity, "body": f"line {n}", "service": "checkout",
            "severity_number": 17 if severity == "ERROR" else 9, "node": NODE}  # fmt: skip


def _span(at_ns: int, n: int) -> dict:
    return {"timestamp": at(at_ns), "trace_id": f"{n:032x}", "span_id": f"{n:016x}", "kind": "SERVER",
            "name": "POST /pay" if n % 3 else "GET /cart", "service": "payments",
            "duration_ns": 800_000_000 if n % 3 else 5_000_000, "node": NODE,
            "status": "ERROR" if n % 4 == 0 else "UNSET"}  # fmt: skip


def _insert_host(now_ns: int) -> None:
    """One machine: half busy, three quarters of its memory used, its disk nearly full."""
    values = {
        ("node_memory_MemTotal_bytes", ""): 16 * 2**30,
        ("node_memory_MemAvailable_bytes", ""): 4 * 2**30,
        ("node_load1", ""): 1.5,
        ("node_filesystem_size_bytes", "/"): 100 * 2**30,
        ("node_filesystem_avail_bytes", "/"): 2 * 2**30,
    }
    series, samples = [], []

    def add(metric: str, labels: dict, value):
        number = len(series) + 1
        series.append({"series_id": number, "metric": metric, "labels": labels, "node": NODE,
                       "source": "prometheus", "service": "node-exporter",
                       "first_seen": now_ns / S - 3600, "last_seen": now_ns / S + 3600})  # fmt: skip
        samples.extend(
            {"metric": metric, "series_id": number, "timestamp": now_ns / S - ago_s,
             "mantissa": round(value(3600 - ago_s) * 1000), "exponent": 3}
            for ago_s in range(0, 1800, 15)
        )  # fmt: skip

    for (metric, mount), value in values.items():
        add(metric, {"mountpoint": mount, "fstype": "ext4"}, lambda _at_s, value=value: value)
    for mode in ("idle", "user"):
        add("node_cpu_seconds_total", {"cpu": "0", "mode": mode}, lambda at_s: at_s / 2)
    insert("series_rows", series)
    insert("sample_rows", samples)


@pytest.fixture(autouse=True)
def program(console):  # noqa: F811
    program = console.program
    program.engine_status = EngineStatus("embedded", True, 0, 123_000_000)
    program.spool_status = []
    program.listening = lambda: [
        Listening("http", "127.0.0.1:4280"),
        Listening("otlp_http", "127.0.0.1:4318"),
    ]
    program.dead_letters.replayed = []
    program.dead_letters.letters = [
        DeadLetter(f"letter{n}", "otlp_logs", time.time_ns() - n * S, 1000 + n, f"cannot parse {n}", 33, n)
        for n in range(LETTERS)
    ]  # fmt: skip
    return program


def opened(page: Page, path: str = "/") -> Page:  # noqa: F811
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def test_overview_says_what_is_wrong_and_leads_there(page):  # noqa: F811
    opened(page)
    problems = page.get_by_role("region", name=re.compile("problem"))
    expect(problems.get_by_text(f"/ of {NODE} is 98.0% full")).to_be_visible()
    expect(problems.get_by_text(f"{LETTERS} frames could not be decoded")).to_be_visible()
    host = page.get_by_role("article", name=NODE)
    expect(host.get_by_text("50.0%")).to_be_visible()
    expect(host.get_by_text("75.0%")).to_be_visible()
    picture(page, "overview-dark")
    page.get_by_role("grid", name="Slowest operations").get_by_text("POST /pay").click()
    expect(page).to_have_url(re.compile(r"/traces\?.*service=payments.*operation=POST"))
    page.go_back()
    page.get_by_role("grid", name="Newest errors").get_by_text("line 10", exact=True).click()
    expect(page).to_have_url(re.compile(r"/logs\?.*row="))
    page.go_back()
    problems.get_by_text(re.compile("frames could not")).click()
    expect(page.get_by_role("heading", level=1, name="Sources")).to_be_visible()


def test_dragging_across_the_chart_sets_the_range(page):  # noqa: F811
    opened(page)
    chart = page.get_by_role("img", name="Log volume by severity").locator(".u-over")
    box = chart.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=20\d\d-.*to=20\d\d-"))
    expect(page.get_by_role("button", name="Fixed")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Last 1 hour")).to_be_visible()
    page.keyboard.press("-")
    expect(page.get_by_role("button", name="Last 3 hours")).to_be_visible()


def test_the_cursor_shows_values_and_the_legend_isolates(page):  # noqa: F811
    opened(page)
    panel = page.get_by_role("region", name="Log volume by severity")
    info = panel.get_by_role("button", name=re.compile("^INFO"))
    error = panel.get_by_role("button", name=re.compile("^ERROR"))
    error.click()
    expect(info).to_have_attribute("aria-pressed", "false")
    expect(error).to_have_attribute("aria-pressed", "true")
    error.click()
    expect(info).to_have_attribute("aria-pressed", "true")
    chart = panel.locator(".u-over")
    box = chart.bounding_box()
    chart.hover(position={"x": box["width"] * 0.8, "y": 20})
    expect(panel.locator("[class*=tooltip]").first).to_be_visible()
    picture(page, "overview-cursor")


def test_keys(page):  # noqa: F811
    opened(page)
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", level=1, name="Sources")).to_be_visible()
    search = page.get_by_placeholder("Service or node")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("go")
    expect(page).to_have_url(re.compile("match=go"))
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    page.keyboard.press("t")
    expect(page.get_by_label("Type a range")).to_be_focused()
    page.keyboard.type("5 parsecs")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not understood", exact=False)).to_be_visible()
    page.get_by_label("Type a range").fill("2h")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Last 2 hours")).to_be_visible()
    page.keyboard.press("[")
    expect(page.get_by_role("button", name="Fixed")).to_be_visible()


def test_the_time_range_goes_along_and_live_is_kept(page):  # noqa: F811
    opened(page, "/?from=now-15m&to=now")
    page.get_by_role("button", name="Live", exact=True).click()
    expect(page).to_have_url(re.compile("live=false"))
    page.get_by_role("navigation").get_by_role("link", name="Sources").click()
    expect(page).to_have_url(re.compile(r"/sources\?.*from=now-15m.*live=false"))
    page.get_by_role("button", name="Paused").click()
    expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    assert "live=" not in page.url
    opened(page, "/?from=2026-01-01T00:00:00Z&to=2026-01-01T00:30:00Z")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Last 30 minutes")).to_be_visible()
    opened(page, "/?from=rubbish&to=%7B")
    expect(page.get_by_role("button", name="Last 1 hour")).to_be_visible()


def test_language_and_colours_are_kept(page):  # noqa: F811
    opened(page)
    page.get_by_role("button", name="한국어로 바꾸기").click()
    expect(page.get_by_role("heading", level=1, name="개요")).to_be_visible()
    page.get_by_role("button", name="밝은 화면으로 바꾸기").click()
    page.reload()
    expect(page.get_by_role("heading", level=1, name="개요")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.locator("html").get_attribute("data-mantine-color-scheme") == "light"
    expect(page.get_by_role("article", name=NODE)).to_be_visible()
    picture(page, "overview-light-ko")


def test_dead_letters_are_looked_at_replayed_and_deleted(page, program):  # noqa: F811
    opened(page, "/sources")
    letters = page.get_by_role("grid", name="Dead letters")
    letters.get_by_text("cannot parse 1").click()
    expect(page).to_have_url(re.compile("letter=letter1"))
    details = page.get_by_role("complementary", name="A dead letter")
    expect(details.get_by_text("1,001 B", exact=False)).to_be_visible()
    picture(page, "sources-letter")
    details.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(details).to_be_visible()
    details.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(details).to_be_hidden()
    expect(letters.get_by_text("cannot parse 1")).to_be_hidden()
    page.get_by_role("button", name=f"Replay {LETTERS - 1}").click()
    dialog.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Everything that was accepted could be decoded")).to_be_visible()
    assert program.dead_letters.replayed == ["letter0", "letter2"]


def test_senders_are_found_and_lead_to_what_they_sent(page):  # noqa: F811
    opened(page, "/sources")
    senders = page.get_by_role("grid", name="Senders")
    expect(senders.get_by_role("row")).to_have_count(4)
    page.get_by_placeholder("Service or node").fill("CHECK")
    expect(senders.get_by_role("row")).to_have_count(2)
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/logs\?.*checkout"))


def test_nothing_there_says_what_to_do(page):  # noqa: F811
    opened(page, "/?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z")
    expect(page.get_by_text("No host metrics in this time range")).to_be_visible()
    endpoint = page.get_by_text(re.compile("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"))
    expect(endpoint.first).to_be_visible()
    picture(page, "overview-empty")


def test_a_server_that_is_gone_is_told_and_found_again(page):  # noqa: F811
    opened(page)
    note = page.get_by_text("The server does not answer.", exact=False)
    expect(page.get_by_role("article", name=NODE)).to_be_visible()
    page.context.set_offline(True)
    page.keyboard.press("r")
    expect(note).to_be_visible()
    expect(page.get_by_role("article", name=NODE)).to_be_visible()
    picture(page, "overview-gone")
    page.context.set_offline(False)
    page.keyboard.press("r")
    expect(note).to_be_hidden()
    page.complaints.clear()


def test_an_engine_that_is_down_is_told(page, program):  # noqa: F811
    program.engine_status = EngineStatus("embedded", False, 3, 0)
    opened(page)
    expect(page.get_by_text("Engine down", exact=False)).to_be_visible()
    expect(page.get_by_text("The engine was started again 3 times")).to_be_visible()


def test_an_address_of_no_screen(page):  # noqa: F811
    page.goto("/nowhere")
    expect(page.get_by_role("heading", level=1, name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to the overview").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
