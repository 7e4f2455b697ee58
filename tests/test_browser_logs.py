"""Logs in Chromium, the ways a person takes: from a search to a line, its source and its trace."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

import querying
from browsing import WAIT_MS, browser, console, context, page, picture  # noqa: F401

pytestmark = pytest.mark.browser
expect.set_options(timeout=WAIT_MS)

S = 10**9
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
NUMBER = {"INFO": 9, "WARN": 13, "ERROR": 17}
TRACE_BACK = (
    "java.lang.IllegalStateException: pool exhausted\n\tat com.example.Pool.take(Pool.java:112)"
)


def log(at_ns, body, *, severity="INFO", pod="checkout-1", **columns):
    return {
        "timestamp": querying.at(at_ns),
        "severity": severity,
        "severity_number": NUMBER[severity],
        "severity_text": severity,
        "body": body,
        "service": "checkout",
        "namespace": "shop",
        "pod": pod,
        "container": "app",
        **columns,
    }


@pytest.fixture(scope="module")
def start_ns(console):  # noqa: F811
    """The newest row's time. 30 minutes of rows every 3 s, an outburst of errors in the middle."""
    now_ns = time.time_ns() // S * S - 10 * S  # before the end of any range that is asked for
    rows = [
        log(
            now_ns - n * 3 * S,
            f"GET /cart 200 in {n} ms",
            pod=f"checkout-{n % 3}",
            attributes={"http.status": str(200 + n % 2 * 204), "thread": f"worker-{n % 4}"},
            attribute_types=["int", "string"],
        )
        for n in range(600)
    ]
    rows += [
        log(now_ns - 900 * S + n * S, f"connection reset by peer, try {n}", severity="WARN")
        for n in range(20)
    ]
    rows += [
        log(now_ns - 890 * S + 1, TRACE_BACK, severity="ERROR", trace_id=TRACE, span_id=SPAN),
        log(
            now_ns - 885 * S,
            '{"id":12345678901234567890,"user":{"name":"\uae40\ubbfc\uc218"}}',
            service="payments",
        ),
        log(
            now_ns - 884 * S,
            "\x1b[31mred\x1b[0m \uacb0\uc81c \uc2e4\ud328",
            service="payments",
        ),
        log(now_ns - 883 * S, "x" * 300_000, service="payments"),
    ]
    querying.clear()
    querying.insert("log_rows", rows)
    querying.insert(
        "span_rows",
        [
            {
                "timestamp": querying.at(now_ns - 891 * S), "trace_id": TRACE, "span_id": SPAN,
                "duration_ns": 2 * S, "name": "POST /pay", "service": "checkout",
                "kind": "SERVER", "status": "ERROR",
            }
        ],
    )  # fmt: skip
    return now_ns


def lines(page):  # noqa: F811
    return page.get_by_role("grid", name="Log lines").get_by_role("row")


def details(page):  # noqa: F811
    return page.get_by_role("complementary", name="Details of the line")


def forgive_refusals(page):  # noqa: F811
    """Chromium writes each 400 to its console."""
    page.complaints[:] = [one for one in page.complaints if "status of 400" not in one]


def ask(page, query):  # noqa: F811
    page.keyboard.press("/")
    page.keyboard.type(query)
    page.keyboard.press("Enter")


def test_from_a_search_to_the_trace_and_back(page, start_ns):  # noqa: F811
    page.goto("/logs")
    expect(lines(page).nth(1)).to_be_visible()
    ask(page, '"connection reset" OR pool')
    expect(page.get_by_text("21 lines", exact=True)).to_be_visible()
    expect(page.locator("mark").first).to_have_text("connection reset")

    brush_the_middle(page)
    expect(page).to_have_url(re.compile(r"from=20\d\d-.*&to=20"))
    expect(page.get_by_text("21 lines", exact=True)).to_be_visible()

    page.get_by_role("navigation", name="Fields beside").get_by_role(
        "button", name=re.compile("^ERROR")
    ).click()
    expect(page.get_by_text("1 line", exact=True)).to_be_visible()
    expect(page.get_by_role("group", name="Filters")).to_contain_text("severity = ERROR")

    expect(lines(page)).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(details(page)).to_contain_text("at com.example.Pool.take(Pool.java:112)")
    details(page).get_by_role("tab", name="Before and after").click()
    here = details(page).locator("[aria-current]")
    expect(here).to_contain_text("pool exhausted")
    expect(details(page).get_by_role("listitem")).to_have_count(41)
    expect(details(page).get_by_role("listitem").nth(19)).to_contain_text("try 10")
    picture(page, "logs_around")

    before = page.url
    details(page).get_by_role("link", name="Trace").click()
    expect(page).to_have_url(re.compile(rf"/traces/{TRACE}\?.*span={SPAN}"))
    page.go_back()
    expect(page).to_have_url(before)
    expect(page.get_by_role("combobox", name="Search the logs")).to_have_value(
        '"connection reset" OR pool'
    )
    expect(details(page).locator("[aria-current]")).to_contain_text("pool exhausted")
    page.keyboard.press("Escape")
    expect(details(page)).to_have_count(0)


