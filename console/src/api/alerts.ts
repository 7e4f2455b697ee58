/** /api/console/alerts: what fires, the rules behind it, their past, and what a rule would have done. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { TimeRange } from "~/state/time_range";
import { type ApiError, ask, type Parameters } from "./client";
import type { Point } from "./metrics";
import { type Asked, useQuestion, useRangeQuestion } from "./questions";

const EVERY_MS = 10_000;

export type Labels = Readonly<Record<string, string>>;
export type AlertState = "firing" | "pending";

export interface Alert {
  readonly id: string;
  /** Empty: another program told the Alertmanager inside. */
  readonly rule: string;
  readonly name: string;
  readonly state: AlertState;
  /** The expression gives it no more; keep_firing_for holds it. */
  readonly is_kept: boolean;
  readonly severity: string;
  readonly labels: Labels;
  /** As Alertmanagers know it, with external labels; null: relabelling lets nobody be told. */
  readonly told_labels: Labels | null;
  readonly annotations: Labels;
  readonly value: number | null;
  readonly active_at_ms: number;
  readonly fired_at_ms: number | null;
  readonly group: string;
  readonly file: string;
  /** Nobody is notified, because of one of the three below. */
  readonly suppressed: boolean;
  readonly silenced_by: readonly string[];
  readonly inhibited_by: readonly { readonly fingerprint: string; readonly labels: Labels }[];
  readonly muted_by: readonly string[];
  readonly receivers: readonly string[];
}

interface Counted {
  readonly name: string;
  readonly count: number;
}

export interface Alerts {
  readonly alerts: readonly Alert[];
  readonly total: number;
  readonly counts: { readonly firing: number; readonly pending: number; readonly suppressed: number };
  readonly severities: readonly Counted[];
  readonly groups: readonly Counted[];
  readonly has_rules: boolean;
  readonly has_alertmanager: boolean;
}

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly type: "alert" | "record";
  readonly query: string;
  readonly for_ms: number;
  readonly keep_firing_for_ms: number;
  readonly labels: Labels;
  readonly severity: string;
  readonly state: AlertState | "inactive" | "unknown" | "";
  readonly health: "ok" | "err" | "unknown";
  readonly error: string;
  readonly took_ms: number;
  readonly evaluated_at_ms: number | null;
  readonly firing: number;
  readonly pending: number;
}

export interface RuleGroup {
  readonly file: string;
  readonly name: string;
  readonly interval_ms: number;
  readonly query_offset_ms: number;
  readonly limit: number;
  readonly took_ms: number;
  readonly evaluated_at_ms: number | null;
  readonly missed: number;
  readonly rules: readonly Rule[];
}

export interface Rules {
  readonly groups: readonly RuleGroup[];
  readonly total: number;
  readonly health: { readonly ok: number; readonly err: number; readonly unknown: number };
}

export interface Comparison {
  readonly expr: string;
  readonly op: string;
  readonly threshold: number | null;
  readonly threshold_expr: string;
}

export interface WholeRule {
  readonly rule: Rule & { readonly annotations: Labels; readonly line: number };
  readonly group: RuleGroup;
  readonly comparisons: readonly Comparison[];
}

export interface StateSpan {
  readonly state: "pending" | "firing" | "kept";
  readonly start_ms: number;
  readonly end_ms: number;
}

export interface StateRow {
  readonly labels: Labels;
  readonly spans: readonly StateSpan[];
}

export interface States {
  readonly step_ms: number;
  readonly alerts: readonly StateRow[];
  readonly total: number;
}

interface Series {
  readonly labels: Labels;
  readonly points: readonly Point[];
}

export interface ComparedValues extends Comparison {
  readonly series: readonly Series[];
  readonly total: number;
  readonly threshold_series: readonly Series[];
}

export interface Values {
  readonly step_ms: number;
  readonly comparisons: readonly ComparedValues[];
}

export interface PreviewedAlert extends StateRow {
  readonly fired: number;
  readonly resolved: number;
  readonly flaps: number;
  readonly firing_ms: number;
  readonly longest_ms: number;
}

export interface Preview {
  readonly interval_ms: number;
  readonly evaluations: number;
  readonly failures: number;
  readonly error: string;
  readonly notifications: number;
  readonly notification_moments: number;
  readonly fired: number;
  readonly flapping: number;
  readonly longest_ms: number;
  readonly total: number;
  readonly total_firing: number;
  readonly alerts: readonly PreviewedAlert[];
}

/** Asked again and again; while another filter is asked for, the last answer stays. */
function useNow<Answer>(path: string, parameters: Parameters): Asked<Answer> {
  return useQuery<Answer, ApiError>({
    queryKey: [path, parameters],
    queryFn: ({ signal }) => ask<Answer>(path, { parameters, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: EVERY_MS,
  });
}

export interface AlertsWanted {
  readonly state?: string | undefined;
  readonly severity?: string | undefined;
  readonly group?: string | undefined;
  readonly match?: string | undefined;
  readonly rule?: string | undefined;
  readonly limit?: number | undefined;
}

export function useAlerts(wanted: AlertsWanted): Asked<Alerts> {
  return useNow("/alerts", { ...wanted });
}

export interface RulesWanted {
  readonly type?: string | undefined;
  readonly health?: string | undefined;
  readonly state?: string | undefined;
  readonly severity?: string | undefined;
  readonly group?: string | undefined;
  readonly match?: string | undefined;
}

export function useRules(wanted: RulesWanted): Asked<Rules> {
  return useNow("/alerts/rules", { ...wanted });
}

export function useRule(id: string): Asked<WholeRule> {
  return useQuestion(`/alerts/rules/${encodeURIComponent(id)}`, {}, { isEnabled: id !== "", everyMs: EVERY_MS });
}

export function useStates(range: TimeRange, rule: string, labels?: Labels): Asked<States> {
  return useRangeQuestion("/alerts/states", range, { rule, labels: textOf(labels) }, { isEnabled: rule !== "" });
}

export interface ValuesWanted {
  readonly rule?: string | undefined;
  readonly query?: string | undefined;
  readonly labels?: Labels | undefined;
}

export function useValues(range: TimeRange, { rule, query, labels }: ValuesWanted): Asked<Values> {
  const isEnabled = (rule ?? "") !== "" || (query ?? "").trim() !== "";
  return useRangeQuestion("/alerts/values", range, { rule, query, labels: textOf(labels) }, { isEnabled });
}

export interface PreviewWanted {
  readonly rule?: string | undefined;
  readonly query?: string | undefined;
  readonly forMs?: number | undefined;
  readonly keepFiringForMs?: number | undefined;
  readonly intervalMs?: number | undefined;
  readonly labels?: Labels | undefined;
}

export function usePreview(range: TimeRange, wanted: PreviewWanted): Asked<Preview> {
  const { rule, query, forMs, keepFiringForMs, intervalMs, labels } = wanted;
  const parameters = {
    rule, query, for_ms: forMs, keep_firing_for_ms: keepFiringForMs, interval_ms: intervalMs, labels: textOf(labels),
  };
  const isEnabled = rule !== undefined || (query ?? "").trim() !== "";
  return useRangeQuestion("/alerts/preview", range, parameters, { isEnabled });
}

function textOf(labels: Labels | undefined): string | undefined {
  return labels === undefined ? undefined : JSON.stringify(labels);
}
