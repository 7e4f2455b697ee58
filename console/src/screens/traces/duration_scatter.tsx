/** Each trace of the list as a dot: when it began, how long it took. Dragging sets the range of all screens. */

import { useElementSize } from "@mantine/hooks";
import { type PointerEvent, useMemo, useState } from "react";
import type { TraceSummary } from "~/api/traces";
import { duration } from "~/format/durations";
import { millisecondsOf, rowTime, tick } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { useZone } from "~/state/preferences";
import type { TimeRange } from "~/state/time_range";
import { useTimeRange } from "~/state/use_time_range";
import { heightOf, logScale, nearest, timeTicks } from "./scatter_scale";
import classes from "./traces.module.css";

interface Props {
  readonly traces: readonly TraceSummary[];
  readonly range: TimeRange;
  readonly isOld: boolean;
  readonly onOpen: (trace: TraceSummary) => void;
}

const HEIGHT = 132;
const LEFT = 62;
const RIGHT = 14;
const TOP = 8;
const BOTTOM = 20;
const REACH_PX = 14;
const BRUSH_PX_MIN = 5;
const DOT_PX = 3;

export function DurationScatter({ traces, range, isOld, onOpen }: Props) {
  const t = useT();
  const { setRange, zoomOut } = useTimeRange();
  const { ref, width } = useElementSize<HTMLDivElement>();
  const [hover, setHover] = useState<number | null>(null);
  const [brush, setBrush] = useState<readonly [number, number] | null>(null);
  const plotWidth = Math.max(10, width - LEFT - RIGHT);
  const scale = useMemo(() => logScale(traces.map((trace) => trace.duration_ns)), [traces]);
  const dots = useMemo(
    () =>
      traces.map((trace) => ({
        x: LEFT + ((millisecondsOf(trace.start) - range.fromMs) / (range.toMs - range.fromMs)) * plotWidth,
        y: TOP + (1 - heightOf(trace.duration_ns, scale)) * (HEIGHT - TOP - BOTTOM),
      })),
    [traces, range, scale, plotWidth],
  );
  // Errors over the others.
  const order = useMemo(() => {
    const places = traces.map((_, at) => at);
    return places.sort((a, b) => Math.min(1, traces[a]?.error_count ?? 0) - Math.min(1, traces[b]?.error_count ?? 0));
  }, [traces]);
  const msAt = (x: number) => {
    const inside = Math.min(1, Math.max(0, (x - LEFT) / plotWidth));
    return Math.round(range.fromMs + inside * (range.toMs - range.fromMs));
  };
  const moved = (event: PointerEvent<SVGSVGElement>) => {
    const at = placeOf(event);
    if (brush !== null) setBrush([brush[0], at.x]);
    setHover(brush === null || Math.abs(brush[0] - at.x) < BRUSH_PX_MIN ? nearest(dots, at, REACH_PX) : null);
  };
  const released = (event: PointerEvent<SVGSVGElement>) => {
    const end = placeOf(event).x;
    const start = brush?.[0] ?? end;
    setBrush(null);
    if (Math.abs(end - start) >= BRUSH_PX_MIN) {
      const [fromMs, toMs] = [msAt(Math.min(start, end)), msAt(Math.max(start, end))];
      setRange({ fromMs, toMs: Math.max(toMs, fromMs + 1) });
    } else {
      const trace = traces[nearest(dots, placeOf(event), REACH_PX) ?? -1];
      if (trace !== undefined) onOpen(trace);
    }
  };
  const hovered = hover === null ? undefined : traces[hover];
  return (
    <div ref={ref} className={classes.scatter} data-old={isOld || undefined}>
      <svg
        width={width} height={HEIGHT} role="img" aria-label={t("traces.scatter", { n: traces.length })}
        data-hit={hovered !== undefined || undefined}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setBrush([placeOf(event).x, placeOf(event).x]);
        }}
        onPointerMove={moved} onPointerUp={released} onDoubleClick={zoomOut}
        onPointerCancel={() => setBrush(null)} onPointerLeave={() => setHover(null)}
      >
        <Axes range={range} scaleTicks={scale.ticks} width={plotWidth} />
        {brush !== null && (
          <rect
            className={classes.brush} x={Math.max(LEFT, Math.min(...brush))} y={TOP}
            width={Math.abs(brush[1] - brush[0])} height={HEIGHT - TOP - BOTTOM}
          />
        )}
        {order.map((at) => (
          <Dot
            key={traces[at]?.trace_id} x={dots[at]?.x ?? 0} y={dots[at]?.y ?? 0}
            isError={(traces[at]?.error_count ?? 0) > 0} isHovered={at === hover}
          />
        ))}
      </svg>
      {hovered !== undefined && hover !== null && (
        <ScatterTip trace={hovered} x={dots[hover]?.x ?? 0} width={width} />
      )}
    </div>
  );
}

function placeOf(event: PointerEvent<SVGSVGElement>): { x: number; y: number } {
  const box = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

interface DotProps {
  readonly x: number;
  readonly y: number;
  readonly isError: boolean;
  readonly isHovered: boolean;
}

/** With an error it is a diamond, so that the colour is not alone. */
function Dot({ x, y, isError, isHovered }: DotProps) {
  const size = isHovered ? DOT_PX + 2 : DOT_PX;
  if (!isError) return <circle className={classes.dot} cx={x} cy={y} r={size} />;
  const half = size + 1;
  const d = `M${x} ${y - half}l${half} ${half}l${-half} ${half}l${-half} ${-half}z`;
  return <path className={classes.dotError} d={d} />;
}

interface AxesProps {
  readonly range: TimeRange;
  readonly scaleTicks: readonly number[];
  readonly width: number;
}

function Axes({ range, scaleTicks, width }: AxesProps) {
  const zone = useZone();
  const height = HEIGHT - TOP - BOTTOM;
  const every = Math.ceil(scaleTicks.length / 5);
  const times = timeTicks(range.fromMs, range.toMs, Math.max(2, width / 110));
  return (
    <g className={classes.axes}>
      {scaleTicks.map((ns, at) => {
        if (at % every !== 0) return null;
        const y = TOP + (1 - at / (scaleTicks.length - 1)) * height;
        return (
          <g key={ns}>
            <line x1={LEFT} x2={LEFT + width} y1={y} y2={y} />
            <text x={LEFT - 8} y={y + 3.5} textAnchor="end">{duration(ns)}</text>
          </g>
        );
      })}
      {times.atMs.map((ms) => {
        const x = ((ms - range.fromMs) / (range.toMs - range.fromMs)) * width;
        return x > width - RIGHT ? null : (
          <text key={ms} x={LEFT + x} y={HEIGHT - 5} textAnchor="middle">
            {tick(ms, times.stepMs / 1000, zone)}
          </text>
        );
      })}
    </g>
  );
}

function ScatterTip({ trace, x, width }: { readonly trace: TraceSummary; readonly x: number; readonly width: number }) {
  const t = useT();
  const zone = useZone();
  const side = x > width / 2 ? { right: width - x + 12 } : { left: x + 12 };
  return (
    <div className={classes.scatterTip} style={side} aria-hidden>
      <div className={classes.tipName}>{`${trace.root_service} · ${trace.root_name}`}</div>
      <div className="muted">
        {[
          rowTime(millisecondsOf(trace.start), zone),
          duration(trace.duration_ns),
          t("traces.spans", { n: trace.span_count }),
          ...(trace.error_count === 0 ? [] : [t("traces.errors", { n: trace.error_count })]),
        ].join(" · ")}
      </div>
    </div>
  );
}
