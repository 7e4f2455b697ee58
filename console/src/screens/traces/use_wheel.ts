/** Ctrl and the wheel zoom at the cursor; sideways, or with Shift, the wheel moves what is in sight. */

import { type RefObject, useEffect, useRef } from "react";
import { isWhole, panned, type Viewport, zoomed } from "./viewport";

interface Asked {
  readonly view: Viewport;
  readonly nameWidth: number;
  readonly durationNs: number;
  readonly onView: (view: Viewport) => void;
}

const ZOOM_A_PIXEL = 1.0025;

export function useWheel(element: RefObject<HTMLElement | null>, asked: Asked) {
  const newest = useRef(asked);
  useEffect(() => {
    newest.current = asked;
  });
  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    const turned = (event: WheelEvent) => {
      const { view, nameWidth, durationNs, onView } = newest.current;
      const width = Math.max(1, target.clientWidth - nameWidth);
      const lengthNs = view.toNs - view.fromNs;
      const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const x = Math.max(0, event.clientX - target.getBoundingClientRect().left - nameWidth);
        onView(zoomed(view, ZOOM_A_PIXEL ** event.deltaY, view.fromNs + (x / width) * lengthNs, durationNs));
      } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY) && !isWhole(view, durationNs)) {
        event.preventDefault();
        onView(panned(view, (sideways / width) * lengthNs, durationNs));
      }
    };
    // Not passive: else the page would zoom.
    target.addEventListener("wheel", turned, { passive: false });
    return () => target.removeEventListener("wheel", turned);
  }, [element]);
}
