/** j, k, arrows, Home, End and Enter in a list of `count` rows. */

import { useCallback, type KeyboardEvent } from "react";
import { useT } from "~/i18n/use_t";
import { useShortcuts } from "~/shell/keys";

interface Asked {
  readonly count: number;
  /** -1: none yet. */
  readonly active: number;
  readonly onActive: (row: number) => void;
  readonly onOpen?: ((row: number) => void) | undefined;
  /** The one list of its screen: the keys work without it having the focus. */
  readonly isMain: boolean;
}

export function useListKeys({ count, active, onActive, onOpen, isMain }: Asked) {
  const t = useT();
  const go = useCallback(
    (row: number) => {
      if (count > 0) onActive(Math.min(count - 1, Math.max(0, row)));
    },
    [count, onActive],
  );
  const open = () => {
    if (active < 0 || onOpen === undefined) return false;
    onOpen(active);
    return undefined;
  };
  useShortcuts(
    isMain
      ? [
          { keys: "j", label: t("keys.next"), group: "inLists", run: () => go(active + 1) },
          { keys: "k", label: t("keys.previous"), group: "inLists", run: () => go(active - 1) },
          { keys: "Enter", label: t("keys.open"), group: "inLists", run: open },
        ]
      : [],
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rowAfter(event.key, active, count);
    if (event.key === "Enter" && event.target === event.currentTarget && open() === undefined) event.stopPropagation();
    if (row === null) return;
    event.preventDefault();
    event.stopPropagation();
    go(row);
  };
  return { onKeyDown };
}

const PAGE_ROWS = 15;

/** Where a key leads; null for a key that leads nowhere. */
export function rowAfter(key: string, active: number, count: number): number | null {
  switch (key) {
    case "ArrowDown":
    case "j":
      return active + 1;
    case "ArrowUp":
    case "k":
      return Math.max(0, active - 1);
    case "PageDown":
      return active + PAGE_ROWS;
    case "PageUp":
      return Math.max(0, active - PAGE_ROWS);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
