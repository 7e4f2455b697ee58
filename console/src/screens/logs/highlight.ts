/** What of a body the search has found: the words of the query language, as the server cuts them. */

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`;
const TERM = new RegExp(
  String.raw`\s+|(?<open>\()|(?<close>\))|(?<minus>-(?=[^\s)]))|` +
    String.raw`(?<field>[A-Za-z_][\w.\-/]*(?:${QUOTED})?:)?(?<value>${QUOTED}\*?|[^\s()"]+)`,
  "y",
);
const SIGN = "0-9a-z\\u0080-\\u{10ffff}";
const WORDS_MAX = 50;

/** Matches what is to be marked; null when the query looks for nothing in the body. */
export function highlighter(query: string): RegExp | null {
  const patterns = wanted(query).slice(0, WORDS_MAX).flatMap(patternOf);
  return patterns.length === 0 ? null : new RegExp(patterns.join("|"), "giu");
}

/** Terms for the body that must be there: negated ones and groups are left out. */
function wanted(query: string): string[] {
  const found: string[] = [];
  let isNegated = false;
  let depth = 0;
  let quietDepth = Infinity;
  TERM.lastIndex = 0;
  for (let match = TERM.exec(query); match !== null; match = TERM.exec(query)) {
    const { open, close, minus, field, value } = match.groups ?? {};
    if (open !== undefined) {
      if (isNegated) quietDepth = Math.min(quietDepth, depth);
      depth += 1;
      isNegated = false;
    } else if (close !== undefined) {
      depth -= 1;
      if (depth <= quietDepth) quietDepth = Infinity;
    } else if (minus !== undefined || (field === undefined && value === "NOT")) {
      isNegated = !isNegated;
    } else if (value !== undefined && !(field === undefined && /^(?:AND|OR)$/.test(value))) {
      if (!isNegated && quietDepth === Infinity && (field === undefined || field === "body:")) found.push(value);
      isNegated = false;
    }
  }
  return found;
}

function patternOf(term: string): string[] {
  const isPrefix = term.endsWith("*");
  const bare = isPrefix ? term.slice(0, -1) : term;
  const text = bare.startsWith('"') ? bare.slice(1, -1).replace(/\\(.)/g, "$1") : bare;
  const words = text.toLowerCase().match(new RegExp(`[${SIGN}]+`, "gu")) ?? [];
  if (words.length === 0) return text === "" ? [] : [text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")];
  const between = `[^${SIGN}]+`;
  return [`(?<![${SIGN}])${words.join(between)}${isPrefix ? "" : `(?![${SIGN}])`}`];
}

export interface Mark {
  readonly text: string;
  readonly isFound: boolean;
}

export function marked(text: string, found: RegExp | null): Mark[] {
  if (found === null) return [{ text, isFound: false }];
  const marks: Mark[] = [];
  let at = 0;
  for (const match of text.matchAll(found)) {
    if (match[0] === "") continue;
    if (match.index > at) marks.push({ text: text.slice(at, match.index), isFound: false });
    marks.push({ text: match[0], isFound: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) marks.push({ text: text.slice(at), isFound: false });
  return marks;
}
