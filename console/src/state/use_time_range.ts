/** The one time range: read from the address, resolved at the shared moment, and changed from anywhere. */

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useMoment } from "./moment";
import {
  absolute, DEFAULT_RANGE, isRelative, resolve, shifted, untilNow, zoomedOut, type TimeRange, type TimeText,
} from "./time_range";

export interface TimeControl {
  readonly text: TimeText;
  readonly range: TimeRange;
  /** It ends now and moves with the clock. */
  readonly isLive: boolean;
  readonly canBeLive: boolean;
  readonly setText: (text: TimeText) => void;
  readonly setRange: (range: TimeRange) => void;
  readonly setLive: (isLive: boolean) => void;
  /** Live or paused; a range that ends in the past becomes one until now of the same length. */
  readonly toggleLive: () => void;
  readonly shift: (direction: -1 | 1) => void;
  readonly zoomOut: () => void;
}

export function useTimeRange(): TimeControl {
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const { nowMs } = useMoment();
  return useMemo(() => {
    const asked: TimeText = {
      from: search.from ?? DEFAULT_RANGE.from,
      to: search.to ?? DEFAULT_RANGE.to,
    };
    const asResolved = resolve(asked, nowMs);
    const text = asResolved === null ? DEFAULT_RANGE : asked;
    const range = asResolved ?? resolve(DEFAULT_RANGE, nowMs) ?? { fromMs: 0, toMs: nowMs };
    const setText = (next: TimeText) =>
      void navigate({ to: ".", search: (old) => ({ ...old, from: next.from, to: next.to }) });
    const canBeLive = isRelative(text) && text.to.startsWith("now");
    const isLive = canBeLive && search.live !== false;
    const setLive = (isWanted: boolean) =>
      void navigate({
        to: ".",
        replace: true,
        search: (old) => ({ ...old, live: isWanted ? undefined : false }),
      });
    return {
      text,
      range,
      canBeLive,
      isLive,
      setText,
      setRange: (next: TimeRange) => setText(absolute(next)),
      setLive,
      toggleLive: () => (canBeLive ? setLive(!isLive) : setText(untilNow(range))),
      shift: (direction: -1 | 1) => setText(shifted(range, direction, Date.now())),
      zoomOut: () => setText(zoomedOut(text, range, Date.now())),
    };
  }, [search.from, search.to, search.live, navigate, nowMs]);
}