def brush_the_middle(page):  # noqa: F811
    """From a third of the hour to the end: the rows are in its second half."""
    over = page.get_by_role("img", name=re.compile("Lines over time")).locator(".u-over")
    box = over.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.97, y, steps=4)
    page.mouse.up()


def test_a_mistake_is_shown_at_its_place(page, start_ns):  # noqa: F811
    page.goto("/logs?query=cart+(servic:x+OR+y)")
    expect(page.get_by_test_id("mistake")).to_have_text("servic:x")
    expect(page.get_by_role("alert")).to_contain_text("at character 7: there is no field servic")
    expect(page.get_by_role("alert")).to_have_count(1)
    picture(page, "logs_mistake")
    page.get_by_role("alert").get_by_role("button").click()
    box = page.get_by_role("combobox", name="Search the logs")
    assert box.evaluate("box => box.selectionStart") == 6
    box.fill("cart")
    box.press("Enter")
    expect(page.get_by_text("600 lines", exact=True)).to_be_visible()
    forgive_refusals(page)


def test_new_lines_appear_while_they_are_followed(page, start_ns):  # noqa: F811
    page.goto("/logs")
    expect(lines(page).nth(1)).to_be_visible()
    page.keyboard.press("f")
    expect(page.get_by_text("New lines appear at the top as they arrive.")).to_be_visible()
    at_ns = time.time_ns()
    querying.insert("log_rows", [log(at_ns, "the first that was followed")])
    expect(lines(page).nth(1)).to_contain_text("the first that was followed")

    page.get_by_role("grid", name="Log lines").evaluate("grid => grid.scrollTo(0, 2000)")
    expect(page.get_by_text("New lines wait while you read further down.")).to_be_visible()
    querying.insert("log_rows", [log(at_ns + 1, "one that waits"), log(at_ns + 2, "another")])
    waiting = page.get_by_role("button", name="2 new lines")
    expect(waiting).to_be_visible()
    picture(page, "logs_following")
    waiting.click()
    expect(lines(page).nth(1)).to_contain_text("another")
    expect(lines(page).nth(2)).to_contain_text("one that waits")
    expect(lines(page).nth(3)).to_contain_text("the first that was followed")
    page.keyboard.press("f")
    expect(page).not_to_have_url(re.compile("follow"))


def test_facets_take_and_leave_out(page, start_ns):  # noqa: F811
    page.goto("/logs")
    facets = page.get_by_role("navigation", name="Fields beside")
    service = facets.get_by_role("region", name="Service")
    service.get_by_role("button", name=re.compile("^payments")).click()
    expect(page.get_by_text("3 lines", exact=True)).to_be_visible()
    # The other value is still there to be taken too.
    service.get_by_role("button", name=re.compile("^checkout")).click()
    expect(page.get_by_role("group", name="Filters")).to_contain_text(
        "service ∈ payments, checkout"
    )
    service.get_by_role("button", name=re.compile("^checkout")).click(modifiers=["Alt"])
    expect(page.get_by_role("group", name="Filters")).to_contain_text("service ≠ checkout")
    expect(page.get_by_text("3 lines", exact=True)).to_be_visible()


def test_bodies_can_be_read(page, start_ns):  # noqa: F811
    page.goto("/logs?filter=" + '[{"field":"service","op":"=","value":"payments"}]')
    lines(page).nth(3).click()
    expect(details(page).get_by_role("region", name="Body")).to_contain_text(
        '"id": 12345678901234567890,'
    )
    page.keyboard.press("k")
    body = details(page).get_by_role("region", name="Body")
    expect(body.locator("pre")).to_have_text("red 결제 실패")
    body.get_by_text("Raw").click()
    expect(body.locator("pre")).to_contain_text("␛[31mred")
    page.keyboard.press("k")
    expect(body).to_contain_text("300,000 characters")
    picture(page, "logs_long_body")
    body.get_by_role("button", name="Show 280,000 more characters").click()
    expect(body.get_by_role("button", name=re.compile("more characters"))).to_have_count(0)


