/** /api/console/sources, /dead_letters and /status: what arrives, what failed, the program itself. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { TimeRange } from "~/state/time_range";
import { type ApiError, ask } from "./client";
import type { Signal } from "./overview";
import { type Asked, useQuestion, useRangeQuestion } from "./questions";

const EVERY_MS = 10_000;

export interface WireFormat {
  readonly format: string;
  readonly signal: Signal;
  readonly requests: number;
  readonly records: number;
  readonly refused: number;
  readonly bytes: number;
  readonly requests_per_s: number;
  readonly bytes_per_s: number;
  readonly last_received_ms: number | null;
  readonly spool_bytes: number;
  readonly spool_frames: number;
  readonly lag_ms: number;
  readonly dead_letters: number;
}

export interface Sender {
  readonly signal: Signal;
  readonly service: string;
  readonly node: string;
  readonly rows: number;
  readonly rows_per_s: number;
  readonly last_seen_ms: number;
}

export interface Engine {
  readonly kind: "embedded" | "server";
  readonly ready: boolean;
  readonly restarts: number;
  readonly memory_bytes: number;
}

export interface StoredTable {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface Sources {
  readonly formats: readonly WireFormat[];
  readonly senders: readonly Sender[];
  readonly spool: { readonly bytes: number; readonly bytes_max: number };
  readonly engine: Engine & { readonly version: string; readonly tables: readonly StoredTable[] };
}

export interface DeadLetter {
  readonly id: string;
  readonly format: string;
  readonly received_at: string;
  readonly size_bytes: number;
  readonly reason: string;
  readonly code: number;
  readonly attempts: number;
}

export interface DeadLetters {
  readonly total: number;
  readonly dead_letters: readonly DeadLetter[];
}

export interface Status {
  readonly version: string;
  readonly started_at: string;
  readonly ready: boolean;
  readonly engine: Engine;
  readonly retention: readonly {
    readonly signal: string;
    readonly time_s: number | null;
    readonly size_bytes_max: number | null;
  }[];
  readonly listening: readonly { readonly protocol: string; readonly address: string }[];
}

export function useSources(range: TimeRange): Asked<Sources> {
  return useRangeQuestion("/sources", range);
}

export function useStatus(): Asked<Status> {
  return useQuestion("/status", {}, { everyMs: EVERY_MS });
}

export function useDeadLetters(limit = 100): Asked<DeadLetters> {
  return useQuestion("/dead_letters", { limit }, { everyMs: EVERY_MS });
}

export type LetterAction = "replay" | "delete";

/** Replays or deletes letters one after the other; it stops at the first that fails. */
export function useLetterAction() {
  const client = useQueryClient();
  return useMutation<number, ApiError, { action: LetterAction; ids: readonly string[] }>({
    mutationFn: async ({ action, ids }) => {
      for (const id of ids) await act(action, id);
      return ids.length;
    },
    onSettled: () => Promise.all([
      client.invalidateQueries({ queryKey: ["/dead_letters"] }),
      client.invalidateQueries({ queryKey: ["/sources"] }),
    ]),
  });
}

function act(action: LetterAction, id: string): Promise<unknown> {
  const path = `/dead_letters/${encodeURIComponent(id)}`;
  return action === "delete" ? ask(path, { method: "DELETE" }) : ask(`${path}/replay`, { method: "POST" });
}
