import { describe, expect, it, test } from "vitest";
import { translator } from "~/i18n/use_t";
import { pieces, plain } from "~/screens/logs/ansi";
import { oneLine, wrapped } from "~/screens/logs/body_text";
import { toggledColumn, USUAL_COLUMNS, valueOf } from "~/screens/logs/columns";
import { highlighter, marked } from "~/screens/logs/highlight";
import { jsonTokens } from "~/screens/logs/json_tokens";
import { mistakeInWords } from "~/screens/logs/mistake_words";
import { leave, leftAt } from "~/screens/logs/place_memory";
import { cutAt } from "~/screens/logs/query_error";
import { attributesOf, identityOf, sourceConditions } from "~/screens/logs/row_fields";
import { row } from "./log_rows";

describe("escape sequences", () => {
  it("become styles", () =>
    expect(pieces("a\u001b[31;1mb\u001b[0mc")).toEqual([
      { text: "a" }, { text: "b", color: "red", isBold: true }, { text: "c" },
    ]));
  test.each([
    ["\u001b[38;5;196mx", { text: "x", color: undefined }],
    ["\u001b[38;5;12mx", { text: "x", color: "blue" }],
    ["\u001b[38;2;1;2;3;1mx", { text: "x", color: undefined, isBold: true }],
    ["\u001b[48;5;1;32mx", { text: "x", color: "green" }],
    ["\u001b[mx", { text: "x" }],
  ])("%j", (text, piece) => expect(pieces(text)).toEqual([piece]));
  test.each([
    ["\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u001b]0;title\u0007x", "x"],
    ["\u001b[2K\u001b[1;1Hx", "x"],
    ["x\u001b", "x"],
    ["x\u001b[", "x["],
    ["\u001b(Bx", "x"],
  ])("%j leaves no trace", (text, left) => expect(plain(text)).toBe(left));
  it("shows what cannot be seen", () => expect(pieces("a\u0000\u0007\u007f\r\nb\t")).toEqual([{ text: "a␀␇␡\nb\t" }]));
});

describe("JSON", () => {
  const shown = (text: string) => jsonTokens(text)?.map((token) => token.text).join("");
  it("is set out without being read into values", () =>
    expect(shown('{"id":12345678901234567890,"a":[1.50,{}],"b":[],"s":"{,\\"}"}')).toBe(
      '{\n  "id": 12345678901234567890,\n  "a": [\n    1.50,\n    {}\n  ],\n  "b": [],\n  "s": "{,\\"}"\n}',
    ));
  it("tells keys from values", () =>
    expect(jsonTokens('{"a":"b"}')?.filter((one) => one.text.startsWith('"')).map((one) => one.kind)).toEqual([
      "key", "string",
    ]));
  test.each(["12", '"a"', "{a}", '{"a":1} x', "", "[1,]"])("%s is none", (text) => expect(jsonTokens(text)).toBeNull());
});

describe("what the search found", () => {
  const found = (query: string, text: string) =>
    marked(text, highlighter(query)).flatMap((one) => (one.isFound ? [one.text] : []));
  test.each([
    ["reset", "Reset, resets RESET", ["Reset", "RESET"]],
    ["conn*", "connection to conn", ["conn", "conn"]],
    ['"connection reset"', "connection: reset", ["connection: reset"]],
    ["user-id=5", "user-id=5 user", ["user-id=5"]],
    ["결제", "결제 승인, 결제함", ["결제"]],
    ["a -b", "a b", ["a"]],
    ["NOT (a b) c", "a b c", ["c"]],
    ["(a OR b) AND c", "a b c OR AND", ["a", "b", "c"]],
    ["service:a severity:>=warn body:b", "a warn b", ["b"]],
    ["===", "a === b", ["==="]],
    ['"a\\"b"', 'a"b', ['a"b']],
    ["-(a OR -b) a", "a b", ["a"]],
  ])("%s", (query, text, marks) => expect(found(query, text)).toEqual(marks));
  test.each(["", "-a", "service:x", '"', "("])("nothing for %s", (query) => expect(highlighter(query)).toBeNull());
});

describe("the mistake", () => {
  it("is at a character, not at a UTF-16 unit", () =>
    expect(cutAt("😀 a (b c", 4)).toEqual({ before: "😀 a ", wrong: "(", after: "b c" }));
  it("is a whole term", () => expect(cutAt("a servic:x b", 2).wrong).toBe("servic:x"));
  it("may be at the end", () => expect(cutAt("a OR", 4)).toEqual({ before: "a OR", wrong: "", after: "" }));
  it("is told in Korean", () => {
    const t = translator("ko");
    expect(mistakeInWords("this ( is never closed", t)).toBe("이 괄호가 닫히지 않았습니다");
    expect(mistakeInWords("unknown field 'servic'; known are cluster", t)).toContain("attributes.servic");
    expect(mistakeInWords("something new", t)).toBe("something new");
  });
});

describe("columns", () => {
  it("take values from anywhere in a row", () => {
    const one = row({ attributes: { "a.b": "1" }, resource: { c: "2" } });
    expect(["service", "attributes.a.b", "resource.c", "attributes.x", "body"].map((field) => valueOf(one, field)))
      .toEqual(["checkout", "1", "2", "", ""]);
  });
  it("are not said when they are the usual ones", () => {
    const more = toggledColumn(USUAL_COLUMNS, "pod");
    expect(more).toEqual(["severity", "service", "pod"]);
    expect(toggledColumn(more ?? [], "pod")).toBeUndefined();
    expect(toggledColumn(["severity"], "severity")).toEqual([]);
  });
});

describe("a row taken apart", () => {
  it("says of what type attributes were", () => {
    const one = row({ attributes: { b: "1", a: "x" }, attribute_types: ["int", "string"] });
    expect(attributesOf(one).map((field) => [field.name, field.type])).toEqual([["a", "string"], ["b", "int"]]);
  });
  it("does not guess types when the order is lost", () => {
    const one = row({ attributes: { b: "1", "0": "x" }, attribute_types: ["int", "string"] });
    expect(attributesOf(one).map((field) => field.type)).toEqual([undefined, undefined]);
  });
  it("leaves out what is empty", () =>
    expect(identityOf(row()).map((field) => field.name)).toEqual(["service", "node"]));
  it("knows its source", () =>
    expect(sourceConditions(row({ attributes: { "log.file.path": "/a" } })).map((one) => one.field)).toEqual([
      "service", "node", "attributes.log.file.path",
    ]));
});

describe("bodies in the list", () => {
  it("are one line", () => expect(oneLine("a\n\tat b\r\nc\td")).toBe("a ↵ at b ↵ c d"));
  it("are cut", () => {
    expect(oneLine("x".repeat(10_000)).length).toBeLessThan(1000);
    expect(wrapped(Array.from({ length: 100 }, () => "x").join("\n")).split("\n")).toHaveLength(30);
  });
});

it("remembers places, but not for ever", () => {
  const place = { range: { fromMs: 1, toMs: 2 }, offsetPx: 3 };
  for (let at = 0; at < 60; at += 1) leave(String(at), place);
  expect([leftAt("0"), leftAt("59")]).toEqual([undefined, place]);
});
