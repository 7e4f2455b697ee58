/** Axes of time and of values: round steps in the unit, labels that fit, colours of the scheme. */

import type uPlot from "uplot";
import { tick, type Zone } from "~/format/times";
import type { Unit } from "~/format/units";
import { surfaceColor, type Scheme } from "~/theme";

const FONT = '11px system-ui, "Noto Sans", sans-serif';
const VALUE_AXIS_PX_MIN = 56;

/** Steps that read well in powers of two, or in minutes and hours. */
const BINARY = Array.from({ length: 62 }, (_, power) => 2 ** (power - 2));
const SIXTIES = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];
const DECIMAL = Array.from({ length: 90 }, (_, at) => {
  const digit = [1, 2, 5][at % 3] ?? 1;
  return Number(`${digit}e${Math.floor(at / 3) - 12}`);
});

export function stepsOf(unit: Unit): number[] {
  if (unit === "bytes") return BINARY;
  const perSecond = unit === "seconds" ? 1 : unit === "milliseconds" ? 1e3 : unit === "nanoseconds" ? 1e9 : 0;
  if (perSecond === 0) return DECIMAL;
  const decimal = DECIMAL.filter((step) => step < 60 * perSecond);
  return [...decimal, ...SIXTIES.map((seconds) => seconds * perSecond)];
}

export interface AxesOptions {
  readonly scheme: Scheme;
  readonly zone: Zone;
  readonly format: (value: number) => string;
  readonly unit: Unit;
}

export function axes(options: AxesOptions): uPlot.Axis[] {
  const { scheme, zone, format, unit } = options;
  const shared = {
    font: FONT,
    stroke: surfaceColor(scheme, "muted"),
    grid: { stroke: surfaceColor(scheme, "line"), width: 1 },
  };
  return [
    {
      ...shared,
      size: 24,
      gap: 4,
      space: 72,
      ticks: { stroke: surfaceColor(scheme, "line-strong"), width: 1, size: 4 },
      grid: { show: false },
      values: (_plot, splits, _axis, _space, stepMs) => splits.map((ms) => tick(ms, stepMs / 1000, zone)),
    },
    {
      ...shared,
      gap: 6,
      space: 30,
      ticks: { show: false },
      incrs: stepsOf(unit),
      size: (plot, values) => valueAxisSize(plot, values),
      values: (_plot, splits) => distinct(splits, format),
    },
  ];
}

function valueAxisSize(plot: uPlot, values: string[] | null): number {
  if (values === null) return VALUE_AXIS_PX_MIN;
  plot.ctx.save();
  plot.ctx.font = FONT;
  const widest = Math.max(0, ...values.map((text) => plot.ctx.measureText(text).width));
  plot.ctx.restore();
  return Math.max(VALUE_AXIS_PX_MIN, Math.ceil(widest) + 14);
}

/** Neighbours that read the same say nothing: then every other label, or the plain number. */
function distinct(splits: number[], format: (value: number) => string): string[] {
  const texts = splits.map(format);
  return new Set(texts).size === texts.length ? texts : splits.map((value) => String(Number(value.toPrecision(7))));
}
