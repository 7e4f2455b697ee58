/** Conditions on fields, as the API's `filter` parameter takes them. */

export const OPERATORS = [
  "=", "!=", "contains", "not_contains", "exists", "not_exists", ">", ">=", "<", "<=", "in",
] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Condition {
  readonly field: string;
  readonly op: Operator;
  readonly value?: string | readonly string[];
}

const SHOWN: Partial<Record<Operator, string>> = {
  contains: "∋", not_contains: "∌", exists: "∃", not_exists: "∄", in: "∈",
  "!=": "≠", ">=": "≥", "<=": "≤",
};

/** Conditions from the address; what is malformed is left out. */
export function readConditions(value: unknown): Condition[] {
  const items = typeof value === "string" ? parsed(value) : value;
  return Array.isArray(items) ? items.flatMap((item) => readCondition(item)) : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return [];
  }
}

function readCondition(item: unknown): Condition[] {
  if (typeof item !== "object" || item === null || !("field" in item) || !("op" in item)) return [];
  const { field } = item;
  const op = OPERATORS.find((one) => one === item.op);
  if (typeof field !== "string" || field === "" || op === undefined) return [];
  if (op === "exists" || op === "not_exists") return [{ field, op }];
  const value = "value" in item ? item.value : "";
  if (Array.isArray(value)) return [{ field, op, value: value.map(String) }];
  return typeof value === "string" || typeof value === "number" ? [{ field, op, value: String(value) }] : [];
}

/** The parameter's text; undefined for none, so that it is left out. */
export function filterText(conditions: readonly Condition[]): string | undefined {
  return conditions.length === 0 ? undefined : JSON.stringify(conditions);
}

export function sameCondition(one: Condition, other: Condition): boolean {
  return JSON.stringify([one.field, one.op, one.value]) === JSON.stringify([other.field, other.op, other.value]);
}

/** Adds a condition; its exact opposite goes, and adding it twice changes nothing. */
export function withCondition(conditions: readonly Condition[], added: Condition): Condition[] {
  const opposite: Condition = { ...added, op: added.op === "=" ? "!=" : "=" };
  const isEquality = added.op === "=" || added.op === "!=";
  const rest = conditions.filter(
    (one) => !sameCondition(one, added) && !(isEquality && sameCondition(one, opposite)),
  );
  return [...rest, added];
}

export function withoutCondition(conditions: readonly Condition[], gone: Condition): Condition[] {
  return conditions.filter((one) => !sameCondition(one, gone));
}

/** `service = checkout`, for chips. */
export function shownCondition(condition: Condition): string {
  const op = SHOWN[condition.op] ?? condition.op;
  if (condition.value === undefined) return `${op} ${condition.field}`;
  const value = typeof condition.value === "string" ? condition.value : condition.value.join(", ");
  return `${condition.field} ${op} ${value === "" ? '""' : value}`;
}
