/** One metric: what it is, how it is asked, its lines, and their values in a table. */

import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { MetricName } from "~/api/metrics";
import { useMetricRange } from "~/api/metrics";
import { useNames } from "~/api/prometheus";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { FilterChips } from "~/parts/filter_chips";
import { Answered, Empty, Loading } from "~/parts/states";
import type { Condition } from "~/state/filters";
import { useTimeRange } from "~/state/use_time_range";
import { type Asking, askingOf, natureOf, questionOf, writing } from "./asking";
import { Distribution } from "./distribution";
import { isPlainName } from "./explore/promql_text";
import { usualStepMs, usualWindow } from "./explore/queries";
import { labelInPromql, nameInPromql } from "./explore/known_names";
import { exprOf } from "./explore/usual";
import { Lines } from "./lines";
import classes from "./metrics.module.css";
import { QueryBar } from "./query_bar";
import type { MetricsSearch } from "./search";

interface Props {
  readonly name: string;
  /** Undefined while it is looked up, or when it has no samples in the range. */
  readonly metric: MetricName | undefined;
  readonly isKnown: boolean;
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>) => void;
}

export function MetricView({ name, metric, isKnown, search, onChange }: Props) {
  const t = useT();
  const nature = metric === undefined ? undefined : natureOf(metric);
  return (
    <section className={classes.view} aria-label={name}>
      <Head name={name} metric={metric} />
      {nature === "distribution" ? (
        <Distribution name={name} unit={metric?.unit ?? ""} />
      ) : metric === undefined && !isKnown ? (
        <Loading heightPx={340} />
      ) : (
        <Plotted name={name} metric={metric} search={search} onChange={onChange} />
      )}
      {nature === "delta" && <p className={classes.note}>{t("metrics.delta")}</p>}
    </section>
  );
}

function Head({ name, metric }: { readonly name: string; readonly metric: MetricName | undefined }) {
  const t = useT();
  const facts = [
    metric?.type,
    metric?.unit === "" ? undefined : metric?.unit,
    metric?.temporality,
    metric === undefined ? undefined : t("metrics.seriesCount", { n: metric.series }),
  ].filter((one) => one !== undefined && one !== "");
  return (
    <header className={classes.viewHead}>
      <h2 className={classes.viewTitle}>{name}</h2>
      <CopyButton text={name} />
      {facts.map((fact) => <span key={fact} className={classes.badge}>{fact}</span>)}
      {metric !== undefined && metric.help !== "" && <p className={classes.help}>{metric.help}</p>}
    </header>
  );
}

function Plotted({ name, metric, search, onChange }: Omit<Props, "isKnown">) {
  const t = useT();
  const { range } = useTimeRange();
  const asking = askingOf(search, metric);
  const asked = useMetricRange(range, questionOf(name, asking, search));
  const unit = metric?.unit ?? "";
  const key = JSON.stringify(asking);
  const written = useMemo(
    () => writing(name, unit, JSON.parse(key) as typeof asking),
    [name, unit, key],
  );
  return (
    <>
      <QueryBar name={name} asking={asking} search={search} onChange={onChange} />
      <AsPromql name={name} metric={metric} asking={asking} conditions={search.filter ?? []} />
      <FilterChips conditions={search.filter ?? []} onChange={(filter) => onChange({ filter })} />
      <Answered asked={asked} loading={<Loading heightPx={340} />}>
        {(answer) =>
          answer.series.length === 0 ? (
            <Empty title={t("metrics.noSamples")} icon="metrics">
              {(search.filter ?? []).length > 0 ? t("metrics.noSamplesFiltered") : t("metrics.noSamplesWhat")}
            </Empty>
          ) : (
            <Lines
              key={`${name} ${key}`} name={name} answer={answer} asking={asking} written={written}
              isOld={asked.isPlaceholderData} search={search} onChange={onChange}
            />
          )
        }
      </Answered>
    </>
  );
}

interface AsPromqlProps {
  readonly name: string;
  readonly metric: MetricName | undefined;
  readonly asking: Asking;
  readonly conditions: readonly Condition[];
}

/** The same question as a query, to go on from; where there is one. */
function AsPromql({ name, metric, asking, conditions }: AsPromqlProps) {
  const t = useT();
  const { range } = useTimeRange();
  // What OTLP sends has other names there.
  const isOtlp = metric?.kind !== "" || metric.temporality !== "" || !isPlainName(name);
  const names = useNames(range, isOtlp).data;
  const asked = isOtlp ? nameInPromql(name, names?.map((one) => one.metric) ?? []) : name;
  // Columns of identity are no labels.
  if (asked === null || conditions.some((one) => !one.field.startsWith("labels."))) return null;
  const isOther = asked !== name;
  const labels = isOther ? conditions.map((one) => ({ ...one, field: labelInPromql(one.field.slice(7)) })) : conditions;
  const same = isOther ? { ...asking, by: asking.by.map(labelInPromql) } : asking;
  const expr = exprOf(asked, same, labels, usualWindow(usualStepMs(range)));
  return (
    <p className={classes.promql}>
      <Link to="/metrics" search={{ view: "query", q: [{ id: "A", expr }] }}>{t("explore.goOn")}</Link>
      <code className="cut" title={expr}>{expr}</code>
    </p>
  );
}
