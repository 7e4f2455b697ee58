/**
 * The spans of one trace as a tree, each node followed by all that is below it.
 *
 * Times are shown as they were sent. What does not fit together is told, never mended: a parent
 * that has not arrived is a node of its own, parents that form a circle are cut at the earliest
 * span, of spans with one id the first has the children.
 */

import type { Span } from "~/api/traces";
import { nanosecondsOf } from "~/format/times";

export interface TraceNode {
  /** The span's id; `id~2` for the second span with it, `missing:id` for one that is not there. */
  readonly key: string;
  readonly spanId: string;
  /** Null: others name it as their parent, but it has not arrived. */
  readonly span: Span | null;
  /** ns since the start of the trace. */
  readonly startNs: number;
  readonly endNs: number;
  readonly depth: number;
  /** Its parent's place among the nodes; -1 for none. */
  readonly parent: number;
  /** How many nodes are below it. They come right after it. */
  readonly below: number;
  readonly errorsBelow: number;
  /** How much earlier than its parent it began: clocks that differ. 0 if not. */
  readonly earlyNs: number;
  readonly isOfCircle: boolean;
}

export interface TraceTree {
  readonly nodes: readonly TraceNode[];
  readonly placeOf: ReadonlyMap<string, number>;
  /** ns since 1970. */
  readonly startNs: bigint;
  readonly durationNs: number;
  /** In the order of their first span. */
  readonly services: readonly { readonly service: string; readonly spans: number }[];
  readonly depthMax: number;
  readonly errors: number;
  readonly missing: number;
  readonly early: number;
}

/** Less than this is the grain of many clocks. */
const EARLY_NS_MIN = 1_000;

interface Draft {
  key: string;
  spanId: string;
  span: Span | null;
  startNs: number;
  endNs: number;
  parentId: string;
  children: number[];
}

/** `spans` in the order of their start, as the API gives them. */
export function treeOf(spans: readonly Span[]): TraceTree {
  const { drafts, startNs, durationNs } = draftsOf(spans);
  const roots = linked(drafts);
  const nodes = ordered(drafts, roots);
  return {
    nodes,
    placeOf: new Map(nodes.map((node, at) => [node.key, at])),
    startNs,
    durationNs,
    services: servicesOf(spans),
    depthMax: nodes.reduce((most, node) => Math.max(most, node.depth), 0),
    errors: spans.filter((span) => span.status === "ERROR").length,
    missing: nodes.filter((node) => node.span === null).length,
    early: nodes.filter((node) => node.earlyNs > 0).length,
  };
}

function draftsOf(spans: readonly Span[]): { drafts: Draft[]; startNs: bigint; durationNs: number } {
  const starts = spans.map((span) => nanosecondsOf(span.timestamp));
  const startNs = starts.reduce((least, start) => (start < least ? start : least), starts[0] ?? 0n);
  const seen = new Map<string, number>();
  let durationNs = 0;
  const drafts = spans.map((span, at) => {
    const from = Number((starts[at] ?? startNs) - startNs);
    const times = (seen.get(span.span_id) ?? 0) + 1;
    seen.set(span.span_id, times);
    durationNs = Math.max(durationNs, from + span.duration_ns);
    return {
      key: times === 1 ? span.span_id : `${span.span_id}~${times}`,
      spanId: span.span_id,
      span,
      startNs: from,
      endNs: from + span.duration_ns,
      parentId: span.parent_span_id,
      children: [],
    };
  });
  return { drafts, startNs, durationNs };
}

/** Puts each under its parent, adds the parents that are missing, and gives the roots. */
function linked(drafts: Draft[]): number[] {
  const place = new Map<string, number>();
  drafts.forEach((draft, at) => place.set(draft.key, at));
  const roots: number[] = [];
  const received = drafts.length;
  for (let at = 0; at < received; at += 1) {
    const draft = drafts[at];
    if (draft === undefined) continue;
    if (draft.parentId === "") {
      roots.push(at);
      continue;
    }
    const parentAt = place.get(draft.parentId) ?? added(drafts, place, roots, draft.parentId);
    const parent = drafts[parentAt];
    if (parent === undefined) continue;
    parent.children.push(at);
    if (parent.span === null) {
      parent.startNs = Math.min(parent.startNs, draft.startNs);
      parent.endNs = Math.max(parent.endNs, draft.endNs);
    }
  }
  return roots.sort((one, other) => (drafts[one]?.startNs ?? 0) - (drafts[other]?.startNs ?? 0));
}

