"""The ways a person takes through Targets, in a browser, over the program that scrapes."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from browsing import UI, browser, context, left_out, page, picture  # noqa: F401
from looking import running
from presenting import Api
from querying import engine

pytestmark = pytest.mark.browser
MANY = 5000


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    if not (UI / "index.html").is_file():
        left_out("the console is not built; build it with: make console")
    with running(tmp_path_factory.mktemp("targets")) as made:
        yield made


def table(page: Page):  # noqa: F811
    return page.get_by_role("grid", name="Targets")


def rows(page: Page):  # noqa: F811
    """Without the head."""
    return table(page).get_by_role("row").filter(has=page.get_by_role("gridcell"))


def details(page: Page):  # noqa: F811
    return page.get_by_role("complementary", name="A target")


def test_pools_and_targets_are_told(page):  # noqa: F811
    page.goto("/targets")
    pools = page.get_by_role("grid", name="Scrape pools")
    expect(pools.get_by_role("row").filter(has_text="node")).to_contain_text("1")
    expect(rows(page).first).to_contain_text("Down")
    expect(rows(page).first).to_contain_text("connection refused")
    expect(rows(page)).to_have_count(5)
    errors = page.get_by_role("list", name="What discovery could not do")
    expect(errors).to_contain_text("gone http http://127.0.0.1:1/sd")
    expect(errors).to_contain_text("connection refused")
    picture(page, "targets")


def test_filters_are_kept_in_the_address(page):  # noqa: F811
    page.goto("/targets")
    page.get_by_text(re.compile("^Up 2$")).click()
    expect(page).to_have_url(re.compile("state=up"))
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("env=prod")
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("textbox", name="Endpoint, label or error")).to_have_value("env=prod")
    page.get_by_role("textbox", name="Endpoint, label or error").fill("nothing has this")
    expect(page.get_by_text("No target fits")).to_be_visible()


def test_a_pool_is_chosen_by_a_click_and_left_by_another(page):  # noqa: F811
    page.goto("/targets")
    pool = page.get_by_role("grid", name="Scrape pools").get_by_text("trilens", exact=True)
    pool.click()
    expect(page).to_have_url(re.compile("pool=trilens"))
    expect(rows(page)).to_have_count(1)
    pool.click()
    expect(rows(page)).to_have_count(5)


def test_what_relabelling_did_step_by_step(page, console):  # noqa: F811
    page.goto("/targets?state=up&pool=node")
    rows(page).first.click()
    drawer = details(page)
    steps = drawer.get_by_role("region", name="Relabelling").get_by_role("listitem")
    expect(steps.filter(has_text="source_labels: [env]")).to_contain_text("kept")
    changed = steps.filter(has_text="target_label: node").first
    expect(changed).to_contain_text("1 label changed")
    expect(changed).to_contain_text("looks at " + console.node)
    expect(changed.get_by_role("listitem").filter(has_text="node=127.0.0.1").first).to_be_visible()
    expect(steps.filter(has_text="regex: team").first).to_contain_text("team=core")
    expect(drawer.get_by_role("region", name="Labels of every sample")).to_contain_text("prod")
    expect(drawer.get_by_role("region", name="Discovered labels")).to_contain_text("__address__")
    for chart in ("Up", "Duration", "Samples"):
        expect(drawer.get_by_role("img", name=f"{chart} over the time range")).to_be_visible()
    picture(page, "targets-details")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def test_the_error_of_a_target_is_shown_whole(page):  # noqa: F811
    page.goto("/targets?state=down")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    error = details(page).get_by_role("note", name="Last error")
    expect(error).to_have_text('Get "http://127.0.0.1:1/metrics": connection refused')


def test_a_dropped_target_says_which_rule_dropped_it(page):  # noqa: F811
    page.goto("/targets?state=dropped")
    page.get_by_role("grid", name="Dropped targets").get_by_text("10.0.0.9:9100").click()
    steps = details(page).get_by_role("region", name="Relabelling").get_by_role("listitem")
    expect(steps.nth(0)).to_contain_text("dropped here")
    expect(steps.nth(0)).to_contain_text("looks at dev")
    expect(steps.nth(1)).to_contain_text("not reached")
    picture(page, "targets-dropped")


def test_the_scrape_config_is_shown_without_secrets(page):  # noqa: F811
    page.goto("/targets?pool=trilens")
    rows(page).first.click()
    details(page).get_by_text("The scrape config of trilens").click()
    expect(details(page).get_by_text("password: <secret>")).to_be_visible()


def test_ways_lead_to_metrics_and_logs(page):  # noqa: F811
    page.goto("/targets?pool=pods")
    rows(page).first.click()
    details(page).get_by_role("link", name="Its logs").click()
    expect(page).to_have_url(re.compile("/logs"))
    expect(page.get_by_text("pod = web-0000")).to_be_visible()
    expect(page.get_by_text("namespace = team-")).to_be_visible()
    page.goto("/targets?state=up&pool=node")
    rows(page).first.click()
    details(page).get_by_role("link", name="Its metrics").click()
    expect(page).to_have_url(re.compile("/metrics"))
    expect(page).to_have_url(re.compile("view=query"))
    expect(page.get_by_text("go_goroutines").first).to_be_visible()


def test_a_target_that_is_gone_says_so(page):  # noqa: F811
    page.goto("/targets?of=node&target=0000000000000000")
    expect(page.get_by_text("This target is not there any more")).to_be_visible()
    page.complaints.clear()  # the browser logs the 404


def test_thousands_of_targets(page, console):  # noqa: F811
    console.pods(MANY)
    try:
        page.goto("/targets?pool=pods")
        expect(page.get_by_text(f"{MANY:,} of {MANY + 3:,}")).to_be_visible(timeout=30_000)
        assert rows(page).count() < 100, "only those in sight are drawn"
        table(page).focus()
        page.keyboard.press("End")
        expect(rows(page).last).to_be_visible()
        page.get_by_role("textbox", name="Endpoint, label or error").fill("pod_name=web-04321")
        expect(rows(page)).to_have_count(1)
        rows(page).first.click()
        expect(details(page)).to_contain_text("web-04321")
        picture(page, "targets-thousands")
    finally:
        console.pods(2)


def test_it_refreshes_by_itself(page, console):  # noqa: F811
    page.goto("/targets?pool=pods")
    expect(rows(page)).to_have_count(2, timeout=30_000)
    console.pods(3)
    expect(rows(page)).to_have_count(3, timeout=30_000)
    console.pods(2)


def test_in_korean_light_and_narrow(page):  # noqa: F811
    page.set_viewport_size({"width": 720, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto("/targets?state=up&pool=node")
    page.evaluate("localStorage.setItem('trilens.preferences', JSON.stringify({language: 'ko'}))")
    page.reload()
    expect(page.get_by_role("heading", name="타깃", exact=True).first).to_be_visible()
    page.get_by_role("grid", name="타깃").get_by_text("정상").first.click()
    drawer = page.get_by_role("complementary", name="타깃 상세")
    expect(drawer).to_contain_text("리레이블링")
    box = drawer.bounding_box()
    assert box["x"] + box["width"] <= 720
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    picture(page, "targets-narrow")


def test_without_a_prometheus_yml_it_says_how_to_give_one(browser):  # noqa: F811
    api = Api(engine(), ui=UI)
    bare = browser.new_page(base_url=api.url, locale="en-US")
    try:
        bare.goto("/targets")
        expect(bare.get_by_text("no prometheus.yml is configured")).to_be_visible()
        expect(bare.get_by_text("trilens serve --prometheus-config")).to_be_visible()
        bare.goto("/notifications")
        expect(bare.get_by_text("no alertmanager.yml is configured")).to_be_visible()
        picture(bare, "notifications-none")
        answer = json.loads(bare.request.get("/api/console/notifications").text())
        assert answer == {"file": "", "receivers": [], "alerts": 0}
        assert bare.request.get("/api/console/notifications/groups").status == 404
    finally:
        bare.close()
        api.close()
