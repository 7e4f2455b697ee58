"""The ways a person takes through PromQL in the console, in a browser."""

import json
import re
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from browsing import browser, console, context, page, picture  # noqa: F401
from querying import clear, engine, insert

pytestmark = pytest.mark.browser

S = 10**9
MODES = ("idle", "system", "user")
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# Samples reach past the tests, so that the last of a line is the same whenever it is looked at.
AHEAD_S = 600
CPU = 'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))'


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    engine().command("TRUNCATE TABLE trilens.exemplar_rows")
    now_s = time.time_ns() / S
    series, samples = [], []

    def add(metric: str, labels: dict, value, **columns) -> int:
        number = len(series) + 1
        series.append({"series_id": number, "metric": metric, "labels": labels, "source": "prometheus",
                       "first_seen": now_s - 3600, "last_seen": now_s + 3600, **columns})  # fmt: skip
        samples.extend(
            {"metric": metric, "series_id": number, "timestamp": now_s - ago_s,
             "mantissa": round(value(3600 - ago_s) * 1000), "exponent": 3}
            for ago_s in range(-AHEAD_S, 3600, 15)
        )  # fmt: skip
        return number

    for cpu in ("0", "1"):
        for share, mode in enumerate(MODES, 1):
            add("node_cpu_seconds_total", {"cpu": cpu, "mode": mode}, lambda s, n=share: s * n / 10)
    add("node_load1", {"instance": "a:9100"}, lambda s: 1 + s / 3600)
    add(
        "node_memory_MemAvailable_bytes",
        {"instance": "a:9100"},
        lambda s: 3 * 2**30 + 2**20 * (s % 600),
    )
    buckets = [
        add("http_seconds_bucket", {"le": bound}, lambda s, n=share: round(s * n / 10))
        for bound, share in (("0.1", 5), ("0.5", 9), ("+Inf", 10))
    ]
    add(
        "shop.orders", {"shop.kind": "book"}, lambda s: round(s / 10),
        source="otlp", kind="sum", temporality="cumulative", is_monotonic=1,
    )  # fmt: skip
    for pod in ("x", "y"):
        add("fresh_pods", {"pod": pod}, lambda s: s, first_seen=now_s - 60)
    insert("series_rows", series)
    insert("sample_rows", samples)
    insert("exemplar_rows", [
        {"metric": "http_seconds_bucket", "series_id": bucket, "timestamp": now_s - 600 * n, "trace_id": TRACE_ID,
         "mantissa": 100 * n, "exponent": 3} for n, bucket in enumerate(buckets, 1)
    ])  # fmt: skip


def asked(page: Page, *exprs: str, more: str = "") -> Page:  # noqa: F811
    queries = [{"id": "ABC"[at], "expr": expr} for at, expr in enumerate(exprs)]
    q = f"&q={quote(json.dumps(queries))}" if exprs else ""
    page.goto(f"/metrics?view=query{q}{more}")
    return page


def editor(page: Page, letter: str = "A"):  # noqa: F811
    return page.get_by_role("textbox", name=f"Query {letter}")


def row(page: Page, letter: str):  # noqa: F811
    return page.get_by_role("region", name=f"Query {letter}")


def lines(page: Page):  # noqa: F811
    return page.get_by_role("grid", name="Lines and their values").get_by_role("row")


def shown_lines(page: Page):  # noqa: F811
    return page.get_by_role("button", name=re.compile("^Hide: "))


