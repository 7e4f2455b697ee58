/** What a query is worth at the end of the range: a row a series, a column a label. */

import { useMemo } from "react";
import type { InstantAnswer, InstantRow } from "~/api/prometheus";
import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { seriesId } from "../series";
import classes from "./explore.module.css";
import type { Written } from "./meaning";
import type { PromQuery } from "./queries";

interface Props {
  readonly query: PromQuery;
  readonly answer: InstantAnswer;
  readonly written: Written;
  readonly isOld: boolean;
  readonly hasTitle: boolean;
}

const ROWS_SHOWN = 16;
/** More labels than these are in the title of the row. */
const LABELS_MAX = 8;

export function InstantTable({ query, answer, written, isOld, hasTitle }: Props) {
  const t = useT();
  const columns = useMemo<Column<InstantRow>[]>(() => {
    const names = [...new Set(answer.rows.flatMap((row) => Object.keys(row.labels)))].sort();
    return [
      ...names.slice(0, LABELS_MAX).map((name): Column<InstantRow> => ({
        id: `label ${name}`, label: name, width: name === "__name__" ? "minmax(10rem, 2fr)" : "minmax(5rem, 1fr)",
        sortBy: (row) => row.labels[name] ?? "",
        cell: (row) => <span className="cut" title={row.labels[name]}>{row.labels[name] ?? ""}</span>,
      })),
      {
        id: "value", label: t("explore.value"), width: names.length === 0 ? "minmax(0, 1fr)" : "minmax(8rem, 1fr)",
        isNumber: true, sortBy: (row) => row.value,
        cell: (row) => <span title={row.text}>{row.value === null ? row.text : written.format(row.value)}</span>,
      },
    ];
  }, [answer, written, t]);
  return (
    <div className={classes.group}>
      {hasTitle && (
        <h3 className={classes.groupTitle}>
          <span className={classes.groupLetter}>{query.id}</span>
          <span className="cut mono" title={query.expr}>{query.expr}</span>
        </h3>
      )}
      {answer.rows.length === 0 ? (
        <Empty title={t("explore.noRows")} icon="metrics">{t("explore.noRowsWhat")}</Empty>
      ) : (
        <TableView
          label={t("explore.tableOf", { id: query.id })} columns={columns} rows={answer.rows}
          rowKey={(row) => seriesId(row.labels)} rowsMax={ROWS_SHOWN} isOld={isOld}
        />
      )}
    </div>
  );
}
