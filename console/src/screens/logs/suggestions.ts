/** What the term at the cursor may become: a field's name, or one of a field's frequent values. */

import type { Facet } from "~/api/logs";
import { ROW_FIELDS } from "./columns";

export interface Suggestion {
  /** Stands in place of the term. */
  readonly text: string;
  /** Lines that have it; absent for names. */
  readonly rows?: number;
}

export interface Suggested {
  /** UTF-16 units: the term is replaced from here to `to`. */
  readonly from: number;
  readonly to: number;
  readonly items: readonly Suggestion[];
}

const ITEMS_MAX = 9;
const TERM = /(?:^|[\s(])-?((?:[A-Za-z_][\w.\-/]*:)?(?:"(?:[^"\\]|\\.)*|[^\s()"]*))$/;
const PLAIN = /^[^\s()":*\\]+$/;

export function suggested(query: string, cursor: number, facets: readonly Facet[]): Suggested | null {
  const term = TERM.exec(query.slice(0, cursor))?.[1] ?? "";
  if (term === "") return null;
  const colon = term.indexOf(":");
  const items = colon > 0 ? values(term.slice(0, colon), term.slice(colon + 1), facets) : names(term, facets);
  const isDone = items.length === 1 && items[0]?.text === term;
  return items.length === 0 || isDone ? null : { from: cursor - term.length, to: cursor, items };
}

function names(term: string, facets: readonly Facet[]): Suggestion[] {
  const wanted = term.toLowerCase();
  const all = [...new Set([...ROW_FIELDS, ...facets.map((facet) => facet.field)])];
  return all
    .filter((field) => field.toLowerCase().startsWith(wanted) || shortOf(field).startsWith(wanted))
    .slice(0, ITEMS_MAX)
    .map((field) => ({ text: `${writtenName(field)}:` }));
}

const shortOf = (field: string) => field.slice(field.indexOf(".") + 1).toLowerCase();

function values(field: string, typed: string, facets: readonly Facet[]): Suggestion[] {
  const wanted = typed.replace(/^"/, "").toLowerCase();
  const facet = facets.find((one) => one.field === field);
  return (facet?.values ?? [])
    .filter((one) => one.value.toLowerCase().startsWith(wanted))
    .slice(0, ITEMS_MAX)
    .map((one) => ({ text: `${field}:${written(one.value)}`, rows: one.count }));
}

function written(value: string): string {
  const isPlain = PLAIN.test(value) && !/^[<>]/.test(value);
  return isPlain ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** A key that is no plain name is quoted after its dot. */
function writtenName(field: string): string {
  if (/^[A-Za-z_][\w.\-/]*$/.test(field)) return field;
  const dot = field.indexOf(".");
  return `${field.slice(0, dot)}.${written(field.slice(dot + 1)).replace(/^[^"].*$/s, (key) => `"${key}"`)}`;
}

/** The query with a suggestion taken, and where the cursor then stands. */
export function taken(query: string, at: Suggested, item: Suggestion): { query: string; cursor: number } {
  const rest = query.slice(at.to);
  const gap = item.text.endsWith(":") || rest.startsWith(" ") ? "" : " ";
  const cursor = at.from + item.text.length + gap.length;
  return { query: `${query.slice(0, at.from)}${item.text}${gap}${rest}`, cursor };
}
