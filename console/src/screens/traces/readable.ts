/** Texts of a span as they read best; never other than what was sent, but for white space of JSON. */

const STRUCTURED = new Set(["array", "kvlist"]);
const ONE_LINE_MAX = 60;

/** Lists and maps, and texts that are JSON objects, over several lines if they are long. */
export function readable(value: string, type: string | undefined): string {
  const isJson = STRUCTURED.has(type ?? "") || /^\s*[[{][\s\S]*[\]}]\s*$/.test(value);
  if (!isJson || value.length <= ONE_LINE_MAX) return value;
  try {
    return JSON.stringify(JSON.parse(value) as unknown, null, 2);
  } catch {
    return value;
  }
}

/** The types by key; none when a key looks like a number, for then the order of the keys is lost. */
export function typesOf(
  attributes: Readonly<Record<string, string>>,
  types: readonly string[],
): Readonly<Record<string, string>> {
  const keys = Object.keys(attributes);
  if (keys.length !== types.length || keys.some((key) => /^\d+$/.test(key))) return {};
  const found: Record<string, string> = {};
  keys.forEach((key, at) => {
    if (types[at] !== undefined && types[at] !== "") found[key] = types[at];
  });
  return found;
}

export interface StackLine {
  readonly text: string;
  /** A frame of a library or of the language: not where to look first. */
  readonly isForeign: boolean;
}

const FOREIGN = new RegExp(
  [
    "(?:site|dist)-packages", String.raw`/lib/python\d`, "/usr/lib/", "node_modules", "node:internal", "/gems/",
    String.raw`\b(?:java|javax|jdk|sun|System|Microsoft)\.`, String.raw`org\.springframework`, "/go/pkg/mod/",
    "/usr/local/go/",
  ].join("|"),
);
const FRAME = /^\s+(?:at |File ")|^\S+\(.*\)$|^\t/;

/** The lines of a stack trace. The code line below a frame of Python belongs to it. */
export function stackLines(text: string): StackLine[] {
  let isForeign = false;
  return text.split(/\r?\n/).map((line) => {
    if (FRAME.test(line)) isForeign = FOREIGN.test(line);
    else if (!/^\s{4,}/.test(line)) isForeign = false;
    return { text: line, isForeign };
  });
}
