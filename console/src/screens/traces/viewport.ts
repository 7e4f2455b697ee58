/** Which part of a trace's time is in sight, and the ruler above it. All in ns since its start. */

export interface Viewport {
  readonly fromNs: number;
  readonly toNs: number;
}

const SHORTEST_NS = 100;
const STEPS = [1, 2, 5] as const;

export function whole(durationNs: number): Viewport {
  return { fromNs: 0, toNs: Math.max(durationNs, 1) };
}

/** Inside the trace, and no shorter than can be told apart. */
export function fitted(view: Viewport, durationNs: number): Viewport {
  const all = whole(durationNs);
  const lengthNs = Math.min(all.toNs, Math.max(SHORTEST_NS, view.toNs - view.fromNs));
  const fromNs = Math.min(Math.max(0, view.fromNs), all.toNs - lengthNs);
  return { fromNs, toNs: fromNs + lengthNs };
}

/** `factor` times as long, with `atNs` staying where it is. */
export function zoomed(view: Viewport, factor: number, atNs: number, durationNs: number): Viewport {
  const fromNs = atNs - (atNs - view.fromNs) * factor;
  return fitted({ fromNs, toNs: fromNs + (view.toNs - view.fromNs) * factor }, durationNs);
}

export function panned(view: Viewport, byNs: number, durationNs: number): Viewport {
  return fitted({ fromNs: view.fromNs + byNs, toNs: view.toNs + byNs }, durationNs);
}

/** A span with a tenth of its length at each side. */
export function around(fromNs: number, toNs: number, durationNs: number): Viewport {
  const room = Math.max(SHORTEST_NS, (toNs - fromNs) * 0.1);
  return fitted({ fromNs: fromNs - room, toNs: toNs + room }, durationNs);
}

export function isWhole(view: Viewport, durationNs: number): boolean {
  return view.fromNs <= 0 && view.toNs >= whole(durationNs).toNs;
}

/** Share of the width, 0 at the left; outside of 0..1 where it is out of sight. */
export function share(ns: number, view: Viewport): number {
  return (ns - view.fromNs) / (view.toNs - view.fromNs);
}

/** `1200-5300` in the address. */
export function viewportText(view: Viewport, durationNs: number): string | undefined {
  return isWhole(view, durationNs) ? undefined : `${Math.round(view.fromNs)}-${Math.round(view.toNs)}`;
}

export function readViewport(text: string | undefined, durationNs: number): Viewport {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text ?? "");
  const fromNs = Number(match?.[1] ?? 0);
  const toNs = Number(match?.[2] ?? 0);
  return match === null || toNs <= fromNs ? whole(durationNs) : fitted({ fromNs, toNs }, durationNs);
}

export interface Tick {
  readonly atNs: number;
  readonly label: string;
}

/** At most `most` round instants in sight, told apart by their labels. */
export function ticks(view: Viewport, most: number): Tick[] {
  const stepNs = stepOf((view.toNs - view.fromNs) / Math.max(1, most));
  const found: Tick[] = [];
  for (let at = Math.ceil(view.fromNs / stepNs) * stepNs; at <= view.toNs; at += stepNs) {
    found.push({ atNs: at, label: offset(at, stepNs, view.toNs) });
  }
  return found;
}

function stepOf(leastNs: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, leastNs)));
  const step = STEPS.find((one) => one * power >= leastNs);
  return (step ?? 10) * power;
}

const UNITS = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]] as const;

/** An instant since the start, in the unit of the greatest, with the decimals that the step needs. */
export function offset(ns: number, stepNs: number, greatestNs: number): string {
  const [unit, sizeNs] = UNITS.findLast(([, size]) => Math.abs(greatestNs) >= size) ?? UNITS[0];
  const decimals = Math.max(0, Math.ceil(-Math.log10(stepNs / sizeNs) - 1e-9));
  return `${(ns / sizeNs).toFixed(Math.min(9, decimals))} ${unit}`;
}