def test_a_query_is_completed_run_and_plotted(page):  # noqa: F811
    page.goto("/metrics")
    page.get_by_text("PromQL", exact=True).click()
    expect(page.get_by_text("Write a query above")).to_be_visible()
    picture(page, "promql-begin")
    editor(page).click()
    page.keyboard.type("sum by (mode) (rate(node_cpu")
    option = page.get_by_role("option", name=re.compile("node_cpu_seconds_total"))
    expect(option).to_be_visible()
    picture(page, "promql-completion")
    for _ in range(40):
        page.keyboard.press("Enter")  # while the list is made anew it takes nothing
        page.wait_for_timeout(50)
        if "node_cpu_seconds_total" in editor(page).inner_text():
            break
    page.keyboard.type("[5m]")
    page.keyboard.press("Escape")
    expect(editor(page)).to_have_text("sum by (mode) (rate(node_cpu_seconds_total[5m]))")
    page.keyboard.press("Enter")
    expect(lines(page)).to_have_count(4)
    page.keyboard.press("Escape")
    expect(editor(page)).not_to_be_focused()
    page.keyboard.press("e")
    expect(editor(page)).to_be_focused()
    expect(lines(page).filter(has_text="user")).to_contain_text("60.0%")
    expect(row(page, "A").get_by_text(re.compile(r"^3 series · .*s$"))).to_be_visible()
    expect(page).to_have_url(re.compile("view=query"))
    picture(page, "promql-graph")


def test_labels_and_values_are_offered(page):  # noqa: F811
    asked(page)
    editor(page).click()
    page.keyboard.type("node_cpu_seconds_total{mo")
    page.get_by_role("option", name="mode").click()
    page.keyboard.type('="us')
    page.get_by_role("option", name="user").click()
    expect(editor(page)).to_have_text('node_cpu_seconds_total{mode="user"}')
    page.keyboard.press("Control+Enter")
    expect(lines(page)).to_have_count(3)
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(editor(page, "B")).to_be_focused()


def test_several_queries_are_added_hidden_and_removed(page):  # noqa: F811
    asked(page, CPU, "node_memory_MemAvailable_bytes")
    expect(lines(page)).to_have_count(4)
    expect(page.get_by_text("These lines are measured in different units.")).to_be_visible()
    picture(page, "promql-two")
    page.get_by_role("button", name="Give each query its own plot").click()
    expect(page.get_by_role("img", name="Query B over time")).to_be_visible()
    chart = page.get_by_role("img", name="Query A over time")
    chart.hover(position={"x": 500, "y": 80})
    picture(page, "promql-split")
    page.get_by_role("button", name="Hide query A").click()
    expect(lines(page)).to_have_count(2)
    expect(page).to_have_url(re.compile("off"))
    page.get_by_role("button", name="Show query A").click()
    page.get_by_role("button", name="Remove query A").click()
    expect(row(page, "A")).to_have_count(0)
    page.get_by_role("button", name="Add a query").click()
    expect(editor(page, "A")).to_be_focused()
    page.keyboard.type("node_load1")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run").click()
    expect(lines(page)).to_have_count(3)
    page.go_back()
    expect(editor(page, "A")).to_have_text(re.compile("PromQL, such as"))


def test_the_cursor_stays_where_it_is_when_a_query_is_run(page):  # noqa: F811
    asked(page)
    editor(page).click()
    page.keyboard.type("node_load1")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(lines(page)).not_to_have_count(0)
    expect(editor(page)).to_be_focused()
    page.keyboard.type(" * 2")
    expect(editor(page)).to_have_text("node_load1 * 2")


def test_what_the_engine_was_asked_is_told(page):  # noqa: F811
    asked(page, CPU)
    page.get_by_role("button", name="SQL of query A").click()
    statements = page.get_by_role("list", name="What the engine was asked").get_by_role("listitem")
    expect(statements.last).to_contain_text("FROM trilens.sample_rows")
    picture(page, "promql-sql")
    page.get_by_text("Table", exact=True).click()
    expect(statements.last).to_be_visible()
    page.get_by_role("button", name="SQL of query A").click()
    expect(statements).to_have_count(0)


def test_the_table_has_the_values_of_now(page):  # noqa: F811
    asked(page, CPU, "vector(1) > 2")
    page.get_by_text("Table", exact=True).click()
    grid = page.get_by_role("grid", name="Values of query A")
    expect(grid.get_by_role("row")).to_have_count(3)
    expect(grid.get_by_role("row").filter(has_text="user")).to_contain_text("60.0%")
    expect(page.get_by_text("No values at the end of this time range")).to_be_visible()
    picture(page, "promql-table")
    page.keyboard.press("v")
    expect(lines(page)).to_have_count(3)


