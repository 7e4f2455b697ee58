/** The waterfall and the panel beside it; what is selected, found and in sight is in the address. */

import { ActionIcon, SegmentedControl, Tooltip } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { ApiError } from "~/api/client";
import type { Trace } from "~/api/traces";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { ErrorNote, Loading } from "~/parts/states";
import { useTyped } from "~/state/use_typed";
import { criticalPath } from "./critical_path";
import details from "./details.module.css";
import { Minimap } from "./minimap";
import type { TraceSearch } from "./search";
import { useServiceColors } from "./service_colors";
import { SpanDetails } from "./span_details";
import { found as foundIn } from "./span_search";
import { TraceHead } from "./trace_head";
import { TraceLogs } from "./trace_logs";
import { treeOf, type TraceTree } from "./trace_tree";
import { useFolding } from "./use_folding";
import { useTraceKeys } from "./use_trace_keys";
import { useTraceLogs } from "./use_trace_logs";
import classes from "./view.module.css";
import { readViewport, type Viewport, viewportText } from "./viewport";
import { Waterfall } from "./waterfall";

const route = getRouteApi("/traces/$traceId");

export function TraceView({ trace }: { readonly trace: Trace }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const tree = useMemo(() => treeOf(trace.spans), [trace.spans]);
  const colors = useServiceColors(tree);
  const folding = useFolding(tree);
  const logs = useTraceLogs(trace.trace_id, tree);
  const [markNs, setMarkNs] = useState<number | null>(null);
  const find = useDeferredValue(search.find ?? "");
  const found = useMemo(() => foundIn(tree, find), [tree, find]);
  const foundSet = useMemo(() => new Set(found), [found]);
  const change = useCallback(
    (changed: Partial<TraceSearch>) => void navigate({ search: (old) => ({ ...old, ...changed }), replace: true }),
    [navigate],
  );
  const [view, setView] = useView(search.zoom, tree.durationNs, change);
  const { reveal } = folding;
  const select = useCallback(
    (key: string) => {
      reveal(tree.placeOf.get(key) ?? -1);
      change({ span: key });
    },
    [change, reveal, tree],
  );
  const close = () => change({ span: undefined, panel: undefined });
  useTraceKeys({ tree, folding, selected: search.span, found, onSelect: select, onClose: close, onView: setView });

  const place = search.span === undefined ? -1 : (tree.placeOf.get(search.span) ?? -1);
  return (
    <>
      <TraceHead
        tree={tree} colors={colors} folding={folding} find={search.find ?? ""} found={found} place={place}
        isTruncated={trace.truncated} view={view} onSelect={select} onView={setView}
        onFind={(text) => change({ find: text })}
      />
      <Minimap tree={tree} colors={colors} view={view} onView={setView} />
      <div className={classes.beside}>
        <Waterfall
          tree={tree} places={folding.places} collapsed={folding.collapsed} colors={colors} logsOf={logs.logsOf}
          selected={search.span} found={foundSet} view={view} markNs={markNs}
          onView={setView} onSelect={select} onToggle={folding.toggle}
        />
        <Panel
          traceId={trace.trace_id} tree={tree} place={place} search={search} logs={logs} view={view}
          onChange={change} onSelect={select} onMark={setMarkNs} onClose={close}
        />
      </div>
    </>
  );
}

const ZOOM_WRITTEN_MS = 250;

/** The part in sight. A wheel turns faster than browsers let addresses change: it is written at rest. */
function useView(
  zoom: string | undefined,
  durationNs: number,
  change: (changed: Partial<TraceSearch>) => void,
): [Viewport, (view: Viewport) => void] {
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const [text, setText] = useTyped(zoom ?? "", (next) => {
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => change({ zoom: next === "" ? undefined : next }), ZOOM_WRITTEN_MS);
  });
  const view = useMemo(() => readViewport(text, durationNs), [text, durationNs]);
  return [view, (next) => setText(viewportText(next, durationNs) ?? "")];
}

