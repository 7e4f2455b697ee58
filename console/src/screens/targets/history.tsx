/** How scrapes of a target went over the time range, as PromQL tells it; a gap is no scrape. */

import { useMemo } from "react";
import { useRanges } from "~/api/prometheus";
import { TimeChart } from "~/charts/time_chart";
import { useT } from "~/i18n/use_t";
import { ErrorNote, Loading } from "~/parts/states";
import { usualStepMs } from "~/screens/metrics/explore/queries";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./targets.module.css";

interface Chart {
  readonly metric: string;
  readonly title: string;
  readonly written: (value: number) => string;
}

interface Props {
  readonly charts: readonly Chart[];
  readonly selector: string;
}

const CHART_PX = 74;

export function History({ charts, selector }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const exprs = useMemo(() => charts.map((one) => `${one.metric}${selector}`), [charts, selector]);
  const answers = useRanges(exprs, range, usualStepMs(range), true);
  const failed = answers.find((one) => one.error !== null)?.error ?? null;
  if (failed !== null) return <ErrorNote error={failed} />;
  return (
    <div className={classes.charts}>
      {charts.map((chart, at) => {
        const series = answers[at]?.data?.series;
        return (
          <figure key={chart.metric} className={classes.chart}>
            <figcaption>{chart.title}</figcaption>
            {series === undefined ? (
              <Loading heightPx={CHART_PX} />
            ) : (
              <TimeChart
                label={t("targets.historyOf", { what: chart.title })} format={chart.written} heightPx={CHART_PX}
                hasLegend={false}
                lines={series.map((one) => ({ id: chart.metric, label: chart.title, points: one.points }))}
              />
            )}
          </figure>
        );
      })}
    </div>
  );
}
