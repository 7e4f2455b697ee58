import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Block, blocksOf, inlineOf } from "~/screens/runbooks/blocks";

const PACKS = new URL("../../src/trilens/rule_packs/", import.meta.url);
const pages = readdirSync(PACKS, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".md"))
  .map((path) => ({ path, text: readFileSync(new URL(path, PACKS), "utf8") }));

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "");

/** What a person sees of it, without the marks. */
function seen(block: Block): string {
  const plain = (text: string) => inlineOf(text).map((part) => part.text).join("");
  if (block.kind === "code") return block.text;
  return block.kind === "list" ? block.items.map(plain).join(" ") : plain(block.text);
}

function withoutMarks(text: string): string {
  return text
    .replace(/^```\w*$/gm, "").replace(/^##? /gm, "").replace(/^(-|\d+\.) /gm, "")
    .replace(/\[([^\]]+)\]\([^)]+\)/g, "$1");
}

describe("all pages", () => {
  it("are found", () => expect(pages.length).toBeGreaterThan(50));
  it.each(pages)("$path is shown word by word", ({ text }) => {
    const shown = blocksOf(text).map(seen).join("\n").replaceAll("`", "");
    expect(words(shown)).toEqual(words(withoutMarks(text).replaceAll("`", "")));
  });
  it.each(pages)("$path has its heading, sections, queries and lists", ({ text }) => {
    const blocks = blocksOf(text);
    expect(blocks[0]).toMatchObject({ kind: "heading", level: 1 });
    expect(blocks.filter((one) => one.kind === "heading").length).toBe(6);
    expect(blocks.some((one) => one.kind === "code" && one.language === "promql")).toBe(true);
    expect(blocks.some((one) => one.kind === "list" && one.isNumbered)).toBe(true);
  });
});

describe("what is not right", () => {
  it("of code without an end takes the rest", () =>
    expect(blocksOf("```sh\na\n\n# b")).toEqual([{ kind: "code", language: "sh", text: "a\n\n# b" }]));
  it("of an empty text is nothing", () => expect(blocksOf("\n \n")).toEqual([]));
  it("leaves marks alone that are none", () => {
    expect(inlineOf("a ` b [c] (d) [e](f g)")).toEqual([{ kind: "text", text: "a ` b [c] (d) [e](f g)" }]);
    expect(blocksOf("### x\n-y\n1.z")).toEqual([{ kind: "paragraph", text: "### x -y 1.z" }]);
  });
  it("keeps two lists apart, and lines of an item together", () =>
    expect(blocksOf("- a\n  b\n- c\n1. d")).toEqual([
      { kind: "list", isNumbered: false, items: ["a b", "c"] },
      { kind: "list", isNumbered: true, items: ["d"] },
    ]));
});
