/**
 * The one time range of all screens. In the address it is two texts, `now-1h` or an ISO instant;
 * a question needs two numbers, ms since 1970, of a given moment.
 */

import { dateTime, type Zone } from "~/format/times";

export interface TimeText {
  readonly from: string;
  readonly to: string;
}

export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
  w: 604_800e3,
};
const WORDS: Readonly<Record<string, string>> = {
  sec: "s", secs: "s", second: "s", seconds: "s", 초: "s",
  min: "m", mins: "m", minute: "m", minutes: "m", 분: "m",
  hr: "h", hrs: "h", hour: "h", hours: "h", 시간: "h",
  day: "d", days: "d", 일: "d",
  week: "w", weeks: "w", 주: "w",
};
const RELATIVE = /^now(?:-(\d+)([smhdw]))?$/;
const AMOUNT = /^(\d+)\s*([a-z가-힣]+)$/;
const SHORTEST_MS = 1;
export const DEFAULT_RANGE: TimeText = { from: "now-1h", to: "now" };
export const PRESETS = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "24h", "2d", "7d", "30d"] as const;

/** ms since 1970; null when the text is no instant. */
export function instantOf(text: string, nowMs: number): number | null {
  const match = RELATIVE.exec(text);
  if (match !== null) {
    return match[1] === undefined ? nowMs : nowMs - Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? 0);
  }
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? null : at;
}

export function isRelative(text: TimeText): boolean {
  return RELATIVE.test(text.from) || RELATIVE.test(text.to);
}

/** Both ends at the moment `nowMs`; null when they are no range. */
export function resolve(text: TimeText, nowMs: number): TimeRange | null {
  const fromMs = instantOf(text.from, nowMs);
  const toMs = instantOf(text.to, nowMs);
  if (fromMs === null || toMs === null || toMs - fromMs < SHORTEST_MS || fromMs < 0) return null;
  return { fromMs, toMs };
}

export function absolute(range: TimeRange): TimeText {
  return { from: new Date(range.fromMs).toISOString(), to: new Date(range.toMs).toISOString() };
}

export function lastOf(preset: string): TimeText {
  return { from: `now-${preset}`, to: "now" };
}

/** As long as the range, but until now, in the largest unit that fits. */
export function untilNow(range: TimeRange): TimeText {
  const seconds = Math.max(1, Math.round((range.toMs - range.fromMs) / 1000));
  if (seconds >= 172_800) return lastOf(`${Math.round(seconds / 86_400)}d`);
  if (seconds >= 7200 || seconds === 3600) return lastOf(`${Math.round(seconds / 3600)}h`);
  return lastOf(seconds >= 60 ? `${Math.round(seconds / 60)}m` : `${seconds}s`);
}

/** The preset that the range is, if it is one. */
export function presetOf(text: TimeText): string | null {
  const match = RELATIVE.exec(text.from);
  if (match?.[1] === undefined || text.to !== "now") return null;
  return `${match[1]}${match[2] ?? ""}`;
}

/** Half its length earlier (-1) or later (1); never beyond now. */
export function shifted(range: TimeRange, direction: -1 | 1, nowMs: number): TimeText {
  const lengthMs = range.toMs - range.fromMs;
  const wanted = direction * Math.max(1, Math.round(lengthMs / 2));
  const byMs = Math.min(wanted, Math.max(0, nowMs - range.toMs));
  return absolute({ fromMs: range.fromMs + byMs, toMs: range.toMs + byMs });
}

/** Twice as long around the same middle; never beyond now. A range until now stays one. */
export function zoomedOut(text: TimeText, range: TimeRange, nowMs: number): TimeText {
  const lengthMs = Math.max(1000, range.toMs - range.fromMs);
  const preset = presetOf(text);
  if (preset !== null) {
    const longer = PRESETS.find((one) => presetMs(one) >= lengthMs * 1.9);
    if (longer !== undefined) return lastOf(longer);
  }
  const toMs = Math.min(nowMs, range.toMs + lengthMs / 2);
  return absolute({ fromMs: Math.max(0, Math.round(toMs - 2 * lengthMs)), toMs: Math.round(toMs) });
}