def test_a_mistake_is_shown_where_it_is(page):  # noqa: F811
    asked(
        page, "sum(node_load1", "node_load1 + on() group_left node_load1 ** 2", "rate(node_load1)"
    )
    expect(row(page, "A").get_by_role("alert")).to_contain_text("at character 15")
    mistake = row(page, "C").get_by_test_id("mistake")
    expect(mistake).to_have_text("node_load1")
    picture(page, "promql-mistake")
    mistake.click()
    expect(editor(page, "C")).to_be_focused()
    page.complaints.clear()


def test_what_cannot_be_carried_out_says_why_and_notes_have_places(page):  # noqa: F811
    asked(page, "node_cpu_seconds_total + on(mode) node_cpu_seconds_total", "rate(node_load1[5m])")
    expect(row(page, "A").get_by_role("alert")).to_contain_text("cannot be carried out")
    note = row(page, "B").get_by_role("list", name="Remarks")
    expect(note).to_contain_text("metric might not be a counter")
    picture(page, "promql-notes")
    note.get_by_role("button", name="at character 6").click()
    expect(editor(page, "B")).to_be_focused()
    page.complaints.clear()


def test_a_line_is_shown_alone_and_the_address_keeps_it(page):  # noqa: F811
    asked(page, "node_cpu_seconds_total")
    lines(page).filter(has_text="cpu=1 mode=idle").click()
    expect(shown_lines(page)).to_have_count(1)
    lines(page).filter(has_text="cpu=1 mode=user").click(modifiers=["Control"])
    expect(shown_lines(page)).to_have_count(2)
    page.reload()
    expect(shown_lines(page)).to_have_count(2)
    page.get_by_role("button", name="Show all lines").click()
    expect(shown_lines(page)).to_have_count(6)


def test_the_builder_and_the_text_fill_each_other(page):  # noqa: F811
    asked(page, "node_cpu_seconds_total", more="&builder=true")
    builder = page.get_by_role("group", name="Builder")
    expect(lines(page)).to_have_count(7)
    builder.get_by_label("Function").click()
    page.get_by_role("option", name="rate", exact=True).click()
    expect(editor(page)).to_have_text("rate(node_cpu_seconds_total[5m])")
    builder.get_by_label("Put together").click()
    page.get_by_role("option", name="sum", exact=True).click()
    expect(lines(page)).to_have_count(2)
    builder.get_by_role("button", name="Label").click()
    expect(editor(page)).to_have_text('sum(rate(node_cpu_seconds_total{cpu="0"}[5m]))')
    picture(page, "promql-builder")
    editor(page).click()
    page.keyboard.press("Control+a")
    page.keyboard.type("avg(node_load1")
    page.keyboard.press("Escape")
    expect(builder.get_by_label("Put together")).to_have_value("avg")
    editor(page).click()
    page.keyboard.press("End")
    page.keyboard.type(" + 1")
    expect(page.get_by_text("This query says more than the builder can show")).to_be_visible()


def test_a_picked_metric_becomes_a_query(page):  # noqa: F811
    asked(page)
    page.get_by_role("grid", name="Metrics of this time range").get_by_text("node_load1").click()
    expect(editor(page)).to_have_text("node_load1")
    page.get_by_role("grid", name="Metrics of this time range").get_by_text(
        "http_seconds_bucket"
    ).click()
    expect(editor(page, "B")).to_have_text("sum by (le) (rate(http_seconds_bucket[5m]))")
    expect(lines(page)).to_have_count(5)


def test_the_picker_goes_on_in_promql(page):  # noqa: F811
    page.goto("/metrics?metric=node_cpu_seconds_total&agg=sum&by=%5B%22mode%22%5D")
    page.get_by_role("link", name="Go on in PromQL").click()
    expect(editor(page)).to_have_text("sum by (mode) (rate(node_cpu_seconds_total[5m]))")
    expect(lines(page)).to_have_count(4)


