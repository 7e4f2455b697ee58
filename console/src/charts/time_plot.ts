/** The options of a chart over time, and what is under the cursor. */

import { useLayoutEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import type { Zone } from "~/format/times";
import type { Unit } from "~/format/units";
import type { TimeControl } from "~/state/use_time_range";
import type { Scheme } from "~/theme";
import { isolatedRows } from "./align";
import { axes } from "./axes";
import type { PlotOptions } from "./plot";

export type ChartKind = "lines" | "area" | "bars";

/** Charts with this key share their cursor. */
const SYNC_KEY = "time";
const BRUSH_PX_MIN = 5;
const FOCUS_PX = 24;

export interface LineStyle {
  readonly color: string;
  readonly dash: number[];
}

export interface Hover {
  readonly row: number | null;
  /** The cursor is over this chart, not over one that shares it. */
  readonly isHere: boolean;
  /** The value at the height of the cursor. */
  readonly value: number;
  readonly leftPx: number;
  readonly widthPx: number;
}

const NO_HOVER: Hover = { row: null, isHere: false, value: 0, leftPx: 0, widthPx: 0 };

interface Asked {
  readonly kind: ChartKind;
  readonly unit: Unit;
  readonly format: (value: number) => string;
  readonly zone: Zone;
  readonly scheme: Scheme;
  readonly styles: readonly LineStyle[];
  readonly stepMs: number;
  readonly isFromZero: boolean;
  readonly control: TimeControl;
}

/** Where the lines are drawn, and from which moment and value to which. */
export interface PlotPlace {
  readonly leftPx: number;
  readonly topPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

export function useTimePlot(asked: Asked): { options: PlotOptions; hover: Hover; place: PlotPlace | null } {
  const { kind, unit, format, zone, scheme, stepMs, isFromZero } = asked;
  const [hover, setHover] = useState<Hover>(NO_HOVER);
  const [place, setPlace] = useState<PlotPlace | null>(null);
  // What changes with each look is read when it is needed; the plot is not made again for it.
  const control = useLatest(asked.control);
  const write = useLatest(format);
  const stylesKey = JSON.stringify(asked.styles);
  const options = useMemo<PlotOptions>(() => {
    const styles = JSON.parse(stylesKey) as LineStyle[];
    const ordered = kind === "bars" ? styles.toReversed() : styles;
    return {
      ms: 1,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      tzDate: (ms) => (zone === "utc" ? uPlot.tzDate(new Date(ms), "Etc/UTC") : new Date(ms)),
      scales: {
        x: { time: true, range: () => xRange(control.current(), stepMs) },
        y: { range: (_plot, least, most) => yRange(least, most, isFromZero || kind === "bars") },
      },
      axes: axes({ scheme, zone, unit, format: (value) => write.current()(value) }),
      series: [{}, ...ordered.map((style) => series(style, kind))],
      focus: { alpha: kind === "lines" ? 0.35 : 1 },
      cursor: {
        y: false,
        points: { size: 6 },
        focus: { prox: FOCUS_PX },
        drag: { x: true, y: false, setScale: false, dist: BRUSH_PX_MIN },
        sync: { key: SYNC_KEY, setSeries: false, filters: { pub: (type) => !/^mouse(?:down|up)$/.test(type) } },
        bind: {
          dblclick: () => () => {
            control.current().zoomOut();
            return null;
          },
        },
      },
      hooks: {
        setCursor: [(plot) => setHover(hoverOf(plot))],
        draw: [(plot) => setPlace((old) => samePlace(old, placeOf(plot)))],
        setSelect: [(plot) => brushed(plot, control.current())],
      },
    };
  }, [kind, unit, zone, scheme, stylesKey, stepMs, isFromZero, control, write]);
  return { options, hover, place };
}

function placeOf(plot: uPlot): PlotPlace {
  const { left, top, width, height } = plot.bbox;
  const { x, y } = plot.scales;
  return {
    leftPx: left / devicePixelRatio, topPx: top / devicePixelRatio,
    widthPx: width / devicePixelRatio, heightPx: height / devicePixelRatio,
    x: [x?.min ?? 0, x?.max ?? 1], y: [y?.min ?? 0, y?.max ?? 1],
  };
}

/** The old one where nothing is different, so that nothing is drawn for it. */
function samePlace(old: PlotPlace | null, now: PlotPlace): PlotPlace {
  return old !== null && JSON.stringify(old) === JSON.stringify(now) ? old : now;
}

function series(style: LineStyle, kind: ChartKind): uPlot.Series {
  if (kind === "bars") {
    return {
      fill: style.color,
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars?.({ size: [0.9, Infinity], align: 1 }) ?? (() => null),
    };
  }
  return {
    stroke: style.color,
    width: 1.5,
    dash: style.dash,
    spanGaps: false,
    ...(kind === "area" ? { fill: `${style.color}26` } : {}),
    points: {
      show: false,
      size: 4,
      fill: style.color,
      filter: (plot, at) => isolatedRows(plot.data[at] ?? []),
    },
  };
}

/** Bars begin before the range if it cuts their step. */
function xRange(control: TimeControl, stepMs: number): [number, number] {
  const { fromMs, toMs } = control.range;
  return stepMs === 0 ? [fromMs, toMs] : [Math.floor(fromMs / stepMs) * stepMs, Math.max(toMs, fromMs + stepMs)];
}

function yRange(least: number | null, most: number | null, isFromZero: boolean): [number, number] {
  if (least === null || most === null) return [0, 1];
  if (isFromZero && least >= 0) return [0, most <= 0 ? 1 : most * 1.08];
  const room = (most - least) * 0.08 || Math.abs(most) * 0.05 || 1;
  return [least - room, most + room];
}

function hoverOf(plot: uPlot): Hover {
  const { left = -1, top = 0, idx } = plot.cursor;
  if (left < 0 || idx == null) return NO_HOVER;
  return {
    row: idx,
    isHere: plot.over.matches(":hover"),
    value: plot.posToVal(top, "y"),
    leftPx: left + plot.bbox.left / devicePixelRatio,
    widthPx: plot.width,
  };
}

function brushed(plot: uPlot, control: TimeControl) {
  const { left, width } = plot.select;
  if (width < BRUSH_PX_MIN) return;
  const fromMs = Math.round(plot.posToVal(left, "x"));
  const toMs = Math.round(plot.posToVal(left + width, "x"));
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  control.setRange({ fromMs, toMs: Math.max(toMs, fromMs + 1) });
}

/** A box whose `current()` is what the last render gave. */
function useLatest<Value>(value: Value): { readonly current: () => Value } {
  const box = useRef(value);
  // Before the effects that draw.
  useLayoutEffect(() => {
    box.current = value;
  });
  return useMemo(() => ({ current: () => box.current }), []);
}
