import { describe, expect, it } from "vitest";
import { gridOf, labelsOf, noteOf, placeOf, refusalOf } from "~/api/prometheus";
import { type Built, NOTHING_BUILT, printBuilt, readBuilt } from "~/screens/metrics/explore/built";
import { labelInPromql, nameInPromql } from "~/screens/metrics/explore/known_names";
import { hiddenOf, shownOf } from "~/screens/metrics/explore/lines";
import { writtenOf } from "~/screens/metrics/explore/meaning";
import { metricsOf } from "~/screens/metrics/explore/promql_text";
import {
  nextLetter, readQueries, stepOf, usualStepMs, usualWindow, withPicked,
} from "~/screens/metrics/explore/queries";
import { exprOf } from "~/screens/metrics/explore/usual";

describe("the builder", () => {
  const built = (changed: Partial<Built>): Built => ({ ...NOTHING_BUILT, ...changed });

  it.each([
    ["up", built({ metric: "up" })],
    ['up{job="a"}', built({ metric: "up", matchers: [{ label: "job", op: "=", value: "a" }] })],
    ['{"http.server.duration"}', built({ metric: "http.server.duration" })],
    ['{"http.x", "http.route"!~"/a|\\"b\\""}', built({
      metric: "http.x", matchers: [{ label: "http.route", op: "!~", value: '/a|"b"' }],
    })],
    ["rate(a_total[5m])", built({ metric: "a_total", fn: "rate" })],
    ["sum by (job, pod) (rate(a_total[1h30m]))", built({
      metric: "a_total", fn: "rate", window: "1h30m", agg: "sum", by: ["job", "pod"],
    })],
    ["avg without (pod) (a)", built({ metric: "a", agg: "avg", by: ["pod"], isWithout: true })],
    ["topk(3, a)", built({ metric: "a", agg: "topk", most: "3" })],
    ["histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", built({
      metric: "a_bucket", fn: "rate", agg: "sum", by: ["le"], quantile: "0.9",
    })],
  ])("reads and writes %s", (text, expected) => {
    expect(readBuilt(text)).toEqual(expected);
    expect(printBuilt(expected)).toBe(text);
  });

  it("takes grouping behind, names as matchers and comments", () => {
    expect(readBuilt("sum(a) by (job) # all of them")).toEqual(built({ metric: "a", agg: "sum", by: ["job"] }));
    expect(readBuilt('{__name__="a"}')).toEqual(built({ metric: "a" }));
  });

  it.each([
    "a + b", "rate(a[5m:1m])", "a offset 5m", "sum(a) / sum(b)", "sum(", "{", "rate(a)", "a[5m]", "max(max(a))", "vector(1)",
  ])("leaves %s to the text", (text) => {
    expect(readBuilt(text)).toBeNull();
  });

  it("writes what the picker was asked", () => {
    const conditions = [
      { field: "labels.mode", op: "!=", value: "idle" } as const,
      { field: "node", op: "contains", value: "a.b" } as const,
    ];
    expect(exprOf("cpu_total", { fn: "rate", agg: "sum", by: ["mode"] }, conditions, "5m")).toBe(
      'sum by (mode) (rate(cpu_total{mode!="idle", node=~".*a\\\\.b.*"}[5m]))',
    );
  });
});

describe("which metrics a query reads", () => {
  it.each([
    ["sum by (job) (rate(a_total[5m])) / on (pod) group_left (x) b", ["a_total", "b"]],
    ['{__name__="a", job="b"}', ["a"]],
    ['{"a.b", c="d"}', ["a.b"]],
    ['label_replace(a, "x", "$1", "y", ".*") > bool 3', ["a"]],
    ["time() - a offset 1h", ["a"]],
  ])("%s", (text, expected) => {
    expect(metricsOf(text)).toEqual(expected);
  });
});

describe("what the values are", () => {
  const write = (expr: string, value: number, units = {}) => writtenOf(expr, units).format(value);

  it("is told by the metric and the functions", () => {
    expect(write("node_memory_bytes", 2 ** 30)).toBe("1 GiB");
    expect(write("rate(net_bytes_total[5m])", 2048)).toBe("2 KiB/s");
    expect(write("sum(rate(cpu_seconds_total[5m]))", 0.5)).toBe("50.0%");
    expect(write("histogram_quantile(0.9, rate(x_seconds_bucket[5m]))", 0.25)).toBe("250 ms");
    expect(write("count(node_memory_bytes)", 12)).toBe("12");
    expect(write("a_bytes / b_bytes", 0.5)).toBe("0.5");
    expect(write("100 * a / b", 50)).toBe("50.0%");
    expect(write("latency", 0.5, { latency: "s" })).toBe("500 ms");
  });
});

