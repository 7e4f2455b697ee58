/** Walking a trace by keys: rows, levels, what was found, errors, the part in sight. */

import { useT } from "~/i18n/use_t";
import { useShortcuts } from "~/shell/keys";
import { nextOf } from "./span_search";
import type { TraceTree } from "./trace_tree";
import type { Folding } from "./use_folding";
import { around, type Viewport, whole } from "./viewport";

interface Asked {
  readonly tree: TraceTree;
  readonly folding: Folding;
  readonly selected: string | undefined;
  readonly found: readonly number[];
  readonly onSelect: (key: string) => void;
  readonly onClose: () => void;
  readonly onView: (view: Viewport) => void;
}

const PAGE_ROWS = 15;

export function useTraceKeys(asked: Asked) {
  const { tree, folding, selected, found, onSelect, onView } = asked;
  const t = useT();
  const place = selected === undefined ? -1 : (tree.placeOf.get(selected) ?? -1);
  const row = folding.places.indexOf(place);
  const node = tree.nodes[place];
  const go = (to: number) => {
    const target = folding.places[Math.min(folding.places.length - 1, Math.max(0, to))];
    const key = target === undefined ? undefined : tree.nodes[target]?.key;
    if (key !== undefined) onSelect(key);
  };
  const jump = (places: readonly number[], direction: 1 | -1) => {
    const next = nextOf(places, place, direction);
    const key = next === undefined ? undefined : tree.nodes[next]?.key;
    if (key === undefined) return false;
    onSelect(key);
    return undefined;
  };
  const fold = () => {
    const parent = tree.nodes[node?.parent ?? -1];
    if (node === undefined) go(0);
    else if (node.below > 0 && !folding.collapsed.has(node.key)) folding.fold(node.key, true);
    else if (parent !== undefined) onSelect(parent.key);
  };
  const unfold = () => {
    if (node === undefined) go(0);
    else if (folding.collapsed.has(node.key)) folding.fold(node.key, false);
    else if (node.below > 0) go(row + 1);
  };
  const focus = () => {
    if (node === undefined) return false;
    onView(around(node.startNs, node.endNs, tree.durationNs));
    return undefined;
  };
  const group = "onScreen" as const;
  useShortcuts([
    { keys: "j", label: t("keys.next"), group: "inLists", run: () => go(row + 1) },
    { keys: "k", label: t("keys.previous"), group: "inLists", run: () => go(row - 1) },
    // Known without being told.
    { keys: "ArrowDown", label: "", group: "inLists", run: () => go(row + 1) },
    { keys: "ArrowUp", label: "", group: "inLists", run: () => go(row - 1) },
    { keys: "PageDown", label: "", group: "inLists", run: () => go(row + PAGE_ROWS) },
    { keys: "PageUp", label: "", group: "inLists", run: () => go(row - PAGE_ROWS) },
    { keys: "Home", label: "", group: "inLists", run: () => go(0) },
    { keys: "End", label: "", group: "inLists", run: () => go(folding.places.length - 1) },
    { keys: "ArrowLeft", label: t("traces.keyFold"), group, run: fold },
    { keys: "ArrowRight", label: t("traces.keyUnfold"), group, run: unfold },
    { keys: "n", label: t("traces.keyNextFound"), group, run: () => jump(found, 1) },
    { keys: "N", label: t("traces.keyPreviousFound"), group, run: () => jump(found, -1) },
    { keys: "e", label: t("traces.keyNextError"), group, run: () => jump(errorsOf(tree), 1) },
    { keys: "f", label: t("traces.keyFocus"), group, run: focus },
    { keys: "0", label: t("traces.keyWhole"), group, run: () => onView(whole(tree.durationNs)) },
    {
      keys: "Escape", label: t("keys.close"), group: "everywhere",
      run: () => (selected === undefined ? false : asked.onClose()),
    },
  ]);
}

export function errorsOf(tree: TraceTree): number[] {
  return tree.nodes.flatMap((node, at) => (node.span?.status === "ERROR" ? [at] : []));
}
