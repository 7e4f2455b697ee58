/** What the address of Logs holds besides the time range. */

import { type Condition, readConditions } from "~/state/filters";
import { readChoice, readFlag, readText, type Search } from "~/state/search";

export interface LogsSearch {
  readonly query?: string | undefined;
  readonly filter?: readonly Condition[] | undefined;
  /** Id of the row whose details are shown. */
  readonly row?: string | undefined;
  readonly order?: "asc" | "desc" | undefined;
  /** New rows are shown as they arrive. */
  readonly follow?: boolean | undefined;
}

export function readLogsSearch(search: Search): LogsSearch {
  const filter = readConditions(search.filter);
  return {
    query: readText(search.query),
    filter: filter.length === 0 ? undefined : filter,
    row: readText(search.row),
    order: readChoice(search.order, ["asc", "desc"]),
    follow: readFlag(search.follow),
  };
}
