/** Receivers, one row for each way to them, and how the attempts on record went. */

import { useMemo } from "react";
import type { Integration, Receiver } from "~/api/notifications";
import { exact } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { type Column, TableView } from "~/parts/table_view";
import { ago } from "~/shell/time_words";
import { useZone } from "~/state/preferences";
import classes from "./notifications.module.css";
import { ResultMark } from "./result_mark";

const ROWS_MAX = 6;

interface Row {
  readonly key: string;
  readonly receiver: Receiver;
  /** Null for a receiver that tells nobody. */
  readonly integration: Integration | null;
}

interface Props {
  readonly receivers: readonly Receiver[];
  readonly selected: string | undefined;
  readonly onSelect: (receiver: string | undefined) => void;
  readonly atMs: number;
}

export function Receivers({ receivers, selected, onSelect, atMs }: Props) {
  const t = useT();
  const zone = useZone();
  const columns = useMemo(() => columnsOf(t, zone, atMs), [t, zone, atMs]);
  const rows = useMemo(() => receivers.flatMap(rowsOf), [receivers]);
  const chosen = rows.find((one) => one.receiver.name === selected)?.key;
  return (
    <TableView
      label={t("notifications.receivers")} columns={columns} rows={rows} rowsMax={ROWS_MAX}
      rowKey={(row) => row.key} selectedKey={chosen}
      onOpen={(row) => onSelect(row.receiver.name === selected ? undefined : row.receiver.name)}
    />
  );
}

function rowsOf(receiver: Receiver): Row[] {
  if (receiver.integrations.length === 0) return [{ key: receiver.name, receiver, integration: null }];
  return receiver.integrations.map((integration) => ({ key: integration.name, receiver, integration }));
}

const HEALTH_ORDER = { failing: 0, working: 1, unused: 2 } as const;

function columnsOf(t: Translate, zone: Zone, atMs: number): Column<Row>[] {
  const of = <Value,>(row: Row, read: (integration: Integration) => Value): Value | null =>
    row.integration === null ? null : read(row.integration);
  const number = (id: "sent" | "failed" | "waiting", tone: string | undefined): Column<Row> => ({
    id, label: t(`notifications.${id}`), width: "minmax(76px, 0.6fr)", isNumber: true,
    sortBy: (row) => of(row, (one) => one[id]),
    cell: (row) => of(row, (one) => <span className={one[id] > 0 ? tone : "muted"}>{exact(one[id])}</span>),
  });
  return [
    {
      id: "health", label: t("notifications.health"), width: "120px",
      sortBy: (row) => of(row, (one) => HEALTH_ORDER[one.health]),
      cell: (row) => of(row, (one) => <ResultMark of={one.health} />) ?? <span className="muted">–</span>,
    },
    {
      id: "receiver", label: t("notifications.receiver"), width: "minmax(9rem, 1.4fr)",
      sortBy: (row) => row.receiver.name, cell: (row) => <Name receiver={row.receiver} />,
    },
    {
      id: "integration", label: t("notifications.integration"), width: "minmax(8rem, 1fr)",
      sortBy: (row) => of(row, (one) => one.kind),
      cell: (row) => of(row, integrationName) ?? <span className="muted">{t("notifications.nobody")}</span>,
    },
    number("sent", undefined),
    number("failed", undefined),
    number("waiting", classes.warned),
    {
      id: "last", label: t("notifications.lastSent"), width: "minmax(128px, 0.8fr)", isNumber: true,
      sortBy: (row) => of(row, (one) => one.last_sent_ms),
      cell: (row) => of(row, (one) => <Ago atMs={one.last_sent_ms} nowMs={atMs} zone={zone} />),
    },
    {
      id: "error", label: t("notifications.lastError"), width: "minmax(12rem, 2.6fr)",
      cell: (row) => of(row, (one) => <span className={classes.errorCell} title={one.error}>{one.error}</span>),
    },
  ];
}

/** `webhook[0]` of `pager/webhook[0]`. */
function integrationName(one: Integration): string {
  return one.name.slice(one.name.lastIndexOf("/") + 1);
}

function Name({ receiver }: { readonly receiver: Receiver }) {
  const t = useT();
  return (
    <span title={receiver.name}>
      {receiver.name}
      {!receiver.is_used && <span className="muted"> · {t("notifications.notUsed")}</span>}
    </span>
  );
}

interface AgoProps {
  readonly atMs: number | null;
  readonly nowMs: number;
  readonly zone: Zone;
}

export function Ago({ atMs, nowMs, zone }: AgoProps) {
  const t = useT();
  if (atMs === null) return <span className="muted">–</span>;
  return <span title={dateTime(atMs, zone)}>{ago(atMs, nowMs, t)}</span>;
}
