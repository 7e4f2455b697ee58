/** Where the time of a trace went: a span's own time, and the way that decided how long it took. */

import { childrenOf, type TraceNode, type TraceTree } from "./trace_tree";

export type Piece = readonly [fromNs: number, toNs: number];

const known = new WeakMap<TraceNode, readonly Piece[]>();

/** When nothing below a span was at work: its own time, or a gap in what was recorded. */
export function ownPieces(tree: TraceTree, place: number): readonly Piece[] {
  const node = tree.nodes[place];
  if (node === undefined) return [];
  const pieces = known.get(node) ?? piecesOf(tree, place, node);
  known.set(node, pieces);
  return pieces;
}

function piecesOf(tree: TraceTree, place: number, node: TraceNode): Piece[] {
  const children = childrenOf(tree, place)
    .flatMap((at) => tree.nodes[at] ?? [])
    .sort((one, other) => one.startNs - other.startNs);
  const pieces: Piece[] = [];
  let from = node.startNs;
  for (const child of children) {
    if (child.startNs > from) pieces.push([from, Math.min(child.startNs, node.endNs)]);
    from = Math.max(from, child.endNs);
    if (from >= node.endNs) break;
  }
  if (from < node.endNs) pieces.push([from, node.endNs]);
  return pieces.filter(([start, end]) => end > start);
}

/**
 * From the end of the first root backwards: each span waited for the child that ended last, before
 * that for the one that ended last before that one began. A consumer is not waited for. What ran
 * beside the path could be faster and nobody would notice.
 */
export function criticalPath(tree: TraceTree): ReadonlyMap<number, readonly Piece[]> {
  const path = new Map<number, Piece[]>();
  const root = tree.nodes.findIndex((node) => node.parent === -1);
  const waiting = root < 0 ? [] : [{ place: root, untilNs: tree.nodes[root]?.endNs ?? 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const node = tree.nodes[next.place];
    if (node === undefined) continue;
    const own: Piece[] = [];
    let untilNs = next.untilNs;
    for (const child of waitedFor(tree, next.place, untilNs)) {
      const endNs = Math.min(child.node.endNs, next.untilNs);
      if (endNs > untilNs || child.node.startNs >= untilNs) continue;
      if (endNs < untilNs) own.push([endNs, untilNs]);
      waiting.push({ place: child.place, untilNs: endNs });
      untilNs = Math.max(node.startNs, child.node.startNs);
      if (untilNs <= node.startNs) break;
    }
    if (untilNs > node.startNs) own.push([node.startNs, untilNs]);
    path.set(next.place, own.reverse());
  }
  return path;
}

function waitedFor(tree: TraceTree, place: number, untilNs: number): { place: number; node: TraceNode }[] {
  const fromNs = tree.nodes[place]?.startNs ?? 0;
  const children = childrenOf(tree, place).flatMap((at) => {
    const node = tree.nodes[at];
    if (node === undefined || node.span?.kind === "CONSUMER") return [];
    // By clocks that differ it may have been over before its parent began.
    return node.startNs >= untilNs || node.endNs <= fromNs ? [] : [{ place: at, node }];
  });
  return children.sort((one, other) => other.node.endNs - one.node.endNs);
}

export function lengthNs(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, [from, to]) => sum + to - from, 0);
}
