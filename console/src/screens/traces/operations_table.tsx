/** Operations with their rate, errors and latency; a row shows its traces. */

import { useMemo } from "react";
import { type Operation, useOperations } from "~/api/traces";
import { duration } from "~/format/durations";
import { count, percent, perSecond } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useTimeRange } from "~/state/use_time_range";
import { HowToSend } from "~/screens/overview/how_to_send";
import classes from "./traces.module.css";

interface Props {
  readonly service: string | undefined;
  /** Part of an operation's name. */
  readonly part: string | undefined;
  readonly onOpen: (operation: Operation) => void;
}

const OPERATIONS_MAX = 1000;

export function OperationsTable({ service, part, onOpen }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const asked = useOperations(range, service, OPERATIONS_MAX);
  const columns = useColumns();
  return (
    <Answered asked={asked} loading={<Loading heightPx={300} lines={10} />}>
      {({ operations }) => {
        const shown = operations.filter((one) => one.name.toLowerCase().includes((part ?? "").toLowerCase()));
        return (
          <>
            {operations.length >= OPERATIONS_MAX && (
              <p className={classes.limitNote}>{t("traces.operationsLimit", { n: OPERATIONS_MAX })}</p>
            )}
            <TableView
              label={t("traces.operations")} columns={columns} rows={shown} isMain isOld={asked.isPlaceholderData}
              rowKey={(row) => `${row.service} ${row.name} ${row.kind}`}
              firstSort={{ column: "rate", isDescending: true }} onOpen={onOpen}
              empty={<NoOperations isFiltered={operations.length > 0 || service !== undefined} />}
            />
          </>
        );
      }}
    </Answered>
  );
}

function NoOperations({ isFiltered }: { readonly isFiltered: boolean }) {
  const t = useT();
  if (isFiltered) return <Empty title={t("traces.noOperationFits")} icon="search">{t("traces.noOperationFitsWhat")}</Empty>;
  return (
    <Empty title={t("overview.noTraces")} icon="traces">
      {t("overview.noTracesWhat")}
      <HowToSend what="otlp" />
    </Empty>
  );
}

function useColumns(): Column<Operation>[] {
  const t = useT();
  return useMemo(() => {
    const time = (id: string, key: "p50_ns" | "p95_ns" | "p99_ns"): Column<Operation> => ({
      id, label: id, width: "88px", isNumber: true, sortBy: (row) => row[key], cell: (row) => duration(row[key]),
    });
    return [
      {
        id: "name", label: t("traces.operation"), width: "minmax(12rem, 2.4fr)", sortBy: (row) => row.name.toLowerCase(),
        cell: (row) => <span title={row.name}>{row.name === "" ? "–" : row.name}</span>,
      },
      {
        id: "service", label: t("traces.service"), width: "minmax(8rem, 1.2fr)", sortBy: (row) => row.service.toLowerCase(),
        cell: (row) => <span className="muted" title={row.service}>{row.service === "" ? "–" : row.service}</span>,
      },
      {
        id: "kind", label: t("traces.kind"), width: "96px", sortBy: (row) => row.kind,
        cell: (row) => <span className="muted">{row.kind.toLowerCase()}</span>,
      },
      {
        id: "count", label: t("traces.count"), width: "80px", isNumber: true,
        sortBy: (row) => row.count, cell: (row) => count(row.count),
      },
      {
        id: "rate", label: t("traces.rate"), width: "88px", isNumber: true,
        sortBy: (row) => row.rate_per_s, cell: (row) => perSecond(row.rate_per_s),
      },
      {
        id: "errors", label: t("traces.errorShare"), width: "88px", isNumber: true,
        sortBy: (row) => row.error_ratio,
        cell: (row) =>
          row.error_ratio === 0 ? (
            <span className="muted">0%</span>
          ) : (
            <span className={classes.errorText} title={t("traces.errors", { n: row.error_count })}>{percent(row.error_ratio)}</span>
          ),
      },
      time("p50", "p50_ns"), time("p95", "p95_ns"), time("p99", "p99_ns"),
    ];
  }, [t]);
}
