"""The ways a person takes through Notifications, in a browser, over the program that notifies."""

import re

import pytest
from playwright.sync_api import Page, expect

from browsing import UI, browser, context, left_out, page, picture  # noqa: F401
from looking import running
from waiting import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    if not (UI / "index.html").is_file():
        left_out("the console is not built; build it with: make console")
    with running(tmp_path_factory.mktemp("notified"), (503, b"over its quota")) as made:
        wait_until(lambda: made.console("/notifications/attempts", result="failed")["found"] > 2)
        yield made


def journal(page: Page):  # noqa: F811
    return page.get_by_role("grid", name="Attempts")


def rows(grid, page: Page):  # noqa: F811
    return grid.get_by_role("row").filter(has=page.get_by_role("gridcell"))


def test_receivers_and_their_health(page):  # noqa: F811
    page.goto("/notifications")
    receivers = page.get_by_role("grid", name="Receivers")
    pager = receivers.get_by_role("row").filter(has_text="pager")
    expect(pager).to_contain_text("Failing")
    expect(pager).to_contain_text("unexpected status code 503: over its quota")
    expect(receivers.get_by_role("row").filter(has_text="spare")).to_contain_text("by no route")
    picture(page, "notifications")


def test_attempts_are_filtered_and_kept_in_the_address(page):  # noqa: F811
    page.goto("/notifications")
    page.get_by_role("grid", name="Receivers").get_by_text("pager", exact=True).click()
    expect(page).to_have_url(re.compile("receiver=pager"))
    page.get_by_role("combobox", name="Result").click()
    page.get_by_role("option", name="Failed").click()
    expect(page).to_have_url(re.compile("result=failed"))
    expect(rows(journal(page), page).first).to_contain_text("over its quota")
    page.reload()
    expect(rows(journal(page), page).first).to_contain_text("over its quota")
    page.get_by_role("textbox", name="Label, receiver or error").fill("nothing has this")
    expect(page.get_by_text("No attempt fits")).to_be_visible()
    page.get_by_label("Any Receiver").click()
    expect(page).not_to_have_url(re.compile("receiver="))


def test_an_attempt_says_what_came_of_it(page):  # noqa: F811
    page.goto("/notifications?result=failed")
    rows(journal(page), page).first.click()
    drawer = page.get_by_role("complementary", name="An attempt")
    expect(drawer.get_by_role("note", name="Error")).to_have_text(
        "unexpected status code 503: over its quota"
    )
    for text in ("Status code", "503", "First notification", "TargetDown", "instance="):
        expect(drawer).to_contain_text(text)
    picture(page, "notifications-attempt")
    drawer.get_by_role("button", name="All attempts of this group").click()
    expect(page).to_have_url(re.compile("match="))
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def test_groups_as_they_stand(page):  # noqa: F811
    page.goto("/notifications")
    page.get_by_role("radiogroup", name="View").get_by_text("Groups", exact=True).click()
    groups = page.get_by_role("grid", name="Groups")
    pager = groups.get_by_role("row").filter(has_text="pager")
    expect(pager).to_contain_text("alertname=TargetDown")
    flaky = groups.get_by_role("row").filter(has_text="TargetFlaky")
    expect(flaky).to_contain_text("all silenced or inhibited", timeout=30_000)
    flaky.click()
    drawer = page.get_by_role("complementary", name="A group")
    expect(drawer).to_contain_text("Inhibited")
    picture(page, "notifications-groups")
    drawer.get_by_role("link", name="Where it goes").first.click()
    expect(page.get_by_role("status").filter(has_text="Tells nobody now")).to_be_visible()
    page.go_back()
    drawer.get_by_role("link", name="TargetFlaky").click()
    expect(page).to_have_url(re.compile("/alerts"))
    expect(page.get_by_role("grid", name="Alerts")).to_contain_text("Inhibited")


def test_where_an_alert_would_go(page):  # noqa: F811
    page.goto("/notifications?view=routes")
    box = page.get_by_role("textbox", name="Labels of an alert")
    box.fill('alertname=New, severity="critical"')
    answer = page.get_by_role("status").filter(has_text="Tells pager")
    expect(answer).to_contain_text('severity="critical"')
    expect(answer).to_contain_text("opens a new group")
    tree = page.get_by_role("region", name="Routing tree").get_by_role("listitem")
    expect(tree.filter(has_text="goes here")).to_have_count(1)
    box.fill("alertname=New, team=night")
    expect(page.get_by_role("status").filter(has_text="muted by always")).to_be_visible()
    expect(page.get_by_text("Tells nobody now")).to_be_visible()
    box.fill("alertname=TargetFlaky, severity=warning, instance=127.0.0.1:1")
    expect(page.get_by_text("Inhibited: critical hides warning")).to_be_visible(timeout=30_000)
    picture(page, "notifications-where")
    box.fill("alertname=New, severity")
    expect(page.get_by_text("Not understood from character 16 on")).to_be_visible()


def test_narrow_light_and_korean(page):  # noqa: F811
    page.set_viewport_size({"width": 480, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto("/notifications?view=routes")
    page.evaluate("localStorage.setItem('trilens.preferences', JSON.stringify({language: 'ko'}))")
    page.reload()
    expect(page.get_by_role("region", name="라우팅 트리")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 480
    picture(page, "notifications-narrow")


def test_a_receiver_that_recovers(browser, tmp_path):  # noqa: F811
    with running(tmp_path, (503, b"over its quota")) as made:
        own = browser.new_page(base_url=made.url, locale="en-US")
        try:
            own.goto("/notifications?result=sent")
            expect(
                own.get_by_text("Nobody has been notified yet").or_(
                    own.get_by_text("No attempt fits")
                )
            ).to_be_visible()
            made.pager.answers[:] = [(200, b"")]
            expect(rows(journal(own), own).first).to_contain_text("TargetDown", timeout=60_000)
            receivers = own.get_by_role("grid", name="Receivers").get_by_role("row")
            expect(receivers.filter(has_text="pager")).to_contain_text("Working", timeout=30_000)
        finally:
            own.close()