describe("the queries of the address", () => {
  it("are objects, texts, or one text", () => {
    expect(readQueries('[{"id":"B","expr":"up","off":true},"a"]')).toEqual([
      { id: "B", expr: "up", off: true }, { id: "A", expr: "a" },
    ]);
    expect(readQueries("up")).toEqual([{ id: "A", expr: "up" }]);
    expect(readQueries([{ id: "A", expr: "a" }, { id: "A", expr: "b" }])?.map((one) => one.id)).toEqual(["A", "B"]);
    expect(readQueries("[1]")).toBeUndefined();
    expect(readQueries(undefined)).toBeUndefined();
  });

  it("get the first free letter, and an empty one is filled first", () => {
    expect(nextLetter([{ id: "A", expr: "" }, { id: "C", expr: "" }])).toBe("B");
    expect(withPicked([{ id: "A", expr: " " }], "up")).toEqual([{ id: "A", expr: "up" }]);
    expect(withPicked([{ id: "A", expr: "a" }], "up")).toEqual([{ id: "A", expr: "a" }, { id: "B", expr: "up" }]);
  });
});

describe("steps", () => {
  const hour = { fromMs: 0, toMs: 3600e3 };
  it("are round, and points stand on the grid", () => {
    expect(usualStepMs(hour)).toBe(15e3);
    expect(usualWindow(15e3)).toBe("5m");
    expect(usualWindow(3600e3)).toBe("2h");
    expect(gridOf({ fromMs: 1000, toMs: 61_000 }, 15e3)).toEqual({ startMs: 15e3, endMs: 60e3, points: 4 });
  });
  it("are refused when they are none or too small", () => {
    expect(stepOf("30s", hour)).toBe(30e3);
    expect(stepOf("100ms", hour)).toBeNull();
    expect(stepOf("soon", hour)).toBeNull();
  });
});

describe("places in what the server says", () => {
  it("are counted in characters over all lines", () => {
    expect(placeOf("a\nbc", 2, 2)).toBe(3);
    const error = refusalOf(400, {
      status: "error", errorType: "bad_data", error: 'invalid parameter "query": 1:5: parse error: unexpected end of input',
    }, "sum(");
    expect([error.code, error.message, error.position]).toEqual(["bad_data", "unexpected end of input", 4]);
    expect(refusalOf(502, "gone", "").code).toBe("broken");
    expect(noteOf('not a counter: "x" (1:6)', "rate(x[5m])")).toEqual({ text: 'not a counter: "x"', position: 5 });
    expect(noteOf("results truncated due to limit", "x").position).toBeNull();
  });
});

describe("names in PromQL", () => {
  it("have the unit and the kind behind", () => {
    const names = ["http_server_duration_seconds_bucket", "http_server_duration_seconds", "up", "requests_total"];
    expect(nameInPromql("up", names)).toBe("up");
    expect(nameInPromql("http.server.duration", names)).toBe("http_server_duration_seconds");
    expect(nameInPromql("requests", names)).toBe("requests_total");
    expect(nameInPromql("request", names)).toBeNull();
    expect(labelInPromql("http.route")).toBe("http_route");
  });
  it("have the labels of their series", () => {
    expect(labelsOf([{ __name__: "a", x: "1" }, { __name__: "a", x: "2", y: "3" }, { __name__: "a", x: "2" }])).toEqual([
      { label: "x", distinct: 2, values: [{ value: "2", series: 2 }, { value: "1", series: 1 }] },
      { label: "y", distinct: 1, values: [{ value: "3", series: 1 }] },
    ]);
  });
});

describe("lines of the legend", () => {
  const ids = ["a", "b", "c", "d"];
  it("are held by the shorter list", () => {
    expect(shownOf(ids, new Set(["a", "b", "c"]))).toEqual({ only: ["d"], hide: undefined });
    expect(shownOf(ids, new Set(["a"]))).toEqual({ only: undefined, hide: ["a"] });
    expect(hiddenOf(ids, { only: ["d"] })).toEqual(new Set(["a", "b", "c"]));
    expect(hiddenOf(ids, { only: ["gone"] }).size).toBe(0);
  });
});
