/** What the address of Metrics holds besides the time range. */

import { type Condition, readConditions } from "~/state/filters";
import { readChoice, readText, readTexts, type Search } from "~/state/search";

export interface MetricsSearch {
  readonly match?: string | undefined;
  readonly metric?: string | undefined;
  readonly fn?: "value" | "rate" | "increase" | undefined;
  readonly agg?: "none" | "sum" | "avg" | "min" | "max" | "count" | undefined;
  readonly by?: readonly string[] | undefined;
  readonly filter?: readonly Condition[] | undefined;
}

export function readMetricsSearch(search: Search): MetricsSearch {
  const filter = readConditions(search.filter);
  return {
    match: readText(search.match),
    metric: readText(search.metric),
    fn: readChoice(search.fn, ["value", "rate", "increase"]),
    agg: readChoice(search.agg, ["none", "sum", "avg", "min", "max", "count"]),
    by: readTexts(search.by),
    filter: filter.length === 0 ? undefined : filter,
  };
}
