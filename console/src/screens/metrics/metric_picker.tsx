/** All metrics that have samples in the range; typing looks for a part of the name. */

import { TextInput } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { type MetricName, useMetricNames } from "~/api/metrics";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Prose } from "~/parts/prose";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { HowToSend } from "~/screens/overview/how_to_send";
import { useTimeRange } from "~/state/use_time_range";
import { useTyped } from "~/state/use_typed";
import { NAMES_MAX } from "./explore/known_names";
import classes from "./metrics.module.css";

interface Props {
  readonly match: string | undefined;
  readonly selected: string | undefined;
  readonly onMatch: (match: string) => void;
  readonly onPick: (metric: string) => void;
}

export function MetricPicker({ match, selected, onMatch, onPick }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const [typed, setTyped] = useTyped(match ?? "", onMatch);
  const asked = useMetricNames(range, useDeferredValue(match), NAMES_MAX);
  const columns = useMemo<Column<MetricName>[]>(
    () => [
      {
        id: "metric", label: t("metrics.metric"), width: "minmax(0, 1fr)",
        cell: (row) => <span title={[row.metric, row.help].filter((one) => one !== "").join("\n")}>{row.metric}</span>,
      },
      {
        id: "series", label: t("metrics.series"), width: "62px", isNumber: true,
        cell: (row) => <span className="muted">{count(row.series)}</span>,
      },
    ],
    [t],
  );
  return (
    <section className={classes.picker} aria-label={t("metrics.pick")}>
      <TextInput
        className={classes.pickerSearch} data-search value={typed} aria-label={t("metrics.search")}
        placeholder={t("metrics.search")} leftSection={<Icon name="search" sizePx={14} />}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      <Answered asked={asked} loading={<Loading heightPx={320} lines={14} />}>
        {({ metrics }) => (
          <>
            <p className={classes.pickerCount}>
              {metrics.length >= NAMES_MAX ? t("metrics.firstNames", { n: NAMES_MAX }) : t("metrics.names", { n: metrics.length })}
            </p>
            <TableView
              label={t("metrics.pick")} columns={columns} rows={metrics} rowKey={(row) => row.metric} isMain
              selectedKey={selected ?? ""} onOpen={(row) => onPick(row.metric)} isOld={asked.isPlaceholderData}
              empty={<NoMetrics match={match} />}
            />
          </>
        )}
      </Answered>
    </section>
  );
}

export function NoMetrics({ match }: { readonly match: string | undefined }) {
  const t = useT();
  if (match !== undefined) return <Empty title={t("metrics.noneFits", { match })} icon="search">{t("metrics.noneFitsWhat")}</Empty>;
  return (
    <Empty title={t("metrics.none")} icon="metrics">
      <Prose text={t("metrics.noneWhat")} />
      <HowToSend what="prometheus" />
      <HowToSend what="otlp" />
    </Empty>
  );
}
