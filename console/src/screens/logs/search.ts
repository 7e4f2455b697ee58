/** What the address of Logs holds besides the time range: all that a person sees can be shared. */

import { type Condition, readConditions } from "~/state/filters";
import { readChoice, readFlag, readText, readTexts, type Search } from "~/state/search";

export const DETAIL_TABS = ["fields", "around", "json"] as const;
export type DetailTab = (typeof DETAIL_TABS)[number];

export interface LogsSearch {
  readonly query?: string | undefined;
  readonly filter?: readonly Condition[] | undefined;
  /** Id of the row whose details are shown. */
  readonly row?: string | undefined;
  /** Which part of the details; the fields if absent. */
  readonly tab?: DetailTab | undefined;
  readonly order?: "asc" | "desc" | undefined;
  /** New rows are shown as they arrive. */
  readonly follow?: boolean | undefined;
  /** Long bodies take as many lines as they need. */
  readonly wrap?: boolean | undefined;
  /** Fields shown between the time and the body; the usual ones if absent. */
  readonly columns?: readonly string[] | undefined;
  /** False: the facets are put away. */
  readonly facets?: boolean | undefined;
}

export function readLogsSearch(search: Search): LogsSearch {
  const filter = readConditions(search.filter);
  return {
    query: readText(search.query),
    filter: filter.length === 0 ? undefined : filter,
    row: readText(search.row),
    tab: readChoice(search.tab, DETAIL_TABS),
    order: readChoice(search.order, ["asc", "desc"]),
    follow: readFlag(search.follow),
    wrap: readFlag(search.wrap),
    columns: readTexts(search.columns),
    facets: readFlag(search.facets),
  };
}