function added(drafts: Draft[], place: Map<string, number>, roots: number[], id: string): number {
  const at = drafts.length;
  drafts.push({
    key: `missing:${id}`, spanId: id, span: null, startNs: Infinity, endNs: 0, parentId: "", children: [],
  });
  place.set(id, at);
  roots.push(at);
  return at;
}

type Growing = { -readonly [Key in keyof TraceNode]: TraceNode[Key] };

/** Without recursion: a chain of 20,000 spans is no deeper than the heap. */
function ordered(drafts: readonly Draft[], roots: readonly number[]): TraceNode[] {
  const nodes: Growing[] = [];
  const isDone = new Uint8Array(drafts.length);
  const walk = (root: number, isOfCircle: boolean) => {
    const waiting = [{ at: root, parent: -1 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const draft = drafts[next.at];
      if (draft === undefined || isDone[next.at] === 1) continue;
      isDone[next.at] = 1;
      const place = nodes.length;
      nodes.push(nodeOf(draft, next.parent, nodes[next.parent], isOfCircle && next.at === root));
      for (let child = draft.children.length - 1; child >= 0; child -= 1) {
        waiting.push({ at: draft.children[child] ?? 0, parent: place });
      }
    }
  };
  roots.forEach((root) => walk(root, false));
  drafts.forEach((_, at) => {
    if (isDone[at] === 0) walk(at, true);
  });
  for (let at = nodes.length - 1; at > 0; at -= 1) {
    const node = nodes[at];
    const parent = node === undefined ? undefined : nodes[node.parent];
    if (node === undefined || parent === undefined) continue;
    parent.below += node.below + 1;
    parent.errorsBelow += node.errorsBelow + (node.span?.status === "ERROR" ? 1 : 0);
  }
  return nodes;
}

function nodeOf(draft: Draft, parentAt: number, parent: TraceNode | undefined, isOfCircle: boolean): Growing {
  const earlyNs = parent?.span == null ? 0 : parent.startNs - draft.startNs;
  return {
    key: draft.key,
    spanId: draft.spanId,
    span: draft.span,
    startNs: draft.startNs,
    endNs: draft.endNs,
    depth: parent === undefined ? 0 : parent.depth + 1,
    parent: parentAt,
    below: 0,
    errorsBelow: 0,
    earlyNs: earlyNs >= EARLY_NS_MIN ? earlyNs : 0,
    isOfCircle,
  };
}

function servicesOf(spans: readonly Span[]): { service: string; spans: number }[] {
  const counts = new Map<string, number>();
  for (const span of spans) counts.set(span.service, (counts.get(span.service) ?? 0) + 1);
  return [...counts].map(([service, count]) => ({ service, spans: count }));
}

/** Places of the nodes to show: what is below a collapsed one is left out. */
export function visiblePlaces(tree: TraceTree, collapsed: ReadonlySet<string>): number[] {
  const places: number[] = [];
  for (let at = 0; at < tree.nodes.length; at += 1) {
    const node = tree.nodes[at];
    if (node === undefined) break;
    places.push(at);
    if (collapsed.has(node.key)) at += node.below;
  }
  return places;
}

/** Keys of all nodes that have something below them and are at least so deep. */
export function foldable(tree: TraceTree, depthMin: number): string[] {
  return tree.nodes.filter((node) => node.below > 0 && node.depth >= depthMin).map((node) => node.key);
}

/** Places of a node's ancestors, the nearest first. */
export function ancestors(tree: TraceTree, place: number): number[] {
  const found: number[] = [];
  for (let at = tree.nodes[place]?.parent ?? -1; at >= 0; at = tree.nodes[at]?.parent ?? -1) found.push(at);
  return found;
}

export function childrenOf(tree: TraceTree, place: number): number[] {
  const node = tree.nodes[place];
  if (node === undefined) return [];
  const found: number[] = [];
  for (let at = place + 1; at <= place + node.below; at += (tree.nodes[at]?.below ?? 0) + 1) found.push(at);
  return found;
}
