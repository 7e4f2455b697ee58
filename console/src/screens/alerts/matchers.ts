/** Matchers of silences: as a person reads them, as Alertmanager's API takes them. */

import type { Labels } from "~/api/alerts";
import type { SilenceMatcher } from "~/api/silences";
import { plain, quoted } from "~/format/labels";

export type MatcherOp = "=" | "!=" | "=~" | "!~";
export const MATCHER_OPS: readonly MatcherOp[] = ["=", "!=", "=~", "!~"];

export function opOf(matcher: SilenceMatcher): MatcherOp {
  if (matcher.isRegex) return matcher.isEqual ? "=~" : "!~";
  return matcher.isEqual ? "=" : "!=";
}

export function withOp(matcher: SilenceMatcher, op: MatcherOp): SilenceMatcher {
  return { ...matcher, isEqual: op.startsWith("="), isRegex: op.endsWith("~") };
}

/** Quoted, with Go's escapes: `pod=~"a.*"`. A name that is no plain word is quoted too. */
export function matcherText(matcher: SilenceMatcher): string {
  const name = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(matcher.name) ? matcher.name : quoted(matcher.name);
  return `${name}${opOf(matcher)}${quoted(matcher.value)}`;
}

const MATCHER = /^[\s,{]*(?:"((?:[^"\\]|\\.)*)"|([^\s=!~{},"]+))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,{}"]*))/;

/** Those of `{a="b",c=~"d"}`, as links of Alertmanager have them; up to what is not understood. */
export function readMatchers(text: string): SilenceMatcher[] {
  const found: SilenceMatcher[] = [];
  let left = text;
  for (let match = MATCHER.exec(left); match !== null; match = MATCHER.exec(left)) {
    const [whole, quotedName, name = "", op = "=", quotedValue, value = ""] = match;
    const matcher = { name: plain(quotedName) ?? name, value: plain(quotedValue) ?? value };
    found.push(withOp({ ...matcher, isEqual: true, isRegex: false }, op as MatcherOp));
    left = left.slice(whole.length);
  }
  return found;
}

/** All labels of an alert: exactly it is held. */
export function matchersOf(labels: Labels): SilenceMatcher[] {
  return Object.entries(labels)
    .filter(([, value]) => value !== "")
    .sort(([one], [other]) => (one === "alertname" ? -1 : other === "alertname" ? 1 : one < other ? -1 : 1))
    .map(([name, value]) => ({ name, value, isEqual: true, isRegex: false }));
}

/** What Alertmanager refuses: no name, or nothing that a label would have to have. */
export function areWhole(matchers: readonly SilenceMatcher[]): boolean {
  return matchers.length > 0 && matchers.every((one) => one.name.trim() !== "") && matchers.some(
    (one) => (one.isEqual && one.value !== "" && !(one.isRegex && matchesEmpty(one.value))) || (!one.isEqual && one.value === ""),
  );
}

function matchesEmpty(pattern: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`).test("");
  } catch {
    return false; // RE2 reads it, or says what is wrong with it
  }
}
