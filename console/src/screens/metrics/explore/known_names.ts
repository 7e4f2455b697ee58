/**
 * Metrics by their names in PromQL. What OTLP sends has another name there than in the picker; what
 * Prometheus sends has the same, so that the number of its series is known.
 */

import { useMemo } from "react";
import { type MetricName, useMetricNames } from "~/api/metrics";
import { useNames } from "~/api/prometheus";
import type { Asked } from "~/api/questions";
import type { TimeRange } from "~/state/time_range";

/** As many as the picker asks for, so that it is one question. */
export const NAMES_MAX = 2000;
/** More than lines are shown apart: better put together. */
const MANY = 1000;

export function useKnownNames(range: TimeRange): Asked<readonly MetricName[]> {
  const asked = useNames(range);
  const own = useMetricNames(range, undefined, NAMES_MAX).data?.metrics;
  const { data } = asked;
  const merged = useMemo(() => {
    const series = new Map(own?.map((one) => [one.metric, one.series]));
    return data?.map((one) => ({ ...one, series: series.get(one.metric) ?? MANY }));
  }, [data, own]);
  return { ...asked, data: merged } as Asked<readonly MetricName[]>;
}

/** The name in PromQL of a metric of the picker; null where there is none. */
export function nameInPromql(metric: string, names: readonly string[]): string | null {
  if (names.includes(metric)) return metric;
  const words = metric.replace(/[^a-zA-Z0-9:]+/g, "_");
  const like = names.filter((one) => one === words || one.startsWith(`${words}_`));
  // The unit and the kind are put behind; the shortest has nothing else behind.
  return like.toSorted((one, other) => one.length - other.length)[0] ?? null;
}

/** Of an attribute of OTLP. */
export function labelInPromql(label: string): string {
  return label.replace(/[^a-zA-Z0-9_]/g, "_");
}
