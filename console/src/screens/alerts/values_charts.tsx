/** What the expression of an alert compares, over time, with the threshold as a line across. */

import { useComputedColorScheme } from "@mantine/core";
import { useMemo } from "react";
import { type ComparedValues, type Values } from "~/api/alerts";
import { type ChartLine, TimeChart } from "~/charts/time_chart";
import { useT } from "~/i18n/use_t";
import { seriesId, seriesName, tellingLabels } from "~/screens/metrics/series";
import { writtenOf } from "~/screens/metrics/explore/meaning";
import { SEVERITY_COLORS } from "~/theme";
import classes from "./alerts.module.css";

interface Props {
  readonly values: Values;
  readonly isOld: boolean;
}

const THRESHOLD_DASH = [6, 4];

export function ValuesCharts({ values, isOld }: Props) {
  return values.comparisons.map((one, at) => <Compared key={at} compared={one} isOld={isOld} />);
}

function Compared({ compared, isOld }: { readonly compared: ComparedValues; readonly isOld: boolean }) {
  const t = useT();
  const scheme = useComputedColorScheme("dark");
  const written = writtenOf(compared.expr, {});
  const lines = useMemo(() => linesOf(compared, SEVERITY_COLORS[scheme].ERROR), [compared, scheme]);
  return (
    <div className={classes.compared}>
      <p className={classes.comparedHead}>
        <code title={compared.expr}>{compared.expr}</code>
        {compared.total > compared.series.length && (
          <span className="muted">{t("alerts.seriesOf", { n: compared.series.length, total: compared.total })}</span>
        )}
      </p>
      <TimeChart
        label={t("alerts.valuesOf", { expr: compared.expr })} lines={lines} format={written.format} unit={written.axis}
        heightPx={150} isFromZero={written.isFromZero} isOld={isOld} hasLegend={lines.length <= 12}
      />
    </div>
  );
}

function linesOf(compared: ComparedValues, color: string): ChartLine[] {
  const { series, threshold_series: thresholds, threshold, op } = compared;
  const telling = tellingLabels(series);
  const lines: ChartLine[] = series.map((one) => ({
    id: seriesId(one.labels), points: one.points,
    label: telling.length === 0 ? compared.expr : seriesName(one.labels, telling, compared.expr),
  }));
  const times = series[0]?.points ?? [];
  if (threshold !== null && times.length > 0) {
    const points = times.map(([at]): [number, number] => [at, threshold]);
    lines.push({ id: "threshold", label: `${op} ${threshold}`, points, color, dash: THRESHOLD_DASH });
  }
  const tellingThere = tellingLabels(thresholds);
  for (const one of thresholds) {
    const name = seriesName(one.labels, tellingThere, compared.threshold_expr);
    const label = `${op} ${tellingThere.length === 0 ? compared.threshold_expr : name}`;
    lines.push({ id: `threshold ${seriesId(one.labels)}`, label, points: one.points, color, dash: THRESHOLD_DASH });
  }
  return lines;
}
