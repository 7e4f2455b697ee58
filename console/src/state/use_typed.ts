/**
 * A text that is typed into the address: the field shows it at once, the address follows in its own
 * time. What comes from elsewhere (Back, a link) replaces what was typed.
 */

import { useState } from "react";

interface Typed {
  readonly text: string;
  /** The address's text as it was seen last. */
  readonly seen: string;
  /** On the way into the address, oldest first. */
  readonly sent: readonly string[];
}

export function useTyped(value: string, onChange: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState<Typed>({ text: value, seen: value, sent: [] });
  if (value !== typed.seen) setTyped(arrived(typed, value));
  const change = (text: string) => {
    setTyped((old) => ({ ...old, text, sent: [...old.sent, text] }));
    onChange(text);
  };
  return [typed.text, change];
}

export function arrived(typed: Typed, value: string): Typed {
  const at = typed.sent.indexOf(value);
  if (at < 0) return { text: value, seen: value, sent: [] };
  return { ...typed, seen: value, sent: typed.sent.slice(at + 1) };
}
