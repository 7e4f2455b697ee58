/** Metrics: pick one at the left, look at it at the right. */

import { getRouteApi } from "@tanstack/react-router";
import { useMetricNames } from "~/api/metrics";
import { useT } from "~/i18n/use_t";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { MetricPicker, NAMES_MAX } from "./metric_picker";
import { MetricView } from "./metric_view";
import type { MetricsSearch } from "./search";
import { StartHere } from "./start_here";
import { ofAnyMetric } from "./useful";
import classes from "./metrics.module.css";

const route = getRouteApi("/metrics");

export function MetricsScreen() {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { range } = useTimeRange();
  const change = (changed: Partial<MetricsSearch>, isTyping = false) =>
    void navigate({ search: (old) => ({ ...old, ...changed }), replace: isTyping });
  const general = ofAnyMetric(search.filter ?? []);
  // Another metric has other labels: what was asked of the one before says nothing about it.
  const pick = (metric: string) =>
    void navigate({
      search: (old) => ({ ...old, fn: undefined, agg: undefined, by: undefined, filter: general, metric }),
      replace: search.metric !== undefined,
    });
  const known = useMetricNames(range, search.metric, NAMES_MAX);
  const metric = known.data?.metrics.find((one) => one.metric === search.metric);
  return (
    <Screen title={t("metrics.title")} isFilling>
      <div className={classes.screen}>
        <MetricPicker
          match={search.match} selected={search.metric} onPick={pick}
          onMatch={(match) => change({ match: match === "" ? undefined : match }, true)}
        />
        {search.metric === undefined ? (
          <StartHere conditions={general} onConditions={(filter) => change({ filter })} />
        ) : (
          <MetricView
            key={search.metric} name={search.metric} metric={metric} search={search} onChange={change}
            isKnown={known.data !== undefined && !known.isPlaceholderData}
          />
        )}
      </div>
    </Screen>
  );
}
