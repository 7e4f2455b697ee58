import { expect, it, test } from "vitest";
import { rowAfter } from "~/parts/use_list_keys";
import { keyName, matching, type Shortcut } from "~/shell/keys";

const plain = { ctrlKey: false, metaKey: false, altKey: false };
const shortcut = (keys: string): Shortcut => ({ keys, label: keys, group: "everywhere", run: () => undefined });

test.each([
  [{ ...plain, key: "j", code: "KeyJ" }, "j"],
  [{ ...plain, key: "ㅓ", code: "KeyJ" }, "j"],
  [{ ...plain, key: "Process", code: "KeyJ" }, "j"],
  [{ ...plain, key: "j", code: "KeyC" }, "j"], // another Latin layout
  [{ ...plain, key: "?", code: "Slash" }, "?"],
  [{ ...plain, key: "r", code: "KeyR", ctrlKey: true }, null],
])("key %o", (event, name) => expect(keyName(event)).toBe(name));

it("gives a key to the newest first", () => {
  const old = shortcut("Escape");
  const newest = shortcut("Escape");
  expect(matching([[old], [newest]], "Escape", null).runs).toEqual([newest, old]);
});

it("waits for a second key", () => {
  const all = [[shortcut("g t"), shortcut("t")]];
  expect(matching(all, "g", null)).toEqual({ runs: [], isBeginning: true });
  expect(matching(all, "t", "g").runs.map((one) => one.keys)).toEqual(["g t"]);
  expect(matching(all, "t", null).runs.map((one) => one.keys)).toEqual(["t"]);
  expect(matching(all, "x", "g").runs).toEqual([]);
});

test.each([
  ["ArrowDown", -1, 0], ["j", 3, 4], ["k", 0, 0], ["Home", 7, 0], ["End", 7, 9], ["a", 7, null],
])("%s from row %s", (key, from, to) => expect(rowAfter(key, from, 10)).toBe(to));