interface PanelProps {
  readonly traceId: string;
  readonly tree: TraceTree;
  readonly place: number;
  readonly search: TraceSearch;
  readonly logs: ReturnType<typeof useTraceLogs>;
  readonly view: Viewport;
  readonly onChange: (changed: Partial<TraceSearch>) => void;
  readonly onSelect: (key: string) => void;
  readonly onMark: (ns: number | null) => void;
  readonly onClose: () => void;
}

function Panel(props: PanelProps) {
  const { tree, place, search, logs, onChange } = props;
  const t = useT();
  const isLogs = search.panel === "logs";
  if (!isLogs && place < 0) return <ClosedPanel logs={logs} onOpen={() => onChange({ panel: "logs" })} />;
  return (
    <aside className={details.panel} aria-label={isLogs ? t("traces.logs") : t("traces.span")}>
      <header className={details.panelHead}>
        <SegmentedControl
          size="xs" value={isLogs ? "logs" : "span"} aria-label={t("traces.panel")}
          data={[
            { value: "span", label: t("traces.span"), disabled: place < 0 },
            { value: "logs", label: t("traces.logsCount", { n: countOf(logs) }) },
          ]}
          onChange={(panel) => onChange({ panel: panel === "logs" ? "logs" : undefined })}
        />
        <Tooltip label={`${t("parts.close")} (Esc)`}>
          <ActionIcon aria-label={t("parts.close")} onClick={props.onClose}>
            <Icon name="close" />
          </ActionIcon>
        </Tooltip>
      </header>
      {isLogs ? <LogsBody {...props} /> : <SpanBody {...props} tree={tree} />}
    </aside>
  );
}

function countOf(logs: ReturnType<typeof useTraceLogs>): string {
  if (logs.asked.data === undefined) return "…";
  return `${logs.rows.length}${logs.asked.hasNextPage ? "+" : ""}`;
}

interface ClosedProps {
  readonly logs: ReturnType<typeof useTraceLogs>;
  readonly onOpen: () => void;
}

/** Where the panel will be: so that nobody has to look for the logs. */
function ClosedPanel({ logs, onOpen }: ClosedProps) {
  const t = useT();
  return (
    <div className={classes.closed}>
      <Tooltip label={t("traces.logs")} position="left">
        <button type="button" aria-label={t("traces.logs")} onClick={onOpen}>
          <Icon name="logs" />
          <span>{countOf(logs)}</span>
        </button>
      </Tooltip>
    </div>
  );
}

function SpanBody({ tree, place, onSelect }: PanelProps) {
  const navigate = route.useNavigate();
  const path = useMemo(() => criticalPath(tree), [tree]);
  const span = tree.nodes[place]?.span;
  return (
    <>
      <h2 className={details.spanTitle}>{span?.name === "" ? "–" : span?.name}</h2>
      <div className={details.panelBody}>
        <SpanDetails
          key={place} tree={tree} place={place} critical={path.get(place)} onSelect={onSelect}
          onFilter={(field, op, value) =>
            void navigate({ to: "/traces", search: { filter: [{ field, op, value }] } })
          }
        />
      </div>
    </>
  );
}

function LogsBody({ traceId, tree, place, logs, view, onSelect, onMark }: PanelProps) {
  const { asked } = logs;
  return (
    <>
      {asked.error instanceof ApiError && <ErrorNote error={asked.error} onRetry={() => void asked.refetch()} />}
      {asked.data === undefined ? (
        asked.error === null && <Loading heightPx={200} lines={8} />
      ) : (
        <TraceLogs
          traceId={traceId} rows={logs.rows} hasMore={asked.hasNextPage} traceStartNs={tree.startNs} view={view}
          selectedSpanId={tree.nodes[place]?.spanId} onMark={onMark}
          onMore={() => {
            if (!asked.isFetchingNextPage) void asked.fetchNextPage();
          }}
          onSpan={(spanId) => {
            if (tree.placeOf.has(spanId)) onSelect(spanId);
          }}
        />
      )}
    </>
  );
}
