/** /api/v1: the API of Prometheus, as other programs ask it too. Times there are seconds, values texts. */

import { useQueries, type UseQueryResult, useQuery, keepPreviousData } from "@tanstack/react-query";
import type { TimeRange } from "~/state/time_range";
import { ApiError } from "./client";
import type { MetricLabel, MetricName, Point } from "./metrics";
import type { Asked } from "./questions";

const BASE = "/api/v1";
/** More lines than this are not told apart; the server cuts there and says so. */
export const LINES_MAX = 200;
export const ROWS_MAX = 1000;
const EXEMPLARS_MAX = 400;
const NAMES_MAX = 10_000;
/** Labels are told by so many series. */
const SERIES_MAX = 2000;

export type Labels = Readonly<Record<string, string>>;
type Parameters = Readonly<Record<string, string | number | undefined>>;

/** What the server says beside its answer; each may end in ` (line:column)`. */
interface Notes {
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

export interface QueryCost {
  /** In the server; null where it does not tell. */
  readonly evaluationS: number | null;
  readonly samples: number | null;
  readonly series: number;
  /** From asking to having the answer. */
  readonly tookMs: number;
}

export interface RangeSeries {
  readonly labels: Labels;
  readonly points: readonly Point[];
}

export interface RangeAnswer extends Notes {
  readonly series: readonly RangeSeries[];
  /** Series whose values are whole histograms, which are no lines. */
  readonly histograms: number;
  readonly cost: QueryCost;
}

export interface InstantRow {
  readonly labels: Labels;
  /** A number as it was sent; of a histogram its count and sum. */
  readonly text: string;
  readonly value: number | null;
}

export interface InstantAnswer extends Notes {
  readonly kind: string;
  readonly rows: readonly InstantRow[];
  readonly cost: QueryCost;
}

interface Envelope<Data> {
  readonly data: Data;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}
type Sample = readonly [number, string];
interface SentHistogram {
  readonly count: string;
  readonly sum: string;
}
interface Sent {
  readonly metric: Labels;
  readonly value?: Sample;
  readonly values?: readonly Sample[];
  readonly histogram?: readonly [number, SentHistogram];
  readonly histograms?: readonly (readonly [number, SentHistogram])[];
}
interface Result {
  readonly resultType: "matrix" | "vector" | "scalar" | "string";
  readonly result: readonly Sent[] | Sample;
  readonly stats?: {
    readonly timings?: { readonly execTotalTime?: number };
    readonly samples?: { readonly totalQueryableSamples?: number };
    /** SQL, where it was asked for. */
    readonly statements?: readonly string[];
  };
}

/** Throws ApiError, whose code is `bad_data`, `execution` and so on; an abort is thrown as it is. */
export async function askPrometheus<Data>(
  path: string,
  parameters: Parameters,
  signal?: AbortSignal,
): Promise<Envelope<Data>> {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) body.set(name, String(value));
  const reply = await answered(`${BASE}${path}`, body, signal);
  const answer: unknown = await reply.json().catch(() => null);
  if (!reply.ok || answer === null) throw refusalOf(reply.status, answer, String(parameters.query ?? ""));
  return answer as Envelope<Data>;
}

