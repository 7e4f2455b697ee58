/** The log rows of a trace in order of time, each with its moment in the part of the trace in sight. */

import { Switch } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { LogRow } from "~/api/logs";
import { fullTime, nanosecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { SeverityBadge } from "~/parts/severity_badge";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import { severityOf } from "~/theme";
import classes from "./details.module.css";
import { offset, share, type Viewport } from "./viewport";

interface Props {
  readonly traceId: string;
  readonly rows: readonly LogRow[];
  readonly hasMore: boolean;
  readonly onMore: () => void;
  readonly traceStartNs: bigint;
  readonly view: Viewport;
  readonly selectedSpanId: string | undefined;
  readonly onSpan: (spanId: string) => void;
  readonly onMark: (ns: number | null) => void;
}

export function TraceLogs(props: Props) {
  const { traceId, rows, hasMore, traceStartNs, view, selectedSpanId, onSpan, onMark } = props;
  const t = useT();
  const [isOnlySpan, setOnlySpan] = useState(false);
  const [open, setOpen] = useState<LogRow | null>(null);
  const isOnly = isOnlySpan && selectedSpanId !== undefined;
  const shown = isOnly ? rows.filter((row) => row.span_id === selectedSpanId) : rows;
  const columns = useColumns(traceStartNs, view, onMark);
  return (
    <div className={classes.logs}>
      <div className={classes.logsHead}>
        <Switch
          size="xs" label={t("traces.onlyThisSpan")} checked={isOnly} disabled={selectedSpanId === undefined}
          onChange={(event) => setOnlySpan(event.currentTarget.checked)}
        />
        <Link to="/logs" search={{ filter: [{ field: "trace_id", op: "=", value: traceId }] }}>
          {t("traces.inLogs")}
        </Link>
      </div>
      <TableView
        label={t("traces.logs")} columns={columns} rows={shown} rowKey={(row) => row.id} selectedKey={open?.id}
        onEnd={() => {
          if (hasMore) props.onMore();
        }}
        onOpen={(row) => {
          setOpen(row);
          if (row.span_id !== "") onSpan(row.span_id);
        }}
        empty={
          <Empty title={isOnly ? t("traces.noLogsOfSpan") : t("traces.noLogs")} icon="logs">
            {isOnly ? undefined : t("traces.noLogsWhat")}
          </Empty>
        }
      />
      {open !== null && <OpenLog row={open} />}
    </div>
  );
}

function OpenLog({ row }: { readonly row: LogRow }) {
  const zone = useZone();
  return (
    <div className={classes.openLog}>
      <header>
        <SeverityBadge severity={row.severity} text={row.severity_text} />
        <span className="muted">{fullTime(row.timestamp, zone)}</span>
        <CopyButton text={row.body} />
      </header>
      <pre>{row.body}</pre>
    </div>
  );
}

function useColumns(traceStartNs: bigint, view: Viewport, onMark: (ns: number | null) => void): Column<LogRow>[] {
  const t = useT();
  return useMemo(() => {
    const sinceNs = (row: LogRow) => Number(nanosecondsOf(row.timestamp) - traceStartNs);
    const lengthNs = view.toNs - view.fromNs;
    return [
      {
        id: "offset", label: t("traces.offset"), width: "84px", isNumber: true,
        cell: (row) => <span className="muted">{offset(sinceNs(row), Math.max(1, lengthNs / 1000), view.toNs)}</span>,
      },
      {
        id: "at", label: t("traces.when"), width: "84px",
        cell: (row) => <Moment at={share(sinceNs(row), view)} severity={row.severity} />,
      },
      {
        id: "body", label: t("traces.message"), width: "minmax(10rem, 1fr)",
        cell: (row) => (
          <span
            className={classes.logBody} title={`${row.severity} · ${row.service}\n${row.body}`}
            onMouseEnter={() => onMark(sinceNs(row))} onMouseLeave={() => onMark(null)}
          >
            <SeverityBadge severity={row.severity} text={row.severity_text} />
            {` ${row.body.split("\n", 1)[0] ?? ""}`}
          </span>
        ),
      },
    ];
  }, [t, traceStartNs, view, onMark]);
}

/** A dot on a line that is the time in sight. */
function Moment({ at, severity }: { readonly at: number; readonly severity: string }) {
  const place = Math.min(1, Math.max(0, at));
  return (
    <span className={classes.moment} data-out={at < 0 || at > 1 || undefined}>
      <span style={{ left: `${place * 100}%`, background: `var(--tl-${severityOf(severity).toLowerCase()})` }} />
    </span>
  );
}
