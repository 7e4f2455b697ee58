/** `const t = useT(); t("overview.hosts")`: the words in the language that was chosen. */

import { useMemo } from "react";
import { type Language, usePreferences } from "~/state/preferences";
import { en } from "./en";
import { ko } from "./ko";
import { filled, type PlacesOf, type Values } from "./text";

export type Words = typeof en;
export type WordKey = keyof Words;
type Args<Key extends WordKey> = [PlacesOf<Words[Key]>] extends [never]
  ? []
  : [Readonly<Record<PlacesOf<Words[Key]>, string | number>>];

export interface Translate {
  <Key extends WordKey>(key: Key, ...args: Args<Key>): string;
  /** For keys made from an answer's codes: undefined where there is no such key. */
  readonly maybe: (key: string, values?: Values) => string | undefined;
  readonly language: Language;
}

const LANGUAGES: Readonly<Record<Language, Readonly<Record<string, string>>>> = { en, ko };

export function translator(language: Language): Translate {
  const words = LANGUAGES[language];
  const maybe = (key: string, values: Values = {}) => {
    const text = words[key];
    return text === undefined ? undefined : filled(text, values);
  };
  const t = (key: string, values?: Values) => maybe(key, values) ?? key;
  return Object.assign(t, { maybe, language });
}

export function useT(): Translate {
  const { language } = usePreferences();
  return useMemo(() => translator(language), [language]);
}
