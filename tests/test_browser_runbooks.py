"""The runbooks screens in Chromium: the list, a page as an alert links to it, and onwards."""

import re

import pytest
from playwright.sync_api import expect

from browsing import browser, console, context, page, picture  # noqa: F401

pytestmark = pytest.mark.browser


def test_from_the_list_to_a_page_and_to_the_next(page):  # noqa: F811
    page.goto("/runbooks")
    page.get_by_role("link", name="KubeWorkloadUnavailable").click()
    expect(page).to_have_url(re.compile(r"/runbooks/KubeWorkloadUnavailable"))
    expect(page.get_by_role("heading", name="How to confirm")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text("kubectl")
    assert page.locator("article ol > li").count() >= 2
    picture(page, "runbook")
    page.get_by_role("link", name="KubePodCrashLooping").click()
    expect(page.locator("article h2")).to_have_text("KubePodCrashLooping")


def test_a_query_of_a_page_is_opened_in_metrics(page):  # noqa: F811
    page.goto("/runbooks/KubePodCrashLooping")
    page.get_by_role("link", name="Open in Metrics").first.click()
    expect(page).to_have_url(re.compile(r"/metrics\?.*kube_pod_container_status_restarts_total"))


def test_a_page_that_is_none_says_so(page):  # noqa: F811
    page.goto("/runbooks/Nothing")
    expect(page.get_by_role("alert")).to_contain_text("Nothing")
    page.complaints.clear()  # the browser tells of the 404
