"""The ways a person takes through Metrics, in a browser."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from browsing import browser, console, context, page, picture  # noqa: F401
from querying import clear, insert

pytestmark = pytest.mark.browser

S = 10**9
MODES = ("idle", "system", "user")
MANY = 230
# Samples reach past the tests, so that the last of a line is the same whenever it is looked at.
AHEAD_S = 600


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    now_s = time.time_ns() / S
    series, samples = [], []

    def add(
        metric: str, labels: dict, value, *, kind: str = "", known=lambda _ago_s: True, every_s=15
    ):
        number = len(series) + 1
        series.append({"series_id": number, "metric": metric, "labels": labels, "source": "prometheus",
                       "kind": kind, "first_seen": now_s - 3600, "last_seen": now_s + 3600})  # fmt: skip
        samples.extend(
            {"metric": metric, "series_id": number, "timestamp": now_s - ago_s,
             "mantissa": round(value(3600 - ago_s) * 1000), "exponent": 3}
            for ago_s in range(-AHEAD_S, 3600, every_s) if known(ago_s)
        )  # fmt: skip

    for cpu in ("0", "1"):
        for share, mode in enumerate(MODES, 1):
            add("node_cpu_seconds_total", {"cpu": cpu, "mode": mode}, lambda s, n=share: s * n / 10)
    add("node_load1", {}, lambda s: 1 + s / 3600)
    add("node_memory_MemAvailable_bytes", {}, lambda _s: 3 * 2**30,
        known=lambda ago_s: not 1200 < ago_s < 2400)  # fmt: skip
    for n in range(MANY):
        add("many_series", {"shard": f"{n:03d}"}, lambda s, n=n: n, every_s=120)
    add(
        "http.server.duration",
        {"http.route": "/"},
        lambda _s: 0,
        kind="histogram",
        known=lambda _s: False,
    )
    series.append({"series_id": len(series) + 1, "metric": "http.server.request.duration", "source": "otlp",
                   "labels": {"http.route": "/"}, "kind": "histogram", "temporality": "cumulative", "unit": "s",
                   "first_seen": now_s - 3600, "last_seen": now_s + 3600})  # fmt: skip
    insert("histogram_rows", [
        {"metric": "http.server.request.duration", "series_id": len(series), "timestamp": now_s - ago_s,
         "start_timestamp": now_s - 3600, "kind": "histogram", "count": 4 * at, "sum": at, "bounds": [0.1, 1],
         "bucket_counts": [2 * at, at, at]}
        for at, ago_s in enumerate(range(3585, -AHEAD_S, -15))
    ])  # fmt: skip
    insert("series_rows", series)
    insert("sample_rows", samples)
    insert("metadata_rows", [
        {"metric": "node_cpu_seconds_total", "type": "counter", "unit": "", "help": "Seconds the CPUs spent."},
        {"metric": "many_series", "type": "gauge", "unit": "", "help": ""},
    ])  # fmt: skip


def opened(page: Page, path: str) -> Page:  # noqa: F811
    page.goto(path)
    return page


def names(page: Page):  # noqa: F811
    return page.get_by_role("grid", name="Metrics of this time range")


def lines(page: Page):  # noqa: F811
    return page.get_by_role("grid", name="Lines and their values").get_by_role("row")


def test_the_first_view_offers_useful_metrics(page):  # noqa: F811
    opened(page, "/metrics")
    card = page.get_by_role("link", name=re.compile("CPU by what it does"))
    expect(card).to_contain_text("100%")
    picture(page, "metrics-start")
    card.click()
    expect(page.get_by_role("heading", name="node_cpu_seconds_total")).to_be_visible()
    expect(lines(page)).to_have_count(3)
    expect(page.get_by_text("labels.mode ≠ idle")).to_be_visible()


def test_a_metric_is_found_picked_and_plotted(page):  # noqa: F811
    opened(page, "/metrics")
    page.keyboard.press("/")
    page.keyboard.type("cpu")
    names(page).get_by_text("node_cpu_seconds_total").click()
    view = page.get_by_role("region", name="node_cpu_seconds_total")
    expect(view.get_by_text("Seconds the CPUs spent.")).to_be_visible()
    expect(view.get_by_text("counter", exact=True)).to_be_visible()
    expect(page.get_by_role("radio", name="Rate")).to_be_checked()
    expect(lines(page)).to_have_count(7)
    expect(page.get_by_role("img", name="node_cpu_seconds_total")).to_be_visible()
    expect(lines(page).filter(has_text="cpu=0 mode=user")).to_contain_text("30.0%")
    picture(page, "metrics")


def test_series_are_put_together_by_label(page):  # noqa: F811
    opened(page, "/metrics?metric=node_cpu_seconds_total")
    expect(lines(page)).to_have_count(7)
    page.get_by_role("combobox", name="Kept apart by label").click()
    page.get_by_role("option", name="mode").click()
    expect(page).to_have_url(re.compile("agg=sum"))
    expect(lines(page)).to_have_count(4)
    expect(lines(page).filter(has_text="user")).to_contain_text("60.0%")
    expect(page.get_by_text("3 lines of 6 series")).to_be_visible()
    page.go_back()
    expect(lines(page)).to_have_count(7)


def test_labels_and_values_are_offered_as_filters(page):  # noqa: F811
    opened(page, "/metrics?metric=node_cpu_seconds_total")
    page.get_by_role("button", name="Filter by label").click()
    page.get_by_role("combobox", name="Label", exact=True).click()
    page.get_by_role("option", name=re.compile("^mode")).click()
    page.get_by_role("combobox", name="Value", exact=True).click()
    page.get_by_role("option", name=re.compile("^idle")).click()
    expect(page.get_by_text("labels.mode = idle")).to_be_visible()
    expect(lines(page)).to_have_count(3)
    page.get_by_role("button", name="Remove the filter labels.mode = idle").click()
    expect(lines(page)).to_have_count(7)


def test_a_line_is_shown_alone_and_all_come_back(page):  # noqa: F811
    opened(page, "/metrics?metric=node_cpu_seconds_total")
    lines(page).filter(has_text="cpu=1 mode=idle").click()
    expect(page.get_by_role("button", name=re.compile("^Show: "))).to_have_count(5)
    page.get_by_role("button", name="Show all lines").click()
    expect(page.get_by_role("button", name=re.compile("^Hide: "))).to_have_count(6)


def test_gaps_are_counted_and_bytes_written_as_such(page):  # noqa: F811
    opened(page, "/metrics?metric=node_memory_MemAvailable_bytes")
    row = lines(page).nth(1)
    expect(row).to_contain_text("3 GiB")
    gaps = row.get_by_role("gridcell").nth(6)
    expect(gaps).to_have_text(re.compile(r"^[1-9]\d*$"))
    picture(page, "metrics-gap")


def test_more_lines_than_are_shown_are_said(page):  # noqa: F811
    opened(page, "/metrics?metric=many_series&agg=none")
    expect(
        page.get_by_text(
            f"Only the first 200 lines are shown, in the order of their labels, from {MANY} series."
        )
    ).to_be_visible()


def test_a_distribution_is_drawn_by_its_quantiles(page):  # noqa: F811
    opened(page, "/metrics?metric=http.server.request.duration")
    expect(page.get_by_text("Quantiles of the distribution")).to_be_visible()
    expect(page.get_by_role("img", name="http.server.request.duration")).to_be_visible()
    for quantile in ("p50", "p95", "p99"):
        expect(page.get_by_text(quantile, exact=True)).to_be_visible()
    picture(page, "metrics-distribution")
    page.get_by_role("link", name="Go on in PromQL").click()
    expect(page).to_have_url(re.compile("view=query.*http_server_request_duration_seconds_bucket"))
    expect(page.get_by_role("textbox", name="Query C")).to_contain_text("histogram_quantile(0.5")


def test_a_distribution_without_points_says_what_to_do(page):  # noqa: F811
    opened(page, "/metrics?metric=http.server.duration")
    expect(page.get_by_text("No quantiles in this time range")).to_be_visible()
    expect(page.get_by_text("WHERE metric = 'http.server.duration'")).to_be_visible()


def test_keys_walk_through_the_metrics(page):  # noqa: F811
    opened(page, "/metrics")
    expect(names(page).get_by_role("row").nth(1)).to_be_visible()
    for _ in range(3):
        page.keyboard.press("j")
    expect(page).to_have_url(re.compile("metric=many_series"))


def test_nothing_found_says_so(page):  # noqa: F811
    opened(page, "/metrics?match=nonesuch")
    expect(page.get_by_text("No metric has “nonesuch” in its name")).to_be_visible()
    opened(page, "/metrics?metric=nonesuch")
    expect(page.get_by_text("No samples in this time range")).to_be_visible()
