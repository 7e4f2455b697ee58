"""The ways a person takes through alerts, in a browser: the program itself, real rules on what was
sent to it, an Alertmanager inside that tells a real receiver."""

import json
import math
import re
import time
from datetime import UTC, datetime
from itertools import chain

import httpx
import pytest
from playwright.sync_api import Page, expect

from browsing import UI, browser, context, page, picture  # noqa: F401
from notifying import Receiver
from serving import Trilens
from trilens.alert.recent_samples import Recorded
from trilens.alert.write_bodies import bodies
from waiting import wait_until

pytestmark = pytest.mark.browser

S = 1000
PODS = ("checkout-6f9d", "cart-77b4", "search-0c1e")
RULES = """
groups:
- name: queues
  interval: 1s
  rules:
  - {record: "shop:queue_depth:max", expr: max by (namespace) (queue_depth)}
  - alert: QueueLong
    expr: queue_depth > 80
    for: 3s
    keep_firing_for: 4s
    labels: {severity: warning}
    annotations: {summary: "{{ $labels.pod }} has {{ $value }} jobs waiting"}
  - alert: CheckoutDown
    expr: checkout_up == 0
    labels: {severity: critical}
    annotations:
      summary: "Checkout does not answer in {{ $labels.namespace }}"
      description: "Orders cannot be paid. Its pods restart, or the database is away."
      runbook_url: /runbooks/CheckoutDown
  - {alert: SlowlyFilling, expr: queue_depth > 0, for: 1h, labels: {severity: info}}
- name: broken
  interval: 1s
  rules:
  - {alert: NeverWell, expr: queue_depth + on () group_left () queue_depth, labels: {severity: info}}
"""
ALERTMANAGER = """
route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 5s}}
receivers:
- name: hook
  webhook_configs: [{{url: "{url}"}}]
"""


def depth(pod: int, at_s: int) -> float:
    """A wave of five minutes for each, one after the other."""
    return round(60 + 50 * math.sin(2 * math.pi * (at_s + 100 * pod) / 300), 1)


def sent_before(program, now_s: int) -> None:
    """An hour, and what comes while the test runs: so rules and previews see the same."""
    moments = range(now_s - 3600, now_s + 900, 5)
    series = {
        pod: {"namespace": "shop", "pod": pod, "cluster": "blue", "node": f"ip-10-0-0-{number}"}
        for number, pod in enumerate(PODS)
    }
    samples = chain(
        (_sample("queue_depth", series[pod], at_s, depth(number, at_s))
         for number, pod in enumerate(PODS) for at_s in moments),
        (_sample("checkout_up", {"namespace": "shop", "service": "checkout"}, at_s, float(at_s < now_s - 240))
         for at_s in moments),
    )  # fmt: skip
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}  # fmt: skip
    for body in bodies(list(samples)):
        reply = httpx.post(f"{program.url}/api/v1/write", content=body, headers=headers,
                           trust_env=False)  # fmt: skip
        assert reply.status_code < 300, reply.text


def _sample(name, labels, at_s, value):
    return Recorded(tuple(sorted({"__name__": name, **labels}.items())), at_s * S, value)


def log_of_pod(program) -> None:
    attributes = [{"key": key, "value": {"stringValue": value}}
                  for key, value in (("k8s.pod.name", PODS[0]), ("k8s.namespace.name", "shop"),
                                     ("k8s.cluster.name", "blue"), ("service.name", "checkout"))]  # fmt: skip
    body = {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [
        {"timeUnixNano": str(time.time_ns()), "severityText": "ERROR", "severityNumber": 17,
         "body": {"stringValue": "the queue does not get shorter"}}]}]}]}  # fmt: skip
    httpx.post(f"{program.otlp_http}/v1/logs", json=body, trust_env=False).raise_for_status()


def asked(program, path, **parameters):
    reply = httpx.get(f"{program.url}{path}", params=parameters, trust_env=False, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.fixture(scope="module")
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory, receiver):
    if not (UI / "index.html").is_file():
        pytest.skip("the console is not built; build it with: make console")
    directory = tmp_path_factory.mktemp("alerts")
    (directory / "alertmanager.yml").write_text(ALERTMANAGER.format(url=receiver.url))
    (directory / "rules").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TRILENS_SCREENSHOTS", "TRILENS_TEST_UI"):  # of the tests, no settings
            patch.delenv(name, raising=False)
        program = Trilens(
            directory / "data", "--rule-files", f"{directory}/rules/*.yml",
            "--alertmanager-config", str(directory / "alertmanager.yml"),
        )  # fmt: skip
        program.start()
    try:
        sent_before(program, int(time.time()))
        log_of_pod(program)
        wait_until(lambda: program.count("samples", "metric = 'checkout_up'") > 800)
        (directory / "rules" / "shop.yml").write_text(RULES)
        httpx.post(f"{program.url}/-/reload", trust_env=False).raise_for_status()
        wait_until(lambda: asked(program, "/api/console/alerts")["counts"]["pending"] >= 3)
        wait_until(lambda: asked(program, "/api/console/alerts", state="firing")["total"] >= 1)
        yield program
    finally:
        program.stop()


