import { describe, expect, it, test } from "vitest";
import { en } from "~/i18n/en";
import { ko } from "~/i18n/ko";
import { filled, placesOf } from "~/i18n/text";
import { translator } from "~/i18n/use_t";

const korean: Readonly<Record<string, string>> = ko;

it("has the same keys in both languages", () => expect(Object.keys(ko).sort()).toEqual(Object.keys(en).sort()));

test.each(Object.entries(en))("%s has no place in Korean that English has not", (key, text) => {
  const places = placesOf(text);
  for (const place of placesOf(korean[key] ?? "")) expect(places).toContain(place);
});

test.each(Object.entries(ko))("%s is not empty", (_key, text) => expect(text.trim()).not.toBe(""));

it("is written in Korean", () => {
  const foreign = Object.values(ko).filter((text) => !/[가-힣]/.test(text));
  // Names and abbreviations, and the way back to English.
  expect(foreign.length).toBeLessThan(Object.keys(en).length / 5);
});

describe("filled", () => {
  it("puts values in", () => expect(filled("{a} of {b}", { a: 1, b: "x" })).toBe("1 of x"));
  it("chooses a word by a number", () => {
    expect(filled("{n} {n|row|rows}", { n: 1 })).toBe("1 row");
    expect(filled("{n} {n|row|rows}", { n: 0 })).toBe("0 rows");
  });
  it("shows a place without a value", () => expect(filled("{a}", {})).toBe("{a}"));
  it("takes no place from a value", () => expect(filled("{a}", { a: "{b}", b: "c" })).toBe("{b}"));
});

it("finds keys made from codes", () => {
  const t = translator("ko");
  expect(t.maybe("problem.engine_down")).toBe(ko["problem.engine_down"]);
  expect(t.maybe("problem.unheard_of")).toBeUndefined();
});
