/** All spans of the trace in a few pixels. Dragging chooses the part in sight, a double click all of it. */

import { useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { useT } from "~/i18n/use_t";
import { SEVERITY_COLORS } from "~/theme";
import type { ServiceColors } from "./service_colors";
import type { TraceTree } from "./trace_tree";
import { fitted, isWhole, share, type Viewport, whole } from "./viewport";
import classes from "./waterfall.module.css";

interface Props {
  readonly tree: TraceTree;
  readonly colors: ServiceColors;
  readonly view: Viewport;
  readonly onView: (view: Viewport) => void;
}

const HEIGHT = 44;
const BRUSH_PX_MIN = 4;

export function Minimap({ tree, colors, view, onView }: Props) {
  const t = useT();
  const { ref, width } = useElementSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("dark");
  const [brush, setBrush] = useState<readonly [number, number] | null>(null);
  useEffect(() => {
    if (canvas.current !== null && width > 0) draw(canvas.current, tree, colors, SEVERITY_COLORS[scheme].ERROR, width);
  }, [tree, colors, scheme, width]);

  const all = whole(tree.durationNs);
  const nsAt = (x: number) => (Math.min(width, Math.max(0, x)) / Math.max(1, width)) * all.toNs;
  const released = (event: PointerEvent<HTMLDivElement>) => {
    if (brush === null) return;
    const [from, to] = [Math.min(brush[0], xOf(event)), Math.max(brush[0], xOf(event))];
    setBrush(null);
    if (to - from >= BRUSH_PX_MIN) onView(fitted({ fromNs: nsAt(from), toNs: nsAt(to) }, tree.durationNs));
  };
  const left = share(view.fromNs, all) * 100;
  const right = 100 - share(view.toNs, all) * 100;
  return (
    <div
      ref={ref} className={classes.minimap} style={{ height: HEIGHT }} role="img" aria-label={t("traces.minimap")}
      title={t("traces.minimap")}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setBrush([xOf(event), xOf(event)]);
      }}
      onPointerMove={(event) => {
        if (brush !== null) setBrush([brush[0], xOf(event)]);
      }}
      onPointerUp={released} onPointerCancel={() => setBrush(null)} onDoubleClick={() => onView(all)}
    >
      <canvas ref={canvas} />
      {!isWhole(view, tree.durationNs) && (
        <>
          <div className={classes.minimapOut} style={{ left: 0, width: `${left}%` }} />
          <div className={classes.minimapOut} style={{ right: 0, width: `${right}%` }} />
          <div className={classes.minimapIn} style={{ left: `${left}%`, right: `${right}%` }} />
        </>
      )}
      {brush !== null && (
        <div
          className={classes.minimapBrush}
          style={{ left: Math.min(...brush), width: Math.abs(brush[1] - brush[0]) }}
        />
      )}
    </div>
  );
}

function xOf(event: PointerEvent<HTMLDivElement>): number {
  return event.clientX - event.currentTarget.getBoundingClientRect().left;
}

/** One line a span; when there are more spans than lines, several share one. */
function draw(canvas: HTMLCanvasElement, tree: TraceTree, colors: ServiceColors, errorColor: string, width: number) {
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(ratio, ratio);
  const count = Math.max(1, tree.nodes.length);
  const perLine = (HEIGHT - 4) / count;
  const lineHeight = Math.min(4, Math.max(1, perLine * 0.75));
  const all = whole(tree.durationNs);
  for (const isErrors of [false, true]) {
    tree.nodes.forEach((node, at) => {
      if (node.span === null || (node.span.status === "ERROR") !== isErrors) return;
      context.fillStyle = isErrors ? errorColor : (colors.get(node.span.service) ?? errorColor);
      const x = share(node.startNs, all) * width;
      const length = Math.max(isErrors ? 2 : 1, ((node.endNs - node.startNs) / all.toNs) * width);
      context.fillRect(x, 2 + Math.min(HEIGHT - 4 - lineHeight, at * perLine), length, lineHeight);
    });
  }
}
