/** What the address of Metrics holds besides the time range. */

import { type Condition, readConditions } from "~/state/filters";
import { readChoice, readFlag, readNumber, readText, readTexts, type Search } from "~/state/search";
import { type PromQuery, readQueries } from "./explore/queries";

export type MetricsView = "pick" | "query" | "cardinality";

export interface MetricsSearch {
  readonly match?: string | undefined;
  readonly metric?: string | undefined;
  readonly fn?: "value" | "rate" | "increase" | undefined;
  readonly agg?: "none" | "sum" | "avg" | "min" | "max" | "count" | undefined;
  readonly by?: readonly string[] | undefined;
  readonly filter?: readonly Condition[] | undefined;
  /** Absent: pick. */
  readonly view?: MetricsView | undefined;
  readonly q?: readonly PromQuery[] | undefined;
  readonly as?: "graph" | "table" | undefined;
  /** A plot for each query. */
  readonly split?: boolean | undefined;
  readonly step?: string | undefined;
  readonly builder?: boolean | undefined;
  readonly exemplars?: boolean | undefined;
  /** Lines that alone are shown, or that are hidden. */
  readonly only?: readonly string[] | undefined;
  readonly hide?: readonly string[] | undefined;
  /** How many rows of the cardinality view. */
  readonly top?: number | undefined;
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
    view: readChoice(search.view, ["query", "cardinality"]),
    q: readQueries(search.q),
    as: readChoice(search.as, ["table"]),
    split: readFlag(search.split),
    step: readText(search.step),
    builder: readFlag(search.builder),
    exemplars: readFlag(search.exemplars),
    only: readTexts(search.only),
    hide: readTexts(search.hide),
    top: [100, 1000].find((one) => one === readNumber(search.top)),
  };
}
