/** Where the program listens, how long it keeps what, and how much it has. */

import { useMemo } from "react";
import type { Status, StoredTable } from "~/api/sources";
import { duration } from "~/format/durations";
import { bytes, count, exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Panel } from "~/parts/panel";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { protocolName } from "./names";
import classes from "./sources.module.css";

export function Listening({ listening }: { readonly listening: Status["listening"] }) {
  const t = useT();
  return (
    <Panel title={t("sources.listening")}>
      <dl className={classes.facts}>
        {listening.map((one) => (
          <div key={`${one.protocol} ${one.address}`}>
            <dt>{protocolName(one.protocol)}</dt>
            <dd className="mono">
              {one.address}
              <CopyButton text={one.address} />
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

export function Retention({ retention }: { readonly retention: Status["retention"] }) {
  const t = useT();
  return (
    <Panel title={t("sources.retention")}>
      <dl className={classes.facts}>
        {retention.map((one) => {
          const limits = [
            one.time_s === null ? null : duration(one.time_s * 1e9),
            one.size_bytes_max === null ? null : t("sources.atMost", { size: bytes(one.size_bytes_max) }),
          ].filter((limit) => limit !== null);
          return (
            <div key={one.signal}>
              <dt>{t.maybe(`sources.signal.${one.signal}`) ?? one.signal}</dt>
              <dd>{limits.length === 0 ? t("sources.forEver") : limits.join(", ")}</dd>
            </div>
          );
        })}
      </dl>
    </Panel>
  );
}

export function Tables({ tables }: { readonly tables: readonly StoredTable[] }) {
  const t = useT();
  const columns = useMemo<Column<StoredTable>[]>(
    () => [
      { id: "table", label: t("sources.table"), width: "minmax(8rem, 1fr)", cell: (row) => row.table },
      {
        id: "rows", label: t("sources.rowsStored"), width: "84px", isNumber: true, sortBy: (row) => row.rows,
        cell: (row) => <span title={exact(row.rows)}>{count(row.rows)}</span>,
      },
      {
        id: "bytes", label: t("sources.onDisk"), width: "92px", isNumber: true, sortBy: (row) => row.bytes,
        cell: (row) => bytes(row.bytes),
      },
      {
        id: "each", label: t("sources.perRow"), width: "84px", isNumber: true,
        sortBy: (row) => (row.rows === 0 ? null : row.bytes / row.rows),
        cell: (row) => (row.rows === 0 ? "–" : bytes(row.bytes / row.rows)),
      },
    ],
    [t],
  );
  return (
    <Panel title={t("sources.tables")} isFlush>
      <TableView
        label={t("sources.tables")} columns={columns} rows={tables} rowsMax={8} rowKey={(row) => row.table}
        empty={<Empty title={t("sources.noTables")} />}
      />
    </Panel>
  );
}
