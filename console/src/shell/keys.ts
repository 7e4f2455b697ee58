/**
 * Keyboard shortcuts. Whoever is on the screen registers its own; the newest that wants a key gets
 * it, so Esc closes what was opened last. Two keys with a space between are pressed one after the
 * other. A letter is told by its place when the keyboard writes another script.
 */

import { useEffect, useRef, useSyncExternalStore } from "react";

export type ShortcutGroup = "everywhere" | "onScreen" | "inLists";

export interface Shortcut {
  /** `g o`, `/`, `Escape`: names of KeyboardEvent.key. */
  readonly keys: string;
  readonly label: string;
  readonly group: ShortcutGroup;
  /** False: not wanted now, the next may have it. */
  readonly run: () => unknown;
}

interface Entry {
  shortcuts: readonly Shortcut[];
}

const SECOND_KEY_MS = 1200;
let entries: readonly Entry[] = [];
const listeners = new Set<() => void>();
/** A dialog was open when the key went down: the key is its own. */
let hasDialog = false;
let first: { key: string; atMs: number } | null = null;

function changed(next: readonly Entry[]) {
  entries = next;
  for (const listener of listeners) listener();
}

/** Registers while the component is there; labels and functions may change with each render. */
export function useShortcuts(shortcuts: readonly Shortcut[]) {
  const entry = useRef<Entry>({ shortcuts });
  useEffect(() => {
    entry.current.shortcuts = shortcuts;
  });
  useEffect(() => {
    const mine = entry.current;
    changed([...entries, mine]);
    return () => changed(entries.filter((one) => one !== mine));
  }, []);
}

/** All that are registered now, for the help; of the same keys only the newest. */
export function useAllShortcuts(): readonly Shortcut[] {
  const now = useSyncExternalStore(subscribe, () => entries);
  const byKeys = new Map(now.flatMap((entry) => entry.shortcuts).map((one) => [one.keys, one]));
  return [...byKeys.values()];
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The name of the key in shortcuts; null for one with a modifier, which is the browser's. */
export function keyName(event: {
  key: string;
  code: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}): string | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  const isOtherScript = event.key === "Process" || (event.key.length === 1 && event.key > "\u007f");
  return isOtherScript && letter !== undefined ? letter.toLowerCase() : event.key;
}

/** What a key does after `before`: an exact match, the beginning of a longer one, or nothing. */
export function matching(
  all: readonly (readonly Shortcut[])[],
  key: string,
  before: string | null,
): { runs: Shortcut[]; isBeginning: boolean } {
  const newestFirst = all.toReversed().flat();
  const pair = before === null ? [] : newestFirst.filter((one) => one.keys === `${before} ${key}`);
  if (pair.length > 0) return { runs: pair, isBeginning: false };
  return {
    runs: newestFirst.filter((one) => one.keys === key),
    isBeginning: newestFirst.some((one) => one.keys.startsWith(`${key} `)),
  };
}

function isTyping(target: EventTarget | null): target is HTMLElement {
  if (!(target instanceof HTMLElement)) return false;
  // A switch that was just clicked takes no letters.
  if (target instanceof HTMLInputElement && /^(?:radio|checkbox)$/.test(target.type)) return false;
  return target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function isOfPressed(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button") !== null;
}

function lookForDialog() {
  hasDialog = document.querySelector('[role="dialog"]') !== null;
}

function pressed(event: KeyboardEvent) {
  const key = keyName(event);
  if (key === null || hasDialog || event.defaultPrevented || event.isComposing) return;
  if (isTyping(event.target)) {
    if (key === "Escape") event.target.blur();
    return;
  }
  // A button or link that has the focus keeps its own Enter and Space.
  if ((key === "Enter" || key === " ") && isOfPressed(event.target)) return;
  const before = first !== null && event.timeStamp - first.atMs < SECOND_KEY_MS ? first.key : null;
  const { runs, isBeginning } = matching(entries.map((entry) => entry.shortcuts), key, before);
  first = isBeginning ? { key, atMs: event.timeStamp } : null;
  if (runs.some((one) => one.run() !== false)) event.preventDefault();
}

/** Once, by the frame of the application. */
export function useKeyboard() {
  useEffect(() => {
    window.addEventListener("keydown", lookForDialog, { capture: true });
    window.addEventListener("keydown", pressed);
    return () => {
      window.removeEventListener("keydown", lookForDialog, { capture: true });
      window.removeEventListener("keydown", pressed);
    };
  }, []);
}

/** Puts the cursor into the screen's search: the element with `data-search`. */
export function focusSearch(): boolean {
  const element = document.querySelector<HTMLElement>("[data-search]");
  if (element === null) return false;
  element.focus();
  if (element instanceof HTMLInputElement) element.select();
  return true;
}
