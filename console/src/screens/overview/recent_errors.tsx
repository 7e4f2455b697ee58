/** The newest rows that are errors or worse; a row leads to Logs, with its details open. */

import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import type { LogRow } from "~/api/logs";
import { millisecondsOf, rowTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { SeverityBadge } from "~/parts/severity_badge";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";

const HALF_DAY_MS = 43_200e3;
/** Of `01-02 ` before the clock's time. */
const DAY_LENGTH = 6;

interface Props {
  readonly rows: readonly LogRow[];
  readonly isOld: boolean;
}

export function RecentErrors({ rows, isOld }: Props) {
  const t = useT();
  const zone = useZone();
  const navigate = useNavigate();
  const { range } = useTimeRange();
  const areDaysShown = range.toMs - range.fromMs > HALF_DAY_MS;
  const columns = useMemo<Column<LogRow>[]>(
    () => [
      {
        id: "time", label: t("overview.time"), width: areDaysShown ? "156px" : "112px",
        cell: (row) => {
          const text = rowTime(millisecondsOf(row.timestamp), zone);
          return <span title={row.timestamp}>{areDaysShown ? text : text.slice(DAY_LENGTH)}</span>;
        },
      },
      {
        id: "severity", label: t("overview.severity"), width: "86px",
        cell: (row) => <SeverityBadge severity={row.severity} text={row.severity_text} />,
      },
      {
        id: "service", label: t("overview.service"), width: "minmax(5rem, 8rem)",
        cell: (row) => <span className="muted" title={row.service}>{row.service}</span>,
      },
      {
        id: "body", label: t("overview.message"), width: "minmax(10rem, 1fr)",
        cell: (row) => <span className="mono" title={row.body}>{row.body}</span>,
      },
    ],
    [t, zone, areDaysShown],
  );
  return (
    <TableView
      label={t("overview.recentErrors")} columns={columns} rows={rows} rowsMax={10} isOld={isOld}
      rowKey={(row) => row.id}
      onOpen={(row) =>
        void navigate({
          to: "/logs",
          search: { filter: [{ field: "severity", op: ">=", value: "ERROR" }], row: row.id },
        })
      }
      empty={<Empty title={t("overview.noErrors")} icon="check" />}
    />
  );
}
