/** The range of the list: it moves with the clock until somebody reads, then it waits. */

import { useState } from "react";
import type { TimeRange } from "~/state/time_range";

interface Held {
  readonly range: TimeRange;
  readonly key: string;
}

/**
 * While `isReading` the range stays as it was, whatever the clock does; another `key` (another
 * question, another range chosen) lets go at once. `first` is where it was left by Back.
 */
export function useHeldRange(
  range: TimeRange,
  options: { key: string; isReading: boolean; first?: TimeRange | undefined },
): { readonly range: TimeRange; readonly isHeld: boolean } {
  const { key, isReading, first } = options;
  const [held, setHeld] = useState<Held>({ range: first ?? range, key });
  const isMoved = held.range.fromMs !== range.fromMs || held.range.toMs !== range.toMs;
  const isReleased = held.key !== key || (!isReading && isMoved);
  if (isReleased) setHeld({ range, key });
  return { range: isReleased ? range : held.range, isHeld: !isReleased && isMoved };
}
