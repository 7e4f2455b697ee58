/** How questions are asked again, kept and shown while the next answer is on its way. */

import { keepPreviousData, QueryClient, useQuery, type UseQueryResult } from "@tanstack/react-query";
import type { TimeRange } from "~/state/time_range";
import { ApiError, ask, type Parameters } from "./client";

const ATTEMPTS_MAX = 3;

export function queryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // The moment is part of the key, so an answer is for ever; old moments are soon forgotten.
        staleTime: Infinity,
        gcTime: 60e3,
        refetchOnWindowFocus: false,
        // The server may well be this machine: whether the browser is online says nothing.
        networkMode: "always",
        retry: (failed, error) =>
          error instanceof ApiError && error.isPassing && failed < ATTEMPTS_MAX - 1,
        retryDelay: (failed) => 1000 * 2 ** failed,
      },
      mutations: { networkMode: "always" },
    },
  });
}

export type Asked<Answer> = UseQueryResult<Answer, ApiError>;

/**
 * A question within a range. While the answer to the next one is awaited (the range moved, a
 * filter changed), the last answer stays, with `isPlaceholderData` set.
 */
export function useRangeQuestion<Answer>(
  path: string,
  range: TimeRange,
  parameters: Parameters = {},
  options: { isEnabled?: boolean } = {},
): Asked<Answer> {
  const all: Parameters = { from_ms: range.fromMs, to_ms: range.toMs, ...parameters };
  return useQuery<Answer, ApiError>({
    queryKey: [path, all],
    queryFn: ({ signal }) => ask<Answer>(path, { parameters: all, signal }),
    placeholderData: keepPreviousData,
    enabled: options.isEnabled ?? true,
  });
}

/** A question without a range; with `everyMs` it is asked again so often while the page is seen. */
export function useQuestion<Answer>(
  path: string,
  parameters: Parameters = {},
  options: { isEnabled?: boolean; everyMs?: number } = {},
): Asked<Answer> {
  return useQuery<Answer, ApiError>({
    queryKey: [path, parameters],
    queryFn: ({ signal }) => ask<Answer>(path, { parameters, signal }),
    enabled: options.isEnabled ?? true,
    refetchInterval: options.everyMs ?? false,
  });
}
