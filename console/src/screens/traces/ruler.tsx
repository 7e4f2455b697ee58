/** The head of the waterfall: round instants since the start of the trace; dragging zooms. */

import { useElementSize } from "@mantine/hooks";
import { type KeyboardEvent, type PointerEvent, type RefObject, useState } from "react";
import { useT } from "~/i18n/use_t";
import { fitted, share, ticks, type Viewport, whole } from "./viewport";
import classes from "./waterfall.module.css";

export const ROWS_TOP_PX = 28;
const TICK_PX = 110;
/** Further right a label would be cut. */
const LABEL_SHARE_MAX = 0.95;
const BRUSH_PX_MIN = 4;
const NAME_PX_MIN = 140;
const NAME_PX_STEP = 20;

interface Props {
  readonly view: Viewport;
  readonly durationNs: number;
  readonly nameWidth: number;
  readonly label: RefObject<HTMLSpanElement | null>;
  readonly onView: (view: Viewport) => void;
  readonly onNameWidth: (px: number) => void;
}

export function Ruler({ view, durationNs, nameWidth, label, onView, onNameWidth }: Props) {
  const t = useT();
  const { ref, width } = useElementSize<HTMLDivElement>();
  const [brush, setBrush] = useState<readonly [number, number] | null>(null);
  const labelled = ticks(view, Math.max(2, width / TICK_PX)).filter((one) => share(one.atNs, view) < LABEL_SHARE_MAX);
  const nsAt = (x: number) => view.fromNs + (x / Math.max(1, width)) * (view.toNs - view.fromNs);
  const released = (event: PointerEvent<HTMLDivElement>) => {
    if (brush === null) return;
    const [from, to] = [Math.min(brush[0], xOf(event)), Math.max(brush[0], xOf(event))];
    setBrush(null);
    if (to - from >= BRUSH_PX_MIN) onView(fitted({ fromNs: nsAt(from), toNs: nsAt(to) }, durationNs));
  };
  return (
    <div className={classes.rulerRow} style={{ height: ROWS_TOP_PX }}>
      <div className={classes.nameHead}>{t("traces.serviceAndName")}</div>
      <Separator nameWidth={nameWidth} onNameWidth={onNameWidth} />
      <div
        ref={ref} className={classes.ruler} data-ruler title={t("traces.rulerHint")}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setBrush([xOf(event), xOf(event)]);
        }}
        onPointerMove={(event) => {
          if (brush !== null) setBrush([brush[0], xOf(event)]);
        }}
        onPointerUp={released} onPointerCancel={() => setBrush(null)} onDoubleClick={() => onView(whole(durationNs))}
      >
        {labelled.map((tick) => (
          <span key={tick.atNs} className={classes.rulerTick} style={{ left: `${share(tick.atNs, view) * 100}%` }}>
            {tick.label}
          </span>
        ))}
        {brush !== null && (
          <div
            className={classes.minimapBrush}
            style={{ left: Math.min(...brush), width: Math.abs(brush[1] - brush[0]) }}
          />
        )}
      </div>
      <span ref={label} className={classes.cursorLabel} aria-hidden />
    </div>
  );
}

function xOf(event: PointerEvent<HTMLDivElement>): number {
  return event.clientX - event.currentTarget.getBoundingClientRect().left;
}

interface SeparatorProps {
  readonly nameWidth: number;
  readonly onNameWidth: (px: number) => void;
}

/** Between names and times: dragged, or moved by the arrow keys when it has the focus. */
function Separator({ nameWidth, onNameWidth }: SeparatorProps) {
  const t = useT();
  const [isDragged, setDragged] = useState(false);
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    event.stopPropagation();
    onNameWidth(Math.max(NAME_PX_MIN, nameWidth + (event.key === "ArrowLeft" ? -NAME_PX_STEP : NAME_PX_STEP)));
  };
  return (
    <div
      className={classes.separator} role="separator" aria-orientation="vertical" aria-label={t("traces.nameWidth")}
      aria-valuenow={Math.round(nameWidth)} aria-valuemin={NAME_PX_MIN} tabIndex={0} onKeyDown={pressed}
      style={{ left: nameWidth - 4 }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDragged(true);
      }}
      onPointerMove={(event) => {
        const row = event.currentTarget.parentElement?.getBoundingClientRect();
        if (!isDragged || row === undefined) return;
        onNameWidth(Math.min(row.width * 0.7, Math.max(NAME_PX_MIN, event.clientX - row.left)));
      }}
      onPointerUp={() => setDragged(false)} onPointerCancel={() => setDragged(false)}
    />
  );
}
