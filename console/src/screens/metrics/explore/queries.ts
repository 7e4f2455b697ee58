/** The queries of the explorer as the address holds them: a letter, a text, and whether it is hidden. */

import type { TimeRange } from "~/state/time_range";

export interface PromQuery {
  readonly id: string;
  readonly expr: string;
  readonly off?: true | undefined;
}

export const QUERIES_MAX = 12;
const LETTERS = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
const POINTS = 300;
const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
] as const;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };
/** What the server takes at most. */
const POINTS_MAX = 11_000;

/** Objects, or plain texts that get their letters in order; undefined for none. */
export function readQueries(value: unknown): readonly PromQuery[] | undefined {
  const items = typeof value === "string" ? parsed(value) : value;
  if (!Array.isArray(items)) return typeof value === "string" && value !== "" ? [{ id: "A", expr: value }] : undefined;
  const found: PromQuery[] = [];
  for (const item of items.slice(0, QUERIES_MAX) as unknown[]) {
    const one = typeof item === "object" && item !== null ? item : { expr: item };
    if (!("expr" in one) || typeof one.expr !== "string") continue;
    const asked = "id" in one && typeof one.id === "string" && /^[A-Z]$/.test(one.id) ? one.id : undefined;
    const id = asked === undefined || found.some((other) => other.id === asked) ? nextLetter(found) : asked;
    found.push({ id, expr: one.expr, ...("off" in one && one.off === true ? { off: true as const } : {}) });
  }
  return found.length === 0 ? undefined : found;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The first letter that is free. */
export function nextLetter(queries: readonly PromQuery[]): string {
  return LETTERS.find((letter) => !queries.some((one) => one.id === letter)) ?? "Z";
}

export function withQuery(queries: readonly PromQuery[], expr: string): PromQuery[] {
  return queries.length >= QUERIES_MAX ? [...queries] : [...queries, { id: nextLetter(queries), expr }];
}

/** The one that is asked when a metric is picked: an empty one is filled, else there is one more. */
export function withPicked(queries: readonly PromQuery[], expr: string): PromQuery[] {
  const empty = queries.findIndex((one) => one.expr.trim() === "");
  return empty < 0 ? withQuery(queries, expr) : queries.map((one, at) => (at === empty ? { ...one, expr } : one));
}

/** A round step with at most some hundred points. */
export function usualStepMs(range: TimeRange): number {
  const leastS = (range.toMs - range.fromMs) / 1000 / POINTS;
  const found = STEPS_S.find((one) => one >= leastS) ?? Math.ceil(leastS / 86_400) * 86_400;
  return found * 1000;
}

/** `15s`, `1m`; null when it is not understood or would be too many points. */
export function stepOf(text: string, range: TimeRange): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const stepMs = found === null ? 0 : Number(found[1]) * (UNITS_MS[found[2] ?? ""] ?? 0);
  return stepMs >= 1 && (range.toMs - range.fromMs) / stepMs < POINTS_MAX ? stepMs : null;
}

/** Enough for samples that come once a minute, and no sample between two steps is left out. */
export function usualWindow(stepMs: number): string {
  const seconds = Math.max(300, Math.round(stepMs / 1000) * 2);
  const found = STEPS_S.find((one) => one >= seconds) ?? Math.ceil(seconds / 86_400) * 86_400;
  if (found % 86_400 === 0) return `${found / 86_400}d`;
  return found % 3600 === 0 ? `${found / 3600}h` : `${Math.round(found / 60)}m`;
}
