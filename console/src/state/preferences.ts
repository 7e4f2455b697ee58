/** What a person chose for this browser: language, zone, width of the navigation. Not in the address. */

import { useSyncExternalStore } from "react";
import type { Zone } from "~/format/times";

export type Language = "en" | "ko";

export interface Preferences {
  readonly language: Language;
  readonly zone: Zone;
  readonly isNavigationNarrow: boolean;
}

const KEY = "trilens.preferences";
const listeners = new Set<() => void>();
let current: Preferences = readPreferences(stored(), languagesOfBrowser());

function languagesOfBrowser(): readonly string[] {
  return typeof navigator === "undefined" ? [] : navigator.languages;
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

/** Each value that is missing or malformed is the default. */
export function readPreferences(text: string | null, languages: readonly string[]): Preferences {
  const value = objectOf(text);
  const byBrowser = languages.find((one) => /^(?:en|ko)\b/.test(one))?.startsWith("ko");
  const language = value.language;
  return {
    language: language === "en" || language === "ko" ? language : byBrowser === true ? "ko" : "en",
    zone: value.zone === "utc" ? "utc" : "browser",
    isNavigationNarrow: value.isNavigationNarrow === true,
  };
}

function objectOf(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

export function setPreferences(changed: Partial<Preferences>) {
  current = { ...current, ...changed };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // As above.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, () => current);
}

export function useZone(): Zone {
  return usePreferences().zone;
}