def test_what_otlp_sends_has_its_name_in_promql(page):  # noqa: F811
    page.goto("/metrics?metric=shop.orders&agg=sum&by=%5B%22shop.kind%22%5D")
    page.get_by_role("link", name="Go on in PromQL").click()
    expect(editor(page)).to_have_text("sum by (shop_kind) (rate(shop_orders_total[5m]))")
    expect(lines(page)).to_have_count(2)
    expect(lines(page).nth(1)).to_contain_text("book")


def test_asking_again_keeps_what_is_shown(page):  # noqa: F811
    asked(page, CPU)
    expect(lines(page)).to_have_count(3)
    page.evaluate(
        "() => { window.wasGone = false; new MutationObserver("
        "() => { window.wasGone ||= document.querySelector('canvas') === null })"
        ".observe(document.body, { childList: true, subtree: true }) }"
    )
    for _ in range(2):
        page.wait_for_timeout(1100)
        with page.expect_response("**/api/v1/query_range"):
            page.keyboard.press("r")
    expect(lines(page)).to_have_count(3)
    assert page.evaluate("window.wasGone") is False


def test_exemplars_lead_to_their_trace(page):  # noqa: F811
    asked(page, "histogram_quantile(0.9, sum by (le) (rate(http_seconds_bucket[5m])))")
    page.get_by_role("switch", name="Exemplars").press("Space")
    dots = page.get_by_role("link", name=re.compile("^Open the trace"))
    expect(dots).to_have_count(3)
    picture(page, "promql-exemplars")
    dots.first.click()
    expect(page).to_have_url(re.compile(TRACE_ID))
    page.complaints.clear()


def test_cardinality_names_what_has_most_series(page):  # noqa: F811
    page.goto("/metrics")
    page.get_by_text("Cardinality", exact=True).click()
    grid = page.get_by_role("grid", name="Metrics with the most series")
    expect(grid.get_by_role("row").nth(1)).to_contain_text("node_cpu_seconds_total")
    expect(grid.get_by_role("row").nth(1)).to_contain_text("6")
    begun = page.get_by_role("grid", name="Metrics with the most series begun in the time range")
    expect(begun.get_by_role("row").filter(has_text="fresh_pods")).to_contain_text("2")
    picture(page, "cardinality")
    page.get_by_role("grid", name="Label values in the most series").get_by_text("cpu=0").click()
    expect(page.get_by_role("grid", name="Values of query A").get_by_role("row")).to_have_count(2)


def test_other_screens_do_not_load_the_editor(page):  # noqa: F811
    loaded = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto("/metrics")
    expect(page.get_by_role("grid", name="Metrics of this time range")).to_be_visible()
    assert not [url for url in loaded if "codemirror" in url]
    page.get_by_text("PromQL", exact=True).click()
    expect(editor(page)).to_be_visible()
    assert [url for url in loaded if "codemirror" in url]


@pytest.mark.parametrize(
    ("name", "width", "scheme", "locale"),
    [("light", 1440, "light", "en-US"), ("narrow", 640, "dark", "en-US"), ("korean", 1440, "dark", "ko-KR")],
)  # fmt: skip
def test_it_reads_well_elsewhere(browser, console, name, width, scheme, locale):  # noqa: F811
    elsewhere = browser.new_context(
        viewport={"width": width, "height": 900}, locale=locale, color_scheme=scheme,
        timezone_id="UTC", base_url=console.url, reduced_motion="reduce",
    )  # fmt: skip
    other = elsewhere.new_page()
    asked(other, CPU, "node_load1", more="&builder=true")
    expect(other.locator(".cm-content").first).to_be_visible()
    expect(other.get_by_role("grid").last.get_by_role("row")).to_have_count(4)
    picture(other, f"promql-{name}")
    wide = other.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    other.goto("/metrics?view=cardinality")
    expect(other.get_by_role("grid").first).to_be_visible()
    picture(other, f"cardinality-{name}")
    other.goto("/metrics?metric=node_load1")
    expect(other.locator("canvas")).to_be_visible()
    picture(other, f"metrics-{name}")
    assert other.evaluate("document.documentElement.scrollWidth") <= width
    elsewhere.close()
