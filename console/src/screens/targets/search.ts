/** What the address of Targets holds besides the time range. */

import { readChoice, readText, type Search } from "~/state/search";

export const TARGET_STATES = ["up", "down", "unknown", "dropped"] as const;
export type TargetState = (typeof TARGET_STATES)[number];

export interface TargetsSearch {
  /** Absent: all that are scraped. */
  readonly state?: TargetState | undefined;
  /** Only of this scrape pool. */
  readonly pool?: string | undefined;
  /** Only targets with this text in a label, the endpoint or the error. */
  readonly match?: string | undefined;
  /** Scrape pool and id of the target whose details are shown. */
  readonly of?: string | undefined;
  readonly target?: string | undefined;
}

export function readTargetsSearch(search: Search): TargetsSearch {
  return {
    state: readChoice(search.state, TARGET_STATES),
    pool: readText(search.pool),
    match: readText(search.match),
    of: readText(search.of),
    target: readText(search.target),
  };
}
