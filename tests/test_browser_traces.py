"""The ways a person takes through Traces and one trace whole, in a browser."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from browsing import browser, console, context, page, picture  # noqa: F401
from querying import at, clear, insert

pytestmark = pytest.mark.browser

S = 10**9
MS = 10**6
FAILED = "f" * 32
SKEWED = "5" * 32
LARGE = "1a" * 16
LARGE_SPANS = 10_000
STACK = 'Traceback (most recent call last):\n  File "/srv/pay.py", line 7, in charge\nValueError: no funds'


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    now_ns = time.time_ns()
    insert("span_rows", [_small(now_ns - n * 10 * S, n) for n in range(1, 260)])
    insert("span_rows", _failed(now_ns - 30 * S))
    insert("span_rows", _skewed(now_ns - 40 * S))
    insert("span_rows", _large(now_ns - 600 * S))
    insert("log_rows", _logs(now_ns - 30 * S))


def _span(at_ns: int, trace_id: str, span_id: str, parent: str = "", **columns) -> dict:
    return {"timestamp": at(at_ns), "trace_id": trace_id, "span_id": span_id, "service": "frontend",
            "parent_span_id": parent, "kind": "SERVER", "status": "UNSET", "name": "work",
            "duration_ns": 100 * MS, **columns}  # fmt: skip


def _small(at_ns: int, n: int) -> dict:
    return _span(at_ns, f"{n:032x}", f"{n:016x}", name="GET /cart" if n % 2 else "GET /",
                 duration_ns=n * MS, attributes={"http.route": "/cart" if n % 2 else "/"})  # fmt: skip


def _failed(at_ns: int) -> list[dict]:
    event = {
        "timestamp": at(at_ns + 70 * MS),
        "name": "exception",
        "attributes": {
            "exception.type": "ValueError",
            "exception.message": "no funds",
            "exception.stacktrace": STACK,
        },
    }
    link = {"trace_id": "b" * 32, "span_id": "c" * 16, "attributes": {"why": "retried"}}
    return [
        _span(at_ns, FAILED, "a" * 16, name="POST /checkout", status="ERROR"),
        _span(at_ns + 10 * MS, FAILED, "b" * 16, "a" * 16, name="reserve", service="stock",
              duration_ns=20 * MS),
        _span(at_ns + 40 * MS, FAILED, "c" * 16, "a" * 16, name="charge card", service="payments",
              kind="CLIENT", duration_ns=50 * MS, status="ERROR", status_message="card declined",
              attributes={"attempt": "3", "db.query.text": "SELECT 1"},
              attribute_types=["int", "string"], dropped_attributes_count=4,
              resource={"service.version": "1.4"}, events=[event], links=[link]),
        _span(at_ns + 60 * MS, FAILED, "e" * 16, "d" * 16, name="orphan", duration_ns=10 * MS),
    ]  # fmt: skip


def _skewed(at_ns: int) -> list[dict]:
    return [
        _span(at_ns, SKEWED, "a" * 16, name="parent", node="node-a"),
        _span(at_ns - 25 * MS, SKEWED, "b" * 16, "a" * 16, name="child", node="node-b"),
    ]


def _large(at_ns: int) -> list[dict]:
    def parent(n: int) -> str:
        return "" if n == 0 else f"{(n - 1) // 3:016x}"

    return [
        _span(at_ns + n * 10_000, LARGE, f"{n:016x}", parent(n), name="needle" if n == 9_000 else f"step {n % 7}",
              service=f"svc-{n % 5}", duration_ns=(LARGE_SPANS - n) * 10_000)
        for n in range(LARGE_SPANS)
    ]  # fmt: skip


def _logs(at_ns: int) -> list[dict]:
    def row(offset_ms: int, span_id: str, severity: str, number: int, body: str) -> dict:
        return {"timestamp": at(at_ns + offset_ms * MS), "severity": severity, "severity_number": number,
                "body": body, "service": "payments", "trace_id": FAILED, "span_id": span_id}  # fmt: skip

    return [
        row(1, "a" * 16, "INFO", 9, "checkout begins"),
        row(75, "c" * 16, "ERROR", 17, "charging failed: no funds"),
    ]


def opened(page: Page, path: str) -> Page:  # noqa: F811
    page.goto(path)
    return page


def spans(page: Page):  # noqa: F811
    return page.get_by_role("tree", name="Spans over time").get_by_role("treeitem")


def selected(page: Page):  # noqa: F811
    return page.locator("[role=treeitem][aria-selected=true]")


def details(page: Page):  # noqa: F811
    return page.get_by_role("complementary", name="Span")


def test_the_list_filters_by_service_operation_and_condition(page):  # noqa: F811
    opened(page, "/traces")
    table = page.get_by_role("grid", name="Traces")
    expect(table.get_by_role("row").nth(1)).to_be_visible()
    picture(page, "traces")
    page.get_by_role("combobox", name="Operation").click()
    page.get_by_role("option", name="GET /cart").click()
    expect(page).to_have_url(re.compile("operation=GET\\+/cart"))
    expect(page.get_by_text("130 traces, all that fit")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("http.route=/cart")
    page.keyboard.press("Enter")
    expect(page.get_by_text("attributes.http.route = /cart")).to_be_visible()
    page.get_by_label("A span took at least so long").fill("200ms")
    page.keyboard.press("Enter")
    expect(page.get_by_text("30 traces, all that fit")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("130 traces, all that fit")).to_be_visible()


def test_a_length_of_time_that_is_none_is_marked_and_not_asked(page):  # noqa: F811
    opened(page, "/traces")
    field = page.get_by_label("A span took at least so long")
    field.fill("soon")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page).not_to_have_url(re.compile("min="))


def test_nothing_fits_says_what_to_do(page):  # noqa: F811
    opened(page, "/traces?service=nobody")
    expect(page.get_by_text("No trace has a span that fits")).to_be_visible()
    page.get_by_role("button", name="Remove all filters").click()
    expect(page.get_by_role("grid", name="Traces").get_by_role("row").nth(1)).to_be_visible()


def test_keys_walk_the_list_and_open_a_trace(page):  # noqa: F811
    opened(page, "/traces?service=payments")
    expect(page.get_by_text("1 trace, all that fit")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/traces/{FAILED}"))
    expect(page.get_by_role("heading", name="POST /checkout")).to_be_visible()


def test_dragging_over_the_dots_sets_the_time_range(page):  # noqa: F811
    opened(page, "/traces")
    expect(page.get_by_text("The newest 200 that fit")).to_be_visible()
    dots = page.get_by_role("img", name=re.compile("when each began"))
    box = dots.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=20\d\d-"))


def test_further_pages_follow_the_first(page):  # noqa: F811
    opened(page, "/traces")
    expect(page.get_by_text("The newest 200 that fit")).to_be_visible()
    page.get_by_role("grid", name="Traces").focus()
    page.keyboard.press("End")
    expect(page.get_by_text("262 traces, all that fit")).to_be_visible()
    expect(page.get_by_text(re.compile("Standing still at"))).to_be_visible()


def test_operations_sort_and_lead_to_their_traces(page):  # noqa: F811
    opened(page, "/traces?view=operations")
    table = page.get_by_role("grid", name="Operations")
    table.get_by_role("button", name="p99").click()
    expect(table.get_by_role("columnheader", name="p99")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_label("Part of an operation's name").fill("charge")
    expect(table.get_by_role("row")).to_have_count(2)
    picture(page, "traces-operations")
    table.get_by_text("charge card").click()
    expect(page).to_have_url(re.compile("service=payments"))
    expect(page.get_by_text("1 trace, all that fit")).to_be_visible()


def test_a_trace_shows_its_tree_and_what_is_missing(page):  # noqa: F811
    opened(page, f"/traces/{FAILED}")
    expect(spans(page)).to_have_count(5)
    expect(
        page.get_by_text("1 span that others name as their parent has not arrived")
    ).to_be_visible()
    expect(page.get_by_role("tree").get_by_text("missing span")).to_be_visible()
    page.get_by_role("button", name="Show the first").click()
    expect(page.get_by_text("1 span below it came in, this one has not")).to_be_visible()


@pytest.mark.parametrize("width", [800, 1280])
def test_a_long_name_leaves_the_time_range_its_place(page, width):  # noqa: F811
    name = "POST /api/v2/customers/{customer_id}/orders/{order_id}/shipments/{shipment_id}/events"
    now_ns = time.time_ns()
    insert("span_rows", [_span(now_ns - 3600 * S, "7" * 32, "7" * 16, name=name)])
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, f"/traces/{'7' * 32}")
    title = page.get_by_role("heading", name=name, level=1)
    expect(title).to_be_visible()
    box, time_range = (
        title.bounding_box(),
        page.get_by_role("button", name="Last 1 hour").bounding_box(),
    )
    assert box["x"] + box["width"] <= time_range["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_span_details_are_whole(page):  # noqa: F811
    opened(page, f"/traces/{FAILED}")
    spans(page).filter(has_text="charge card").click()
    beside = details(page)
    for text in (
        "card declined", "attempt", "int", "4 more were dropped by the sender", "ValueError", "no funds",
        'File "/srv/pay.py", line 7, in charge', "why", "retried",
    ):  # fmt: skip
        expect(beside.get_by_text(text).first).to_be_visible()
    expect(beside.get_by_role("link", name=re.compile("b" * 16))).to_have_attribute(
        "href", re.compile(f"/traces/{'b' * 32}")
    )
    beside.get_by_text("Resource").click()
    expect(beside.get_by_text("service.version")).to_be_visible()
    picture(page, "trace-span")
    beside.get_by_text("attempt").hover()
    beside.get_by_role("button", name="Traces with this value: attempt").click()
    expect(page).to_have_url(re.compile("attributes.attempt"))
    expect(page.get_by_text("1 trace, all that fit")).to_be_visible()


def test_keys_walk_fold_and_find(page):  # noqa: F811
    opened(page, f"/traces/{FAILED}")
    expect(spans(page)).to_have_count(5)
    page.keyboard.press("j")
    expect(selected(page)).to_have_attribute("aria-label", "frontend POST /checkout")
    page.keyboard.press("ArrowLeft")
    expect(spans(page)).to_have_count(3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(selected(page)).to_have_attribute("aria-label", "stock reserve")
    page.keyboard.press("e")
    expect(selected(page)).to_have_attribute("aria-label", "payments charge card")
    page.keyboard.press("/")
    page.keyboard.type("ORPHAN")
    page.keyboard.press("Enter")
    expect(selected(page)).to_have_attribute("aria-label", "frontend orphan")
    expect(page.get_by_text("1 of 1")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("zoom="))
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("zoom="))
    page.keyboard.press("Escape")
    expect(selected(page)).to_have_count(0)


def test_logs_are_beside_the_trace_and_lead_to_their_span(page):  # noqa: F811
    opened(page, f"/traces/{FAILED}")
    page.get_by_role("button", name="Logs of this trace").click()
    logs = page.get_by_role("grid", name="Logs of this trace")
    expect(logs.get_by_role("row")).to_have_count(3)
    logs.get_by_text("charging failed: no funds").click()
    expect(selected(page)).to_have_attribute("aria-label", "payments charge card")
    picture(page, "trace-logs")
    page.get_by_role("switch", name="Only of the selected span").click()
    expect(logs.get_by_role("row")).to_have_count(2)


def test_the_address_holds_span_panel_search_and_zoom(page):  # noqa: F811
    opened(page, f"/traces/{FAILED}?span={'c' * 16}&find=card&zoom=40000000-90000000")
    expect(selected(page)).to_have_attribute("aria-label", "payments charge card")
    expect(page.get_by_label("Look for spans in this trace")).to_have_value("card")
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()


def test_clocks_that_differ_are_told(page):  # noqa: F811
    opened(page, f"/traces/{SKEWED}?span={'b' * 16}")
    expect(page.get_by_text("1 span begins before its parent: clocks differ")).to_be_visible()
    expect(
        page.get_by_text("Begins 25 ms before its parent. The clocks of node-b and node-a differ.")
    ).to_be_visible()


def test_ten_thousand_spans_have_few_rows_and_move(page):  # noqa: F811
    opened(page, f"/traces/{LARGE}?find=needle")
    expect(page.get_by_text("10000 spans")).to_be_visible()
    assert spans(page).count() < 100
    page.get_by_label("Look for spans in this trace").press("Enter")
    expect(selected(page)).to_have_attribute("aria-label", re.compile("needle"))
    expect(selected(page)).to_be_in_viewport()
    page.get_by_role("button", name="Fold all").click()
    expect(spans(page)).to_have_count(4)
    page.get_by_role("button", name="Unfold all").click()
    page.get_by_role("tree").focus()
    page.keyboard.press("End")
    expect(selected(page)).to_be_in_viewport()
    assert _frames_while_scrolling(page) >= 10
    picture(page, "trace-large")


def _frames_while_scrolling(page: Page) -> int:  # noqa: F811
    """Frames drawn in a second in which the rows are scrolled without a pause."""
    return page.evaluate(
        """() => new Promise((done) => {
          const tree = document.querySelector('[role=tree]');
          const start = performance.now();
          let frames = 0;
          const next = () => {
            frames += 1;
            tree.scrollTop = (frames * 400) % (tree.scrollHeight - 1000);
            if (performance.now() - start > 1000) done(frames);
            else requestAnimationFrame(next);
          };
          requestAnimationFrame(next);
        })"""
    )


def test_a_trace_that_is_not_there_says_so(page):  # noqa: F811
    opened(page, f"/traces/{'9' * 32}")
    expect(page.get_by_text("There is no trace with this id")).to_be_visible()
    page.get_by_role("link", name="To all traces").click()
    expect(page.get_by_role("grid", name="Traces")).to_be_visible()
    page.complaints.clear()  # type: ignore[attr-defined]  # the 404 that was asked for
