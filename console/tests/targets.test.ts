import { describe, expect, it, test } from "vitest";
import type { Target } from "~/api/targets";
import { labelsText, readLabels } from "~/format/labels";
import { readNotificationsSearch } from "~/screens/notifications/search";
import { until } from "~/screens/notifications/words";
import { translator } from "~/i18n/use_t";
import { identityOf, selectorOf } from "~/screens/targets/identity";
import { isAmong } from "~/screens/targets/matching";
import { changesOf, ruleLines, stories } from "~/screens/targets/relabelling";
import { readTargetsSearch } from "~/screens/targets/search";
import { parseSearch, stringifySearch } from "~/state/search";

const TARGET: Target = {
  id: "1", pool: "node", url: "http://10.0.0.1:9100/metrics", labels: { job: "node", env: "Prod" }, health: "down",
  error: "connection refused", last_scrape_ms: 1, duration_ms: 1, interval_ms: 1, timeout_ms: 1, samples_scraped: 0,
  samples_kept: 0, body_bytes: 0, scrapes: 1, failures: 1, missed: 0, lost_writes: 0,
};

test.each([
  [{}, true],
  [{ state: "down" }, true],
  [{ state: "up" }, false],
  [{ pool: "node", match: "10.0.0.1" }, true],
  [{ pool: "pods" }, false],
  [{ match: " env=prod " }, true],
  [{ match: "REFUSED" }, true],
  [{ match: "env=dev" }, false],
  [{ match: "refused env=prod" }, true],
  [{ match: "refused env=dev" }, false],
] as const)("targets by %j", (search, isFound) => expect(isAmong(TARGET, search)).toBe(isFound));

test.each([
  ["targets", readTargetsSearch, { state: "dropped", pool: "a b", match: "x=y&z", of: "a b", target: "00ff" }],
  ["notifications", readNotificationsSearch,
    { view: "routes", receiver: "ops", result: "failed", match: "{}:{a=\"b\"}", row: "1/2", labels: 'a="b, c"' }],
])("the address keeps the search of %s", (_name, read: (search: Record<string, unknown>) => object, search) =>
  expect(read(parseSearch(stringifySearch(search)))).toEqual(search));

describe("relabelling", () => {
  const discovered = { __address__: "a:1", env: "dev", empty: "" };
  it("says what each rule looked at and changed", () => {
    const told = stories(discovered, [
      { rule: { action: "keep", source_labels: ["env"], regex: "dev" }, labels: { __address__: "a:1", env: "dev" } },
      { rule: { action: "replace", source_labels: ["__address__", "env"], separator: "@", target_label: "t" },
        labels: { __address__: "a:1", env: "dev", t: "a:1@dev" } },
      { rule: { action: "labeldrop", regex: "env" }, labels: { __address__: "a:1", t: "a:1@dev" } },
      { rule: { action: "replace", target_label: "t" }, labels: { __address__: "a:1", t: "a:1@dev" } },
    ]);
    expect(told.map((one) => [one.outcome, one.value])).toEqual([
      ["kept", "dev"], ["changed", "a:1@dev"], ["changed", null], ["same", ""],
    ]);
    expect(told[1]?.changes).toEqual([{ name: "t", before: null, after: "a:1@dev" }]);
    expect(told[2]?.changes).toEqual([{ name: "env", before: "dev", after: null }]);
  });
  it("says where a target is dropped, and what is not reached", () => {
    const drop = { action: "drop", source_labels: ["env"], regex: "dev" };
    const told = stories(discovered, [{ rule: drop, labels: null }, { rule: drop, labels: null }]);
    expect(told.map((one) => [one.outcome, one.value])).toEqual([["dropped", "dev"], ["unreached", null]]);
  });
  it("tells apart what is new, gone and other", () =>
    expect(changesOf({ a: "1", b: "1", c: "1" }, { a: "1", b: "2", d: "1" }).map((one) => one.name)).toEqual(["b", "c", "d"]));
  it("writes rules as they stand in the file", () => {
    expect(ruleLines({ action: "replace", source_labels: ["a", "b"], separator: "", regex: "(.*):\\d+", replacement: "$1" }))
      .toEqual(["source_labels: [a, b]", "separator: ''", "regex: '(.*):\\d+'", "replacement: $1", "action: replace"]);
    expect(ruleLines({ action: "keep", regex: "true" })[0]).toBe("regex: 'true'");
    expect(ruleLines({ action: "keep", regex: "it's: x" })[0]).toBe("regex: 'it''s: x'");
  });
});

describe("the way to logs", () => {
  it("is by pod where there is one", () =>
    expect(identityOf({ pod: "web-1" }, { __meta_kubernetes_namespace: "shop" })).toEqual([
      { field: "namespace", op: "=", value: "shop" }, { field: "pod", op: "=", value: "web-1" },
    ]));
  it("is by node else, and none where nothing says it", () => {
    expect(identityOf({}, { __meta_kubernetes_node_name: "n1" })).toEqual([{ field: "node", op: "=", value: "n1" }]);
    expect(identityOf({ job: "x" }, {})).toEqual([]);
  });
  it("quotes what needs it", () =>
    expect(selectorOf({ job: 'a"b', "é": "1" })).toBe('{job="a\\"b","é"="1"}'));
});

describe("typed labels", () => {
  test.each([
    ["", {}, null],
    ["a=b", { a: "b" }, null],
    ['{a="b", c="d e"}', { a: "b", c: "d e" }, null],
    ["a=b c=d,\n e=", { a: "b", c: "d", e: "" }, null],
    ['instance=127.0.0.1:1, "x.y"="q\\"z\\n"', { instance: "127.0.0.1:1", "x.y": 'q"z\n' }, null],
    ["a=b, c", { a: "b" }, 5],
    ["=b", {}, 0],
    ['a="b', {}, 0],
  ])("%s", (text, labels, faultAt) => expect(readLabels(text)).toEqual({ labels, faultAt }));
  it("are read back as they are written", () => {
    const labels = { alertname: "A B", "x.y": 'q"\\\nz', e: "", "a=b": "{c}", plain: "x:1" };
    expect(readLabels(labelsText(labels))).toEqual({ labels, faultAt: null });
  });
});

test.each([
  [0, "now"], [-5000, "now"], [12_000, "in 12 seconds"], [90_000, "in 90 seconds"], [300_000, "in 5 minutes"],
  [4 * 3600e3, "in 4 hours"],
])("in %d ms", (ms, words) => expect(until(1e12 + ms, 1e12, translator("en"))).toBe(words));
