/** A metric whose points are whole distributions: its quantiles over time, by the buckets of all series. */

import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useNames, useRanges } from "~/api/prometheus";
import { TimeChart } from "~/charts/time_chart";
import { unitOf, valueFormat } from "~/format/units";
import { useT } from "~/i18n/use_t";
import { CodeLine } from "~/parts/code_line";
import { Empty, ErrorNote, Loading } from "~/parts/states";
import { Prose } from "~/parts/prose";
import { useTimeRange } from "~/state/use_time_range";
import { nameInPromql } from "./explore/known_names";
import { isPlainName, quoted } from "./explore/promql_text";
import { usualStepMs, usualWindow } from "./explore/queries";
import { useLast } from "./explore/use_last";
import classes from "./metrics.module.css";

const QUANTILES = [0.99, 0.95, 0.5] as const;
const CHART_PX = 330;

interface Props {
  readonly name: string;
  readonly unit: string;
}

export function Distribution({ name, unit }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const names = useNames(range);
  const stepMs = usualStepMs(range);
  const window = usualWindow(stepMs);
  const known = names.data;
  const queries = useMemo(
    () => quantilesOf(name, known?.map((one) => one.metric) ?? [], window),
    [name, known, window],
  );
  const ranges = useRanges(queries.map((one) => one.expr), range, stepMs, true);
  const answers = useLast(queries, ranges);
  const error = names.error ?? ranges.find((one) => one.error !== null)?.error ?? null;
  if (error !== null) {
    const again = () => void Promise.all([names.refetch(), ...ranges.map((one) => one.refetch())]);
    return <ErrorNote error={error} onRetry={again} />;
  }
  if (names.isPending || (queries.length > 0 && answers.every((one) => one === undefined))) {
    return <Loading heightPx={CHART_PX} />;
  }
  const lines = queries.flatMap(({ quantile, id }, at) => {
    const points = answers[at]?.series[0]?.points;
    return points === undefined ? [] : [{ id, label: `p${quantile * 100}`, points }];
  });
  return (
    <>
      {queries.length > 0 && (
        <p className={classes.promql}>
          <Link to="/metrics" search={{ view: "query", q: queries.map(({ id, expr }) => ({ id, expr })) }}>
            {t("explore.goOn")}
          </Link>
          <code className="cut" title={queries[0]?.expr}>{queries[0]?.expr}</code>
        </p>
      )}
      {lines.length === 0 ? (
        <Empty title={t("metrics.noQuantiles")} icon="metrics">
          <Prose text={t("metrics.noQuantilesWhat")} />
          <CodeLine text={`trilens sql "${averages(name, range.fromMs, range.toMs)}"`} />
        </Empty>
      ) : (
        <>
          <p className={classes.extent}>
            <span>{t("metrics.distribution")}</span>
            <span className={classes.extentHint}>{t("traces.brushHint")}</span>
          </p>
          <TimeChart
            label={name} lines={lines} format={valueFormat(name, unit, "value")} unit={unitOf(name, unit)}
            heightPx={CHART_PX} isFromZero isOld={ranges.some((one) => one.data === undefined)}
          />
        </>
      )}
    </>
  );
}

interface QuantileQuery {
  readonly id: string;
  readonly quantile: number;
  readonly expr: string;
}

/** The queries of PromQL; none where it has no name for the metric. `names` are those that it knows. */
export function quantilesOf(metric: string, names: readonly string[], window: string): QuantileQuery[] {
  const found = nameInPromql(metric, names);
  if (found === null) return [];
  const bucket = `${found.replace(/_(?:bucket|count|sum)$/, "")}_bucket`;
  // Without buckets of its own, each sample is a whole histogram.
  const rate = names.includes(bucket)
    ? `sum by (le) (rate(${selector(bucket)}[${window}]))`
    : `sum(rate(${selector(found)}[${window}]))`;
  return QUANTILES.map((quantile, at) => ({
    id: "ABC".charAt(at), quantile, expr: `histogram_quantile(${quantile}, ${rate})`,
  }));
}

const selector = (name: string) => (isPlainName(name) ? name : `{${quoted(name)}}`);

/** How large they were on average and at most, a minute and service; right for both temporalities. */
export function averages(name: string, fromMs: number, toMs: number): string {
  const quoted = name.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  return (
    "SELECT toStartOfMinute(timestamp) AS minute, service, " +
    "sum(sum) / sum(toFloat64(count)) AS average, max(max) AS greatest FROM histograms " +
    `WHERE metric = '${quoted}' AND timestamp BETWEEN fromUnixTimestamp64Milli(${fromMs}) ` +
    `AND fromUnixTimestamp64Milli(${toMs}) GROUP BY minute, service ORDER BY minute, service`
  );
}
