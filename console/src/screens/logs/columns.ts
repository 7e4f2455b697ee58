/** The fields of a row as columns: which are usual, what they hold, how wide they are. */

import type { LogRow } from "~/api/logs";

export const USUAL_COLUMNS: readonly string[] = ["severity", "service"];
/** Fields that every row has, in the order they are offered. */
export const ROW_FIELDS = [
  "severity", "service", "node", "namespace", "workload", "pod", "container", "cluster",
  "scope_name", "event_name", "trace_id", "span_id", "severity_text", "severity_number",
] as const;
type RowField = (typeof ROW_FIELDS)[number];

const SHORT: Readonly<Record<string, string>> = { severity: "76px", severity_number: "72px" };

/** Empty for a field that the row does not have. */
export function valueOf(row: LogRow, field: string): string {
  if (field.startsWith("attributes.")) return row.attributes[field.slice(11)] ?? "";
  if (field.startsWith("resource.")) return row.resource[field.slice(9)] ?? "";
  const known = ROW_FIELDS.find((one): one is RowField => one === field);
  return known === undefined ? "" : String(row[known]);
}

/** The last part says enough in a narrow head: `attributes.http.method` is `http.method`. */
export function shortName(field: string): string {
  return field.replace(/^(?:attributes|resource)\./, "");
}

export function tracks(columns: readonly string[], timeWidth: string): string {
  const between = columns.map((field) => SHORT[field] ?? "minmax(4.5rem, 9.5rem)");
  return ["4px", timeWidth, ...between, "minmax(12rem, 1fr)"].join(" ");
}

/** Adds at the end, or removes; undefined when that leaves the usual ones. */
export function toggledColumn(columns: readonly string[], field: string): readonly string[] | undefined {
  const next = columns.includes(field) ? columns.filter((one) => one !== field) : [...columns, field];
  return next.join() === USUAL_COLUMNS.join() ? undefined : next;
}
