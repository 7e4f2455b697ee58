/** Operations by their slowest twentieth; a row leads to its slowest traces. */

import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Operation } from "~/api/traces";
import { duration } from "~/format/durations";
import { percent, perSecond } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { HowToSend } from "./how_to_send";

interface Props {
  readonly operations: readonly Operation[];
  readonly isOld: boolean;
}

export function SlowestOperations({ operations, isOld }: Props) {
  const t = useT();
  const navigate = useNavigate();
  const columns = useMemo<Column<Operation>[]>(
    () => [
      {
        id: "name", label: t("overview.operation"), width: "minmax(8rem, 2fr)",
        cell: (row) => <span title={row.name}>{row.name}</span>,
      },
      {
        id: "service", label: t("overview.service"), width: "minmax(5rem, 1fr)",
        cell: (row) => <span className="muted" title={row.service}>{row.service}</span>,
      },
      { id: "p50", label: "p50", width: "72px", isNumber: true, sortBy: (row) => row.p50_ns, cell: (row) => duration(row.p50_ns) },
      { id: "p95", label: "p95", width: "72px", isNumber: true, sortBy: (row) => row.p95_ns, cell: (row) => duration(row.p95_ns) },
      { id: "p99", label: "p99", width: "72px", isNumber: true, sortBy: (row) => row.p99_ns, cell: (row) => duration(row.p99_ns) },
      {
        id: "rate", label: t("overview.rate"), width: "88px", isNumber: true,
        sortBy: (row) => row.rate_per_s, cell: (row) => perSecond(row.rate_per_s),
      },
      {
        id: "errors", label: t("overview.errors"), width: "72px", isNumber: true,
        sortBy: (row) => row.error_ratio, cell: (row) => <ErrorShare ratio={row.error_ratio} />,
      },
    ],
    [t],
  );
  return (
    <TableView
      label={t("overview.slowest")} columns={columns} rows={operations} rowsMax={10} isOld={isOld}
      rowKey={(row) => `${row.service} ${row.name} ${row.kind}`}
      onOpen={(row) =>
        void navigate({ to: "/traces", search: { service: row.service, operation: row.name, order: "slowest" } })
      }
      empty={
        <Empty title={t("overview.noTraces")} icon="traces">
          {t("overview.noTracesWhat")}
          <HowToSend what="otlp" />
        </Empty>
      }
    />
  );
}

function ErrorShare({ ratio }: { readonly ratio: number }) {
  if (ratio === 0) return <span className="muted">0%</span>;
  return <span style={{ color: "var(--tl-error-text)", fontWeight: 600 }}>{percent(ratio)}</span>;
}
