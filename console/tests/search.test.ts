import { describe, expect, it, test } from "vitest";
import { readLogsSearch } from "~/screens/logs/search";
import { readMetricsSearch } from "~/screens/metrics/search";
import { readTracesSearch } from "~/screens/traces/search";
import { readPreferences } from "~/state/preferences";
import { parseSearch, readFlag, readNumber, readTexts, readTimeSearch, stringifySearch } from "~/state/search";

const filter = [{ field: "service", op: "=", value: "a&b=c +%" }] as const;

test.each([
  ["logs", readLogsSearch, { query: '"a b" -c:*', filter, row: "18f-0a.2", order: "asc", follow: true }],
  ["traces", readTracesSearch, { view: "operations", service: "1", operation: "GET /{id}", status: "ERROR",
    min: "250ms", max: "1s", filter, order: "slowest" }],
  ["metrics", readMetricsSearch, { match: "cpu", metric: "up", fn: "rate", agg: "sum", by: ["a", "b,c"], filter }],
  ["the time", readTimeSearch, { from: "now-1h", to: "2026-03-01T12:00:00.000Z", live: false }],
])("the address keeps the search of %s", (_name, read: (search: Record<string, unknown>) => object, search) => {
  expect(read(parseSearch(stringifySearch(search)))).toEqual(search);
  expect(read(search)).toEqual(search);
});

it("says nothing about what is absent", () => expect(stringifySearch({ a: undefined, b: "", c: [] })).toBe(""));

it("leaves out what is malformed", () =>
  expect(readLogsSearch({ filter: "{", order: "up", follow: "maybe", query: {} })).toEqual({}));

it("reads values", () => {
  expect(readFlag("false")).toBe(false);
  expect(readNumber("1e3")).toBe(1000);
  expect(readNumber("x")).toBeUndefined();
  expect(readTexts('["a",1]')).toEqual(["a"]);
});

describe("preferences", () => {
  it("take the browser's language", () => {
    expect(readPreferences(null, ["fr-FR", "ko-KR", "en"]).language).toBe("ko");
    expect(readPreferences(null, ["fr-FR"]).language).toBe("en");
  });
  it("keep what was chosen", () =>
    expect(readPreferences('{"language":"en","zone":"utc"}', ["ko"])).toEqual({
      language: "en", zone: "utc", isNavigationNarrow: false,
    }));
  it("survive anything", () => {
    for (const text of ["{", "null", "[]", '{"language":5}']) expect(readPreferences(text, []).language).toBe("en");
  });
});
