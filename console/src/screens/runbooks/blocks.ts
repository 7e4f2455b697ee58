/**
 * The Markdown of our own pages, and no more: headings, paragraphs, lists of both kinds, fenced
 * code; within a line `code` and [links](address). What is anything else stays text.
 */

export type Block =
  | { readonly kind: "heading"; readonly level: 1 | 2; readonly text: string }
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "list"; readonly isNumbered: boolean; readonly items: readonly string[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string };

export type Inline =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "link"; readonly text: string; readonly to: string };

const FENCE = /^```(\w*)$/;
const HEADING = /^(##?) (.+)$/;
const ITEM = /^(?:-|(\d+)\.) (.+)$/;
const INLINE = /`([^`]+)`|\[([^\]]+)\]\(([^()\s]+)\)/g;

export function blocksOf(text: string): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; ) {
    const [block, next] = blockAt(lines, at);
    if (block !== null) blocks.push(block);
    at = next;
  }
  return blocks;
}

/** The block that begins at a line, if one does, and the line after it. */
function blockAt(lines: readonly string[], at: number): [Block | null, number] {
  const line = lines[at] ?? "";
  if (line.trim() === "") return [null, at + 1];
  const fence = FENCE.exec(line);
  if (fence !== null) return codeAt(lines, at + 1, fence[1] ?? "");
  const heading = HEADING.exec(line);
  if (heading !== null) {
    return [{ kind: "heading", level: heading[1] === "#" ? 1 : 2, text: heading[2] ?? "" }, at + 1];
  }
  return ITEM.test(line) ? listAt(lines, at) : paragraphAt(lines, at);
}

function codeAt(lines: readonly string[], from: number, language: string): [Block, number] {
  const length = lines.slice(from).findIndex((line) => line === "```");
  const end = length < 0 ? lines.length : from + length;
  return [{ kind: "code", language, text: lines.slice(from, end).join("\n") }, end + 1];
}

/** Items follow each other; their further lines are indented. */
function listAt(lines: readonly string[], from: number): [Block, number] {
  const isNumbered = /^\d/.test(lines[from] ?? "");
  const items: string[] = [];
  let at = from;
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const item = ITEM.exec(line);
    if (item !== null && (item[1] !== undefined) === isNumbered) items.push(item[2] ?? "");
    else if (/^ +\S/.test(line)) items.push(`${items.pop() ?? ""} ${line.trim()}`);
    else break;
  }
  return [{ kind: "list", isNumbered, items }, at];
}

function paragraphAt(lines: readonly string[], from: number): [Block, number] {
  let at = from + 1;
  while (at < lines.length && isContinued(lines[at] ?? "")) at += 1;
  return [{ kind: "paragraph", text: lines.slice(from, at).map((line) => line.trim()).join(" ") }, at];
}

function isContinued(line: string): boolean {
  return line.trim() !== "" && !FENCE.test(line) && !HEADING.test(line) && !ITEM.test(line);
}

export function inlineOf(text: string): Inline[] {
  const parts: Inline[] = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) parts.push({ kind: "text", text: text.slice(end, found.index) });
    const [whole, code, label, to] = found;
    if (code !== undefined) parts.push({ kind: "code", text: code });
    else parts.push({ kind: "link", text: label ?? "", to: to ?? "" });
    end = found.index + whole.length;
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}
