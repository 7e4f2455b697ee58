/** Looking for spans inside of one trace: all words must be somewhere in a span, case is ignored. */

import type { Span } from "~/api/traces";
import type { TraceTree } from "./trace_tree";

const texts = new WeakMap<Span, string>();

/** Everything that is said about a span, in lower case; made once. */
function textOf(span: Span): string {
  const known = texts.get(span);
  if (known !== undefined) return known;
  const parts = [span.name, span.service, span.kind, span.span_id, span.status_message, span.scope_name, span.node];
  if (span.status === "ERROR") parts.push("status=error");
  const maps = [span.attributes, ...span.events.map((event) => event.attributes)];
  for (const map of maps) for (const [key, value] of Object.entries(map)) parts.push(`${key}=${value}`);
  for (const event of span.events) parts.push(event.name);
  const text = parts.join("\n").toLowerCase();
  texts.set(span, text);
  return text;
}

/** Words, and phrases in quotation marks. */
export function wordsOf(query: string): string[] {
  return [...query.toLowerCase().matchAll(/"([^"]+)"?|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

/** Places of the spans that fit, in the order of the tree; none for a query without words. */
export function found(tree: TraceTree, query: string): number[] {
  const words = wordsOf(query);
  if (words.length === 0) return [];
  return tree.nodes.flatMap(({ span }, at) => {
    if (span === null) return [];
    const text = textOf(span);
    return words.every((word) => text.includes(word)) ? [at] : [];
  });
}

/** The next of `places` after `from` in a direction, around the end. */
export function nextOf(places: readonly number[], from: number, direction: 1 | -1): number | undefined {
  if (direction === 1) return places.find((place) => place > from) ?? places[0];
  return places.findLast((place) => place < from) ?? places.at(-1);
}