export function presetMs(preset: string): number {
  const match = /^(\d+)([smhdw])$/.exec(preset);
  return match === null ? 0 : Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? 0);
}

/**
 * What a person typed: `2h`, `last 30 min`, `2h ago to now`, `2h ago to 1h ago`, `today`,
 * `2026-01-02 10:00 to 2026-01-02 11:30`, `10:00 to 11:30`. Null when it is not understood.
 */
export function parseTyped(typed: string, nowMs: number, zone: Zone): TimeText | null {
  const text = typed.trim().toLowerCase();
  const day = dayNamed(text, nowMs, zone);
  if (day !== null) return day;
  const alone = /^(?:last|past|지난|최근)?\s*(.+)$/.exec(text)?.[1] ?? "";
  const amount = amountOf(alone);
  if (amount !== null) return valid({ from: `now-${amount}`, to: "now" }, nowMs);
  const ends = text.split(/\s+(?:to|until|~|–|—|→|-)\s+|~|→/);
  if (ends.length > 2 || ends[0] === undefined) return null;
  const from = endOf(ends[0], nowMs, zone);
  const to = ends[1] === undefined ? "now" : endOf(ends[1], nowMs, zone);
  return from === null || to === null ? null : valid({ from, to }, nowMs);
}

function valid(text: TimeText, nowMs: number): TimeText | null {
  return resolve(text, nowMs) === null ? null : text;
}

function amountOf(text: string): string | null {
  const match = AMOUNT.exec(text.trim());
  const name = match?.[2] ?? "";
  const unit = name in UNIT_MS ? name : WORDS[name];
  return match === null || unit === undefined || Number(match[1]) === 0 ? null : `${match[1] ?? ""}${unit}`;
}

function dayNamed(text: string, nowMs: number, zone: Zone): TimeText | null {
  const today = dateTime(nowMs, zone).slice(0, 10);
  const midnight = local(today, "00:00", zone);
  if (midnight === null) return null;
  if (text === "today" || text === "오늘") return { from: new Date(midnight).toISOString(), to: "now" };
  if (text !== "yesterday" && text !== "어제") return null;
  const before = local(dateTime(midnight - 43_200e3, zone).slice(0, 10), "00:00", zone);
  return before === null ? null : absolute({ fromMs: before, toMs: midnight });
}

function endOf(typed: string, nowMs: number, zone: Zone): string | null {
  const text = typed.trim();
  if (text === "now" || text === "지금") return "now";
  if (RELATIVE.test(text)) return text;
  const amount = amountOf(text.replace(/\s*(?:ago|전)$/, ""));
  if (amount !== null) return `now-${amount}`;
  const at = clockOf(text, nowMs, zone);
  return at === null ? null : new Date(at).toISOString();
}

function clockOf(text: string, nowMs: number, zone: Zone): number | null {
  if (/^\d{4}-\d\d-\d\dt.*(?:z|[+-]\d\d:?\d\d)$/.test(text)) return instantOf(text.toUpperCase(), nowMs);
  if (/^\d{13}$/.test(text)) return Number(text);
  if (/^\d{10}$/.test(text)) return Number(text) * 1000;
  const match = /^(?:(\d{4}-\d\d-\d\d))?[\st]*(\d{1,2}:\d\d(?::\d\d(?:\.\d{1,3})?)?)?$/.exec(text);
  if (match === null || (match[1] === undefined && match[2] === undefined)) return null;
  return local(match[1] ?? dateTime(nowMs, zone).slice(0, 10), match[2] ?? "00:00", zone);
}

function local(day: string, clock: string, zone: Zone): number | null {
  const padded = clock.length === 4 || clock.indexOf(":") === 1 ? `0${clock}` : clock;
  const at = Date.parse(`${day}T${padded}${zone === "utc" ? "Z" : ""}`);
  return Number.isNaN(at) ? null : at;
}
