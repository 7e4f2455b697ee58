import { expect, it, test } from "vitest";
import {
  type Condition, filterText, readConditions, shownCondition, withCondition, withoutCondition,
} from "~/state/filters";

const service: Condition = { field: "service", op: "=", value: "checkout" };
const notService: Condition = { ...service, op: "!=" };

test.each([
  ["not JSON", "{"],
  ["an object", '{"field":"a","op":"="}'],
  ["no field", '[{"op":"=","value":"x"}]'],
  ["an unknown operator", '[{"field":"a","op":"~","value":"x"}]'],
  ["a nested value", '[{"field":"a","op":"=","value":{}}]'],
  ["nothing", undefined],
])("%s is no condition", (_what, text) => expect(readConditions(text)).toEqual([]));

it("reads back what it wrote", () => {
  const all: Condition[] = [
    service,
    { field: "attributes.http.status", op: ">=", value: "500" },
    { field: "pod", op: "in", value: ["a", "b"] },
    { field: "trace_id", op: "exists" },
  ];
  expect(readConditions(filterText(all))).toEqual(all);
});

it("makes texts of numbers", () =>
  expect(readConditions([{ field: "a", op: ">", value: 5 }])).toEqual([{ field: "a", op: ">", value: "5" }]));

it("adds a condition once", () => expect(withCondition([service], service)).toEqual([service]));

it("lets the opposite go", () => expect(withCondition([service], notService)).toEqual([notService]));

it("removes only what is the same", () =>
  expect(withoutCondition([service, notService], service)).toEqual([notService]));

it("shows conditions shortly", () => {
  expect(shownCondition(service)).toBe("service = checkout");
  expect(shownCondition({ field: "a", op: "=", value: "" })).toBe('a = ""');
  expect(shownCondition({ field: "a", op: "exists" })).toBe("∃ a");
});
