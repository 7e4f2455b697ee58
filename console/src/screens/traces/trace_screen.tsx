/** One trace whole: the waterfall, and beside it the selected span or the logs of the trace. */

import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Trace, useTrace } from "~/api/traces";
import { duration } from "~/format/durations";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Empty, ErrorNote, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useMoment } from "~/state/moment";
import { useZone } from "~/state/preferences";
import { TraceView } from "./trace_view";
import classes from "./trace_head.module.css";
import tracesClasses from "./traces.module.css";

const route = getRouteApi("/traces/$traceId");
/** A trace so young may get more spans; a bigger one is not asked for again and again. */
const YOUNG_MS = 60e3;
const AGAIN_MS = 5e3;
const AGAIN_SPANS_MAX = 2000;

export function TraceScreen() {
  const t = useT();
  const { traceId } = route.useParams();
  const [isYoung, setYoung] = useState(true);
  const asked = useTrace(traceId, isYoung ? AGAIN_MS : undefined);
  const { nowMs } = useMoment();
  const trace = asked.data;
  const isGrowing = trace === undefined ? asked.error === null : canGrow(trace, Math.max(nowMs, asked.dataUpdatedAt));
  if (isGrowing !== isYoung) setYoung(isGrowing);
  const root = trace?.spans.find((span) => span.parent_span_id === "") ?? trace?.spans[0];
  return (
    <Screen
      title={root === undefined || root.name === "" ? t("traces.trace") : root.name} isFilling
      head={trace !== undefined && <Facts trace={trace} service={root?.service ?? ""} />}
    >
      {asked.error !== null &&
        (asked.error.code === "not_found" ? (
          <NotThere traceId={traceId} onRetry={() => void asked.refetch()} />
        ) : (
          <ErrorNote error={asked.error} onRetry={() => void asked.refetch()} />
        ))}
      {trace === undefined ? (
        asked.error === null && (
          <div className={tracesClasses.waiting}><Loading heightPx={400} lines={16} /></div>
        )
      ) : (
        <TraceView key={trace.trace_id} trace={trace} />
      )}
    </Screen>
  );
}

function canGrow(trace: Trace, nowMs: number): boolean {
  if (trace.spans.length > AGAIN_SPANS_MAX) return false;
  const newestMs = trace.spans.reduce(
    (most, span) => Math.max(most, Date.parse(span.timestamp) + span.duration_ns / 1e6),
    0,
  );
  return nowMs - newestMs < YOUNG_MS;
}

function Facts({ trace, service }: { readonly trace: Trace; readonly service: string }) {
  const t = useT();
  const zone = useZone();
  const starts = trace.spans.map((span) => Date.parse(span.timestamp));
  const startMs = starts.reduce((least, start) => Math.min(least, start), Infinity);
  const endMs = trace.spans.reduce(
    (most, span, at) => Math.max(most, (starts[at] ?? 0) + span.duration_ns / 1e6),
    0,
  );
  return (
    <span className={classes.facts}>
      <span>{service}</span>
      <strong>{duration((endMs - startMs) * 1e6)}</strong>
      <span>{t("traces.spans", { n: trace.spans.length })}</span>
      <span>{dateTime(startMs, zone)}</span>
      <span className={`mono cut ${classes.traceId}`} title={trace.trace_id}>{trace.trace_id}</span>
      <CopyButton text={trace.trace_id} label={t("traces.copyTraceId")} />
    </span>
  );
}

function NotThere({ traceId, onRetry }: { readonly traceId: string; readonly onRetry: () => void }) {
  const t = useT();
  return (
    <Empty title={t("traces.notThere")} icon="search">
      <span className="mono">{traceId}</span>
      {t("traces.notThereWhat")}
      <span className={tracesClasses.emptyActions}>
        <button type="button" className={classes.show} onClick={onRetry}>{t("parts.retry")}</button>
        <Link to="/traces" search={{}}>{t("traces.toList")}</Link>
      </span>
    </Empty>
  );
}
