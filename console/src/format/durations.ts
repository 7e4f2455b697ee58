/** Lengths of time: shown from ns to days, read from text such as 250ms or 1.5h. */

import { digits } from "./numbers";

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 86_400e9,
};

/** 1234567 as 1.23 ms; two parts from a minute on: 2m 5s. */
export function duration(ns: number): string {
  const size = Math.abs(ns);
  if (size < 1e3) return `${digits(ns)} ns`;
  if (size < 999.5e3) return `${digits(ns / 1e3)} µs`;
  if (size < 999.5e6) return `${digits(ns / 1e6)} ms`;
  if (size < 59.95e9) return `${digits(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  if (size < 3600e9) return twoParts(seconds, 60, "m", 1, "s");
  if (size < 86_400e9) return twoParts(seconds, 3600, "h", 60, "m");
  return twoParts(seconds, 86_400, "d", 3600, "h");
}

function twoParts(seconds: number, big: number, bigName: string, small: number, smallName: string) {
  const whole = Math.floor(seconds / big);
  const rest = Math.floor((seconds % big) / small);
  return rest === 0 ? `${whole}${bigName}` : `${whole}${bigName} ${rest}${smallName}`;
}

/** The number of ns in a text such as `250ms`, `1.5s`, `2m`; null when it is none. */
export function parseDuration(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|d)\s*$/i.exec(text);
  const unit = UNIT_NS[match?.[2]?.toLowerCase() ?? ""];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}
