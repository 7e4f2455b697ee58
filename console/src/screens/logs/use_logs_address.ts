/** The address of Logs, and the ways in which a person changes it. */

import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useMemo } from "react";
import type { LogRow } from "~/api/logs";
import { millisecondsOf } from "~/format/times";
import type { Condition } from "~/state/filters";
import { absolute, type TimeRange } from "~/state/time_range";
import { toggledColumn, USUAL_COLUMNS } from "./columns";
import { toggledExclusion, toggledInclusion } from "./facet_conditions";
import { sourceConditions } from "./row_fields";
import type { LogsSearch } from "./search";

const route = getRouteApi("/logs");
const AROUND_MS = 300e3;

export interface LogsAddress {
  readonly columns: readonly string[];
  /** How the screen looks: no step of Back. */
  readonly set: (changed: Partial<LogsSearch>) => void;
  readonly setQuery: (query: string) => void;
  readonly setConditions: (conditions: readonly Condition[]) => void;
  readonly take: (field: string, value: string) => void;
  readonly leaveOut: (field: string, value: string) => void;
  readonly toggleColumn: (field: string) => void;
  readonly openRow: (id: string | undefined) => void;
  /** Everything of the row's source, five minutes to each side. */
  readonly searchSource: (row: LogRow) => void;
  /** Follows what arrives; a range in the past gives way to one until now. */
  readonly follow: (isOn: boolean, canBeLive: boolean) => void;
}

export function useLogsAddress(): LogsAddress {
  const navigate = route.useNavigate();
  const search = route.useSearch();
  return useMemo(() => {
    const set = (changed: Partial<LogsSearch>) =>
      void navigate({ replace: true, search: (old) => ({ ...old, ...changed }) });
    const step = (changed: Partial<LogsSearch>) => void navigate({ search: (old) => ({ ...old, ...changed }) });
    const conditions = search.filter ?? [];
    const columns = search.columns ?? USUAL_COLUMNS;
    const setConditions = (next: readonly Condition[]) => step({ filter: next.length === 0 ? undefined : next });
    return {
      columns,
      set,
      setQuery: (query) => step({ query: query === "" ? undefined : query }),
      setConditions,
      take: (field, value) => setConditions(toggledInclusion(conditions, field, value)),
      leaveOut: (field, value) => setConditions(toggledExclusion(conditions, field, value)),
      toggleColumn: (field) => set({ columns: toggledColumn(columns, field) }),
      openRow: (row) => set(row === undefined ? { row, tab: undefined } : { row }),
      searchSource: (row) => {
        const atMs = millisecondsOf(row.timestamp);
        const range = absolute({ fromMs: atMs - AROUND_MS, toMs: atMs + AROUND_MS });
        void navigate({
          search: (old) => ({
            ...old, ...range, query: undefined, filter: sourceConditions(row), row: row.id, follow: undefined,
          }),
        });
      },
      follow: (isOn, canBeLive) =>
        void navigate({
          search: (old) => ({
            ...old, follow: isOn ? true : undefined,
            ...(isOn ? { order: undefined, live: undefined } : {}),
            ...(isOn && !canBeLive ? { from: "now-15m", to: "now" } : {}),
          }),
        }),
    };
  }, [navigate, search.filter, search.columns]);
}

/** The address of exactly what is seen: a range that moves would show others something else. */
export function useFixedLink(range: TimeRange, row: string | undefined): string {
  const router = useRouter();
  const search = route.useSearch();
  const { href } = router.buildLocation({
    to: "/logs", search: { ...search, ...absolute(range), row, live: undefined, follow: undefined },
  });
  return `${window.location.origin}${href}`;
}
