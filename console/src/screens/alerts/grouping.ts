/** Alerts of one name together, the gravest group first; and what the alerts of a group differ in. */

import type { Alert, Labels } from "~/api/alerts";

export interface AlertGroup {
  readonly key: string;
  readonly name: string;
  readonly severity: string;
  readonly alerts: readonly Alert[];
  readonly firing: number;
  readonly pending: number;
  readonly suppressed: number;
  readonly sinceMs: number;
  /** Labels whose values the alerts do not share, in order. */
  readonly telling: readonly string[];
}

/** A row of the list: a group's head, or an alert with its group. */
export interface AlertRow {
  readonly key: string;
  readonly group: AlertGroup;
  readonly alert: Alert | null;
}

/** More are folded until somebody opens them. */
const OPEN_MAX = 20;

/** The server sends the gravest first: the place of a group is that of its first alert. */
export function groupsOf(alerts: readonly Alert[]): AlertGroup[] {
  const found = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const key = JSON.stringify([alert.name, alert.severity]);
    const own = found.get(key);
    if (own === undefined) found.set(key, [alert]);
    else own.push(alert);
  }
  return [...found].map(([key, own]) => ({
    key,
    name: own[0]?.name ?? "",
    severity: own[0]?.severity ?? "",
    alerts: own,
    firing: own.filter((one) => one.state === "firing" && !one.suppressed).length,
    pending: own.filter((one) => one.state === "pending").length,
    suppressed: own.filter((one) => one.suppressed).length,
    sinceMs: own.reduce((least, one) => Math.min(least, one.active_at_ms), Infinity),
    telling: tellingOf(own.map((one) => one.labels)),
  }));
}

/** Names of labels whose values these do not share, in order. */
export function tellingOf(all: readonly Labels[]): string[] {
  const first = all[0] ?? {};
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  return [...names].filter((name) => all.some((labels) => labels[name] !== first[name])).sort();
}

/** `toggled`: keys of groups that are not as they usually are. A group of one is its alert. */
export function rowsOf(groups: readonly AlertGroup[], toggled: ReadonlySet<string>): AlertRow[] {
  const rows: AlertRow[] = [];
  for (const group of groups) {
    const [only, ...more] = group.alerts;
    if (only !== undefined && more.length === 0) {
      rows.push({ key: only.id, group, alert: only });
      continue;
    }
    rows.push({ key: group.key, group, alert: null });
    if (isOpen(group, toggled)) rows.push(...group.alerts.map((alert) => ({ key: alert.id, group, alert })));
  }
  return rows;
}

export function isOpen(group: AlertGroup, toggled: ReadonlySet<string>): boolean {
  return group.alerts.length <= OPEN_MAX !== toggled.has(group.key);
}

const HIDDEN = new Set(["alertname", "severity", "__name__"]);

/** The labels that say which one it is: of a group those that differ, of one alone all but its name. */
export function shownLabels(labels: Labels, telling: readonly string[]): [string, string][] {
  const names = telling.length > 0 ? telling : Object.keys(labels).filter((name) => !HIDDEN.has(name)).sort();
  return names.flatMap((name): [string, string][] => {
    const value = labels[name];
    return value === undefined ? [] : [[name, value]];
  });
}

/** 0 is the gravest, as the server orders them; only for colours. */
export function toneOf(severity: string): "FATAL" | "ERROR" | "WARN" | "INFO" | "UNSET" {
  const word = severity.toLowerCase();
  if (/^(?:critical|page|emergency|fatal|p1)$/.test(word)) return "FATAL";
  if (/^(?:error|high|major|p2)$/.test(word)) return "ERROR";
  if (/^(?:warning|warn|medium|minor|ticket|p3)$/.test(word)) return "WARN";
  return /^(?:info|notice|low|p4)$/.test(word) ? "INFO" : "UNSET";
}
