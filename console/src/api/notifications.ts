/** The Alertmanager inside: who is told of what, and what became of it. Times are ms since 1970. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ApiError, ask } from "./client";
import type { Labels } from "./prometheus";
import type { Asked } from "./questions";

const EVERY_MS = 5e3;

export interface Integration {
  readonly name: string;
  readonly kind: string;
  readonly send_resolved: boolean;
  readonly health: "unused" | "working" | "failing";
  readonly sent: number;
  readonly failed: number;
  readonly failed_in_a_row: number;
  readonly last_attempt_ms: number | null;
  readonly last_sent_ms: number | null;
  readonly error: string;
  readonly sending: number;
  readonly waiting: number;
}

export interface Receiver {
  readonly name: string;
  /** By a route. */
  readonly is_used: boolean;
  readonly integrations: readonly Integration[];
}

export interface NotificationsOverview {
  /** Path of the alertmanager.yml; empty where there is none. */
  readonly file: string;
  readonly receivers: readonly Receiver[];
  /** That fire. */
  readonly alerts: number;
}

export const RESULTS = ["sent", "failed", "unknown", "running", "interrupted"] as const;
export type AttemptResult = (typeof RESULTS)[number];

export interface Attempt {
  readonly id: string;
  readonly group_key: string;
  readonly receiver: string;
  readonly integration: string;
  readonly group_labels: Labels;
  readonly number: number;
  readonly reason: string;
  readonly result: AttemptResult;
  readonly status: number | null;
  readonly error: string;
  readonly began_at_ms: number;
  readonly duration_ms: number | null;
  /** Of the newest attempt of a group that failed and will be made again. */
  readonly retry_at_ms: number | null;
  readonly alert_count: number;
  /** The first ones of them. */
  readonly alerts: readonly { readonly status: string; readonly labels: Labels }[];
}

export interface Attempts {
  readonly attempts: readonly Attempt[];
  readonly found: number;
  readonly total: number;
}

export interface GroupAlert {
  readonly fingerprint: string;
  readonly labels: Labels;
  readonly status: "firing" | "resolved";
  readonly starts_at_ms: number | null;
  readonly silenced_by: readonly string[];
  readonly inhibited_by: readonly string[];
}

export interface ToldIntegration {
  readonly name: string;
  readonly last_sent_ms: number | null;
  readonly repeat_at_ms: number | null;
  readonly retry_at_ms: number | null;
  readonly is_sending: boolean;
  readonly error: string;
}

export interface AlertGroup {
  readonly key: string;
  readonly route: string;
  readonly receiver: string;
  readonly labels: Labels;
  readonly next_flush_ms: number | null;
  readonly has_flushed: boolean;
  readonly is_sending: boolean;
  readonly muted_by: readonly string[];
  readonly firing: number;
  readonly resolved: number;
  readonly alerts: readonly GroupAlert[];
  readonly integrations: readonly ToldIntegration[];
}

export interface AlertGroups {
  readonly groups: readonly AlertGroup[];
  readonly total: number;
}

/** In the order of the file; a route stands before those below it, which are deeper. */
export interface RouteRow {
  readonly id: string;
  readonly depth: number;
  readonly receiver: string;
  readonly matchers: readonly string[];
  readonly group_by: readonly string[];
  readonly group_wait_ms: number;
  readonly group_interval_ms: number;
  readonly repeat_interval_ms: number;
  readonly does_continue: boolean;
  readonly mute_times: readonly string[];
  readonly active_times: readonly string[];
  readonly labels: Labels;
  /** As they are now. */
  readonly groups: number;
  readonly muted_by: readonly string[];
}

export interface Way {
  readonly route: string;
  readonly receiver: string;
  readonly integrations: readonly string[];
  readonly group_key: string;
  readonly group_labels: Labels;
  readonly muted_by: readonly string[];
  /** Null where the group is not there yet. */
  readonly group_next_flush_ms: number | null;
}

export interface Where {
  readonly labels: string;
  /** Ids of routes that match and were come to. */
  readonly passed: readonly string[];
  readonly ways: readonly Way[];
  readonly silences: readonly {
    readonly id: string;
    readonly matchers: readonly string[];
    readonly created_by: string;
    readonly comment: string;
    readonly ends_at_ms: number | null;
  }[];
  readonly inhibited_by: {
    readonly rule: {
      readonly name: string;
      readonly source_matchers: readonly string[];
      readonly target_matchers: readonly string[];
      readonly equal: readonly string[];
    };
    readonly fingerprint: string;
    readonly labels: Labels;
  } | null;
}

type Parameters = Readonly<Record<string, string | undefined>>;

/** Asked again by itself while `isLive`; the last answer stays until the next one is there. */
function useNotified<Answer>(path: string, parameters: Parameters, isLive: boolean, isEnabled = true): Asked<Answer> {
  return useQuery<Answer, ApiError>({
    queryKey: [`/notifications${path}`, parameters],
    queryFn: ({ signal }) => ask<Answer>(`/notifications${path}`, { parameters, signal }),
    enabled: isEnabled,
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? EVERY_MS : false,
  });
}

export function useNotifications(isLive: boolean): Asked<NotificationsOverview> {
  return useNotified("", {}, isLive);
}

export interface AttemptsWanted {
  readonly receiver?: string | undefined;
  readonly result?: AttemptResult | undefined;
  readonly match?: string | undefined;
}

export function useAttempts({ receiver, result, match }: AttemptsWanted, isLive: boolean): Asked<Attempts> {
  return useNotified("/attempts", { receiver, result, match }, isLive);
}

export function useAlertGroups(
  { receiver, match }: Pick<AttemptsWanted, "receiver" | "match">,
  isLive: boolean,
): Asked<AlertGroups> {
  return useNotified("/groups", { receiver, match }, isLive);
}

export function useRouteTree(isLive: boolean): Asked<{ readonly routes: readonly RouteRow[] }> {
  return useNotified("/routes", {}, isLive);
}

export function useWhere(labels: Labels | null, isLive: boolean): Asked<Where> {
  const text = labels === null ? undefined : JSON.stringify(labels);
  return useNotified("/where", { labels: text }, isLive, labels !== null);
}
