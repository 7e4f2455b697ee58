import { describe, expect, it } from "vitest";
import { readable, stackLines, typesOf } from "~/screens/traces/readable";
import { heightOf, logScale, nearest, timeTicks } from "~/screens/traces/scatter_scale";
import { fieldOf, typedCondition } from "~/screens/traces/typed_condition";
import {
  around, fitted, isWhole, offset, panned, readViewport, ticks, viewportText, whole, zoomed,
} from "~/screens/traces/viewport";
import { arrived } from "~/state/use_typed";

describe("the part in sight", () => {
  it("stays inside of the trace", () => {
    expect(fitted({ fromNs: -50, toNs: 5000 }, 1000)).toEqual({ fromNs: 0, toNs: 1000 });
    expect(panned({ fromNs: 600, toNs: 900 }, 500, 1000)).toEqual({ fromNs: 700, toNs: 1000 });
    expect(fitted({ fromNs: 500, toNs: 500 }, 1e6)).toEqual({ fromNs: 500, toNs: 600 });
    expect(isWhole(whole(0), 0)).toBe(true);
  });

  it("zooms around an instant", () => {
    expect(zoomed({ fromNs: 0, toNs: 10_000 }, 0.5, 4000, 10_000)).toEqual({ fromNs: 2000, toNs: 7000 });
    expect(around(2000, 4000, 10_000)).toEqual({ fromNs: 1800, toNs: 4200 });
  });

  it("is in the address and comes back; what is malformed is all of it", () => {
    const view = { fromNs: 200, toNs: 900 };
    expect(readViewport(viewportText(view, 1000), 1000)).toEqual(view);
    expect(viewportText(whole(1000), 1000)).toBeUndefined();
    for (const text of [undefined, "", "9-2", "a-b", "1e9-2"]) expect(readViewport(text, 1000)).toEqual(whole(1000));
  });

  it("has round ticks with labels that differ", () => {
    expect(ticks({ fromNs: 0, toNs: 100e6 }, 5).map((tick) => tick.label)).toEqual(
      ["0 ms", "20 ms", "40 ms", "60 ms", "80 ms", "100 ms"],
    );
    const close = ticks({ fromNs: 12_340_100_000, toNs: 12_340_300_000 }, 4).map((tick) => tick.label);
    expect(close[0]).toBe("12.34010 s");
    expect(new Set(close).size).toBe(close.length);
    expect(offset(-38_000_000, 1e6, 1e9)).toBe("-0.038 s");
  });
});

describe("dots of durations", () => {
  it("lie between powers of ten", () => {
    const scale = logScale([0, 3e6, 2e8]);
    expect(scale).toMatchObject({ leastNs: 1e6, mostNs: 1e9 });
    expect(heightOf(1e6, scale)).toBe(0);
    expect(heightOf(0, scale)).toBe(0);
    expect(heightOf(1e9, scale)).toBe(1);
    expect(logScale([]).ticks.length).toBeGreaterThan(1);
  });

  it("are found near the cursor", () => {
    expect(nearest([{ x: 0, y: 0 }, { x: 10, y: 0 }], { x: 8, y: 1 }, 5)).toBe(1);
    expect(nearest([{ x: 0, y: 0 }], { x: 8, y: 1 }, 5)).toBeNull();
  });

  it("have instants below them that are round", () => {
    const tenMinutes = [0, 1, 2, 3, 4, 5, 6].map((at) => at * 600e3);
    expect(timeTicks(0, 3600e3, 6)).toEqual({ stepMs: 600e3, atMs: tenMinutes });
  });
});

describe("a text typed into the address", () => {
  it("stays while the address follows, and goes when another comes", () => {
    const typed = { text: "abc", seen: "", sent: ["a", "ab", "abc"] };
    const following = arrived(typed, "ab");
    expect(following).toEqual({ text: "abc", seen: "ab", sent: ["abc"] });
    expect(arrived(following, "abc")).toEqual({ text: "abc", seen: "abc", sent: [] });
    expect(arrived(following, "other")).toEqual({ text: "other", seen: "other", sent: [] });
  });
});

describe("a typed condition", () => {
  it.each([
    ["http.route=/cart", { field: "attributes.http.route", op: "=", value: "/cart" }],
    ["db.system != redis", { field: "attributes.db.system", op: "!=", value: "redis" }],
    ["http.response.status_code>=500", { field: "attributes.http.response.status_code", op: ">=", value: "500" }],
    ['db.query.text~"UPDATE stock"', { field: "attributes.db.query.text", op: "contains", value: "UPDATE stock" }],
    ["url.full!~health", { field: "attributes.url.full", op: "not_contains", value: "health" }],
    ["user.id?", { field: "attributes.user.id", op: "exists" }],
    ["resource.service.version=1.4", { field: "resource.service.version", op: "=", value: "1.4" }],
    ["status_message~pool", { field: "status_message", op: "contains", value: "pool" }],
    ["GET /cart", { field: "name", op: "contains", value: "GET /cart" }],
    ["a=", { field: "attributes.a", op: "=", value: "" }],
  ])("%s", (typed, condition) => {
    expect(typedCondition(typed)).toEqual(condition);
  });

  it("is none when nothing was typed", () => {
    expect(typedCondition("   ")).toBeNull();
    expect(fieldOf("resource.")).toBe("attributes.resource.");
  });
});

describe("texts of a span", () => {
  it("breaks long lists and leaves all else alone", () => {
    const long = JSON.stringify({ items: Array.from({ length: 30 }, (_, at) => at) });
    expect(readable(long, "kvlist")).toContain('\n  "items"');
    expect(readable('["a"]', "array")).toBe('["a"]');
    expect(readable(`{${"x".repeat(80)}}`, undefined)).toBe(`{${"x".repeat(80)}}`);
  });

  it("has types by key, unless the order of the keys is lost", () => {
    expect(typesOf({ b: "1", a: "x" }, ["int", ""])).toEqual({ b: "int" });
    expect(typesOf({ b: "1", 7: "x" }, ["int", "string"])).toEqual({});
    expect(typesOf({ b: "1" }, [])).toEqual({});
  });

  it("tells frames of libraries from one's own", () => {
    const python = 'Traceback:\n  File "/srv/app/pay.py", line 3, in pay\n    charge()\n' +
      '  File "/srv/venv/lib/python3.11/site-packages/x.py", line 9, in y\n    go()\nValueError: no';
    expect(stackLines(python).map((line) => line.isForeign)).toEqual([false, false, false, true, true, false]);
    const java = "java.lang.Error: no\n\tat com.example.Pool.take(Pool.java:1)\n\tat java.base/java.lang.Thread.run(T.java:2)";
    expect(stackLines(java).map((line) => line.isForeign)).toEqual([false, false, true]);
  });
});
