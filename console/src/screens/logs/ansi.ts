/**
 * Text as a terminal would show it: escape sequences (ECMA-48) become styles or nothing, control
 * characters that would be invisible get a sign.
 */

export const ANSI_COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
export type AnsiColor = (typeof ANSI_COLORS)[number];

export interface Style {
  readonly color?: AnsiColor | undefined;
  readonly isBold?: boolean | undefined;
  readonly isFaint?: boolean | undefined;
  readonly isItalic?: boolean | undefined;
  readonly isUnderlined?: boolean | undefined;
}

export interface Piece extends Style {
  readonly text: string;
}

// CSI ... final; OSC, DCS and the like up to their end; the two-character rest; a lone ESC.
const ESCAPE =
  // eslint-disable-next-line no-control-regex -- that is what it looks for
  /\u001b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-Z\\^-~]|)/g;
// eslint-disable-next-line no-control-regex -- as above; tab and line feed stay
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

export function hasEscapes(text: string): boolean {
  return text.includes("\u001b");
}

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let style: Style = {};
  let at = 0;
  const add = (part: string) => {
    if (part !== "") found.push({ ...style, text: withSigns(part) });
  };
  for (const match of text.matchAll(ESCAPE)) {
    add(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] === "m") style = styleAfter(style, match[1] ?? "");
  }
  add(text.slice(at));
  return found;
}

/** Without escape sequences, for titles and copies. */
export function plain(text: string): string {
  return hasEscapes(text) ? text.replace(ESCAPE, "") : text;
}

function withSigns(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(CONTROL, (sign) => (sign === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + sign.charCodeAt(0))));
}

/** SGR: of 256 colours the first sixteen, of true colours none; backgrounds would hide the text. */
function styleAfter(style: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map((one) => (one === "" ? 0 : Number(one)));
  let next = style;
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const isIndexed = codes[at + 1] === 5;
      if (code === 38) next = { ...next, color: isIndexed ? colorOf((codes[at + 2] ?? 16) % 256) : undefined };
      at += isIndexed ? 2 : 4;
      continue;
    }
    next = styleOf(next, code);
  }
  return next;
}

function styleOf(style: Style, code: number): Style {
  if (code === 0) return {};
  if (code === 1) return { ...style, isBold: true };
  if (code === 2) return { ...style, isFaint: true };
  if (code === 3) return { ...style, isItalic: true };
  if (code === 4) return { ...style, isUnderlined: true };
  if (code === 22) return { ...style, isBold: undefined, isFaint: undefined };
  if (code === 23) return { ...style, isItalic: undefined };
  if (code === 24) return { ...style, isUnderlined: undefined };
  if (code === 39) return { ...style, color: undefined };
  if (code >= 30 && code <= 37) return { ...style, color: colorOf(code - 30) };
  if (code >= 90 && code <= 97) return { ...style, color: colorOf(code - 90) };
  return style;
}

function colorOf(index: number): AnsiColor | undefined {
  return index < 16 ? ANSI_COLORS[index % 8] : undefined;
}
