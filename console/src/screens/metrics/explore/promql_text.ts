/** PromQL in small pieces: enough to tell which metrics a query reads and to read the builder's own queries. */

export interface Piece {
  readonly kind: "word" | "text" | "number" | "sign";
  /** Of a quoted text what it says, else as it stands. */
  readonly text: string;
}

const QUOTED = /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/.source;
const NEXT = new RegExp(`\\s+|#[^\\n]*|${QUOTED}|(\\d[\\w.]*)|([A-Za-z_:][\\w:]*)|(=~|!~|!=|==|>=|<=|\\S)`, "gy");

export function pieces(expr: string): Piece[] {
  const found: Piece[] = [];
  for (const [, quoted, number, word, sign] of expr.matchAll(NEXT)) {
    if (quoted !== undefined) found.push({ kind: "text", text: unquoted(quoted) });
    else if (number !== undefined) found.push({ kind: "number", text: number });
    else if (word !== undefined) found.push({ kind: "word", text: word });
    else if (sign !== undefined) found.push({ kind: "sign", text: sign });
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

function unquoted(text: string): string {
  const inside = text.slice(1, -1);
  return text.startsWith("`") ? inside : inside.replace(/\\(.)/gs, (_, one: string) => ESCAPES[one] ?? one);
}

export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

export const isPlainName = (name: string) => /^[A-Za-z_:][\w:]*$/.test(name);
export const isPlainLabel = (name: string) => /^[A-Za-z_]\w*$/.test(name);

const WORDS = new Set([
  "and", "or", "unless", "atan2", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool",
  "inf", "nan", "fill", "fill_left", "fill_right", "anchored", "smoothed",
]);
const LISTS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);

/** The metrics that a query names, in the order of the text. */
export function metricsOf(expr: string): string[] {
  const all = pieces(expr);
  const found = new Set<string>();
  let depth = 0;
  let list = false;
  all.forEach((piece, at) => {
    const before = all[at - 1]?.text;
    const after = all[at + 1]?.text;
    if (piece.kind === "sign") {
      if (piece.text === "{") depth += 1;
      if (piece.text === "}") depth -= 1;
      if (piece.text === "(" && before !== undefined && LISTS.has(before)) list = true;
      if (piece.text === ")") list = false;
      return;
    }
    if (list) return;
    if (depth > 0) {
      // `{"a name", ...}`: a text that is compared with nothing.
      if (piece.kind === "text" && (before === "{" || before === ",") && (after === "," || after === "}")) {
        found.add(piece.text);
      }
      if (piece.text === "__name__" && after === "=" && all[at + 2]?.kind === "text") found.add(all[at + 2]?.text ?? "");
      return;
    }
    const isCall = after === "(" || after === "by" || after === "without";
    if (piece.kind === "word" && !isCall && !WORDS.has(piece.text.toLowerCase())) found.add(piece.text);
  });
  return [...found];
}
