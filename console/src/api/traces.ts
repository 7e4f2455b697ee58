/** /api/console/traces: summaries, one trace whole, operations, services. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { type Condition, filterText } from "~/state/filters";
import type { TimeRange } from "~/state/time_range";
import { ApiError, ask, type Parameters } from "./client";
import type { Cost, Identity } from "./logs";
import { type Asked, useQuestion, useRangeQuestion } from "./questions";

export type SpanStatus = "UNSET" | "OK" | "ERROR";

export interface Operation {
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly count: number;
  readonly rate_per_s: number;
  readonly error_count: number;
  readonly error_ratio: number;
  readonly p50_ns: number;
  readonly p90_ns: number;
  readonly p95_ns: number;
  readonly p99_ns: number;
}

export interface TraceSummary {
  readonly trace_id: string;
  readonly start: string;
  readonly duration_ns: number;
  readonly root_service: string;
  readonly root_name: string;
  readonly root_status: string;
  readonly span_count: number;
  readonly error_count: number;
  readonly services: readonly { readonly service: string; readonly span_count: number }[];
}

export interface SpanEvent {
  readonly timestamp: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly dropped_attributes_count: number;
}

export interface SpanLink {
  readonly trace_id: string;
  readonly span_id: string;
  readonly trace_state: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly flags: number;
  readonly dropped_attributes_count: number;
}

export interface Span extends Identity {
  readonly timestamp: string;
  readonly duration_ns: number;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id: string;
  readonly trace_state: string;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly status_message: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** In the order of `attributes`: string, bool, int, double, array, kvlist, bytes; "" was not set. */
  readonly attribute_types: readonly string[];
  readonly resource: Readonly<Record<string, string>>;
  readonly scope_name: string;
  readonly scope_version: string;
  readonly flags: number;
  readonly dropped_attributes_count: number;
  readonly dropped_events_count: number;
  readonly dropped_links_count: number;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
}

export interface Trace {
  readonly trace_id: string;
  readonly spans: readonly Span[];
  readonly truncated: boolean;
}

export interface ServiceOperations {
  readonly service: string;
  readonly span_count: number;
  readonly operations: readonly string[];
}

export interface TraceQuestion {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
  readonly status?: SpanStatus | undefined;
  readonly minDurationNs?: number | undefined;
  readonly maxDurationNs?: number | undefined;
  readonly conditions?: readonly Condition[];
  readonly order?: "newest" | "slowest" | undefined;
}

export interface TracePage extends Cost {
  readonly traces: readonly TraceSummary[];
  readonly next_cursor: string | null;
}

/** Summaries page by page: `data.pages`, `fetchNextPage()`, `hasNextPage`. */
export function useTraces(range: TimeRange, question: TraceQuestion, limit = 50) {
  const parameters: Parameters = {
    from_ms: range.fromMs,
    to_ms: range.toMs,
    service: question.service,
    operation: question.operation,
    status: question.status,
    min_duration_ns: question.minDurationNs,
    max_duration_ns: question.maxDurationNs,
    filter: filterText(question.conditions ?? []),
    order: question.order,
    limit,
  };
  return useInfiniteQuery({
    queryKey: ["/traces", parameters],
    queryFn: ({ pageParam, signal }) =>
      ask<TracePage>("/traces", { parameters: { ...parameters, cursor: pageParam }, signal }),
    initialPageParam: "",
    getNextPageParam: (last: TracePage) => last.next_cursor,
    placeholderData: (before) => before,
    throwOnError: (error) => !(error instanceof ApiError),
  });
}

/** All spans of one trace; with `everyMs` asked for again, for a trace that may still grow. */
export function useTrace(traceId: string, everyMs?: number): Asked<Trace> {
  return useQuestion(`/traces/${encodeURIComponent(traceId)}`, {}, everyMs === undefined ? {} : { everyMs });
}

export function useOperations(
  range: TimeRange,
  service?: string,
  limit = 200,
): Asked<{ readonly operations: readonly Operation[] }> {
  return useRangeQuestion("/traces/operations", range, { service, limit });
}

export function useServices(
  range: TimeRange,
): Asked<{ readonly services: readonly ServiceOperations[] }> {
  return useRangeQuestion("/traces/services", range);
}
