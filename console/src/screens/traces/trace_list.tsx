/** Traces that fit, one a row; a row opens the whole trace. */

import { useMemo } from "react";
import type { TraceSummary } from "~/api/traces";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { millisecondsOf, rowTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import classes from "./traces.module.css";

interface Props {
  readonly traces: readonly TraceSummary[];
  readonly isOld: boolean;
  readonly onOpen: (trace: TraceSummary) => void;
  readonly onEnd: () => void;
  readonly empty: React.ReactNode;
}

export function TraceList({ traces, isOld, onOpen, onEnd, empty }: Props) {
  const t = useT();
  const zone = useZone();
  const longestNs = traces.reduce((most, trace) => Math.max(most, trace.duration_ns), 1);
  const columns = useMemo<Column<TraceSummary>[]>(
    () => [
      {
        id: "start", label: t("traces.start"), width: "156px",
        cell: (row) => <span className="muted">{rowTime(millisecondsOf(row.start), zone)}</span>,
      },
      {
        id: "name", label: t("traces.trace"), width: "minmax(11rem, 2.2fr)",
        cell: (row) => <RootName trace={row} />,
      },
      {
        id: "duration", label: t("traces.duration"), width: "minmax(8.5rem, 1fr)",
        cell: (row) => <DurationBar ns={row.duration_ns} longestNs={longestNs} isError={row.error_count > 0} />,
      },
      { id: "spans", label: t("traces.spansColumn"), width: "70px", isNumber: true, cell: (row) => exact(row.span_count) },
      {
        id: "errors", label: t("traces.errorsColumn"), width: "70px", isNumber: true,
        cell: (row) => <ErrorCount count={row.error_count} />,
      },
      {
        id: "services", label: t("traces.services"), width: "minmax(8rem, 1.4fr)",
        cell: (row) => {
          const text = row.services.map((one) => `${one.service === "" ? "–" : one.service} ${one.span_count}`).join(" · ");
          return <span className="muted" title={text}>{text}</span>;
        },
      },
    ],
    [t, zone, longestNs],
  );
  return (
    <TableView
      label={t("traces.list")} columns={columns} rows={traces} rowKey={(row) => row.trace_id}
      onOpen={onOpen} onEnd={onEnd} isOld={isOld} isMain empty={empty}
    />
  );
}

function RootName({ trace }: { readonly trace: TraceSummary }) {
  const t = useT();
  return (
    <span title={`${trace.root_service} · ${trace.root_name}\n${trace.trace_id}`}>
      {trace.root_status === "ERROR" && (
        <span className={classes.errorMark} role="img" aria-label={t("traces.rootFailed")}>
          <Icon name="error" sizePx={13} />
        </span>
      )}
      {trace.root_name === "" ? "–" : trace.root_name}
      <span className="muted">{`  ${trace.root_service}`}</span>
    </span>
  );
}

interface BarProps {
  readonly ns: number;
  readonly longestNs: number;
  readonly isError: boolean;
}

/** The bar compares with the longest that is loaded. */
function DurationBar({ ns, longestNs, isError }: BarProps) {
  return (
    <span className={classes.durationCell}>
      <span className={classes.durationText}>{duration(ns)}</span>
      <span className={classes.durationTrack}>
        <span
          className={classes.durationBar} data-error={isError || undefined}
          style={{ width: `${(ns / longestNs) * 100}%` }}
        />
      </span>
    </span>
  );
}

function ErrorCount({ count }: { readonly count: number }) {
  if (count === 0) return <span className="muted">0</span>;
  return <span className={classes.errorText}>{exact(count)}</span>;
}
