/** Where the series come from: the metrics, labels and values that most of them have. Of all that is stored. */

import { SegmentedControl } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { type Churn, useChurn } from "~/api/metrics";
import { type CountedName, type Tsdb, useTsdb } from "~/api/prometheus";
import { bytes, count, exact, percent } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Prose } from "~/parts/prose";
import { Answered, Empty, Loading } from "~/parts/states";
import { StatTile } from "~/parts/stat_tile";
import { type Column, TableView } from "~/parts/table_view";
import { HowToSend } from "~/screens/overview/how_to_send";
import { useMoment } from "~/state/moment";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./cardinality.module.css";
import { quoted } from "./explore/promql_text";
import type { MetricsSearch } from "./search";

const TOPS = ["20", "100", "1000"];
const ROWS_SHOWN = 20;

interface Props {
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>) => void;
}

export function Cardinality({ search, onChange }: Props) {
  const t = useT();
  const top = search.top ?? 20;
  const { count: look } = useMoment();
  const { range } = useTimeRange();
  const asked = useTsdb(top, look);
  const churn = useChurn(range, top);
  return (
    <section className={classes.screen} aria-label={t("metrics.view.cardinality")}>
      <div className={classes.head}>
        <p className="muted">{t("cardinality.what")}</p>
        <SegmentedControl
          size="xs" aria-label={t("cardinality.top")} value={String(top)}
          data={TOPS.map((one) => ({ value: one, label: t("cardinality.first", { n: one }) }))}
          onChange={(one) => onChange({ top: one === "20" ? undefined : Number(one) })}
        />
      </div>
      <Answered asked={asked} loading={<Loading heightPx={420} />}>
        {(answer) =>
          answer.headStats.numSeries === 0 ? (
            <Empty title={t("cardinality.none")} icon="metrics">
              <Prose text={t("metrics.noneWhat")} />
              <HowToSend what="prometheus" />
              <HowToSend what="otlp" />
            </Empty>
          ) : (
            <Tables answer={answer} churn={churn.data} isOld={asked.isPlaceholderData} />
          )
        }
      </Answered>
    </section>
  );
}

interface TablesProps {
  readonly answer: Tsdb;
  readonly churn: Churn | undefined;
  readonly isOld: boolean;
}

function Tables({ answer, churn, isOld }: TablesProps) {
  const t = useT();
  const all = answer.headStats.numSeries;
  return (
    <>
      <div className={classes.tiles}>
        <StatTile label={t("cardinality.series")} value={exact(all)} />
        <StatTile label={t("cardinality.pairs")} value={exact(answer.headStats.numLabelPairs)} />
        <StatTile
          label={t("cardinality.fresh")} value={churn === undefined ? "–" : exact(churn.fresh_total)}
          note={
            churn === undefined || churn.series_total === 0
              ? undefined
              : t("cardinality.freshShare", { share: percent(churn.fresh_total / churn.series_total) })
          }
        />
      </div>
      <div className={classes.tables}>
        <Counts
          title={t("cardinality.metrics")} name={t("metrics.metric")} value={t("metrics.series")} isOld={isOld} of={all}
          rows={answer.seriesCountByMetricName} link={(row) => asked(`count({__name__=${quoted(row.name)}})`, row.name)}
        />
        <Counts
          title={t("cardinality.churn")} name={t("metrics.metric")} value={t("cardinality.begun")} isOld={isOld}
          rows={begun(churn)} link={picked} empty={<Empty title={t("cardinality.noChurn")} icon="check" />}
        />
        <Counts
          title={t("cardinality.labels")} name={t("metrics.label")} value={t("cardinality.values")} isOld={isOld}
          rows={answer.labelValueCountByLabelName}
          link={(row) => asked(`topk(20, count by (${named(row.name)}) ({${named(row.name)}!=""}))`, row.name)}
        />
        <Counts
          title={t("cardinality.labelValues")} name={t("cardinality.pair")} value={t("metrics.series")} isOld={isOld} of={all}
          rows={answer.seriesCountByLabelValuePair} link={(row) => asked(countOf(row.name), row.name)}
        />
        <Counts
          title={t("cardinality.bytes")} name={t("metrics.label")} value={t("cardinality.size")} isOld={isOld}
          rows={answer.memoryInBytesByLabelName} format={bytes} link={(row) => row.name}
        />
      </div>
    </>
  );
}

function begun(churn: Churn | undefined): readonly CountedName[] {
  return churn?.metrics.flatMap(({ metric, fresh }) => (fresh === 0 ? [] : [{ name: metric, value: fresh }])) ?? [];
}

function picked({ name }: CountedName): ReactNode {
  return <Link to="/metrics" search={{ metric: name }} title={name}>{name}</Link>;
}

const named = (label: string) => (/^[A-Za-z_]\w*$/.test(label) ? label : quoted(label));

/** The metrics that series with this label and value are of. */
function countOf(pair: string): string {
  const at = pair.indexOf("=");
  return `topk(20, count by (__name__) ({${named(pair.slice(0, at))}=${quoted(pair.slice(at + 1))}}))`;
}

function asked(expr: string, words: string): ReactNode {
  return (
    <Link to="/metrics" search={{ view: "query", q: [{ id: "A", expr }], as: "table" }} title={expr}>
      {words}
    </Link>
  );
}

interface CountsProps {
  readonly title: string;
  readonly name: string;
  readonly value: string;
  readonly rows: readonly CountedName[];
  readonly isOld: boolean;
  readonly link: (row: CountedName) => ReactNode;
  /** The bars are shares of it; of the greatest if absent. */
  readonly of?: number;
  readonly format?: (value: number) => string;
  readonly empty?: ReactNode;
}

function Counts({ title, name, value, rows, isOld, link, of, format = count, empty }: CountsProps) {
  const most = of ?? Math.max(1, ...rows.map((row) => row.value));
  const columns = useMemo<Column<CountedName>[]>(
    () => [
      {
        id: "name", label: name, width: "minmax(0, 1fr)", sortBy: (row) => row.name,
        cell: (row) => <span className="cut">{link(row)}</span>,
      },
      {
        id: "share", label: "", width: "84px",
        cell: (row) => <span className={classes.bar} style={{ width: `${Math.max(1, (row.value / most) * 100)}%` }} />,
      },
      {
        id: "value", label: value, width: "84px", isNumber: true, sortBy: (row) => row.value,
        cell: (row) => format(row.value),
      },
    ],
    [name, value, most, format, link],
  );
  return (
    <Panel title={title} isFlush>
      <TableView
        label={title} columns={columns} rows={rows} rowKey={(row) => row.name} rowsMax={ROWS_SHOWN} isOld={isOld}
        empty={empty}
      />
    </Panel>
  );
}
