/** A metric whose points are whole distributions: no lines, but SQL over the view `histograms`. */

import { useT } from "~/i18n/use_t";
import { CodeLine } from "~/parts/code_line";
import { Empty } from "~/parts/states";
import { useTimeRange } from "~/state/use_time_range";

export function Distribution({ name }: { readonly name: string }) {
  const t = useT();
  const { range } = useTimeRange();
  return (
    <Empty title={t("metrics.distribution")} icon="metrics">
      {t("metrics.distributionWhat")}
      <CodeLine text={`trilens sql "${averages(name, range.fromMs, range.toMs)}"`} />
    </Empty>
  );
}

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
