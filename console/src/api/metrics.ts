/** /api/console/metrics: names, labels, a metric over time. */

import { type Condition, filterText } from "~/state/filters";
import type { TimeRange } from "~/state/time_range";
import type { Cost } from "./logs";
import { type Asked, useRangeQuestion } from "./questions";

/** [ms since 1970, value]; null where nothing is known. */
export type Point = readonly [number, number | null];
export type MetricFunction = "value" | "rate" | "increase";
export type Aggregation = "none" | "sum" | "avg" | "min" | "max" | "count";

export interface MetricName {
  readonly metric: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly series: number;
  readonly kind: string;
  readonly temporality: string;
  /** Of a sum: it only grows, so that its rate means something. */
  readonly is_monotonic: boolean;
}

export interface MetricLabel {
  readonly label: string;
  readonly distinct: number;
  readonly values: readonly { readonly value: string; readonly series: number }[];
}

export interface MetricSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly Point[];
}

export interface MetricRange extends Cost {
  readonly step_ms: number;
  readonly series: readonly MetricSeries[];
  readonly truncated: boolean;
  readonly series_total: number;
}

export interface MetricQuestion {
  readonly metric: string;
  readonly fn?: MetricFunction | undefined;
  readonly agg?: Aggregation | undefined;
  readonly by?: readonly string[] | undefined;
  readonly conditions?: readonly Condition[] | undefined;
  readonly stepMs?: number | undefined;
}

export function useMetricNames(
  range: TimeRange,
  match?: string,
  limit = 500,
): Asked<{ readonly metrics: readonly MetricName[] }> {
  return useRangeQuestion("/metrics/names", range, { match, limit });
}

export interface Churn {
  /** Series whose first sample of all lies in the range, and all that began before its end. */
  readonly metrics: readonly { readonly metric: string; readonly fresh: number; readonly series: number }[];
  readonly fresh_total: number;
  readonly series_total: number;
}

export function useChurn(range: TimeRange, limit: number): Asked<Churn> {
  return useRangeQuestion("/metrics/churn", range, { limit });
}

export function useMetricLabels(
  range: TimeRange,
  metric: string | undefined,
  conditions: readonly Condition[] = [],
): Asked<{ readonly labels: readonly MetricLabel[] }> {
  const parameters = { metric, filter: filterText(conditions) };
  return useRangeQuestion("/metrics/labels", range, parameters, { isEnabled: metric !== undefined });
}

export function useMetricRange(range: TimeRange, question: MetricQuestion | undefined): Asked<MetricRange> {
  const parameters = {
    metric: question?.metric,
    fn: question?.fn,
    agg: question?.agg,
    by: question?.by?.join(","),
    filter: filterText(question?.conditions ?? []),
    step_ms: question?.stepMs,
  };
  return useRangeQuestion("/metrics/range", range, parameters, { isEnabled: question !== undefined });
}
