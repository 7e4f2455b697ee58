/** What the address of Notifications holds besides the time range. */

import { type AttemptResult, RESULTS } from "~/api/notifications";
import { readChoice, readText, type Search } from "~/state/search";

export const VIEWS = ["attempts", "groups", "routes"] as const;
export type View = (typeof VIEWS)[number];

export interface NotificationsSearch {
  /** Absent: attempts. */
  readonly view?: View | undefined;
  /** Only of this receiver. */
  readonly receiver?: string | undefined;
  readonly result?: AttemptResult | undefined;
  readonly match?: string | undefined;
  /** Id of the attempt, or key of the group, whose details are shown. */
  readonly row?: string | undefined;
  /** Of the alert whose way is asked for, as `name=value, ...`. */
  readonly labels?: string | undefined;
}

export function readNotificationsSearch(search: Search): NotificationsSearch {
  return {
    view: readChoice(search.view, VIEWS),
    receiver: readText(search.receiver),
    result: readChoice(search.result, RESULTS),
    match: readText(search.match),
    row: readText(search.row),
    labels: readText(search.labels),
  };
}
