/** How a metric is best asked when nothing else is said, told by its type and its name. */

import type { Aggregation, MetricFunction, MetricName, MetricQuestion } from "~/api/metrics";
import type { Unit } from "~/format/units";
import { unitOf, valueFormat } from "~/format/units";
import { count } from "~/format/numbers";
import type { MetricsSearch } from "./search";

/** `distribution`: its points are whole histograms or summaries, which are no lines. */
export type Nature = "counter" | "gauge" | "delta" | "distribution";

const DISTRIBUTIONS = new Set(["histogram", "exponential_histogram", "summary", "gaugehistogram", "native_histogram"]);
const PART = /_(?:bucket|count|sum)$/;
const COUNTER = /_(?:total|bucket|count|sum)$/;
/** More lines than this say little; then they are put together. */
const LINES_MAX = 24;

export function natureOf(metric: MetricName): Nature {
  if (DISTRIBUTIONS.has(metric.type)) {
    if (PART.test(metric.metric)) return "counter";
    // The quantiles of a summary of Prometheus are samples of the family's own name.
    return metric.kind === "summary" && metric.temporality === "" ? "gauge" : "distribution";
  }
  if (metric.type === "counter") return "counter";
  if (metric.type === "sum") {
    if (metric.temporality === "delta") return "delta";
    return metric.is_monotonic ? "counter" : "gauge";
  }
  return (metric.type === "" || metric.type === "unknown") && COUNTER.test(metric.metric) ? "counter" : "gauge";
}

export interface Asking {
  readonly fn: MetricFunction;
  readonly agg: Aggregation;
  readonly by: readonly string[];
}

export function defaultAsking(metric: MetricName): Asking {
  const nature = natureOf(metric);
  const isAdded = nature === "counter" || nature === "delta";
  const fn = nature === "counter" ? "rate" : "value";
  if (metric.metric.endsWith("_bucket")) return { fn, agg: "sum", by: ["le"] };
  return { fn, agg: metric.series <= LINES_MAX ? "none" : isAdded ? "sum" : "avg", by: [] };
}

/** What the address says, else what is best; grouping is no question without an aggregation. */
export function askingOf(search: MetricsSearch, metric: MetricName | undefined): Asking {
  const usual: Asking = metric === undefined ? { fn: "value", agg: "none", by: [] } : defaultAsking(metric);
  const agg = search.agg ?? (search.by === undefined ? usual.agg : "sum");
  // Labels that were asked for, or the usual ones as long as nothing else is said.
  const by = agg === "none" ? [] : (search.by ?? (search.agg === undefined ? usual.by : []));
  return { fn: search.fn ?? usual.fn, agg, by };
}

export function questionOf(metric: string, asking: Asking, search: MetricsSearch): MetricQuestion {
  return { metric, fn: asking.fn, agg: asking.agg, by: asking.by, conditions: search.filter ?? [] };
}

const LENGTHS: readonly Unit[] = ["seconds", "milliseconds", "nanoseconds"];

/** How values are written, and the unit that the steps of the axis are round in. */
export function writing(
  metric: string,
  unit: string,
  asking: Asking,
): { format: (value: number) => string; axis: Unit } {
  if (asking.agg === "count") return { format: count, axis: "none" };
  const axis = unitOf(metric, unit);
  const isShare = asking.fn === "rate" && LENGTHS.includes(axis);
  return { format: valueFormat(metric, unit, asking.fn), axis: isShare ? "ratio" : axis };
}
