/** What is wrong with a search, in the language of the reader; a sentence not known here stays the server's. */

import type { Translate } from "~/i18n/use_t";

const MISTAKES: readonly (readonly [RegExp, string])[] = [
  [/^the quote " is never closed/, "openQuote"],
  [/^this \( is never closed/, "openGroup"],
  [/^nothing stands between the quotes/, "emptyQuotes"],
  [/^something is missing at the end/, "missingEnd"],
  [/^unexpected '(.+)'$/s, "unexpected"],
  [/^'?(.+?)'? is neither a word nor field:value/s, "notField"],
  [/^a value is missing after (.+?):/s, "missingValue"],
  [/^(\S+) and \* do not go together/, "prefixAndOrder"],
  [/^unknown field '(.+?)';/s, "unknownField"],
  [/^unknown severity '(.+?)';/s, "unknownSeverity"],
  [/^'(.+)' is not a number$/s, "notNumber"],
];

export function mistakeInWords(message: string, t: Translate): string {
  for (const [pattern, name] of MISTAKES) {
    const match = pattern.exec(message);
    if (match !== null) return t.maybe(`logs.mistake.${name}`, { what: match[1] ?? "" }) ?? message;
  }
  return message;
}
