/** Durations on a logarithmic axis, and the point nearest to the cursor. */

export interface LogScale {
  readonly leastNs: number;
  readonly mostNs: number;
  readonly ticks: readonly number[];
}

/** Whole powers of ten around all durations; what took no time lies on the axis. */
export function logScale(durationsNs: readonly number[]): LogScale {
  let least = Infinity;
  let most = 0;
  for (const duration of durationsNs) {
    if (duration > 0) least = Math.min(least, duration);
    most = Math.max(most, duration);
  }
  if (most <= 0) return { leastNs: 1e6, mostNs: 1e9, ticks: [1e6, 1e7, 1e8, 1e9] };
  const from = Math.floor(Math.log10(Math.max(1, least)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(most)));
  const ticks = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at));
  return { leastNs: 10 ** from, mostNs: 10 ** to, ticks };
}

/** 0 at the bottom, 1 at the top. */
export function heightOf(durationNs: number, scale: LogScale): number {
  const bottom = Math.log10(scale.leastNs);
  const height = (Math.log10(Math.max(durationNs, scale.leastNs)) - bottom) / (Math.log10(scale.mostNs) - bottom);
  return Math.min(1, height);
}

export interface Dot {
  readonly x: number;
  readonly y: number;
}

/** Its place in the list, if one is within `reach`. */
export function nearest(dots: readonly Dot[], at: Dot, reach: number): number | null {
  let best: number | null = null;
  let bestSquare = reach * reach;
  dots.forEach((dot, place) => {
    const square = (dot.x - at.x) ** 2 + (dot.y - at.y) ** 2;
    if (square <= bestSquare) {
      best = place;
      bestSquare = square;
    }
  });
  return best;
}

/** Round instants of the range, about `most` of them, ms. */
export function timeTicks(fromMs: number, toMs: number, most: number): { atMs: number[]; stepMs: number } {
  const least = (toMs - fromMs) / Math.max(1, most);
  const stepMs = TIME_STEPS.find((step) => step >= least) ?? Math.ceil(least / 86_400e3) * 86_400e3;
  const atMs: number[] = [];
  for (let at = Math.ceil(fromMs / stepMs) * stepMs; at <= toMs; at += stepMs) atMs.push(at);
  return { atMs, stepMs };
}

const TIME_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3,
  3600e3, 7200e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 86_400e3, 2 * 86_400e3, 7 * 86_400e3,
];
