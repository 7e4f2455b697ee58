/** A row taken apart for its details: which fields it has, of what type, and by what each is looked for. */

import type { LogRow } from "~/api/logs";
import type { Condition } from "~/state/filters";

export interface RowField {
  /** As conditions name it. */
  readonly field: string;
  readonly name: string;
  readonly value: string;
  /** Of an attribute, as it was sent. */
  readonly type?: string | undefined;
}

const IDENTITY = [
  "service", "node", "namespace", "workload", "pod", "container", "cluster", "scope_name", "event_name",
] as const;

/** What the row is about and where it is from; what is empty is left out. */
export function identityOf(row: LogRow): RowField[] {
  const traced = [["trace_id", row.trace_id], ["span_id", row.span_id]] as const;
  const own = IDENTITY.map((field) => [field, row[field]] as const);
  return [...own, ...traced].flatMap(([field, value]) => (value === "" ? [] : [{ field, name: field, value }]));
}

export function attributesOf(row: LogRow): RowField[] {
  const names = Object.keys(row.attributes);
  // An object puts names that are whole numbers first; then the order of the types says nothing.
  const isInOrder = row.attribute_types.length === names.length && !names.some((name) => /^\d+$/.test(name));
  const fields = names.map((name, at) => ({
    field: `attributes.${name}`, name, value: row.attributes[name] ?? "",
    type: isInOrder ? row.attribute_types[at] : undefined,
  }));
  return fields.sort(byName);
}

export function resourceOf(row: LogRow): RowField[] {
  return Object.entries(row.resource)
    .map(([name, value]) => ({ field: `resource.${name}`, name, value }))
    .sort(byName);
}

const byName = (one: RowField, other: RowField) => (one.name < other.name ? -1 : 1);

/** The fields that the server tells a source by: rows that were written one after the other. */
const SOURCE = ["service", "node", "namespace", "pod", "container", "cluster"] as const;
const SOURCE_ATTRIBUTES = ["log.file.path", "log.iostream", "systemd.unit"] as const;

export function sourceConditions(row: LogRow): Condition[] {
  const own = SOURCE.map((field) => ({ field, value: row[field] }));
  const more = SOURCE_ATTRIBUTES.map((name) => ({ field: `attributes.${name}`, value: row.attributes[name] ?? "" }));
  return [...own, ...more].flatMap(({ field, value }) => (value === "" ? [] : [{ field, op: "=" as const, value }]));
}
