/** Before a metric is picked: the questions that most people begin with, each with how it went. */

import { Link } from "@tanstack/react-router";
import { useMetricNames, useMetricRange } from "~/api/metrics";
import { Sparkline } from "~/charts/sparkline";
import { useT } from "~/i18n/use_t";
import { FilterChips } from "~/parts/filter_chips";
import { Answered, Empty, Loading } from "~/parts/states";
import type { Condition } from "~/state/filters";
import { useTimeRange } from "~/state/use_time_range";
import { writing } from "./asking";
import classes from "./metrics.module.css";
import { NAMES_MAX } from "./explore/known_names";
import { summaryOf } from "./series";
import { type Useful, usefulOf } from "./useful";

interface Props {
  /** Of any metric: the node or service that somebody comes from. */
  readonly conditions: readonly Condition[];
  readonly onConditions: (conditions: readonly Condition[]) => void;
}

export function StartHere({ conditions, onConditions }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const asked = useMetricNames(range, undefined, NAMES_MAX);
  return (
    <div className={classes.start}>
      <FilterChips conditions={conditions} onChange={onConditions} />
      <Answered asked={asked} loading={<Loading heightPx={300} lines={8} />}>
        {({ metrics }) => {
          const useful = usefulOf(metrics);
          if (useful.length === 0) {
            return (
              <Empty title={metrics.length === 0 ? t("metrics.none") : t("metrics.pickOne")} icon="metrics">
                {metrics.length === 0 ? t("metrics.noneHere") : t("metrics.pickOneWhat")}
              </Empty>
            );
          }
          return (
            <>
              <h2 className={classes.startTitle}>{t("metrics.startHere")}</h2>
              <div className={classes.cards}>
                {useful.map((one) => <Card key={one.words} useful={one} conditions={conditions} />)}
              </div>
              <p className="muted">{t("metrics.pickOneWhat")}</p>
            </>
          );
        }}
      </Answered>
    </div>
  );
}

/** All series put together into one line; the link shows them apart. */
function Card({ useful, conditions }: { readonly useful: Useful; readonly conditions: readonly Condition[] }) {
  const t = useT();
  const { range } = useTimeRange();
  const { metric, fn = "value", agg = "none" } = useful.search;
  const filter = [...conditions, ...(useful.search.filter ?? [])];
  const together = agg === "none" ? "avg" : agg;
  const asked = useMetricRange(range, { metric, fn, agg: together, conditions: filter });
  const points = asked.data?.series[0]?.points ?? [];
  const { format } = writing(metric, "", { fn, agg: together, by: [] });
  const { last } = summaryOf(points);
  const title = t.maybe(useful.words) ?? metric;
  return (
    <Link to="/metrics" search={{ ...useful.search, filter }} className={classes.card}>
      <span className={classes.cardTitle}>{title}</span>
      <span className={classes.cardValue}>{last === null ? "–" : format(last)}</span>
      <Sparkline points={points} label={title} heightPx={36} />
      <span className={classes.cardName}>{metric}</span>
    </Link>
  );
}
