import { describe, expect, it } from "vitest";
import type { Span } from "~/api/traces";
import { criticalPath, lengthNs, ownPieces } from "~/screens/traces/critical_path";
import { found, nextOf, wordsOf } from "~/screens/traces/span_search";
import { ancestors, childrenOf, foldable, treeOf, visiblePlaces } from "~/screens/traces/trace_tree";

const NOTHING = { cluster: "", node: "", namespace: "", workload: "", pod: "", container: "" };

/** `at` and `took` in ms. */
function span(id: string, parent: string, at: number, took: number, more: Partial<Span> = {}): Span {
  const ns = String(at * 1_000_000).padStart(9, "0");
  return {
    ...NOTHING, service: "shop", timestamp: `2026-01-02T03:04:05.${ns}Z`, duration_ns: took * 1e6, trace_id: "t",
    span_id: id, parent_span_id: parent, trace_state: "", name: id, kind: "INTERNAL", status: "UNSET",
    status_message: "", attributes: {}, attribute_types: [], resource: {}, scope_name: "", scope_version: "", flags: 0,
    dropped_attributes_count: 0, dropped_events_count: 0, dropped_links_count: 0, events: [], links: [], ...more,
  };
}

const shapeOf = (spans: readonly Span[]) => treeOf(spans).nodes.map((node) => `${"-".repeat(node.depth)}${node.key}`);

describe("the tree", () => {
  it("puts each span after its parent, in order of time", () => {
    const spans = [span("a", "", 0, 100), span("b", "a", 10, 20), span("d", "b", 12, 5), span("c", "a", 40, 20)];
    expect(shapeOf(spans)).toEqual(["a", "-b", "--d", "-c"]);
    const tree = treeOf(spans);
    expect(tree.nodes.map((node) => node.below)).toEqual([3, 1, 0, 0]);
    expect(childrenOf(tree, 0)).toEqual([1, 3]);
    expect(ancestors(tree, 2)).toEqual([1, 0]);
    expect(tree.durationNs).toBe(100e6);
  });

  it("shows a parent that has not arrived as long as what is below it", () => {
    const tree = treeOf([span("a", "", 0, 100), span("b", "gone", 10, 20), span("c", "gone", 25, 30)]);
    expect(tree.nodes.map((node) => node.key)).toEqual(["a", "missing:gone", "b", "c"]);
    expect(tree.nodes[1]).toMatchObject({ span: null, startNs: 10e6, endNs: 55e6, below: 2, depth: 0 });
    expect(tree.missing).toBe(1);
  });

  it("tells that a span begins before its parent, and leaves its time", () => {
    const tree = treeOf([span("b", "a", 10, 20), span("a", "", 40, 100)]);
    expect(tree.nodes.map((node) => node.key)).toEqual(["a", "b"]);
    expect(tree.nodes[1]).toMatchObject({ earlyNs: 30e6, startNs: 0 });
    expect(tree.early).toBe(1);
  });

  it("cuts circles, so that every span is there once", () => {
    expect(shapeOf([span("a", "b", 0, 9), span("b", "a", 1, 5), span("c", "c", 2, 1)])).toEqual(["a", "-b", "c"]);
    expect(treeOf([span("a", "b", 0, 9), span("b", "a", 1, 5)]).nodes[0]?.isOfCircle).toBe(true);
  });

  it("keeps spans of one id apart; the first has the children", () => {
    expect(shapeOf([span("a", "", 0, 9), span("a", "", 1, 5), span("b", "a", 2, 1)])).toEqual(["a", "-b", "a~2"]);
  });

  it("counts errors and spans below", () => {
    const failed = { status: "ERROR" };
    const tree = treeOf([span("a", "", 0, 9), span("b", "a", 1, 5, failed), span("c", "b", 2, 1, failed)]);
    expect(tree.nodes.map((node) => node.errorsBelow)).toEqual([2, 1, 0]);
    expect(tree.errors).toBe(2);
  });

  it("folds", () => {
    const tree = treeOf([span("a", "", 0, 99), span("b", "a", 1, 5), span("c", "b", 2, 1), span("d", "a", 9, 1)]);
    expect(visiblePlaces(tree, new Set(["b"]))).toEqual([0, 1, 3]);
    expect(visiblePlaces(tree, new Set(["a", "b"]))).toEqual([0]);
    expect(foldable(tree, 1)).toEqual(["b"]);
  });

  it("takes a chain of 20,000 spans, and none at all", () => {
    const chain = Array.from({ length: 20_000 }, (_, at) => span(`s${at}`, at === 0 ? "" : `s${at - 1}`, at / 1000, 50));
    const tree = treeOf(chain);
    expect(tree.nodes).toHaveLength(20_000);
    expect(tree.nodes[0]?.below).toBe(19_999);
    expect(criticalPath(tree).size).toBeGreaterThan(1);
    expect(treeOf([]).nodes).toEqual([]);
    expect(criticalPath(treeOf([])).size).toBe(0);
  });
});

describe("where the time went", () => {
  const tree = treeOf([
    span("a", "", 0, 100), span("b", "a", 10, 30), span("c", "a", 20, 50), span("later", "a", 90, 40, { kind: "CONSUMER" }),
  ]);

  it("is a span's own while nothing below is at work", () => {
    expect(ownPieces(tree, 0)).toEqual([[0, 10e6], [70e6, 90e6]]);
    expect(ownPieces(tree, 1)).toEqual([[10e6, 40e6]]);
  });

  it("is decided by what ended last; a consumer is not waited for", () => {
    const path = criticalPath(tree);
    expect(path.get(0)).toEqual([[0, 20e6], [70e6, 100e6]]);
    expect(path.get(2)).toEqual([[20e6, 70e6]]);
    expect(path.has(1)).toBe(false);
    expect(path.has(3)).toBe(false);
    const total = [...path.values()].reduce((sum, pieces) => sum + lengthNs(pieces), 0);
    expect(total).toBe(100e6);
  });
});

describe("looking for spans", () => {
  const tree = treeOf([
    span("a", "", 0, 9, { name: "POST /cart", attributes: { "http.route": "/Cart" } }),
    span("b", "a", 1, 5, { name: "SELECT", status: "ERROR", attributes: { "db.system": "postgresql" } }),
  ]);

  it("finds all words anywhere in a span, without case", () => {
    expect(found(tree, "http.route=/cart post")).toEqual([0]);
    expect(found(tree, "SHOP")).toEqual([0, 1]);
    expect(found(tree, "status=error")).toEqual([1]);
    expect(found(tree, '"post /cart"')).toEqual([0]);
    expect(found(tree, "  ")).toEqual([]);
    expect(wordsOf('a "b c" d')).toEqual(["a", "b c", "d"]);
  });

  it("steps around the end", () => {
    expect(nextOf([2, 5, 9], 5, 1)).toBe(9);
    expect(nextOf([2, 5, 9], 9, 1)).toBe(2);
    expect(nextOf([2, 5, 9], 2, -1)).toBe(9);
    expect(nextOf([], 2, 1)).toBeUndefined();
  });
});

it("puts nothing on the path that was over before its parent began", () => {
  const path = criticalPath(treeOf([span("b", "a", 0, 10), span("a", "", 40, 20)]));
  expect(path.get(0)).toEqual([[40e6, 60e6]]);
  expect(path.has(1)).toBe(false);
});
