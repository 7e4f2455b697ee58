/** Where a list was left: Back finds the same rows at the same height. By entry of the history. */

import type { TimeRange } from "~/state/time_range";

export interface Place {
  readonly range: TimeRange;
  readonly offsetPx: number;
}

const ENTRIES_MAX = 50;
const places = new Map<string, Place>();

export function leftAt(entry: string): Place | undefined {
  return places.get(entry);
}

export function leave(entry: string, place: Place) {
  places.delete(entry);
  places.set(entry, place);
  const [oldest] = places.keys();
  if (places.size > ENTRIES_MAX && oldest !== undefined) places.delete(oldest);
}
