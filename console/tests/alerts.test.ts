import { describe, expect, it, test } from "vitest";
import type { Alert } from "~/api/alerts";
import { refusalOf } from "~/api/silences";
import { groupsOf, rowsOf, shownLabels, toneOf } from "~/screens/alerts/grouping";
import { labelsLine, labelsOf, lengthOf, lengthText } from "~/screens/alerts/lengths";
import { areWhole, matchersOf, matcherText, opOf, withOp } from "~/screens/alerts/matchers";
import { readAlertsSearch } from "~/screens/alerts/search";
import { conditionsOf, identityOf, safeLink, timeOf } from "~/screens/alerts/ways";

function alert(name: string, labels: Record<string, string>, more: Partial<Alert> = {}): Alert {
  return {
    id: `${name} ${JSON.stringify(labels)}`, rule: "r", name, state: "firing", is_kept: false, severity: "page",
    labels: { alertname: name, ...labels }, told_labels: null, annotations: {}, value: 1, active_at_ms: 5, fired_at_ms: 5, group: "g",
    file: "f", suppressed: false, silenced_by: [], inhibited_by: [], muted_by: [], receivers: [], ...more,
  };
}

describe("groups of alerts", () => {
  const alerts = [
    alert("B", { pod: "x", ns: "n" }), alert("A", { pod: "x" }), alert("B", { pod: "y", ns: "n" }, { active_at_ms: 3 }),
    alert("B", { pod: "z", ns: "n" }, { state: "pending" }), alert("B", { pod: "q", ns: "n" }, { suppressed: true }),
  ];
  it("stand where their gravest alert stands", () => {
    const [first, second] = groupsOf(alerts);
    expect([first?.name, second?.name]).toEqual(["B", "A"]);
    expect(first).toMatchObject({ firing: 2, pending: 1, suppressed: 1, sinceMs: 3, telling: ["pod"] });
  });
  it("are folded and opened", () => {
    const groups = groupsOf(alerts);
    expect(rowsOf(groups, new Set()).map((row) => row.alert?.labels.pod)).toEqual([undefined, "x", "y", "z", "q", "x"]);
    expect(rowsOf(groups, new Set([groups[0]?.key ?? ""]))).toHaveLength(2);
  });
  it("are closed at first when they are large", () => {
    const many = groupsOf(Array.from({ length: 21 }, (_, at) => alert("M", { pod: String(at) })));
    expect(rowsOf(many, new Set())).toHaveLength(1);
    expect(rowsOf(many, new Set([many[0]?.key ?? ""]))).toHaveLength(22);
  });
  it("show what their alerts differ in, one alone all but its name", () => {
    expect(shownLabels({ alertname: "A", pod: "x", severity: "page", b: "1" }, [])).toEqual([["b", "1"], ["pod", "x"]]);
    expect(shownLabels({ alertname: "A", pod: "x" }, ["gone", "pod"])).toEqual([["pod", "x"]]);
  });
});

test.each([["critical", "FATAL"], ["PAGE", "FATAL"], ["warning", "WARN"], ["info", "INFO"], ["", "UNSET"], ["odd", "UNSET"]])(
  "severity %s is %s", (word, tone) => expect(toneOf(word)).toBe(tone));

