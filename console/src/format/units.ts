/** What the values of a metric are, told by its unit or the end of its name, and how to write them. */

import { duration } from "./durations";
import { bytes, count, percent } from "./numbers";

export type Unit = "bytes" | "seconds" | "milliseconds" | "nanoseconds" | "ratio" | "percent" | "celsius" | "none";
export type MetricFunction = "value" | "rate" | "increase";

const BY_UNIT: Readonly<Record<string, Unit>> = {
  by: "bytes",
  byte: "bytes",
  bytes: "bytes",
  s: "seconds",
  sec: "seconds",
  second: "seconds",
  seconds: "seconds",
  ms: "milliseconds",
  milliseconds: "milliseconds",
  ns: "nanoseconds",
  nanoseconds: "nanoseconds",
  "1": "none",
  ratio: "ratio",
  ratios: "ratio",
  "%": "percent",
  percent: "percent",
  cel: "celsius",
  celsius: "celsius",
};
const SUFFIX = /[._](bytes|seconds|milliseconds|nanoseconds|ratio|percent|celsius)(?:_total|_sum)?$/;

/** `unit` is UCUM as OpenTelemetry sends it, or Prometheus metadata; empty when unknown. */
export function unitOf(metric: string, unit: string): Unit {
  const known = BY_UNIT[unit.toLowerCase()];
  if (known !== undefined && known !== "none") return known;
  if (/_(?:count|bucket)$/.test(metric)) return "none";
  return BY_UNIT[SUFFIX.exec(metric)?.[1] ?? ""] ?? "none";
}

/** A point of time in seconds since 1970 is not a length of time. */
function isInstant(metric: string): boolean {
  return /_timestamp_seconds$|_time_seconds$|_created$/.test(metric);
}

/**
 * How to write a value of this metric after `fn`. The rate of seconds is a share of one
 * (seconds per second), so it is written as a percentage.
 */
export function valueFormat(metric: string, unit: string, fn: MetricFunction): (value: number) => string {
  const kind = isInstant(metric) ? "none" : unitOf(metric, unit);
  const isRate = fn === "rate";
  switch (kind) {
    case "bytes":
      return isRate ? (value) => `${bytes(value)}/s` : bytes;
    case "seconds":
      return isRate ? percent : (value) => (value === 0 ? "0 s" : duration(value * 1e9));
    case "milliseconds":
      return isRate ? (value) => percent(value / 1e3) : (value) => (value === 0 ? "0 ms" : duration(value * 1e6));
    case "nanoseconds":
      return isRate ? (value) => percent(value / 1e9) : duration;
    case "ratio":
      return percent;
    case "percent":
      return (value) => percent(value / 100);
    case "celsius":
      return (value) => `${count(value)} °C`;
    case "none":
      return isRate ? (value) => `${count(value)}/s` : count;
  }
}
