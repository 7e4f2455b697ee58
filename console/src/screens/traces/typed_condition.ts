/**
 * A condition as a person types it: `http.route=/cart`, `db.system!=redis`, `http.status>=500`,
 * `url.path~cart` (contains), `resource.team=shop`, `user.id?` (is there). Text without an operator is
 * part of a span's name.
 */

import type { Condition, Operator } from "~/state/filters";

const COLUMNS = new Set([
  "cluster", "node", "namespace", "workload", "pod", "container", "service", "name", "kind", "status",
  "status_message", "duration_ns", "trace_id", "span_id", "parent_span_id", "scope_name",
]);
const TYPED = /^\s*([^\s=!<>~?]+)\s*(!=|!~|>=|<=|=|>|<|~|\?)\s*(.*?)\s*$/s;
const OPERATORS: Readonly<Record<string, Operator>> = {
  "=": "=", "!=": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "~": "contains", "!~": "not_contains",
  "?": "exists",
};
export const TRACE_ID = /^[0-9a-f]{32}$/i;

/** Null when there is nothing in it. */
export function typedCondition(typed: string): Condition | null {
  const text = typed.trim();
  if (text === "") return null;
  const match = TYPED.exec(text);
  const op = OPERATORS[match?.[2] ?? ""];
  if (match?.[1] === undefined || op === undefined) return { field: "name", op: "contains", value: text };
  const field = fieldOf(match[1]);
  if (op === "exists") return match[3] === "" ? { field, op } : { field: "name", op: "contains", value: text };
  return { field, op, value: unquoted(match[3] ?? "") };
}

/** A column or a key of the resource if it is called so, else an attribute. */
export function fieldOf(name: string): string {
  if (COLUMNS.has(name) || /^(?:attributes|resource)\../.test(name)) return name;
  return `attributes.${name}`;
}

function unquoted(text: string): string {
  return /^"(.*)"$/s.exec(text)?.[1] ?? text;
}
