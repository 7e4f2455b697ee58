/** Traces of the time range: found by what one of their spans is, or by operation. */

import { Button, SegmentedControl } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { type TraceQuestion, useTraces } from "~/api/traces";
import { ApiError } from "~/api/client";
import { parseDuration } from "~/format/durations";
import { rowTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { FilterChips } from "~/parts/filter_chips";
import { Empty, ErrorNote, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { HowToSend } from "~/screens/overview/how_to_send";
import { useZone } from "~/state/preferences";
import type { TimeRange } from "~/state/time_range";
import { useTimeRange } from "~/state/use_time_range";
import { DurationScatter } from "./duration_scatter";
import { OperationsTable } from "./operations_table";
import type { TracesSearch } from "./search";
import { TraceFilters } from "./trace_filters";
import { TraceList } from "./trace_list";
import classes from "./traces.module.css";

const route = getRouteApi("/traces");
const PAGE_TRACES = 200;

export function TracesScreen() {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changed: Partial<TracesSearch>, isTyping = false) =>
    void navigate({ search: (old) => ({ ...old, ...changed }), replace: isTyping });
  const openTrace = (traceId: string) => void navigate({ to: "/traces/$traceId", params: { traceId }, search: {} });
  const isOperations = search.view === "operations";
  return (
    <Screen
      title={t("traces.title")} isFilling
      head={
        <SegmentedControl
          size="xs" aria-label={t("traces.view")} value={search.view ?? "traces"}
          data={[
            { value: "traces", label: t("traces.viewTraces") },
            { value: "operations", label: t("traces.viewOperations") },
          ]}
          onChange={(view) => change({ view: view === "operations" ? view : undefined })}
        />
      }
    >
      <div className={classes.head}>
        <TraceFilters search={search} onChange={change} onTraceId={openTrace} />
        {!isOperations && <FilterChips conditions={search.filter ?? []} onChange={(filter) => change({ filter })} />}
      </div>
      {isOperations ? (
        <OperationsTable
          service={search.service} part={search.part}
          onOpen={(operation) =>
            change({ view: undefined, service: operation.service, operation: operation.name, part: undefined })
          }
        />
      ) : (
        <Found search={search} onChange={change} onOpen={openTrace} />
      )}
    </Screen>
  );
}

function questionOf(search: TracesSearch): TraceQuestion {
  return {
    service: search.service,
    operation: search.operation,
    status: search.status,
    minDurationNs: parseDuration(search.min ?? "") ?? undefined,
    maxDurationNs: parseDuration(search.max ?? "") ?? undefined,
    conditions: search.filter ?? [],
    order: search.order,
  };
}

interface FoundProps {
  readonly search: TracesSearch;
  readonly onChange: (changed: Partial<TracesSearch>) => void;
  readonly onOpen: (traceId: string) => void;
}

function Found({ search, onChange, onOpen }: FoundProps) {
  const held = useHeldRange(JSON.stringify(search));
  const asked = useTraces(held.range, questionOf(search), PAGE_TRACES);
  const traces = asked.data?.pages.flatMap((page) => page.traces) ?? [];
  const more = () => {
    if (!asked.hasNextPage || asked.isFetchingNextPage || asked.isPlaceholderData) return;
    held.hold();
    void asked.fetchNextPage();
  };
  const isFiltered = Object.entries(search).some(([key, value]) => key in NO_FILTERS && value !== undefined);
  return (
    <>
      {asked.error instanceof ApiError && <ErrorNote error={asked.error} onRetry={() => void asked.refetch()} />}
      {asked.data === undefined ? (
        asked.error === null && <div className={classes.waiting}><Loading heightPx={300} lines={12} /></div>
      ) : (
        <>
          {traces.length > 0 && (
            <DurationScatter
              traces={traces} range={held.range} isOld={asked.isPlaceholderData}
              onOpen={(trace) => onOpen(trace.trace_id)}
            />
          )}
          {traces.length > 0 && (
            <Extent count={traces.length} hasMore={asked.hasNextPage} order={search.order} held={held} />
          )}
          <TraceList
            traces={traces} isOld={asked.isPlaceholderData} onEnd={more} onOpen={(trace) => onOpen(trace.trace_id)}
            empty={<NoTraces isFiltered={isFiltered} onClear={() => onChange(NO_FILTERS)} />}
          />
        </>
      )}
    </>
  );
}

const NO_FILTERS = {
  service: undefined, operation: undefined, status: undefined, min: undefined, max: undefined, filter: undefined,
};

interface HeldRange {
  readonly range: TimeRange;
  readonly isHeld: boolean;
  readonly hold: () => void;
  readonly release: () => void;
}

/** The range, standing still from `hold` on, so that later pages follow the first; until the question changes. */
function useHeldRange(question: string): HeldRange {
  const { range, text } = useTimeRange();
  const key = `${question} ${text.from} ${text.to}`;
  const [held, setHeld] = useState<{ readonly key: string; readonly range: TimeRange } | null>(null);
  const isHeld = held?.key === key;
  return {
    range: isHeld ? held.range : range,
    isHeld,
    hold: () => setHeld(isHeld ? held : { key, range }),
    release: () => setHeld(null),
  };
}

interface ExtentProps {
  readonly count: number;
  readonly hasMore: boolean;
  readonly order: TracesSearch["order"];
  readonly held: HeldRange;
}

/** How much of what there is the dots and rows are. */
function Extent({ count, hasMore, order, held }: ExtentProps) {
  const t = useT();
  const zone = useZone();
  const key = !hasMore ? "traces.allShown" : order === "slowest" ? "traces.slowestShown" : "traces.newestShown";
  return (
    <div className={classes.extent}>
      <span>{t(key, { n: count })}</span>
      {held.isHeld && (
        <>
          <span>{t("traces.held", { time: rowTime(held.range.toMs, zone) })}</span>
          <Button size="compact-xs" variant="subtle" onClick={held.release}>{t("traces.release")}</Button>
        </>
      )}
      <span className={classes.extentHint}>{t("traces.brushHint")}</span>
    </div>
  );
}

function NoTraces({ isFiltered, onClear }: { readonly isFiltered: boolean; readonly onClear: () => void }) {
  const t = useT();
  const { zoomOut } = useTimeRange();
  if (!isFiltered) {
    return (
      <Empty title={t("overview.noTraces")} icon="traces">
        {t("overview.noTracesWhat")}
        <HowToSend what="otlp" />
      </Empty>
    );
  }
  return (
    <Empty title={t("traces.noneFits")} icon="search">
      {t("traces.noneFitsWhat")}
      <span className={classes.emptyActions}>
        <Button variant="default" onClick={onClear}>{t("parts.clearFilters")}</Button>
        <Button variant="default" onClick={zoomOut}>{t("traces.longerRange")}</Button>
      </span>
    </Empty>
  );
}
