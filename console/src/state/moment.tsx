/**
 * Now, as all charts and questions of a screen see it: one moment, moved on together. It moves by
 * itself while the range is live and the page is seen, and when somebody asks for it.
 */

import { createContext, use, useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import type { TimeRange } from "./time_range";

interface Moment {
  readonly nowMs: number;
  /** Moves to the clock's time; `count` grows even if the range does not move with it. */
  readonly move: () => void;
  readonly count: number;
}

const MomentContext = createContext<Moment | null>(null);

const wholeSecond = () => Math.floor(Date.now() / 1000) * 1000;

/** Longer ranges change less from look to look, and cost more. */
export function livePauseMs(range: TimeRange): number {
  const lengthMs = range.toMs - range.fromMs;
  if (lengthMs <= 900e3) return 5e3;
  if (lengthMs <= 6 * 3600e3) return 10e3;
  return lengthMs <= 2 * 86_400e3 ? 30e3 : 60e3;
}

export function MomentProvider(props: { readonly children: ReactNode }) {
  const [state, setState] = useState(() => ({ nowMs: wholeSecond(), count: 0 }));
  const move = useCallback(
    () => setState((old) => ({ nowMs: wholeSecond(), count: old.count + 1 })),
    [],
  );
  const moment = useMemo(() => ({ ...state, move }), [state, move]);
  return <MomentContext value={moment}>{props.children}</MomentContext>;
}

export function useMoment(): Moment {
  const moment = use(MomentContext);
  if (moment === null) throw new Error("outside of MomentProvider");
  return moment;
}

/** Moves the moment every `pauseMs` while `isLive` and the page is seen; at once when it is seen again. */
export function useMovingMoment(isLive: boolean, pauseMs: number) {
  const { move } = useMoment();
  useEffect(() => {
    if (!isLive) return undefined;
    const look = () => {
      if (document.visibilityState === "visible") move();
    };
    const timer = window.setInterval(look, pauseMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      window.clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [isLive, pauseMs, move]);
}
