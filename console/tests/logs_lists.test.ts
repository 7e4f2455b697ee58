import { describe, expect, it } from "vitest";
import {
  includedFields, markOf, toggledExclusion, toggledInclusion, withoutInclusion,
} from "~/screens/logs/facet_conditions";
import { isFirstOpen, matchingFacets, withConditions } from "~/screens/logs/facet_lists";
import { arrived, joined, NOTHING, released, ROWS_MAX, waitingCount } from "~/screens/logs/followed";
import { suggested, taken } from "~/screens/logs/suggestions";
import { replaced } from "~/screens/logs/use_facets";
import type { Condition } from "~/state/filters";
import { row } from "./log_rows";

const equal = (field: string, value: string): Condition => ({ field, op: "=", value });

describe("a click on a value", () => {
  it("takes it, another too, and lets go", () => {
    const one = toggledInclusion([], "service", "a");
    expect(one).toEqual([equal("service", "a")]);
    const two = toggledInclusion(one, "service", "b");
    expect(two).toEqual([{ field: "service", op: "in", value: ["a", "b"] }]);
    expect(toggledInclusion(two, "service", "a")).toEqual([equal("service", "b")]);
    expect(toggledInclusion(one, "service", "a")).toEqual([]);
  });
  it("keeps the place among other conditions", () => {
    const all = [equal("service", "a"), equal("node", "n")];
    expect(toggledInclusion(all, "service", "b").map((one) => one.field)).toEqual(["service", "node"]);
  });
  it("leaves out what was taken, and takes what was left out", () => {
    const out = toggledExclusion([equal("service", "a")], "service", "a");
    expect(out).toEqual([{ field: "service", op: "!=", value: "a" }]);
    expect(toggledInclusion(out, "service", "a")).toEqual([equal("service", "a")]);
    expect(toggledExclusion(out, "service", "a")).toEqual([]);
  });
  it("chooses a severity instead of those above one", () =>
    expect(toggledInclusion([{ field: "severity", op: ">=", value: "ERROR" }], "severity", "WARN")).toEqual([
      equal("severity", "WARN"),
    ]));
  it("looks for a part of what the server cut", () => {
    const cut = "x".repeat(200);
    expect(toggledInclusion([], "attributes.a", cut)).toEqual([{ field: "attributes.a", op: "contains", value: cut }]);
    expect(markOf(toggledInclusion([], "attributes.a", cut), "attributes.a", cut)).toBe("in");
    expect(toggledExclusion(toggledExclusion([], "attributes.a", cut), "attributes.a", cut)).toEqual([]);
  });
  it("shows its mark", () => {
    const all: Condition[] = [{ field: "pod", op: "in", value: ["a", "b"] }, { field: "pod", op: "!=", value: "c" }];
    expect(["a", "c", "d"].map((value) => markOf(all, "pod", value))).toEqual(["in", "out", null]);
  });
  it("counts the other values without it", () => {
    const all = [equal("pod", "a"), equal("node", "n"), { field: "pod", op: "!=", value: "z" } as const];
    expect(includedFields(all)).toEqual(["pod", "node"]);
    expect(withoutInclusion(all, "pod")?.length).toBe(2);
    expect(withoutInclusion(all, "service")).toBeNull();
  });
});

describe("facets", () => {
  const facet = (field: string, ...values: string[]) =>
    ({ field, distinct: values.length, values: values.map((value) => ({ value, count: 5 })) });
  it("put severities in their order, and show what was chosen", () => {
    const [one] = withConditions([facet("severity", "INFO", "FATAL")], [equal("severity", "WARN")]);
    expect(one?.values.map((value) => value.value)).toEqual(["FATAL", "WARN", "INFO"]);
  });
  it("are found by field and by value", () => {
    const all = [facet("service", "a", "checkout"), facet("node", "b")];
    expect(matchingFacets(all, "check").map((one) => one.values.length)).toEqual([1]);
    expect(matchingFacets(all, "NODE").map((one) => one.field)).toEqual(["node"]);
    expect(matchingFacets(all, " ")).toBe(all);
  });
  it("are replaced by wider ones", () => {
    const wide = facet("service", "a", "b");
    expect(replaced([facet("node", "n"), facet("service", "a")], [wide])[1]).toBe(wide);
    expect(replaced([], [wide])).toEqual([wide]);
  });
  it("are open when they are usual, few, or filtered by", () => {
    expect(isFirstOpen(facet("service", "a"), [])).toBe(true);
    expect(isFirstOpen(facet("attributes.x", "a"), [])).toBe(false);
    expect(isFirstOpen(facet("attributes.x", "a"), [equal("attributes.x", "a")])).toBe(true);
  });
});

