/** Logs: a search over all lines, their volume over time, what they have in common, and each in full. */

import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { type LogQuestion, useLogFacets, useLogHistogram } from "~/api/logs";
import { SeverityBars } from "~/charts/severity_bars";
import { useT } from "~/i18n/use_t";
import { FilterChips } from "~/parts/filter_chips";
import { Icon } from "~/parts/icon";
import { Answered, Loading } from "~/parts/states";
import { useShortcuts } from "~/shell/keys";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { Facets } from "./facets";
import { Lines } from "./lines";
import classes from "./logs.module.css";
import { isOfQuestion } from "./query_error";
import { SearchBox } from "./search_box";
import { useLogsAddress } from "./use_logs_address";

const route = getRouteApi("/logs");
const HISTOGRAM_PX = 104;

export function LogsScreen() {
  const t = useT();
  const search = route.useSearch();
  const address = useLogsAddress();
  const { range } = useTimeRange();
  const { query = "", filter, order } = search;
  const question = useMemo<LogQuestion>(
    () => ({ query, conditions: filter ?? [], order: search.follow === true ? "desc" : order }),
    [query, filter, order, search.follow],
  );
  const histogram = useLogHistogram(range, question);
  const facets = useLogFacets(range, question);
  const mistake = histogram.error !== null && histogram.error.position !== null ? histogram.error : null;
  const isFacets = search.facets !== false;
  const setFacets = useCallback((isShown: boolean) => address.set({ facets: isShown ? undefined : false }), [address]);
  useShortcuts([
    { keys: "b", label: t("logs.facets"), group: "onScreen", run: () => setFacets(!isFacets) },
  ]);
  return (
    <Screen title={t("logs.title")} isFilling>
      <div className={classes.asked}>
        <SearchBox query={query} error={mistake} facets={facets.data?.facets ?? []} onQuery={address.setQuery} />
        <FilterChips conditions={question.conditions ?? []} onChange={address.setConditions} />
      </div>
      <div className={classes.split} data-open={search.row !== undefined || undefined}>
        {isFacets ? (
          <Facets
            range={range} question={question} columns={address.columns} onConditions={address.setConditions}
            onColumn={address.toggleColumn} onClose={() => setFacets(false)}
          />
        ) : (
          <button
            type="button" className={classes.facetsShow} aria-label={t("logs.showFacets")}
            title={`${t("logs.showFacets")} (b)`} onClick={() => setFacets(true)}
          >
            <Icon name="filter" sizePx={14} />
          </button>
        )}
        <div className={classes.content}>
          <div className={classes.histogram}>
            {!isOfQuestion(histogram.error) && (
              <Answered asked={histogram} loading={<Loading heightPx={HISTOGRAM_PX} />}>
                {(answer) => (
                  <SeverityBars
                    label={t("logs.histogram")} buckets={answer.buckets} stepMs={answer.step_ms}
                    heightPx={HISTOGRAM_PX} isOld={histogram.isPlaceholderData}
                  />
                )}
              </Answered>
            )}
          </div>
          <Lines question={question} histogram={histogram.data} />
        </div>
      </div>
    </Screen>
  );
}
