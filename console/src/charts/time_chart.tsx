/**
 * Values over the one time range: lines, areas or stacked bars. Dragging across sets the range of
 * all screens, a double click zooms out, and the cursor is shared with every other chart.
 */

import { useComputedColorScheme } from "@mantine/core";
import { useMemo, useState } from "react";
import type uPlot from "uplot";
import type { Point } from "~/api/metrics";
import { dateTime } from "~/format/times";
import type { Unit } from "~/format/units";
import { useT } from "~/i18n/use_t";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { aligned, lastKnown, onlyShown, stacked, sumOf } from "./align";
import classes from "./charts.module.css";
import { type ChartDot, Dots } from "./dots";
import { Legend } from "./legend";
import { Plot } from "./plot";
import { lineColor, lineDash } from "./palette";
import { type ChartKind, useTimePlot } from "./time_plot";
import { Tooltip } from "./tooltip";
import { type Hidden, NONE_HIDDEN } from "./visibility";

export interface ChartLine {
  readonly id: string;
  readonly label: string;
  readonly points: readonly Point[];
  /** Absent: the next of the palette. */
  readonly color?: string;
  readonly dash?: number[];
  /** Of this line alone. */
  readonly format?: (value: number) => string;
}

interface Props {
  /** Read by screen readers: what is drawn. */
  readonly label: string;
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
  readonly unit?: Unit;
  readonly kind?: ChartKind;
  readonly heightPx?: number;
  /** Of bars: how long the step that a bar stands for is. */
  readonly stepMs?: number;
  /** Values begin at zero; without, the axis fits what is there. */
  readonly isFromZero?: boolean;
  readonly hasLegend?: boolean;
  /** An answer to an older question is shown until the next one is there. */
  readonly isOld?: boolean;
  /** Single moments, each with a trace that it leads to. */
  readonly dots?: readonly ChartDot[];
}

export function TimeChart(props: Props) {
  const { lines, format, kind = "lines", unit = "none", heightPx = 180 } = props;
  const t = useT();
  const zone = useZone();
  const scheme = useComputedColorScheme("dark");
  const control = useTimeRange();
  const [hidden, setHidden] = useState<Hidden>(NONE_HIDDEN);

  const raw = useMemo(() => aligned(lines.map((line) => line.points)), [lines]);
  const styles = useMemo(
    () =>
      lines.map((line, at) => ({
        color: line.color ?? lineColor(scheme, at),
        dash: line.dash ?? (line.color === undefined ? lineDash(at) : []),
      })),
    [lines, scheme],
  );
  const ids = lines.map((line) => line.id);
  const isShown = lines.map((line) => !hidden.has(line.id));
  const shownKey = isShown.join();
  const drawn = useMemo(() => {
    const shown = shownKey.split(",").map((one) => one === "true");
    // The last of a stack is the tallest: it is drawn first, the others over it.
    const columns = kind === "bars" ? stacked(raw.columns, shown).reverse() : onlyShown(raw.columns, shown);
    return [raw.times, ...columns] as uPlot.AlignedData;
  }, [raw, kind, shownKey]);

  const { options, hover, place } = useTimePlot({
    kind, unit, format, zone, scheme, styles,
    control,
    stepMs: props.stepMs ?? 0,
    isFromZero: props.isFromZero ?? true,
  });

  const isEmpty = raw.columns.every((column) => lastKnown(column) === null);
  const at = hover.row === null ? undefined : raw.times[hover.row];
  return (
    <div className={classes.chart} data-old={props.isOld === true || undefined}>
      <div className={classes.drawing} style={{ height: heightPx }}>
        <Plot
          options={options} data={drawn} heightPx={heightPx} label={props.label}
          revision={`${control.range.fromMs}-${control.range.toMs}`}
        />
        {isEmpty && <div className={classes.nothing}>{t("parts.noDataChart")}</div>}
        {props.dots !== undefined && <Dots dots={props.dots} place={place} format={format} />}
        {hover.isHere && hover.row !== null && at !== undefined && (
          <Tooltip
            title={dateTime(at, zone)}
            rows={lines.flatMap((line, index) => {
              const value = raw.columns[index]?.[hover.row ?? 0];
              const color = styles[index]?.color ?? "";
              if (value == null || isShown[index] !== true) return [];
              return [{ id: line.id, label: line.label, value, color, format: line.format }];
            })}
            isStacked={kind === "bars"}
            format={format}
            nearest={hover.value}
            leftPx={hover.leftPx}
            widthPx={hover.widthPx}
          />
        )}
      </div>
      {props.hasLegend !== false && (
        <Legend
          ids={ids}
          hidden={hidden}
          onHidden={setHidden}
          items={lines.map((line, index) => {
            const column = raw.columns[index] ?? [];
            const whole = kind === "bars" ? sumOf(column) : lastKnown(column);
            const value = hover.row === null ? whole : (column[hover.row] ?? null);
            return {
              id: line.id, label: line.label, color: styles[index]?.color ?? "",
              value: value === null ? "–" : (line.format ?? format)(value),
            };
          })}
        />
      )}
    </div>
  );
}
