/** /api/v2: the API of Alertmanager, of which the console needs silences and the alerts they hold. */

import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Labels } from "./alerts";
import { ApiError } from "./client";
import type { Asked } from "./questions";

const BASE = "/api/v2";
const EVERY_MS = 10_000;

export interface SilenceMatcher {
  readonly name: string;
  readonly value: string;
  readonly isEqual: boolean;
  readonly isRegex: boolean;
}

export type SilenceState = "active" | "pending" | "expired";

export interface Silence {
  readonly id: string;
  readonly status: { readonly state: SilenceState };
  readonly matchers: readonly SilenceMatcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly annotations?: Labels;
}

/** With an id the one that is there is changed; if it cannot be, a new one takes its place. */
export interface SilenceDraft {
  readonly id?: string;
  readonly matchers: readonly SilenceMatcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly annotations?: Labels;
}

export interface HeldAlert {
  readonly fingerprint: string;
  readonly labels: Labels;
  readonly startsAt: string;
  readonly status: { readonly state: string; readonly silencedBy: readonly string[] };
}

async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const reply = await fetch(`${BASE}${path}`, init).catch((error: unknown) => {
    if (init.signal?.aborted === true) throw error;
    throw new ApiError("unreachable", "the server cannot be reached", 0);
  });
  const body: unknown = await reply.json().catch(() => null);
  if (!reply.ok) throw refusalOf(reply.status, body);
  return body as Answer;
}

/** A JSON string, or an object with a message. */
export function refusalOf(status: number, body: unknown): ApiError {
  const isObject = typeof body === "object" && body !== null;
  const inner = isObject && "error" in body ? body.error : body;
  const message =
    typeof inner === "string" ? inner
    : typeof inner === "object" && inner !== null && "message" in inner ? String(inner.message)
    : `the server answered ${status}`;
  const code = status === 404 ? "not_found" : status >= 500 ? "broken" : "malformed";
  return new ApiError(status === 503 ? "unavailable" : code, message, status);
}

export function useSilences(isWanted: boolean): Asked<readonly Silence[]> {
  return useQuery<readonly Silence[], ApiError>({
    queryKey: ["/silences", {}],
    queryFn: ({ signal }) => ask<readonly Silence[]>("/silences", { signal }),
    enabled: isWanted,
    refetchInterval: EVERY_MS,
  });
}

/** Alerts that fire now and that all of these matchers match, by the server's own reading of them. */
export function useHeldAlerts(matchers: readonly string[], isWanted: boolean): Asked<readonly HeldAlert[]> {
  const search = new URLSearchParams(matchers.map((one) => ["filter", one])).toString();
  return useQuery<readonly HeldAlert[], ApiError>({
    queryKey: ["/v2/alerts", { search }],
    queryFn: ({ signal }) => ask<readonly HeldAlert[]>(`/alerts?${search}`, { signal }),
    enabled: isWanted && matchers.length > 0,
    placeholderData: keepPreviousData,
    staleTime: EVERY_MS,
    retry: false,
  });
}

function useAfter() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ predicate: ({ queryKey: [path] }) => CHANGED.has(String(path)) });
}
const CHANGED = new Set(["/silences", "/v2/alerts", "/alerts"]);

export function usePutSilence() {
  const after = useAfter();
  return useMutation<{ readonly silenceID: string }, ApiError, SilenceDraft>({
    mutationFn: (draft) =>
      ask("/silences", {
        method: "POST", body: JSON.stringify(draft), headers: { "Content-Type": "application/json" },
      }),
    onSettled: after,
  });
}

export function useExpireSilence() {
  const after = useAfter();
  return useMutation<unknown, ApiError, string>({
    mutationFn: (id) => ask(`/silence/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSettled: after,
  });
}
