/** What the addresses of Traces and of one trace hold besides the time range. */

import { type Condition, readConditions } from "~/state/filters";
import { readChoice, readText, type Search } from "~/state/search";

export interface TracesSearch {
  readonly view?: "traces" | "operations" | undefined;
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
  readonly status?: "UNSET" | "OK" | "ERROR" | undefined;
  /** Lengths of time as they were typed: 250ms, 1.5s. */
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  readonly filter?: readonly Condition[] | undefined;
  readonly order?: "newest" | "slowest" | undefined;
  /** Of the operations: part of the name. */
  readonly part?: string | undefined;
}

export function readTracesSearch(search: Search): TracesSearch {
  const filter = readConditions(search.filter);
  return {
    view: readChoice(search.view, ["traces", "operations"]),
    service: readText(search.service),
    operation: readText(search.operation),
    status: readChoice(search.status, ["UNSET", "OK", "ERROR"]),
    min: readText(search.min),
    max: readText(search.max),
    filter: filter.length === 0 ? undefined : filter,
    order: readChoice(search.order, ["newest", "slowest"]),
    part: readText(search.part),
  };
}

export interface TraceSearch {
  /** Id of the span that is selected. */
  readonly span?: string | undefined;
  /** What is beside the waterfall. */
  readonly panel?: "span" | "logs" | undefined;
  /** Looked for inside of the trace. */
  readonly find?: string | undefined;
  /** The part of its time in sight, ns since its start: 1200-5300. */
  readonly zoom?: string | undefined;
}

export function readTraceSearch(search: Search): TraceSearch {
  return {
    span: readText(search.span),
    panel: readChoice(search.panel, ["span", "logs"]),
    find: readText(search.find),
    zoom: readText(search.zoom),
  };
}
