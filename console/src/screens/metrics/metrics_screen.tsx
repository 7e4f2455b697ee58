/** Metrics: pick one at the left and look at it at the right, or ask in PromQL, or see what has most series. */

import { SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { type MetricName, useMetricNames } from "~/api/metrics";
import { useT } from "~/i18n/use_t";
import { Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { Cardinality } from "./cardinality";
import { usualStepMs, usualWindow, withPicked } from "./explore/queries";
import { usualExpr } from "./explore/usual";
import { NAMES_MAX } from "./explore/known_names";
import { MetricPicker } from "./metric_picker";
import { MetricView } from "./metric_view";
import { NamePicker } from "./name_picker";
import type { MetricsSearch, MetricsView } from "./search";
import { StartHere } from "./start_here";
import { ofAnyMetric } from "./useful";
import classes from "./metrics.module.css";

const route = getRouteApi("/metrics");
const VIEWS: readonly MetricsView[] = ["pick", "query", "cardinality"];
/** A file of its own, for the editor is large. */
const Explorer = lazy(() => import("./explore/explorer").then((module) => ({ default: module.Explorer })));

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
  const view = search.view ?? "pick";
  const match = (typed: string) => change({ match: typed === "" ? undefined : typed }, true);
  const ask = (name: MetricName) =>
    change({ q: withPicked(search.q ?? [], usualExpr(name, usualWindow(usualStepMs(range)))) });
  const known = useMetricNames(range, search.metric, NAMES_MAX);
  const metric = known.data?.metrics.find((one) => one.metric === search.metric);
  // The header has no room for them then.
  const isNarrow = useMediaQuery("(max-width: 900px)");
  const views = <Views view={view} onView={(next) => change({ view: next })} />;
  return (
    <Screen title={t("metrics.title")} head={isNarrow ? undefined : views} isFilling>
      <div className={classes.screen} data-view={view}>
        {isNarrow && <div className={classes.views}>{views}</div>}
        {view === "pick" && (
          <MetricPicker match={search.match} selected={search.metric} onPick={pick} onMatch={match} />
        )}
        {view === "query" && <NamePicker match={search.match} onPick={ask} onMatch={match} />}
        {view === "query" ? (
          <Suspense fallback={<Loading heightPx={340} />}>
            <Explorer search={search} onChange={change} />
          </Suspense>
        ) : view === "cardinality" ? (
          <Cardinality search={search} onChange={change} />
        ) : search.metric === undefined ? (
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

interface ViewsProps {
  readonly view: MetricsView;
  readonly onView: (view: MetricsView | undefined) => void;
}

function Views({ view, onView }: ViewsProps) {
  const t = useT();
  return (
    <SegmentedControl
      size="xs" aria-label={t("metrics.views")} value={view}
      data={VIEWS.map((one) => ({ value: one, label: t(`metrics.view.${one}`) }))}
      onChange={(next) => onView(next === "pick" ? undefined : next)}
    />
  );
}
