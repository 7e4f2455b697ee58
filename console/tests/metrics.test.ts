import { describe, expect, it } from "vitest";
import type { MetricName, MetricSeries } from "~/api/metrics";
import { askingOf, defaultAsking, natureOf, writing } from "~/screens/metrics/asking";
import { averages, quantilesOf } from "~/screens/metrics/distribution";
import { labelsText, seriesId, seriesName, summaryOf, tellingLabels } from "~/screens/metrics/series";
import { ofAnyMetric, usefulOf } from "~/screens/metrics/useful";

function metric(name: string, more: Partial<MetricName> = {}): MetricName {
  return {
    metric: name, type: "", unit: "", help: "", series: 1, kind: "", temporality: "", is_monotonic: false, ...more,
  };
}

describe("what a metric is", () => {
  it.each([
    [metric("a_total", { type: "counter" }), "counter"],
    [metric("a_total"), "counter"],
    [metric("load1", { type: "gauge" }), "gauge"],
    [metric("node_vmstat_pgfault", { type: "unknown" }), "gauge"],
    [metric("x_seconds_bucket", { type: "histogram" }), "counter"],
    [metric("x.duration", { type: "histogram", kind: "histogram", temporality: "cumulative" }), "distribution"],
    [metric("requests", { type: "sum", temporality: "cumulative", is_monotonic: true }), "counter"],
    [metric("active", { type: "sum", temporality: "cumulative" }), "gauge"],
    [metric("requests", { type: "sum", temporality: "delta", is_monotonic: true }), "delta"],
    [metric("rpc_seconds", { type: "summary", kind: "summary" }), "gauge"],
  ] as const)("%o is a %s", (one, nature) => {
    expect(natureOf(one)).toBe(nature);
  });
});

describe("how it is asked", () => {
  it("is a rate for counters, the value for gauges, put together when there are many", () => {
    expect(defaultAsking(metric("a_total", { series: 3 }))).toEqual({ fn: "rate", agg: "none", by: [] });
    expect(defaultAsking(metric("a_total", { series: 300 }))).toEqual({ fn: "rate", agg: "sum", by: [] });
    expect(defaultAsking(metric("a", { type: "gauge", series: 300 }))).toEqual({ fn: "value", agg: "avg", by: [] });
    expect(defaultAsking(metric("a_bucket", { type: "histogram" }))).toEqual({ fn: "rate", agg: "sum", by: ["le"] });
  });

  it("is what the address says", () => {
    const many = metric("a_total", { series: 300 });
    expect(askingOf({ by: ["mode"] }, metric("a_total"))).toEqual({ fn: "rate", agg: "sum", by: ["mode"] });
    expect(askingOf({ agg: "none", by: ["mode"] }, many).by).toEqual([]);
    expect(askingOf({ fn: "value", agg: "max" }, many)).toEqual({ fn: "value", agg: "max", by: [] });
    expect(askingOf({}, undefined)).toEqual({ fn: "value", agg: "none", by: [] });
  });

  it("writes values in their unit", () => {
    const asking = { fn: "rate", agg: "none", by: [] } as const;
    expect(writing("node_cpu_seconds_total", "", asking)).toMatchObject({ axis: "ratio" });
    expect(writing("node_cpu_seconds_total", "", asking).format(0.25)).toBe("25.0%");
    expect(writing("sent_bytes_total", "", asking).format(2048)).toBe("2 KiB/s");
    expect(writing("free_bytes", "", { ...asking, fn: "value", agg: "count" }).format(3)).toBe("3");
  });
});

describe("lines", () => {
  const series: MetricSeries[] = [
    { labels: { job: "node", cpu: "0", mode: "idle" }, points: [] },
    { labels: { job: "node", cpu: "1", mode: "idle" }, points: [] },
  ];

  it("are named by what tells them apart", () => {
    expect(tellingLabels(series)).toEqual(["cpu"]);
    expect(seriesName(series[1]?.labels ?? {}, ["cpu"], "x")).toBe("1");
    expect(seriesName({ a: "1", b: "2" }, ["a", "b"], "x")).toBe("a=1 b=2");
    expect(seriesName({ a: "1" }, [], "x")).toBe("a=1");
    expect(seriesName({}, [], "sum(a)")).toBe("sum(a)");
    expect(seriesId({ b: "2", a: "1" })).toBe(seriesId({ a: "1", b: "2" }));
    expect(labelsText({ a: "1", b: "2" })).toBe('{a="1", b="2"}');
  });

  it("in short: a gap is not zero, and what is before the first value is none", () => {
    expect(summaryOf([[0, null], [1, 4], [2, null], [3, 2], [4, null]])).toEqual(
      { last: 2, least: 2, most: 4, average: 3, gaps: 1 },
    );
    expect(summaryOf([[0, null]])).toEqual({ last: null, least: null, most: null, average: null, gaps: 0 });
  });
});

it("offers only what there is", () => {
  expect(usefulOf([metric("node_load1"), metric("other")]).map((one) => one.search.metric)).toEqual(["node_load1"]);
});

it("quotes a name in SQL", () => {
  expect(averages("a'b\\c", 1, 2)).toContain("metric = 'a\\'b\\\\c'");
});

it("keeps for another metric what holds for any", () => {
  const node = { field: "node", op: "=", value: "a" } as const;
  expect(ofAnyMetric([node, { field: "labels.mode", op: "=", value: "idle" }])).toEqual([node]);
});

describe("the quantiles of a distribution", () => {
  const names = ["http_duration_seconds_bucket", "http_duration_seconds_count", "http_duration_seconds_sum", "sizes_bytes"];

  it("are told by the buckets where there are some", () => {
    expect(quantilesOf("http.duration", names, "5m").map((one) => one.expr)[1]).toBe(
      "histogram_quantile(0.95, sum by (le) (rate(http_duration_seconds_bucket[5m])))",
    );
  });

  it("are told by whole histograms where those are the samples", () => {
    expect(quantilesOf("sizes", names, "1m").map((one) => one.expr)[0]).toBe(
      "histogram_quantile(0.99, sum(rate(sizes_bytes[1m])))",
    );
  });

  it("are asked of a quoted name where it is no word", () => {
    expect(quantilesOf("a.b", ["a.b"], "1m")[0]?.expr).toBe('histogram_quantile(0.99, sum(rate({"a.b"}[1m])))');
  });

  it("are none of what PromQL does not know", () => {
    expect(quantilesOf("nonesuch", names, "1m")).toEqual([]);
  });
});