async function answered(url: string, body: URLSearchParams, signal?: AbortSignal): Promise<Response> {
  // A long query does not fit into an address; what only reads by GET has short ones.
  const isGet = /\/(?:status|label|scrape_pools)\/|\/metadata$/.test(url);
  const init: RequestInit = isGet ? {} : { method: "POST", body };
  try {
    return await fetch(isGet ? `${url}?${body.toString()}` : url, { ...init, signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError("unreachable", "the server cannot be reached", 0);
  }
}

const PLACED = /^(?:invalid parameter "query": )?(?:(\d+):(\d+): parse error: |unknown position: parse error: )?/;

/** The place of a mistake is in the sentence, as line and column. */
export function refusalOf(status: number, answer: unknown, query: string): ApiError {
  const sent = typeof answer === "object" && answer !== null ? answer : {};
  if (!("error" in sent) || typeof sent.error !== "string") {
    return new ApiError("broken", `the server answered ${status}`, status);
  }
  const code = "errorType" in sent && typeof sent.errorType === "string" ? sent.errorType : "broken";
  const found = PLACED.exec(sent.error);
  const position = found?.[1] === undefined ? null : placeOf(query, Number(found[1]), Number(found[2]));
  return new ApiError(code, sent.error.slice(found?.[0].length ?? 0), status, position);
}

/** Characters before a line and a column, both counted from 1. */
export function placeOf(text: string, line: number, column: number): number {
  const before = text.split("\n").slice(0, line - 1).join("\n");
  return (line > 1 ? Array.from(before).length + 1 : 0) + column - 1;
}

/** A note without its place, and the place. */
export function noteOf(note: string, query: string): { readonly text: string; readonly position: number | null } {
  const found = /^(.*) \((\d+):(\d+)\)$/s.exec(note);
  if (found === null) return { text: note, position: null };
  return { text: found[1] ?? "", position: placeOf(query, Number(found[2]), Number(found[3])) };
}

/** A grid of whole steps, so that points stay where they are while the range moves. */
export function gridOf(range: TimeRange, stepMs: number): { startMs: number; endMs: number; points: number } {
  const startMs = Math.ceil(range.fromMs / stepMs) * stepMs;
  const endMs = Math.max(startMs, Math.floor(range.toMs / stepMs) * stepMs);
  return { startMs, endMs, points: Math.round((endMs - startMs) / stepMs) + 1 };
}

async function askRange(expr: string, range: TimeRange, stepMs: number, signal: AbortSignal): Promise<RangeAnswer> {
  const grid = gridOf(range, stepMs);
  const beganMs = performance.now();
  const answer = await askPrometheus<Result>("/query_range", {
    query: expr, start: grid.startMs / 1000, end: grid.endMs / 1000, step: stepMs / 1000,
    limit: LINES_MAX, stats: "all",
  }, signal);
  const sent = answer.data.result as readonly Sent[];
  const lines = sent.filter((one) => one.values !== undefined);
  return {
    series: lines.map((one) => ({ labels: one.metric, points: onGrid(one.values ?? [], grid, stepMs) })),
    histograms: sent.filter((one) => one.histograms !== undefined).length,
    ...notesOf(answer),
    cost: costOf(answer.data, sent.length, beganMs),
  };
}

/** A step without a value is a gap. */
function onGrid(values: readonly Sample[], grid: { startMs: number; points: number }, stepMs: number): Point[] {
  const empty = (_: unknown, at: number): [number, number | null] => [grid.startMs + at * stepMs, null];
  const points = Array.from({ length: grid.points }, empty);
  for (const [seconds, text] of values) {
    const point = points[Math.round((seconds * 1000 - grid.startMs) / stepMs)];
    if (point !== undefined) point[1] = numberOf(text);
  }
  return points;
}

export function numberOf(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

async function askInstant(expr: string, atMs: number, signal: AbortSignal): Promise<InstantAnswer> {
  const beganMs = performance.now();
  const parameters = { query: expr, time: atMs / 1000, limit: ROWS_MAX, stats: "all" };
  const answer = await askPrometheus<Result>("/query", parameters, signal);
  const rows = rowsOf(answer.data);
  return { kind: answer.data.resultType, rows, ...notesOf(answer), cost: costOf(answer.data, rows.length, beganMs) };
}

function rowsOf(data: Result): InstantRow[] {
  if (data.resultType === "scalar" || data.resultType === "string") {
    const [, text] = data.result as Sample;
    return [{ labels: {}, text, value: data.resultType === "scalar" ? numberOf(text) : null }];
  }
  return (data.result as readonly Sent[]).map((one) => {
    // Of a range of samples the last one.
    const text = (one.value ?? one.values?.at(-1))?.[1];
    if (text !== undefined) return { labels: one.metric, text, value: numberOf(text) };
    const histogram = (one.histogram ?? one.histograms?.at(-1))?.[1];
    const words = histogram === undefined ? "" : `count ${histogram.count}, sum ${histogram.sum}`;
    return { labels: one.metric, text: words, value: null };
  });
}

function notesOf(answer: Envelope<unknown>): Notes {
  return { warnings: answer.warnings ?? [], infos: answer.infos ?? [] };
}

function costOf(data: Result, series: number, beganMs: number): QueryCost {
  // None are counted where the engine did the work.
  const samples = data.stats?.samples?.totalQueryableSamples;
  return {
    evaluationS: data.stats?.timings?.execTotalTime ?? null,
    samples: samples === undefined || samples === 0 ? null : samples,
    series,
    tookMs: performance.now() - beganMs,
  };
}

/** How many before it say the same: two questions of one list may not have one key. */
function twinOf(exprs: readonly string[], at: number): number {
  return exprs.slice(0, at).filter((one) => one === exprs[at]).length;
}

/** One question an expression; an empty one is not asked. */
export function useRanges(
  exprs: readonly string[],
  range: TimeRange,
  stepMs: number,
  isWanted: boolean,
): UseQueryResult<RangeAnswer, ApiError>[] {
  return useQueries({
    queries: exprs.map((expr, at) => ({
      queryKey: ["/query_range", { expr, twin: twinOf(exprs, at), from_ms: range.fromMs, to_ms: range.toMs, stepMs }],
      queryFn: ({ signal }: { signal: AbortSignal }) => askRange(expr, range, stepMs, signal),
      enabled: isWanted && expr.trim() !== "",
    })),
  });
}

export function useInstants(
  exprs: readonly string[],
  atMs: number,
  isWanted: boolean,
): UseQueryResult<InstantAnswer, ApiError>[] {
  return useQueries({
    queries: exprs.map((expr, at) => ({
      queryKey: ["/query", { expr, twin: twinOf(exprs, at), from_ms: atMs }],
      queryFn: ({ signal }: { signal: AbortSignal }) => askInstant(expr, atMs, signal),
      enabled: isWanted && expr.trim() !== "",
    })),
  });
}

/** What the engine is asked for an expression: over a range in steps, or at its end where there are none. */
export function useStatements(expr: string, range: TimeRange, stepMs: number | null): Asked<readonly string[]> {
  return useQuery<readonly string[], ApiError>({
    queryKey: ["/query", { expr, from_ms: range.fromMs, to_ms: range.toMs, stepMs, stats: "sql" }],
    queryFn: async ({ signal }) => {
      const grid = gridOf(range, stepMs ?? 1);
      const [path, times] = stepMs === null
        ? ["/query", { time: range.toMs / 1000 }]
        : ["/query_range", { start: grid.startMs / 1000, end: grid.endMs / 1000, step: stepMs / 1000 }];
      const answer = await askPrometheus<Result>(path, { query: expr, ...times, limit: 1, stats: "sql" }, signal);
      return answer.data.stats?.statements ?? [];
    },
  });
}

export interface Exemplar {
  /** The query that it was found for. */
  readonly expr: string;
  readonly atMs: number;
  readonly value: number;
  readonly traceId: string;
  readonly labels: Labels;
}

interface SentExemplars {
  readonly seriesLabels: Labels;
  readonly exemplars: readonly { readonly labels: Labels; readonly value: string; readonly timestamp: number }[];
}

/** Those that name a trace, of all expressions, spread over the range when there are many. */
export function useExemplars(
  exprs: readonly string[],
  range: TimeRange,
  isWanted: boolean,
): Asked<readonly Exemplar[]> {
  return useQuery<readonly Exemplar[], ApiError>({
    queryKey: ["/query_exemplars", { exprs, from_ms: range.fromMs, to_ms: range.toMs }],
    queryFn: async ({ signal }) => {
      const each = await Promise.all(exprs.map((query) => askPrometheus<readonly SentExemplars[] | undefined>(
        "/query_exemplars", { query, start: range.fromMs / 1000, end: range.toMs / 1000 }, signal,
      )));
      return spread(each.flatMap((one, at) => (one.data ?? []).flatMap((sent) => exemplarsOf(sent, exprs[at] ?? ""))));
    },
    enabled: isWanted && exprs.length > 0,
    placeholderData: keepPreviousData,
  });
}

function exemplarsOf(sent: SentExemplars, expr: string): Exemplar[] {
  return sent.exemplars.flatMap((one) => {
    const traceId = one.labels.trace_id ?? one.labels.traceID ?? one.labels.traceId ?? "";
    if (traceId === "") return [];
    return [{ expr, atMs: one.timestamp * 1000, value: numberOf(one.value), traceId, labels: sent.seriesLabels }];
  });
}

function spread(all: readonly Exemplar[]): Exemplar[] {
  const sorted = all.toSorted((one, other) => one.atMs - other.atMs);
  const every = Math.ceil(sorted.length / EXEMPLARS_MAX);
  return every <= 1 ? sorted : sorted.filter((_, at) => at % every === 0);
}

export interface CountedName {
  readonly name: string;
  readonly value: number;
}

export interface Tsdb {
  readonly headStats: { readonly numSeries: number; readonly numLabelPairs: number };
  readonly seriesCountByMetricName: readonly CountedName[];
  readonly labelValueCountByLabelName: readonly CountedName[];
  readonly memoryInBytesByLabelName: readonly CountedName[];
  readonly seriesCountByLabelValuePair: readonly CountedName[];
}

/** Of all that is stored; `look` is asked anew when it grows. */
export function useTsdb(limit: number, look: number): Asked<Tsdb> {
  return useQuery<Tsdb, ApiError>({
    queryKey: ["/status/tsdb", limit, look],
    queryFn: async ({ signal }) => (await askPrometheus<Tsdb>("/status/tsdb", { limit }, signal)).data,
    placeholderData: keepPreviousData,
  });
}

/** What a metric's unit is by its metadata; empty when nobody said. */
export function useMetricUnits(metrics: readonly string[]): Readonly<Record<string, string>> {
  const asked = useQueries({
    queries: metrics.map((metric) => ({
      queryKey: ["/metadata", metric],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const parameters = { metric, limit_per_metric: 1 };
        const { data } = await askPrometheus<Record<string, { unit: string }[]>>("/metadata", parameters, signal);
        return data[metric]?.[0]?.unit ?? "";
      },
    })),
  });
  return Object.fromEntries(metrics.map((metric, at) => [metric, asked[at]?.data ?? ""]));
}

/** Names and labels hardly change while a live range moves on: they are asked once a minute. */
function inMinutes({ fromMs, toMs }: TimeRange): TimeRange {
  return { fromMs: Math.floor(fromMs / 60e3) * 60e3, toMs: Math.ceil(toMs / 60e3) * 60e3 };
}

interface Described {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** All names that PromQL knows in the range, each as the console's own list would tell it; series is unknown: 0. */
export function useNames(asked: TimeRange, isWanted = true): Asked<readonly MetricName[]> {
  const range = inMinutes(asked);
  return useQuery<readonly MetricName[], ApiError>({
    queryKey: ["/label/__name__/values", { from_ms: range.fromMs, to_ms: range.toMs }],
    queryFn: async ({ signal }) => {
      const parameters = { start: range.fromMs / 1000, end: range.toMs / 1000, limit: NAMES_MAX };
      const [names, described] = await Promise.all([
        askPrometheus<readonly string[]>("/label/__name__/values", parameters, signal),
        askPrometheus<Readonly<Record<string, readonly Described[]>>>("/metadata", { limit_per_metric: 1 }, signal),
      ]);
      return names.data.map((metric) => nameOf(metric, described.data));
    },
    enabled: isWanted,
    placeholderData: keepPreviousData,
  });
}

/** The parts of a histogram are described under the name that they have in common. */
function nameOf(metric: string, described: Readonly<Record<string, readonly Described[]>>): MetricName {
  const found = (described[metric] ?? described[metric.replace(/_(?:bucket|count|sum|total)$/, "")])?.[0];
  return {
    metric, type: found?.type ?? "", unit: found?.unit ?? "", help: found?.help ?? "", series: 0,
    kind: "", temporality: "", is_monotonic: found?.type === "counter",
  };
}

/** Labels of the series that a selector matches, and their values with how many series have them. */
export function useLabels(within: TimeRange, selector: string): readonly MetricLabel[] {
  const range = inMinutes(within);
  const asked = useQuery<readonly MetricLabel[], ApiError>({
    queryKey: ["/series", { selector, from_ms: range.fromMs, to_ms: range.toMs }],
    queryFn: async ({ signal }) => {
      const parameters = {
        "match[]": selector, start: range.fromMs / 1000, end: range.toMs / 1000, limit: SERIES_MAX,
      };
      return labelsOf((await askPrometheus<readonly Labels[]>("/series", parameters, signal)).data);
    },
    enabled: selector !== "",
    placeholderData: keepPreviousData,
  });
  return asked.data ?? [];
}

export function labelsOf(series: readonly Labels[]): MetricLabel[] {
  const counts = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [name, value] of Object.entries(labels)) {
      if (name === "__name__") continue;
      const values = counts.get(name) ?? new Map<string, number>();
      counts.set(name, values.set(value, (values.get(value) ?? 0) + 1));
    }
  }
  return [...counts].sort(([one], [other]) => (one < other ? -1 : 1)).map(([label, values]) => ({
    label,
    distinct: values.size,
    values: [...values].sort(([, one], [, other]) => other - one).map(([value, own]) => ({ value, series: own })),
  }));
}
