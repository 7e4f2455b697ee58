/** What the address of Alerts holds besides the time range. */

import { readChoice, readText, type Search } from "~/state/search";

export type AlertsView = "rules" | "silences" | "preview";
export const STATES = ["firing", "pending", "suppressed"] as const;
export const RULE_STATES = ["firing", "pending", "inactive"] as const;
export const HEALTHS = ["ok", "err", "unknown"] as const;
export const SILENCE_STATES = ["active", "pending", "expired"] as const;

/** In the place of an id: the form for another one, with the matchers in `labels`. */
export const NEW_SILENCE = "new";

export interface AlertsSearch {
  /** Absent: the alerts. */
  readonly view?: AlertsView | undefined;
  readonly state?: (typeof STATES)[number] | "inactive" | "active" | "expired" | undefined;
  readonly severity?: string | undefined;
  readonly group?: string | undefined;
  readonly match?: string | undefined;
  readonly health?: (typeof HEALTHS)[number] | undefined;
  readonly type?: "alert" | "record" | undefined;
  /** Ids of what is open beside the list; `rule` of the preview too. */
  readonly alert?: string | undefined;
  readonly rule?: string | undefined;
  readonly silence?: string | undefined;
  /** Of the preview: an expression, lengths of time as they were typed, labels as a=b, c=d. `labels`
   * of a new silence: its matchers as {a="b",c=~"d"}. */
  readonly q?: string | undefined;
  readonly for?: string | undefined;
  readonly keep?: string | undefined;
  readonly every?: string | undefined;
  readonly labels?: string | undefined;
}

export function readAlertsSearch(search: Search): AlertsSearch {
  return {
    view: readChoice(search.view, ["rules", "silences", "preview"]),
    state: readChoice(search.state, [...STATES, "inactive", "active", "expired"]),
    severity: readText(search.severity),
    group: readText(search.group),
    match: readText(search.match),
    health: readChoice(search.health, HEALTHS),
    type: readChoice(search.type, ["alert", "record"]),
    alert: readText(search.alert),
    rule: readText(search.rule),
    silence: readText(search.silence),
    q: readText(search.q),
    for: readText(search.for),
    keep: readText(search.keep),
    every: readText(search.every),
    labels: readText(search.labels),
  };
}
