/**
 * JSON set out over lines without being read into values: a number of twenty digits keeps them,
 * equal keys stay, the order stays.
 */

export type TokenKind = "key" | "string" | "number" | "word" | "sign" | "space";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const LENGTH_MAX = 500_000;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

/** Null when the text is not one JSON object or list, or too long to be worth it. */
export function jsonTokens(text: string): Token[] | null {
  const trimmed = text.trim();
  if (trimmed.length > LENGTH_MAX || !/^(?:\{[^]*\}|\[[^]*\])$/.test(trimmed) || !isJson(trimmed)) return null;
  return laidOut(trimmed.match(TOKEN) ?? []);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function laidOut(texts: readonly string[]): Token[] {
  const tokens: Token[] = [];
  let depth = 0;
  const line = () => tokens.push({ kind: "space", text: `\n${"  ".repeat(depth)}` });
  texts.forEach((text, at) => {
    const next = texts[at + 1];
    if (text === "}" || text === "]") {
      depth -= 1;
      if (!isOpening(texts[at - 1])) line();
    }
    tokens.push({ kind: kindOf(text, next), text: text === ":" ? ": " : text });
    if (isOpening(text)) {
      depth += 1;
      if (next !== "}" && next !== "]") line();
    }
    if (text === ",") line();
  });
  return tokens;
}

const isOpening = (text: string | undefined) => text === "{" || text === "[";

function kindOf(text: string, next: string | undefined): TokenKind {
  if (text.startsWith('"')) return next === ":" ? "key" : "string";
  if (/^[-\d]/.test(text)) return "number";
  return /^[a-z]/.test(text) ? "word" : "sign";
}