def instant(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def tell(program, alerts: list[dict]) -> None:
    headers = {"Content-Type": "application/json"}
    reply = httpx.post(f"{program.url}/api/v2/alerts", content=json.dumps(alerts), timeout=60,
                       headers=headers, trust_env=False)  # fmt: skip
    assert reply.status_code == 200, reply.text


def row(page: Page, text: str):  # noqa: F811
    return page.get_by_role("grid").first.get_by_role("row").filter(has_text=text)


def details(page: Page, name: str = "Alert"):  # noqa: F811
    return page.get_by_role("complementary", name=name)


def test_live_states_are_those_of_the_preview(console):
    """At every moment of the real rule, as ALERTS has it, over all that it did."""
    rules = asked(console, "/api/console/alerts/rules")["groups"]
    rule = next(r["id"] for g in rules for r in g["rules"] if r["name"] == "QueueLong")

    def evaluated():
        """Moments that the store shows; not those that the rule had no past for yet."""
        query = '{__name__="shop:queue_depth:max"}[10m]'
        found = asked(console, "/api/v1/query", query=query)["data"]["result"]
        moments = [round(at_s * S) for at_s, _ in found[0]["values"]] if found else []
        return [at_ms for at_ms in moments if at_ms >= moments[0] + 8 * S]

    wait_until(lambda: len(evaluated()) >= 12, 40)
    moments = evaluated()
    query = 'ALERTS{alertname="QueueLong"}[10m]'
    lived = {}
    for one in asked(console, "/api/v1/query", query=query)["data"]["result"]:
        for at_s, _ in one["values"]:
            lived.setdefault(round(at_s * S), {})[one["metric"]["pod"]] = one["metric"][
                "alertstate"
            ]
    answer = asked(console, "/api/console/alerts/preview", rule=rule, from_ms=moments[0] - 600 * S,
                   to_ms=moments[-1] + 1)  # fmt: skip
    previewed = {
        one["labels"]["pod"]: one["spans"] for one in answer["alerts"]
    }  # fmt: skip
    for at_ms in moments:
        states = {
            pod: "pending" if span["state"] == "pending" else "firing"
            for pod, spans in previewed.items()
            for span in spans
            if span["start_ms"] <= at_ms < span["end_ms"]
        }
        assert states == lived.get(at_ms, {}), at_ms


def test_what_fires_is_on_the_overview(page):  # noqa: F811
    page.goto("/")
    fires = page.get_by_role("region", name=re.compile("fires?$"))
    expect(fires).to_contain_text("CheckoutDown")
    picture(page, "alerts-overview")
    fires.get_by_role("link", name=re.compile("CheckoutDown")).click()
    expect(details(page)).to_contain_text("Orders cannot be paid")


def test_an_alert_and_its_ways(page):  # noqa: F811
    page.goto("/alerts?from=now-15m")
    expect(row(page, "CheckoutDown")).to_contain_text("critical")
    expect(row(page, "SlowlyFilling").first).to_contain_text("3")
    picture(page, "alerts-list")
    row(page, "CheckoutDown").click()
    drawer = details(page)
    expect(drawer.get_by_role("heading", name="CheckoutDown")).to_be_visible()
    expect(drawer.get_by_role("link", name="Runbook")).to_have_attribute(
        "href", "/runbooks/CheckoutDown"
    )
    expect(drawer.get_by_text("checkout_up == 0", exact=True)).to_be_visible()
    expect(drawer.get_by_role("img", name=re.compile("^Firing, "))).to_be_visible()
    expect(drawer.get_by_role("img", name="checkout_up over time")).to_be_visible()
    expect(drawer.get_by_text("== 0", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("alert="))
    picture(page, "alerts-details")
    drawer.get_by_role("group", name="Ways from here").get_by_role("link", name="Metric").click()
    expect(page.get_by_role("textbox", name="Query A")).to_have_text("checkout_up")
    page.go_back()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def test_from_a_pending_alert_to_the_logs_of_its_pod(page):  # noqa: F811
    page.goto("/alerts?state=pending&match=SlowlyFilling")
    row(page, PODS[0]).last.click()
    ways = details(page).get_by_role("group", name="Ways from here")
    expect(ways).to_contain_text(f"pod={PODS[0]}")
    ways.get_by_role("link", name="Logs").click()
    expect(page.get_by_text("the queue does not get shorter").first).to_be_visible()
    expect(page).to_have_url(re.compile("/logs.*from="))


def test_the_list_is_filtered_in_the_address(page):  # noqa: F811
    page.goto("/alerts?severity=info")
    expect(row(page, "SlowlyFilling").first).to_be_visible()
    expect(row(page, "CheckoutDown")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("search-0c1e")
    expect(page).to_have_url(re.compile("match=search-0c1e"))
    expect(row(page, "search-0c1e")).to_have_count(1)
    page.get_by_role("textbox", name="Name, label or summary").fill("nowhere")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_role("button", name="Remove all filters").click()
    expect(row(page, "CheckoutDown")).to_be_visible()


def test_it_is_walked_by_keys(page):  # noqa: F811
    page.goto("/alerts")
    expect(row(page, "CheckoutDown")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(details(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(details(page)).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Alerts", exact=True)).to_be_visible()


def test_links_of_notifications_lead_to_what_they_name(page):  # noqa: F811
    page.goto("/graph?g0.expr=checkout_up+%3D%3D+0&g0.tab=1")
    expect(page.get_by_role("textbox", name="Query A")).to_have_text("checkout_up == 0")
    page.goto("/#/alerts?filter=%7Balertname%3D%22CheckoutDown%22%7D")
    expect(row(page, "CheckoutDown")).to_be_visible()
    expect(row(page, "QueueLong")).to_have_count(0)
    page.goto("about:blank")
    page.goto("/#/silences/new?filter=%7Balertname%3D%22QueueLong%22%7D")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Value of matcher 1")).to_have_value("QueueLong")


def test_rules_with_their_health(page):  # noqa: F811
    page.goto("/alerts?view=rules")
    expect(row(page, "shop:queue_depth:max")).to_contain_text("Ok")
    broken = row(page, "NeverWell")
    expect(broken).to_contain_text("Failed")
    picture(page, "alerts-rules")
    broken.click()
    drawer = details(page, "Rule")
    expect(drawer.get_by_role("note", name="Last error")).to_contain_text(
        re.compile("duplicate|many-to-many")
    )
    page.goto("/alerts?view=rules&health=err")
    expect(row(page, "NeverWell")).to_be_visible()
    expect(row(page, "QueueLong")).to_have_count(0)
    page.goto("/alerts?view=rules&match=queuelong&from=now-1h")
    row(page, "QueueLong").click()
    expect(drawer.get_by_text("keep_firing_for 4s")).to_be_visible()
    expect(drawer.get_by_role("img", name="queue_depth over time")).to_be_visible()
    expect(drawer).to_contain_text(re.compile(r"shop\.yml:\d+"))
    picture(page, "alerts-rule")


def test_a_silence_from_an_alert_until_it_is_expired(page, receiver):  # noqa: F811
    wait_until(lambda: any(b"CheckoutDown" in body for *_, body in receiver.requests))
    page.goto("/alerts")
    row(page, "CheckoutDown").click()
    details(page).get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Value of matcher 1")).to_have_value("CheckoutDown")
    expect(dialog.get_by_role("status")).to_contain_text("1 alert that fires now")
    expect(dialog.get_by_role("button", name="Silence")).to_be_disabled()
    dialog.get_by_label("Author").fill("night shift")
    dialog.get_by_label("Comment").fill("the database is being moved")
    picture(page, "alerts-silence-form")
    dialog.get_by_role("button", name="Silence").click()
    expect(dialog).to_have_count(0)
    expect(row(page, "CheckoutDown")).to_contain_text("Silenced")
    details(page).get_by_role("link", name=re.compile("^[0-9a-f]{8}$")).click()
    drawer = details(page, "Silence")
    expect(drawer.get_by_role("heading", name="the database is being moved")).to_be_visible()
    expect(drawer.get_by_role("status")).to_contain_text("1 alert")
    picture(page, "alerts-silence")
    ends = row(page, "the database is being moved").get_by_role("gridcell").nth(2)
    before = ends.inner_text()
    drawer.get_by_role("button", name="Longer by 1h").click()
    expect(ends).not_to_have_text(before)
    drawer.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Comment").fill("moved, nearly")
    dialog.get_by_role("button", name="Save").click()
    expect(drawer.get_by_role("heading", name="moved, nearly")).to_be_visible()
    drawer.get_by_role("button", name="Expire now").click()
    expect(row(page, "moved, nearly")).to_contain_text("Expired")
    page.goto("/alerts")
    expect(row(page, "CheckoutDown")).to_contain_text("Firing")


def test_a_silence_that_the_server_refuses_says_why(page):  # noqa: F811
    page.goto("/alerts?view=silences")
    page.get_by_role("button", name="New silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Label of matcher 1").fill("pod")
    dialog.get_by_label("Operator of matcher 1").click()
    page.get_by_role("option", name="=~", exact=True).click()
    dialog.get_by_label("Value of matcher 1").fill("a(")
    expect(dialog.get_by_role("alert")).to_contain_text("pars")
    page.complaints.clear()
    dialog.get_by_label("Value of matcher 1").fill("checkout.*")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    page.keyboard.press("Escape")


def test_what_a_rule_would_have_done(page):  # noqa: F811
    page.goto("/alerts?view=rules&match=queuelong&from=now-1h")
    row(page, "QueueLong").click()
    details(page, "Rule").get_by_role("link", name="Would have fired").click()
    expect(page.get_by_text("Alerts that would have fired")).to_be_visible()
    expect(page.get_by_role("list", name="State over time").get_by_role("listitem")).to_have_count(
        3
    )
    by_alert = page.get_by_role("grid", name="By alert").get_by_role("row")
    expect(by_alert).to_have_count(4)
    picture(page, "alerts-preview")
    page.get_by_label("for", exact=True).fill("2h")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("3 only pending")).to_be_visible()
    expect(page).to_have_url(re.compile("for=2h"))
    page.get_by_label("for", exact=True).fill("soon")
    expect(page.get_by_role("button", name="Run")).to_be_disabled()


def test_an_expression_of_ones_own(page):  # noqa: F811
    page.goto("/alerts?view=preview&from=now-1h")
    expect(page.get_by_text("What would a rule have done?")).to_be_visible()
    editor = page.get_by_role("textbox", name="Expression")
    editor.click()
    page.keyboard.type("sum(queue_depth) > 1000")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Nothing would have been pending or firing")).to_be_visible()
    expect(page.get_by_role("img", name="sum(queue_depth) over time")).to_be_visible()
    page.goto(f"/alerts?view=preview&q={'sum(queue_depth'}")
    expect(page.get_by_role("alert").first).to_contain_text("unclosed")
    page.complaints.clear()


def test_korean_light_and_narrow(page):  # noqa: F811
    page.goto("/alerts")
    page.get_by_role("button", name="한국어로 바꾸기").click()
    page.get_by_role("button", name="밝은 화면으로 바꾸기").click()
    expect(page.get_by_role("heading", name="알림", exact=True)).to_be_visible()
    picture(page, "alerts-list-light-ko")
    page.set_viewport_size({"width": 620, "height": 900})
    row(page, "CheckoutDown").click()
    drawer = details(page, "알림")
    expect(drawer).to_be_visible()
    picture(page, "alerts-details-narrow")
    assert drawer.bounding_box()["width"] > 500
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    page.goto("/alerts?view=rules")
    expect(row(page, "QueueLong")).to_be_visible()
    picture(page, "alerts-rules-narrow")
    page.get_by_role("radiogroup", name="보기").get_by_text("사일런스", exact=True).click()
    expect(page).to_have_url(re.compile("view=silences"))
    page.goto("/alerts?view=preview&q=queue_depth>80&for=30s&from=now-1h")
    expect(page.get_by_role("listitem").first).to_be_visible()
    picture(page, "alerts-preview-narrow")


def test_many_alerts_and_rules(page, console):  # noqa: F811
    """Another Prometheus tells 5,000 alerts; the list stays quick to look at."""
    begun = instant(time.time() - 60)
    alerts = [
        {"startsAt": begun, "labels": {"alertname": f"Foreign{number % 40}", "instance": str(number),
                    "severity": "warning"}, "annotations": {"summary": f"instance {number}"}}
        for number in range(5000)
    ]  # fmt: skip
    tell(console, alerts)
    try:
        look_at_many(page)
    finally:
        tell(console, [one | {"endsAt": instant(time.time())} for one in alerts])


def look_at_many(page: Page) -> None:  # noqa: F811
    page.goto("/alerts")
    expect(row(page, "Foreign12")).to_contain_text("125")
    picture(page, "alerts-many")
    row(page, "Foreign0").first.click()
    expect(page.get_by_role("grid").first).to_contain_text("instance=")
    page.get_by_role("textbox", name="Name, label or summary").fill("instance=4711")
    expect(row(page, "Foreign31")).to_have_count(1)
    row(page, "Foreign31").click()
    expect(details(page)).to_contain_text("its rule is there")
