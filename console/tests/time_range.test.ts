import { describe, expect, it, test } from "vitest";
import {
  absolute, instantOf, lastOf, parseTyped, presetOf, resolve, shifted, untilNow, zoomedOut, type TimeText,
} from "~/state/time_range";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const typed = (text: string) => parseTyped(text, NOW, "utc");
const between = (from: string, to: string): TimeText => ({ from, to });

test.each([
  ["2h", lastOf("2h")],
  ["last 30 min", lastOf("30m")],
  ["최근 3시간", lastOf("3h")],
  ["1 week", lastOf("1w")],
  ["2h ago to now", between("now-2h", "now")],
  ["2h ago to 1h ago", between("now-2h", "now-1h")],
  ["today", between("2026-03-01T00:00:00.000Z", "now")],
  ["어제", between("2026-02-28T00:00:00.000Z", "2026-03-01T00:00:00.000Z")],
  ["10:00 to 11:30", between("2026-03-01T10:00:00.000Z", "2026-03-01T11:30:00.000Z")],
  ["10:00 ~ 11:30", between("2026-03-01T10:00:00.000Z", "2026-03-01T11:30:00.000Z")],
  ["2026-01-02 to 2026-01-03 04:05:06", between("2026-01-02T00:00:00.000Z", "2026-01-03T04:05:06.000Z")],
  ["1772366100 to 1772366400000", between("2026-03-01T11:55:00.000Z", "2026-03-01T12:00:00.000Z")],
])("typed %s", (text, range) => expect(typed(text)).toEqual(range));

test.each(["", "0h", "soon", "11:30 to 10:00", "1h to 2h to 3h", "25:00 to 26:00", "5 parsecs"])(
  "not understood: %s",
  (text) => expect(typed(text)).toBeNull(),
);

describe("resolve", () => {
  it("gives instants at the given moment", () =>
    expect(resolve(lastOf("1h"), NOW)).toEqual({ fromMs: NOW - 3600e3, toMs: NOW }));
  it.each([
    between("now", "now-1h"), between("nonsense", "now"), between("2026-13-01T00:00:00Z", "now"),
    between("1969-01-01T00:00:00Z", "now"), between("now-99999d", "now"),
  ])("is null for %o", (text) => expect(resolve(text, NOW)).toBeNull());
  it("reads back what absolute wrote", () => {
    const range = { fromMs: NOW - 5, toMs: NOW };
    expect(resolve(absolute(range), 0)).toEqual(range);
  });
});

describe("moving", () => {
  const range = { fromMs: NOW - 3600e3, toMs: NOW };
  it("goes half a range back", () =>
    expect(instantOf(shifted(range, -1, NOW).to, NOW)).toBe(NOW - 1800e3));
  it("never goes beyond now", () => expect(shifted(range, 1, NOW)).toEqual(absolute(range)));
  it("zooms out from one preset to a longer one", () =>
    expect(presetOf(zoomedOut(lastOf("1h"), range, NOW))).toBe("3h"));
  it.each([[90, "2m"], [59, "59s"], [3600, "1h"], [3660, "61m"], [86_400, "24h"], [172_800, "2d"]])(
    "%s s until now",
    (seconds, amount) => expect(untilNow({ fromMs: NOW - seconds * 1000, toMs: NOW })).toEqual(lastOf(amount)),
  );
  it("zooms out around the middle", () => {
    const past = { fromMs: NOW - 7200e3, toMs: NOW - 3600e3 };
    const wider = resolve(zoomedOut(absolute(past), past, NOW), NOW);
    expect(wider).toEqual({ fromMs: NOW - 9000e3, toMs: NOW - 1800e3 });
  });
});