describe("following", () => {
  const rows = (...ids: string[]) => ids.map((id) => row({ id }));
  const ids = (all: readonly { id: string }[]) => all.map((one) => one.id);
  it("shows the newest first", () =>
    expect(ids(arrived(arrived(NOTHING, rows("1", "2"), false), rows("3"), false).rows)).toEqual(["3", "2", "1"]));
  it("lets rows wait while somebody reads", () => {
    const held = arrived(arrived(NOTHING, rows("1"), false), rows("2", "3"), true);
    expect([ids(held.rows), ids(held.waiting)]).toEqual([["1"], ["3", "2"]]);
    expect(ids(released(held).rows)).toEqual(["3", "2", "1"]);
    expect(released(released(held)).waiting).toEqual([]);
  });
  it("does not count what the pages have already", () =>
    expect(waitingCount(arrived(NOTHING, rows("1", "2"), true), rows("1"))).toBe(1));
  it("tells equal rows apart", () =>
    expect(ids(arrived(arrived(NOTHING, rows("1", "1"), false), rows("1"), true).waiting)).toEqual(["1.3"]));
  it("shows a row once", () =>
    expect(ids(joined(arrived(NOTHING, rows("2"), false), rows("2", "1")))).toEqual(["2", "1"]));
  it("says what it leaves out", () => {
    const many = Array.from({ length: ROWS_MAX + 5 }, (_, at) => row({ id: String(at) }));
    const shown = arrived(NOTHING, many, false);
    expect([shown.rows.length, shown.isCut, joined(shown, rows("x")).length]).toEqual([ROWS_MAX, true, ROWS_MAX]);
    expect(arrived(NOTHING, many, true).skipped).toBe(5);
  });
});

describe("suggestions", () => {
  const facets = [
    { field: "service", distinct: 3, values: ["checkout", "check out", "payments"].map((value) => ({ value, count: 2 })) },
    { field: "attributes.http.status", distinct: 1, values: [{ value: "200", count: 1 }] },
    { field: "attributes.a b", distinct: 1, values: [] },
  ];
  const texts = (query: string, cursor = query.length) =>
    suggested(query, cursor, facets)?.items.map((one) => one.text) ?? [];
  it("are names of fields", () => {
    expect(texts("timeout serv")).toEqual(["service:"]);
    expect(texts("-http")).toEqual(["attributes.http.status:"]);
    expect(texts("attributes.a")).toEqual(['attributes."a b":']);
  });
  it("are values of a field, quoted where they must be", () => {
    expect(texts("(service:ch")).toEqual(["service:checkout", 'service:"check out"']);
    expect(texts('service:"check o')).toEqual(['service:"check out"']);
    expect(texts("service:payments")).toEqual([]);
  });
  it("are none for nothing", () => expect([texts(""), texts("a "), texts("zzz")]).toEqual([[], [], []]));
  it("take the place of the term at the cursor", () => {
    const query = "a serv b";
    const at = suggested(query, 6, facets);
    expect(at && taken(query, at, { text: "service:" })).toEqual({ query: "a service: b", cursor: 10 });
    const value = suggested("service:ch", 10, facets);
    expect(value && taken("service:ch", value, { text: "service:checkout" })).toEqual({
      query: "service:checkout ", cursor: 17,
    });
  });
});
