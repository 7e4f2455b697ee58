import { describe, expect, it } from "vitest";
import { ApiError, errorOf, urlOf } from "~/api/client";
import { translator } from "~/i18n/use_t";
import { nextSort, sorted } from "~/parts/sorting";
import { otlpEndpoint } from "~/screens/overview/addresses";
import { problemInWords } from "~/screens/overview/problem_words";
import { ago, rangeInWords } from "~/shell/time_words";
import { lastOf } from "~/state/time_range";

const t = translator("en");

describe("sorting", () => {
  const rows = [{ n: 2 }, { n: null }, { n: 3 }];
  it("puts the missing last either way", () => {
    expect(sorted(rows, (row) => row.n, false).map((row) => row.n)).toEqual([2, 3, null]);
    expect(sorted(rows, (row) => row.n, true).map((row) => row.n)).toEqual([3, 2, null]);
  });
  it("turns around at the second click", () => {
    const first = nextSort(null, "n", true);
    expect(first).toEqual({ column: "n", isDescending: true });
    expect(nextSort(first, "n", true).isDescending).toBe(false);
  });
});

describe("the API", () => {
  it("leaves out what is not said", () =>
    expect(urlOf("/logs", { query: "a b", filter: undefined, limit: 0 })).toBe("/api/console/logs?query=a+b&limit=0"));
  it("reads errors", () => {
    const error = errorOf(400, { error: { code: "malformed", message: "no", position: 6 } });
    expect([error.code, error.position, error.isPassing]).toEqual(["malformed", 6, false]);
  });
  it("survives what is no error of ours", () => {
    for (const body of [null, "x", {}, { error: 5 }]) expect(errorOf(502, body).code).toBe("broken");
    expect(new ApiError("overloaded", "", 503).isPassing).toBe(true);
  });
});

it("tells senders an address that they can reach", () => {
  const page = { hostname: "trilens.example", origin: "https://trilens.example" };
  const listening = [{ protocol: "otlp_http", address: "0.0.0.0:4319" }];
  expect(otlpEndpoint(listening, page)).toBe("http://trilens.example:4319");
  expect(otlpEndpoint([{ protocol: "http", address: "x:1" }], page)).toBe("https://trilens.example");
});

describe("words", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  it("names ranges", () => {
    const range = { fromMs: now - 3600e3, toMs: now };
    expect(rangeInWords(lastOf("1h"), range, "utc", t)).toBe("Last 1 hour");
    expect(rangeInWords({ from: "x", to: "y" }, range, "utc", t)).toBe("2026-03-01 11:00 – 12:00");
  });
  it("says how long ago", () => {
    expect(ago(now - 90e3, now, t)).toBe("1 minute ago");
    expect(ago(now + 5e3, now, t)).toBe("now");
  });
  it("tells problems", () => {
    const args = { mount: "/", node: "a", used_ratio: 0.95 };
    const problem = { severity: "warning", code: "disk_filling", message: "m", args } as const;
    expect(problemInWords(problem, "utc", t)).toBe("/ of a is 95.0% full");
    expect(problemInWords({ ...problem, code: "new_one" }, "utc", t)).toBe("m");
  });
});
