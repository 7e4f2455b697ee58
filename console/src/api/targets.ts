/** What the server scrapes: pools, targets, what relabelling left out, and how it came to that. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ApiError, ask } from "./client";
import { askPrometheus, type Labels } from "./prometheus";
import { type Asked, useQuestion } from "./questions";

const FEW_EVERY_MS = 5e3;
const MANY_EVERY_MS = 15e3;
/** From here on an answer has so much that it is asked for less often. */
const MANY = 1000;

export type Health = "up" | "down" | "unknown";

export interface ScrapePool {
  readonly name: string;
  readonly up: number;
  readonly down: number;
  readonly unknown: number;
  readonly dropped: number;
  readonly interval_ms: number;
  readonly timeout_ms: number;
  readonly discoveries: readonly string[];
  /** The first ones of `error_count`. */
  readonly errors: readonly { readonly source: string; readonly error: string }[];
  readonly error_count: number;
}

export interface Target {
  readonly id: string;
  readonly pool: string;
  readonly url: string;
  readonly labels: Labels;
  readonly health: Health;
  readonly error: string;
  readonly last_scrape_ms: number | null;
  readonly duration_ms: number;
  readonly interval_ms: number;
  readonly timeout_ms: number;
  readonly samples_scraped: number;
  readonly samples_kept: number;
  readonly body_bytes: number;
  readonly scrapes: number;
  readonly failures: number;
  readonly missed: number;
  readonly lost_writes: number;
}

export interface Targets {
  /** Path of the prometheus.yml; empty where there is none. */
  readonly file: string;
  readonly pools: readonly ScrapePool[];
  readonly targets: readonly Target[];
  readonly total: number;
}

export interface DroppedTarget {
  readonly id: string;
  readonly pool: string;
  readonly address: string;
  readonly labels: Labels;
}

export interface DroppedTargets {
  /** The first ones of `found`, which are those of `kept` that fit; `total` were dropped. */
  readonly targets: readonly DroppedTarget[];
  readonly found: number;
  readonly kept: number;
  readonly total: number;
}

/** One relabel_config as in the file, without what is there by default. */
export interface RelabelRule {
  readonly action: string;
  readonly source_labels?: readonly string[];
  readonly separator?: string;
  readonly regex?: string;
  readonly modulus?: number;
  readonly target_label?: string;
  readonly replacement?: string;
}

/** `labels` are those after the rule; null from where the target is dropped. */
export interface RelabelStep {
  readonly rule: RelabelRule;
  readonly labels: Labels | null;
}

export interface TargetDetails {
  /** Null for one that was dropped. */
  readonly target: Target | null;
  /** All that it has after relabelling, those too that begin with __. */
  readonly labels: Labels;
  readonly discovered: Labels;
  readonly steps: readonly RelabelStep[];
  readonly metric_rules: readonly RelabelRule[];
}

export function useTargets(isLive: boolean): Asked<Targets> {
  return useQuery<Targets, ApiError>({
    queryKey: ["/targets", {}],
    queryFn: ({ signal }) => ask<Targets>("/targets", { signal }),
    refetchInterval: ({ state }) => {
      if (!isLive) return false;
      return (state.data?.targets.length ?? 0) > MANY ? MANY_EVERY_MS : FEW_EVERY_MS;
    },
  });
}

export function useDroppedTargets(
  pool: string | undefined,
  match: string | undefined,
  options: { isEnabled: boolean; isLive: boolean },
): Asked<DroppedTargets> {
  const parameters = { pool, match };
  return useQuery<DroppedTargets, ApiError>({
    queryKey: ["/targets/dropped", parameters],
    queryFn: ({ signal }) => ask<DroppedTargets>("/targets/dropped", { parameters, signal }),
    enabled: options.isEnabled,
    placeholderData: keepPreviousData,
    refetchInterval: options.isLive ? MANY_EVERY_MS : false,
  });
}

export function useTargetDetails(pool: string, id: string, isLive: boolean): Asked<TargetDetails> {
  return useQuestion("/targets/details", { pool, id }, isLive ? { everyMs: FEW_EVERY_MS } : {});
}

/** The scrape config as YAML. */
export function useScrapeConfig(pool: string, isWanted: boolean): Asked<string> {
  return useQuery<string, ApiError>({
    queryKey: ["/scrape_pools/config", pool],
    queryFn: async ({ signal }) => {
      const answer = await askPrometheus<{ yaml: string }>("/scrape_pools/config", { scrapePool: pool }, signal);
      return answer.data.yaml;
    },
    enabled: isWanted,
  });
}
