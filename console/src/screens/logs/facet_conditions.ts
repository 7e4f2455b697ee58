/** What a click on a value does to the conditions: several values of one field are one `in`. */

import { type Condition, withCondition } from "~/state/filters";

export type Mark = "in" | "out" | null;

/** The server cuts longer values of attributes; what was cut can only be looked for as a part. */
const CUT_SIGNS = 200;

const isCut = (field: string, value: string) => field.startsWith("attributes.") && Array.from(value).length >= CUT_SIGNS;

export function markOf(conditions: readonly Condition[], field: string, value: string): Mark {
  const mine = conditions.filter((one) => one.field === field);
  if (mine.some((one) => isInclusion(one) && valuesOf(one).includes(value))) return "in";
  return mine.some((one) => isExclusion(one) && one.value === value) ? "out" : null;
}

/** Only this value, or this one too; once more, and it is as before. */
export function toggledInclusion(conditions: readonly Condition[], field: string, value: string): Condition[] {
  if (isCut(field, value)) return toggled(conditions, { field, op: "contains", value });
  const before = conditions.filter((one) => one.field === field && isEquality(one)).flatMap(valuesOf);
  const values = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  const place = conditions.findIndex((one) => one.field === field && isEquality(one));
  const rest = conditions.filter((one) => !isReplaced(one, field, value));
  const made = inclusionOf(field, values);
  return made === null ? rest : rest.toSpliced(place < 0 ? rest.length : place, 0, made);
}

export function toggledExclusion(conditions: readonly Condition[], field: string, value: string): Condition[] {
  if (isCut(field, value)) return toggled(conditions, { field, op: "not_contains", value });
  if (markOf(conditions, field, value) === "out") {
    return conditions.filter((one) => !(one.field === field && one.op === "!=" && one.value === value));
  }
  const without =
    markOf(conditions, field, value) === "in" ? toggledInclusion(conditions, field, value) : conditions;
  return withCondition(without, { field, op: "!=", value });
}

/** The conditions under which the other values of a field are counted, null if they are these. */
export function withoutInclusion(conditions: readonly Condition[], field: string): Condition[] | null {
  const rest = conditions.filter((one) => !(one.field === field && isInclusion(one)));
  return rest.length === conditions.length ? null : rest;
}

/** Fields whose other values must be counted on their own. */
export function includedFields(conditions: readonly Condition[]): string[] {
  return [...new Set(conditions.filter(isInclusion).map((one) => one.field))];
}

const isEquality = (one: Condition) => one.op === "=" || one.op === "in";
const isOrder = (one: Condition) => one.op === ">=" || one.op === ">" || one.op === "<=" || one.op === "<";
const isInclusion = (one: Condition) => isEquality(one) || one.op === "contains";
const isExclusion = (one: Condition) => one.op === "!=" || one.op === "not_contains";

/** Who chooses a severity means it instead of "at least": the two together would often be nothing. */
function isReplaced(one: Condition, field: string, value: string): boolean {
  if (one.field !== field) return false;
  return isEquality(one) || (field === "severity" && isOrder(one)) || (isExclusion(one) && one.value === value);
}

function inclusionOf(field: string, values: readonly string[]): Condition | null {
  const [first] = values;
  if (first === undefined) return null;
  return values.length === 1 ? { field, op: "=", value: first } : { field, op: "in", value: values };
}

function toggled(conditions: readonly Condition[], condition: Condition): Condition[] {
  const rest = conditions.filter(
    (one) => !(one.field === condition.field && one.op === condition.op && one.value === condition.value),
  );
  return rest.length < conditions.length ? rest : [...rest, condition];
}

function valuesOf(one: Condition): readonly string[] {
  if (one.value === undefined) return [];
  return typeof one.value === "string" ? [one.value] : one.value;
}