def test_columns_wrapping_and_order_are_in_the_address(page, start_ns):  # noqa: F811
    page.goto("/logs?query=cart")
    expect(lines(page).nth(1)).to_contain_text("GET /cart 200 in 0 ms")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="http.status").check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="http.status")).to_be_visible()
    page.get_by_text("Oldest first").click()
    expect(lines(page).nth(1)).to_contain_text("GET /cart 200 in 599 ms")
    expect(lines(page).nth(1)).to_contain_text("404")
    page.locator("body").press("w")
    expect(page).to_have_url(re.compile("wrap=true"))
    page.reload()
    expect(lines(page).nth(1)).to_contain_text("GET /cart 200 in 599 ms")
    expect(page.get_by_role("columnheader", name="http.status")).to_be_visible()
    picture(page, "logs_columns")


def test_the_list_has_no_end_before_the_last_row(page, start_ns):  # noqa: F811
    page.goto("/logs?query=cart")
    expect(lines(page).nth(1)).to_contain_text("GET /cart")
    grid = page.get_by_role("grid", name="Log lines")
    for _ in range(4):
        grid.evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
        page.wait_for_timeout(300)
    expect(page.get_by_text("600 lines. That is all in this time range")).to_be_visible()


def test_back_finds_the_same_lines_at_the_same_height(page, start_ns):  # noqa: F811
    page.goto("/logs?query=cart")
    grid = page.get_by_role("grid", name="Log lines")
    expect(lines(page).nth(1)).to_contain_text("GET /cart")
    grid.evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
    expect(page.get_by_text("GET /cart 200 in 210 ms")).to_be_visible()
    grid.evaluate("grid => grid.scrollTo(0, 4840)")
    expect(page.get_by_text("GET /cart 200 in 225 ms")).to_be_visible()
    page.get_by_role("link", name="Metrics").click()
    expect(page).to_have_url(re.compile("/metrics"))
    page.go_back()
    expect(page.get_by_text("GET /cart 200 in 225 ms")).to_be_visible()
    assert abs(grid.evaluate("grid => grid.scrollTop") - 4840) < 30


def test_fields_and_values_are_suggested(page, start_ns):  # noqa: F811
    page.goto("/logs")
    expect(lines(page).nth(1)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("serv")
    expect(page.get_by_role("option", name="service:")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type("pay")
    expect(page.get_by_role("option", name="service:payments")).to_be_visible()
    picture(page, "logs_suggestions")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 lines", exact=True)).to_be_visible()


def test_nothing_found_says_what_to_do(page, start_ns):  # noqa: F811
    page.goto("/logs?query=zzz+nothing")
    expect(page.get_by_text("No line matches")).to_be_visible()
    page.get_by_role("button", name="Clear the search").last.click()
    expect(page.get_by_role("combobox", name="Search the logs")).to_have_value("")
    expect(lines(page).nth(1)).to_be_visible()


@pytest.mark.parametrize("width", [800, 1280])
def test_long_names_leave_the_lines_their_place(page, start_ns, width):  # noqa: F811
    pod = "a-very-long-name-in-a-namespace-with-a-long-name-too-api-gateway-v2-7d9f8c6b5-x4abc"
    querying.insert("log_rows", [log(start_ns - 5 * S, "of a long pod", pod=pod)])
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/logs?query=long")
    facets = page.get_by_role("navigation", name="Fields beside")
    expect(facets.get_by_text(pod)).to_be_visible()
    assert facets.bounding_box()["width"] < 240
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_in_korean_on_a_small_screen(page, start_ns, scheme):  # noqa: F811
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1024, "height": 700})
    page.goto("/logs")
    page.get_by_role("button", name="한국어로 바꾸기").click()
    page.get_by_role("combobox", name="로그 검색").fill("결제 (")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("끝에 무언가 빠졌습니다")
    page.get_by_role("combobox", name="로그 검색").fill("결제")
    page.keyboard.press("Enter")
    line = page.get_by_role("grid", name="로그 목록").get_by_role("row").nth(1)
    expect(line).to_contain_text("red 결제 실패")
    line.click()
    drawer = page.get_by_role("complementary", name="로그 상세")
    expect(drawer).to_contain_text("서비스")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1024
    picture(page, f"logs_korean_{scheme}")
    forgive_refusals(page)
