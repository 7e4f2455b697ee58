/** Instants as text, in the zone the reader chose. Rows carry RFC 3339 with nine decimals. */

export type Zone = "browser" | "utc";

const two = (value: number) => String(value).padStart(2, "0");

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function partsOf(ms: number, zone: Zone): Parts {
  const at = new Date(ms);
  const isUtc = zone === "utc";
  return {
    year: isUtc ? at.getUTCFullYear() : at.getFullYear(),
    month: (isUtc ? at.getUTCMonth() : at.getMonth()) + 1,
    day: isUtc ? at.getUTCDate() : at.getDate(),
    hour: isUtc ? at.getUTCHours() : at.getHours(),
    minute: isUtc ? at.getUTCMinutes() : at.getMinutes(),
    second: isUtc ? at.getUTCSeconds() : at.getSeconds(),
    ms: at.getUTCMilliseconds(),
  };
}

/** 2026-01-02 03:04:05 */
export function dateTime(ms: number, zone: Zone): string {
  const p = partsOf(ms, zone);
  return `${p.year}-${two(p.month)}-${two(p.day)} ${two(p.hour)}:${two(p.minute)}:${two(p.second)}`;
}

/** 01-02 03:04:05.678, for rows. */
export function rowTime(ms: number, zone: Zone): string {
  return `${dateTime(ms, zone).slice(5)}.${String(partsOf(ms, zone).ms).padStart(3, "0")}`;
}

/** 2026-01-02 03:04:05.123456789 from a row's RFC 3339 text, no digit lost. */
export function fullTime(text: string, zone: Zone): string {
  const fraction = /\.(\d+)Z$/.exec(text)?.[1] ?? "0";
  return `${dateTime(millisecondsOf(text), zone)}.${fraction}`;
}

/** Whole ms since 1970 of a row's RFC 3339 text; Date.parse keeps only three decimals. */
export function millisecondsOf(text: string): number {
  return Date.parse(text.replace(/(\.\d{3})\d+Z$/, "$1Z"));
}

/** ns since 1970 of a row's RFC 3339 text. */
export function nanosecondsOf(text: string): bigint {
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  const wholeMs = Date.parse(`${match?.[1] ?? text}Z`);
  const fraction = (match?.[2] ?? "").padEnd(9, "0").slice(0, 9);
  return BigInt(wholeMs) * 1_000_000n + BigInt(fraction);
}

/** The label of a tick on a time axis whose ticks are `stepS` apart. */
export function tick(ms: number, stepS: number, zone: Zone): string {
  const p = partsOf(ms, zone);
  const isMidnight = p.hour === 0 && p.minute === 0 && p.second === 0;
  if (stepS >= 86_400 || (isMidnight && stepS >= 60)) return `${two(p.month)}-${two(p.day)}`;
  const minutes = `${two(p.hour)}:${two(p.minute)}`;
  if (stepS >= 60) return minutes;
  if (stepS >= 1) return `${minutes}:${two(p.second)}`;
  return `${minutes}:${two(p.second)}.${String(p.ms).padStart(3, "0")}`;
}

/** The zone's name beside a time: UTC, or the browser's offset such as UTC+9. */
export function zoneName(zone: Zone, atMs: number): string {
  if (zone === "utc") return "UTC";
  const minutes = -new Date(atMs).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  const hours = Math.trunc(Math.abs(minutes) / 60);
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${rest === 0 ? "" : `:${two(rest)}`}`;
}
