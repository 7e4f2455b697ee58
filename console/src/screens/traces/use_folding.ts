/** Which nodes are folded. */

import { useCallback, useMemo, useState } from "react";
import { ancestors, foldable, type TraceTree, visiblePlaces } from "./trace_tree";

export interface Folding {
  readonly collapsed: ReadonlySet<string>;
  /** Places of the nodes that are shown. */
  readonly places: readonly number[];
  readonly toggle: (key: string) => void;
  readonly fold: (key: string, isFolded: boolean) => void;
  /** Unfolds everything above a node. */
  readonly reveal: (place: number) => void;
  readonly foldAll: () => void;
  readonly unfoldAll: () => void;
}

export function useFolding(tree: TraceTree): Folding {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const places = useMemo(() => visiblePlaces(tree, collapsed), [tree, collapsed]);
  const fold = useCallback(
    (key: string, isFolded: boolean) =>
      setCollapsed((old) => {
        const next = new Set(old);
        if (isFolded) next.add(key);
        else next.delete(key);
        return next;
      }),
    [],
  );
  const toggle = useCallback(
    (key: string) =>
      setCollapsed((old) => {
        const next = new Set(old);
        if (!next.delete(key)) next.add(key);
        return next;
      }),
    [],
  );
  const reveal = useCallback(
    (place: number) =>
      setCollapsed((old) => {
        const above = ancestors(tree, place).flatMap((at) => tree.nodes[at]?.key ?? []);
        if (!above.some((key) => old.has(key))) return old;
        return new Set([...old].filter((key) => !above.includes(key)));
      }),
    [tree],
  );
  return {
    collapsed, places, toggle, fold, reveal,
    foldAll: () => setCollapsed(new Set(foldable(tree, 1))),
    unfoldAll: () => setCollapsed(new Set()),
  };
}