describe("the way to logs and traces", () => {
  it("is the pod where there is one", () => {
    const labels = { namespace: "shop", pod: "web-1", container: "web", service: "kube-state-metrics", job: "x" };
    expect(conditionsOf(labels).map((one) => [one.field, one.value])).toEqual(
      [["namespace", "shop"], ["pod", "web-1"], ["container", "web"]]);
  });
  it("prefers what the target itself said", () =>
    expect(identityOf({ pod: "ksm", exported_pod: "web-1" }).pod).toBe("web-1"));
  it("is the workload, the node, or the service", () => {
    expect(conditionsOf({ namespace: "n", deployment: "web", node: "a" }).map((one) => one.field)).toEqual(["namespace", "workload"]);
    expect(conditionsOf({ node: "a", job: "node" })).toEqual([{ field: "node", op: "=", value: "a" }]);
    expect(conditionsOf({ job: "shop/checkout" })).toEqual([{ field: "service", op: "=", value: "checkout" }]);
    expect(conditionsOf({ alertname: "A" })).toEqual([]);
  });
  it("begins before the alert and does not go on for ever", () => {
    const hourMs = 3600e3;
    expect(timeOf(hourMs, 2 * hourMs)).toEqual({ from: "1970-01-01T00:45:00.000Z", to: "now" });
    expect(timeOf(hourMs, 48 * hourMs).to).toBe("1970-01-01T07:00:00.000Z");
  });
  it("follows no script", () => {
    expect(safeLink("javascript:alert(1)")).toBeNull();
    expect(safeLink("//evil")).toBeNull();
    expect(safeLink("/runbooks/A")).toBe("/runbooks/A");
    expect(safeLink(" https://a.b/c")).toBe("https://a.b/c");
  });
});

describe("matchers", () => {
  const one = { name: "pod", value: 'a"\\\n', isEqual: true, isRegex: false };
  it("are written with escapes", () => {
    expect(matcherText(one)).toBe('pod="a\\"\\\\\\n"');
    expect(matcherText({ ...one, name: "k8s.pod", value: "x" })).toBe('"k8s.pod"="x"');
  });
  test.each(["=", "!=", "=~", "!~"] as const)("%s is read and written", (op) => expect(opOf(withOp(one, op))).toBe(op));
  it("hold an alert exactly", () =>
    expect(matchersOf({ b: "2", alertname: "A", empty: "" }).map(matcherText)).toEqual(['alertname="A"', 'b="2"']));
  it("must want something", () => {
    expect(areWhole([])).toBe(false);
    expect(areWhole([{ ...one, name: " " }])).toBe(false);
    expect(areWhole([{ ...one, value: "" }])).toBe(false);
    expect(areWhole([withOp({ ...one, value: ".*" }, "=~")])).toBe(false);
    expect(areWhole([withOp({ ...one, value: "a.*" }, "=~")])).toBe(true);
    expect(areWhole([withOp({ ...one, value: "" }, "!=")])).toBe(true);
  });
});

describe("lengths", () => {
  test.each([["5m", 300e3], ["1h30m", 5400e3], ["0", 0], ["0s", 0], ["90s", 90e3], ["1w", 604_800e3]])(
    "%s", (text, ms) => expect(lengthOf(text)).toBe(ms));
  test.each(["5", "m", "5 m", "-5m", "1.5h"])("%s is none", (text) => expect(lengthOf(text)).toBeNull());
  it("is undefined for nothing", () => expect(lengthOf(" ")).toBeUndefined());
  test.each([0, 300e3, 5400e3, 90e3, 86_400e3, 1500])("%d ms is read back", (ms) =>
    expect(lengthOf(lengthText(ms))).toBe(ms));
});

describe("labels", () => {
  it("are read from a line", () => {
    expect(labelsOf("a=b, c = \"d e\"")).toEqual({ a: "b", c: "d e" });
    expect(labelsOf("")).toBeUndefined();
    expect(labelsOf("nothing")).toBeNull();
    expect(labelsOf(labelsLine({ a: "1", b: "{{ $value }}" }))).toEqual({ a: "1", b: "{{ $value }}" });
  });
});

it("reads what Alertmanager refuses, in both of its forms", () => {
  expect(refusalOf(400, "bad matcher").message).toBe("bad matcher");
  expect(refusalOf(422, { code: 601, message: "comment in body is required" }).message).toBe("comment in body is required");
  expect(refusalOf(404, null)).toMatchObject({ code: "not_found", message: "the server answered 404" });
});

it("leaves out of the address what it does not know", () =>
  expect(readAlertsSearch({ view: "x", state: "firing", health: "bad", match: "" })).toEqual({
    state: "firing",
  }));
