/** Labels as a person types them: `alertname=Down, severity="critical"`, in braces or not. */

import type { Labels } from "~/api/prometheus";

const PAIR = /^\s*(?:"((?:[^"\\]|\\.)*)"|([^\s={},"]+))\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,{}"\s]*))\s*(?:,|$|(?=\s))/;

export interface ReadLabels {
  readonly labels: Labels;
  /** Where it is not understood, characters from the start; null if all of it is. */
  readonly faultAt: number | null;
}

export function readLabels(text: string): ReadLabels {
  const end = text.trimEnd().endsWith("}") ? text.lastIndexOf("}") : text.length;
  let at = /^\s*\{?/.exec(text)?.[0].length ?? 0;
  const labels: Record<string, string> = {};
  while (text.slice(at, end).trim() !== "") {
    const found = PAIR.exec(text.slice(at, end));
    if (found === null) return { labels, faultAt: at + (/^\s*/.exec(text.slice(at))?.[0].length ?? 0) };
    labels[plain(found[1]) ?? found[2] ?? ""] = plain(found[3]) ?? found[4] ?? "";
    at += found[0].length;
  }
  return { labels, faultAt: null };
}

/** Of a quoted text what it stands for. */
export function plain(quoted: string | undefined): string | undefined {
  return quoted?.replaceAll(/\\(.)/gs, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

/** Text that readLabels reads back. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels).map(([name, value]) => `${nameText(name)}=${valueText(value)}`).join(", ");
}

function nameText(name: string): string {
  return /^[^\s={},"\\]+$/.test(name) ? name : quoted(name);
}

function valueText(value: string): string {
  return /^[^\s,{}"\\]+$/.test(value) ? value : quoted(value);
}

/** With Go's escapes. */
export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** Words that find it in the list of alerts; a value with spaces is several. */
export function wordsOf(labels: Labels): string | undefined {
  const text = Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(" ");
  return text === "" ? undefined : text;
}
