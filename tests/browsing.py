"""What the browser tests share: Chromium, the built console over the real API, and looking at it.

Import the fixtures that a test file uses:

    from browsing import browser, console, context, page  # noqa: F401

`console` is the API over the shared engine (querying.py: insert rows first), `page` a fresh page
of it, in English, dark, 1440 x 900, with nothing kept from pages before. A test fails if its page logged an error, threw, or asked
another host for anything. Without Chromium all of them are left out, and say so.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

from presenting import Api
from querying import engine
from trilens.present.static_files import UI_DIRECTORY

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
SCREENSHOTS = Path(os.environ.get("TRILENS_SCREENSHOTS", "test-results/screenshots"))
# Another build than the one that is installed, while it is worked on.
UI = Path(os.environ.get("TRILENS_TEST_UI", UI_DIRECTORY))
WAIT_MS = 10_000


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def left_out(why: str) -> None:
    sys.__stderr__.write(f"\nLEFT OUT: the browser tests: {why}\n")
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        left_out("there is no Chromium; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def console() -> Iterator[Api]:
    if not (UI / "index.html").is_file():
        left_out("the console is not built; build it with: make console")
    api = Api(engine(), ui=UI)
    yield api
    api.close()


@pytest.fixture(scope="module")
def context(browser: Browser, console: Api) -> Iterator[BrowserContext]:
    """With one page that stays: its process has compiled the console, and serves all others."""
    made = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-US", color_scheme="dark",
        timezone_id="UTC", base_url=console.url, reduced_motion="reduce",
    )  # fmt: skip
    made.new_page().goto("/favicon.svg")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, console: Api) -> Iterator[Page]:
    context.set_offline(False)
    context.clear_cookies()
    context.pages[0].evaluate("localStorage.clear()")
    yield from watched(context, console)


def watched(context: BrowserContext, console: Api) -> Iterator[Page]:
    """A page that must not complain. Answers that are errors by intent: `page.complaints.clear()`."""
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    opened.complaints = complaints  # type: ignore[attr-defined]

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def asked(request: Request) -> None:
        if not request.url.startswith((console.url, "data:", "blob:")):
            complaints.append(f"asked another host: {request.url}")

    opened.on("console", said)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", asked)
    yield opened
    try:
        assert complaints == []
    finally:
        opened.close()


def picture(page: Page, name: str) -> None:
    """For people to look at: TRILENS_SCREENSHOTS, or test-results/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
