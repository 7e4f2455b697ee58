/** Names of PromQL at the left of the queries: opening one asks it. Walking through them asks nothing. */

import { TextInput } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import type { MetricName } from "~/api/metrics";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Answered, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useTimeRange } from "~/state/use_time_range";
import { useTyped } from "~/state/use_typed";
import { useKnownNames } from "./explore/known_names";
import { NoMetrics } from "./metric_picker";
import classes from "./metrics.module.css";

interface Props {
  readonly match: string | undefined;
  readonly onMatch: (match: string) => void;
  readonly onPick: (metric: MetricName) => void;
}

const isUntyped = (one: MetricName) => one.type === "" || one.type === "unknown";

export function NamePicker({ match, onMatch, onPick }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const [typed, setTyped] = useTyped(match ?? "", onMatch);
  const asked = useKnownNames(range);
  const part = useDeferredValue(match ?? "").toLowerCase();
  const { data } = asked;
  const rows = useMemo(() => data?.filter((one) => one.metric.toLowerCase().includes(part)) ?? [], [data, part]);
  const hasTypes = data?.some((one) => !isUntyped(one)) === true;
  const columns = useMemo<Column<MetricName>[]>(
    () => [
      {
        id: "metric", label: t("metrics.metric"), width: "minmax(0, 1fr)",
        cell: (row) => <span title={[row.metric, row.help].filter((one) => one !== "").join("\n")}>{row.metric}</span>,
      },
      ...(hasTypes ? [{
        id: "type", label: t("explore.type"), width: "82px",
        cell: (row: MetricName) => <span className="muted">{isUntyped(row) ? "" : row.type}</span>,
      }] : []),
    ],
    [t, hasTypes],
  );
  return (
    <section className={classes.picker} aria-label={t("metrics.pick")}>
      <TextInput
        className={classes.pickerSearch} data-search value={typed} aria-label={t("metrics.search")}
        placeholder={t("metrics.search")} leftSection={<Icon name="search" sizePx={14} />}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      <Answered asked={asked} loading={<Loading heightPx={320} lines={14} />}>
        {(all) => (
          <>
            <p className={classes.pickerCount}>{t("metrics.names", { n: rows.length })}</p>
            <TableView
              label={t("metrics.pick")} columns={columns} rows={rows} rowKey={(row) => row.metric} isMain onOpen={onPick}
              isOld={asked.isPlaceholderData}
              empty={<NoMetrics match={all.length === 0 ? undefined : match} />}
            />
          </>
        )}
      </Answered>
    </section>
  );
}
