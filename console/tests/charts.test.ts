import { describe, expect, it } from "vitest";
import { aligned, isolatedRows, lastKnown, onlyShown, stacked } from "~/charts/align";
import { stepsOf } from "~/charts/axes";
import { sparkPaths } from "~/charts/sparkline";
import { isolated, NONE_HIDDEN, toggled } from "~/charts/visibility";

describe("aligned", () => {
  it("keeps equal times as they are", () =>
    expect(aligned([[[1, 5], [2, null]], [[1, 6], [2, 7]]])).toEqual({ times: [1, 2], columns: [[5, null], [6, 7]] }));
  it("joins different times", () =>
    expect(aligned([[[1, 5], [3, 6]], [[2, 7]]])).toEqual({
      times: [1, 2, 3], columns: [[5, null, 6], [null, 7, null]],
    }));
  it("draws nothing that is not finite", () => expect(aligned([[[1, Infinity]]]).columns).toEqual([[null]]));
  it("takes no lines", () => expect(aligned([])).toEqual({ times: [], columns: [] }));
});

it("stacks what is shown", () => {
  const columns = [[1, 2], [10, null], [100, 100]];
  expect(stacked(columns, [true, true, true])).toEqual([[1, 2], [11, 2], [111, 102]]);
  expect(stacked(columns, [true, false, true])).toEqual([[1, 2], [null, null], [101, 102]]);
});

it("hides", () => expect(onlyShown([[1], [2]], [false, true])).toEqual([[null], [2]]));
it("finds lonely points", () => expect(isolatedRows([1, null, 2, 3, null, 4])).toEqual([0, 5]));
it("finds the last value", () => {
  expect(lastKnown([1, 2, null])).toBe(2);
  expect(lastKnown([null])).toBeNull();
});

describe("the legend", () => {
  const ids = ["a", "b", "c"];
  it("isolates, and brings all back", () => {
    const only = isolated(NONE_HIDDEN, ids, "b");
    expect([...only]).toEqual(["a", "c"]);
    expect(isolated(only, ids, "b")).toBe(NONE_HIDDEN);
    expect([...isolated(only, ids, "a")]).toEqual(["b", "c"]);
  });
  it("never hides all", () => {
    const one = toggled(toggled(NONE_HIDDEN, ids, "a"), ids, "b");
    expect([...one]).toEqual(["a", "b"]);
    expect(toggled(one, ids, "c")).toBe(NONE_HIDDEN);
  });
});

it("steps in the unit", () => {
  expect(stepsOf("bytes")).toContain(1024);
  expect(stepsOf("seconds")).toContain(3600);
  expect(stepsOf("seconds")).not.toContain(100);
  expect(stepsOf("milliseconds")).toContain(60_000);
});

describe("a sparkline", () => {
  const size = { width: 100, height: 10 };
  it("has a run for each side of a gap", () =>
    expect(sparkPaths([[0, 1], [1, null], [2, 1]], size).line.match(/M/g)).toHaveLength(2));
  it("draws nothing of nothing", () => expect(sparkPaths([], size)).toEqual({ line: "", area: "" }));
  it("stays inside", () => expect(sparkPaths([[0, 5], [1, 9]], { ...size, most: 1 }).line).toBe("M0 1L100 1"));
});
