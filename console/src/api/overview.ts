/** /api/console/overview: the first screen in one answer. */

import type { TimeRange } from "~/state/time_range";
import type { LogBucket, LogRow } from "./logs";
import type { Point } from "./metrics";
import { type Asked, useRangeQuestion } from "./questions";
import type { Operation } from "./traces";

export type Signal = "logs" | "spans" | "samples";

export interface Host {
  readonly node: string;
  readonly cpu_used_ratio: number | null;
  readonly memory_used_ratio: number | null;
  readonly memory_total_bytes: number | null;
  readonly load1: number | null;
  readonly disk_used_ratio_max: number | null;
  readonly disk_fullest_mount: string;
  readonly last_seen_ms: number | null;
  readonly cpu_points: readonly Point[];
}

export interface Arrival {
  readonly signal: Signal;
  readonly points: readonly Point[];
  readonly rate_per_s: number;
  readonly total: number;
}

/** `code` has a sentence in each language; `message` is the server's own, in English. */
export interface Problem {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly message: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface Overview {
  readonly hosts: readonly Host[];
  readonly log_volume: { readonly step_ms: number; readonly buckets: readonly LogBucket[] };
  readonly slowest_operations: readonly Operation[];
  readonly arriving: readonly Arrival[];
  readonly problems: readonly Problem[];
  readonly recent_errors: readonly LogRow[];
}

export function useOverview(range: TimeRange): Asked<Overview> {
  return useRangeQuestion("/overview", range);
}
