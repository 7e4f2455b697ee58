/** /api/console/logs: rows, counts over time, facets, neighbours of a row. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type Condition, filterText } from "~/state/filters";
import type { TimeRange } from "~/state/time_range";
import { ApiError, ask, type Parameters } from "./client";
import { type Asked, useRangeQuestion } from "./questions";

export interface Identity {
  readonly cluster: string;
  readonly node: string;
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  readonly container: string;
  readonly service: string;
}

export interface LogRow extends Identity {
  readonly id: string;
  readonly timestamp: string;
  readonly observed_at: string;
  readonly severity: string;
  readonly severity_number: number;
  readonly severity_text: string;
  readonly body: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** In the order of `attributes`: string, bool, int, double, array, kvlist, bytes; '' was not set. */
  readonly attribute_types: readonly string[];
  readonly resource: Readonly<Record<string, string>>;
  readonly scope_name: string;
  readonly event_name: string;
}

export interface Cost {
  readonly read_rows: number;
  readonly elapsed_ms: number;
}

export interface LogPage extends Cost {
  readonly rows: readonly LogRow[];
  readonly next_cursor: string | null;
}

export interface LogBucket {
  readonly t_ms: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface LogHistogram extends Cost {
  readonly step_ms: number;
  readonly total: number;
  readonly buckets: readonly LogBucket[];
}

export interface Facet {
  readonly field: string;
  readonly distinct: number;
  readonly values: readonly { readonly value: string; readonly count: number }[];
}

export interface LogContext {
  readonly before: readonly LogRow[];
  readonly row: LogRow;
  readonly after: readonly LogRow[];
}

export interface LogQuestion {
  readonly query?: string | undefined;
  readonly conditions?: readonly Condition[];
  readonly order?: "asc" | "desc" | undefined;
}

export function logParameters(question: LogQuestion): Parameters {
  return { query: question.query, filter: filterText(question.conditions ?? []) };
}

/** Rows page by page: `data.pages`, `fetchNextPage()`, `hasNextPage`. */
export function useLogRows(range: TimeRange, question: LogQuestion, limit = 200) {
  const parameters: Parameters = {
    from_ms: range.fromMs,
    to_ms: range.toMs,
    ...logParameters(question),
    order: question.order,
    limit,
  };
  return useInfiniteQuery({
    queryKey: ["/logs", parameters],
    queryFn: ({ pageParam, signal }) =>
      ask<LogPage>("/logs", { parameters: { ...parameters, cursor: pageParam }, signal }),
    initialPageParam: "",
    getNextPageParam: (last: LogPage) => last.next_cursor,
    placeholderData: (before) => before,
    throwOnError: (error) => !(error instanceof ApiError),
  });
}

export function useLogHistogram(
  range: TimeRange,
  question: LogQuestion,
  buckets = 120,
): Asked<LogHistogram> {
  return useRangeQuestion("/logs/histogram", range, { ...logParameters(question), buckets });
}

export function useLogFacets(
  range: TimeRange,
  question: LogQuestion,
): Asked<{ readonly facets: readonly Facet[] }> {
  return useRangeQuestion("/logs/facets", range, logParameters(question));
}

/** Neighbours of the row `id`, from the same source; those that are there stay while more are asked for. */
export function useLogContext(id: string | undefined, rows = { before: 20, after: 20 }): Asked<LogContext> {
  return useQuery<LogContext, ApiError>({
    queryKey: ["/logs/context", id, rows],
    queryFn: ({ signal }) => ask<LogContext>("/logs/context", { parameters: { id, ...rows }, signal }),
    placeholderData: (before, asked) => (asked?.queryKey[1] === id ? before : undefined),
    enabled: id !== undefined,
  });
}
