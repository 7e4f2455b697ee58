/** The lines of an answer: what each is called, and its values in short. */

import type { MetricSeries, Point } from "~/api/metrics";

export interface Summary {
  readonly last: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly average: number | null;
  /** Steps without a value after the first and before the last with one. */
  readonly gaps: number;
}

/** Of the values that are known; a gap is not zero. */
export function summaryOf(points: readonly Point[]): Summary {
  let last: number | null = null;
  let [least, most, sum, known, gaps, missing] = [Infinity, -Infinity, 0, 0, 0, 0];
  for (const [, value] of points) {
    if (value === null || Number.isNaN(value)) {
      missing += 1;
      continue;
    }
    if (known > 0) gaps += missing;
    missing = 0;
    last = value;
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
    known += 1;
  }
  if (known === 0) return { last: null, least: null, most: null, average: null, gaps: 0 };
  return { last, least, most, average: sum / known, gaps };
}

type Labels = Readonly<Record<string, string>>;

/** Labels that tell these series apart, in the order of their names. */
export function tellingLabels(series: readonly MetricSeries[]): string[] {
  const names = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
  const first = series[0]?.labels ?? {};
  return names.filter((name) => series.some((one) => one.labels[name] !== first[name]));
}

/** Only the labels that matter; the value alone if there is one; all of them if nothing tells it apart. */
export function seriesName(labels: Labels, telling: readonly string[], otherwise: string): string {
  const only = telling.length === 1 ? labels[telling[0] ?? ""] : undefined;
  if (only !== undefined && only !== "") return only;
  const names = telling.length > 0 ? telling : Object.keys(labels).sort();
  const parts = names.flatMap((name) => (labels[name] === undefined ? [] : [`${name}=${labels[name]}`]));
  return parts.length === 0 ? otherwise : parts.join(" ");
}

export function labelsText(labels: Labels): string {
  return `{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(", ")}}`;
}

export function seriesId(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)));
}
