import { describe, expect, it, test } from "vitest";
import { duration, parseDuration } from "~/format/durations";
import { bytes, count, digits, exact, percent, perSecond } from "~/format/numbers";
import { dateTime, fullTime, millisecondsOf, nanosecondsOf, rowTime, tick } from "~/format/times";
import { unitOf, valueFormat } from "~/format/units";

test.each([
  [0, "0"], [0.0123, "0.0123"], [999.4, "999"], [1e-9, "1.00e-9"], [NaN, "NaN"], [-1.5, "-1.5"],
])("digits %s", (value, text) => expect(digits(value)).toBe(text));

test.each([
  [0, "0"], [999, "999"], [999.9, "1k"], [1234567, "1.23M"], [-20_000, "-20k"], [null, "–"],
])("count %s", (value, text) => expect(count(value)).toBe(text));

test.each([
  [0, "0 B"], [1023.9, "1 KiB"], [1536, "1.5 KiB"], [2 ** 40, "1 TiB"], [undefined, "–"],
])("bytes %s", (value, text) => expect(bytes(value)).toBe(text));

test.each([
  [0, "0%"], [0.0004, "<0.1%"], [0.1234, "12.3%"], [0.05, "5%"], [1, "100%"], [null, "–"],
])("percent %s", (value, text) => expect(percent(value)).toBe(text));

it("groups every digit", () => expect(exact(1234567)).toBe("1,234,567"));
it("says per second", () => expect(perSecond(1500)).toBe("1.5k/s"));
it("says rare things by the minute or the hour", () => {
  expect(perSecond(0)).toBe("0/s");
  expect(perSecond(0.05)).toBe("3/min");
  expect(perSecond(1 / 3600)).toBe("1/h");
});

describe("durations", () => {
  test.each([
    [0, "0 ns"], [999, "999 ns"], [1234, "1.23 µs"], [999_600, "1 ms"], [1.5e9, "1.5 s"],
    [60e9, "1m"], [125e9, "2m 5s"], [3600e9, "1h"], [90_000e9, "1d 1h"],
  ])("%s ns", (ns, text) => expect(duration(ns)).toBe(text));
  test.each([
    ["250ms", 250e6], ["1.5 s", 1.5e9], ["2m", 120e9], ["3US", 3000], ["7", null], ["ms", null],
  ])("parse %s", (text, ns) => expect(parseDuration(text)).toBe(ns));
});

describe("times", () => {
  const text = "2026-03-01T12:00:00.123456789Z";
  it("keeps every digit", () => {
    expect(fullTime(text, "utc")).toBe("2026-03-01 12:00:00.123456789");
    expect(nanosecondsOf(text)).toBe(1772366400123456789n);
    expect(millisecondsOf(text)).toBe(1772366400123);
  });
  it("is short in rows", () => expect(rowTime(millisecondsOf(text), "utc")).toBe("03-01 12:00:00.123"));
  it("shows the day at midnight", () => {
    expect(tick(Date.parse("2026-03-01T00:00:00Z"), 3600, "utc")).toBe("03-01");
    expect(tick(Date.parse("2026-03-01T01:00:00Z"), 3600, "utc")).toBe("01:00");
    expect(tick(Date.parse("2026-03-01T01:00:05Z"), 5, "utc")).toBe("01:00:05");
  });
  it("writes an instant", () => expect(dateTime(0, "utc")).toBe("1970-01-01 00:00:00"));
});

describe("units", () => {
  test.each([
    ["node_memory_MemFree_bytes", "", "bytes"], ["http.server.duration", "ms", "milliseconds"],
    ["requests_seconds_count", "", "none"], ["x", "1", "none"], ["cpu_ratio", "", "ratio"],
  ])("of %s", (metric, unit, kind) => expect(unitOf(metric, unit)).toBe(kind));
  it("writes a rate of seconds as a share", () =>
    expect(valueFormat("process_cpu_seconds_total", "", "rate")(0.5)).toBe("50.0%"));
  it("does not take an instant for a length", () =>
    expect(valueFormat("process_start_time_seconds", "", "value")(1.7e9)).toBe("1.7G"));
});
