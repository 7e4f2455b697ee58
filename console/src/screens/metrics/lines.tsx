/** The lines of a metric over time, and a table of them that is their legend. */

import { useComputedColorScheme } from "@mantine/core";
import { useMemo, useState } from "react";
import type { MetricRange, MetricSeries } from "~/api/metrics";
import { lineColor } from "~/charts/palette";
import { TimeChart } from "~/charts/time_chart";
import { type Hidden, isolated, NONE_HIDDEN, toggled } from "~/charts/visibility";
import { duration } from "~/format/durations";
import type { Unit } from "~/format/units";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { withCondition } from "~/state/filters";
import type { Asking } from "./asking";
import classes from "./metrics.module.css";
import type { MetricsSearch } from "./search";
import { labelsText, seriesId, seriesName, summaryOf, tellingLabels, type Summary } from "./series";
import { SeriesTable } from "./series_table";

export interface Line {
  readonly id: string;
  readonly name: string;
  readonly color: string;
  readonly series: MetricSeries;
  readonly summary: Summary;
  readonly text: string;
}

interface Props {
  readonly name: string;
  readonly answer: MetricRange;
  readonly asking: Asking;
  readonly written: { readonly format: (value: number) => string; readonly axis: Unit };
  readonly isOld: boolean;
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>) => void;
}

const CHART_PX = 330;

export function Lines({ name, answer, asking, written, isOld, search, onChange }: Props) {
  const t = useT();
  const [hidden, setHidden] = useState<Hidden>(NONE_HIDDEN);
  const lines = useLines(answer, asking.agg === "none" ? name : `${asking.agg}(${name})`);
  const ids = useMemo(() => lines.map((line) => line.id), [lines]);
  const drawn = useMemo(
    () =>
      lines.map((line) => ({
        id: line.id, label: line.name, points: hidden.has(line.id) ? [] : line.series.points,
      })),
    [lines, hidden],
  );
  return (
    <>
      <Extent answer={answer} asking={asking} lines={lines} />
      <TimeChart
        label={name} lines={drawn} format={written.format} unit={written.axis} heightPx={CHART_PX}
        isFromZero={asking.fn !== "value"} hasLegend={false} isOld={isOld}
      />
      <SeriesTable
        lines={lines} hidden={hidden} format={written.format} isOld={isOld}
        onIsolate={(id) => setHidden(isolated(hidden, ids, id))}
        onToggle={(id) => setHidden(toggled(hidden, ids, id))}
        onFilter={(labels) => {
          const conditions = Object.entries(labels).reduce(
            (all, [label, value]) => withCondition(all, { field: `labels.${label}`, op: "=", value }),
            [...(search.filter ?? [])],
          );
          onChange({ filter: conditions });
        }}
      />
      {hidden.size > 0 && (
        <button type="button" className={classes.showAll} onClick={() => setHidden(NONE_HIDDEN)}>
          {t("metrics.showAll")}
        </button>
      )}
    </>
  );
}

function useLines(answer: MetricRange, otherwise: string): Line[] {
  const scheme = useComputedColorScheme("dark");
  return useMemo(() => {
    const telling = tellingLabels(answer.series);
    return answer.series.map((series, at) => ({
      id: seriesId(series.labels),
      name: seriesName(series.labels, telling, otherwise),
      color: lineColor(scheme, at),
      series,
      summary: summaryOf(series.points),
      text: labelsText(series.labels),
    }));
  }, [answer, scheme, otherwise]);
}

interface ExtentProps {
  readonly answer: MetricRange;
  readonly asking: Asking;
  readonly lines: readonly Line[];
}

/** How much of what there is the lines are. */
function Extent({ answer, asking, lines }: ExtentProps) {
  const t = useT();
  const parts = [
    asking.agg === "none"
      ? t("metrics.lines", { n: lines.length })
      : t("metrics.linesOf", { n: lines.length, series: answer.series_total }),
    t("metrics.step", { step: duration(answer.step_ms * 1e6) }),
  ];
  return (
    <>
      <p className={classes.extent}>
        <span>{parts.join(" · ")}</span>
        <span className={classes.extentHint}>{t("traces.brushHint")}</span>
      </p>
      {answer.truncated && (
        <p className={classes.warning}>
          <Icon name="warning" sizePx={14} />
          {t("metrics.truncated", { n: lines.length, series: answer.series_total })}
        </p>
      )}
    </>
  );
}
