/** Lengths of time as rules write them (1h30m, 5m, 0s), and labels as a=b, c=d. */

import type { Labels } from "~/api/alerts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 604_800e3, y: 31_536_000e3,
};

/** ms; null for what is no length, undefined for an empty text. */
export function lengthOf(text: string): number | null | undefined {
  const typed = text.trim();
  if (typed === "") return undefined;
  if (typed === "0") return 0;
  const whole = /^(?:\d+(?:ms|[smhdwy]))+$/.test(typed);
  if (!whole) return null;
  return [...typed.matchAll(/(\d+)(ms|[smhdwy])/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS_MS[unit ?? ""] ?? 0), 0,
  );
}

/** As a rule file would have it: 5m, 1h30m; 0s for nothing. */
export function lengthText(ms: number): string {
  let left = ms;
  const parts: string[] = [];
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = UNITS_MS[unit] ?? 1;
    const whole = Math.floor(left / size);
    if (whole > 0) parts.push(`${whole}${unit}`);
    left -= whole * size;
  }
  return parts.length === 0 ? "0s" : parts.join("");
}

/** null for what cannot be read, undefined for an empty text. */
export function labelsOf(text: string): Labels | null | undefined {
  if (text.trim() === "") return undefined;
  const found: Record<string, string> = {};
  for (const part of text.split(/[,\n]/)) {
    if (part.trim() === "") continue;
    const match = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(part);
    if (match?.[1] === undefined) return null;
    found[match[1]] = (match[2] ?? "").replace(/^"(.*)"$/, "$1");
  }
  return found;
}

export function labelsLine(labels: Labels): string {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ");
}
