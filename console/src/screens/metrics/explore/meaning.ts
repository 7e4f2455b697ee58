/** What the values of a query are, told by the metric it reads and the functions around it. */

import { count } from "~/format/numbers";
import { type MetricFunction, type Unit, unitOf, valueFormat } from "~/format/units";
import { metricsOf, pieces } from "./promql_text";

export interface Written {
  readonly format: (value: number) => string;
  readonly axis: Unit;
  /** Lines whose keys differ are not measured by one axis. */
  readonly key: string;
  /** What is counted or grows: its height means something from zero. */
  readonly isFromZero: boolean;
}

const PLAIN: Written = { format: count, axis: "none", key: "none", isFromZero: false };
const PERCENT: Written = { format: valueFormat("", "percent", "value"), axis: "percent", key: "percent", isFromZero: true };
const COUNTS = new Set(["count", "count_values", "group", "count_over_time", "changes", "resets", "absent", "scalar"]);
const RATES = new Set(["rate", "irate", "deriv"]);
const LENGTHS: readonly Unit[] = ["seconds", "milliseconds", "nanoseconds"];

/** `units`: by metric, where somebody said one. Two metrics or a product may be anything: a plain number. */
export function writtenOf(expr: string, units: Readonly<Record<string, string>>): Written {
  const all = pieces(expr);
  const metrics = metricsOf(expr);
  const metric = metrics[0];
  const words = all.filter((one, at) => one.kind === "word" && /^(?:\(|by|without)$/.test(all[at + 1]?.text ?? ""));
  const isProduct = all.some((one) => one.kind === "sign" && /^[*/%^]$/.test(one.text));
  if (metric === undefined || words.some((one) => COUNTS.has(one.text))) return PLAIN;
  if (isProduct) return /\*\s*100$|^100\s*\*/.test(expr.trim()) ? PERCENT : PLAIN;
  const isQuantile = words.some((one) => one.text === "histogram_quantile");
  // The quantile of a histogram is a value of the thing itself, though its buckets are counted.
  const name = isQuantile ? metric.replace(/_bucket$/, "") : metric;
  const fn: MetricFunction = !isQuantile && words.some((one) => RATES.has(one.text)) ? "rate" : "value";
  const unit = units[metric] ?? "";
  const kind = unitOf(name, unit);
  const others = metrics.some((one) => unitOf(one, units[one] ?? "") !== unitOf(metric, unit));
  if (others) return PLAIN;
  const isShare = fn === "rate" && LENGTHS.includes(kind);
  const isGrowth = words.some((one) => RATES.has(one.text) || one.text === "increase");
  return {
    format: valueFormat(name, unit, fn), axis: isShare ? "ratio" : kind, key: `${kind} ${fn}`,
    isFromZero: isGrowth || isQuantile,
  };
}
