/** The legend of the plots: a click shows a line alone, with Ctrl it hides or shows it. */

import { useMemo } from "react";
import type { Hidden } from "~/charts/visibility";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { type Column, TableView } from "~/parts/table_view";
import table from "../metrics.module.css";
import type { Summary } from "../series";
import classes from "./explore.module.css";
import type { PromLine } from "./lines";

interface Props {
  readonly lines: readonly PromLine[];
  readonly hidden: Hidden;
  readonly hasLetters: boolean;
  readonly isOld: boolean;
  readonly onIsolate: (id: string) => void;
  readonly onToggle: (id: string) => void;
}

const ROWS_MAX = 12;

export function LineTable({ lines, hidden, hasLetters, isOld, onIsolate, onToggle }: Props) {
  const t = useT();
  const columns = useMemo<Column<PromLine>[]>(() => {
    const value = (key: keyof Omit<Summary, "gaps">, label: string): Column<PromLine> => ({
      id: key, label, width: "minmax(64px, 90px)", isNumber: true, sortBy: (row) => row.summary[key],
      cell: (row) => (row.summary[key] === null ? "–" : row.written.format(row.summary[key])),
    });
    const letter: Column<PromLine> = {
      id: "query", label: "", width: "46px", sortBy: (row) => row.queryId,
      cell: (row) => <span className={classes.groupLetter}>{row.queryId}</span>,
    };
    return [
      { id: "mark", label: "", width: "34px", cell: (row) => <Mark line={row} isHidden={hidden.has(row.id)} onToggle={onToggle} /> },
      ...(hasLetters ? [letter] : []),
      {
        id: "name", label: t("metrics.line"), width: "minmax(9rem, 2fr)", sortBy: (row) => row.name,
        cell: (row) => (
          <span className={table.lineName} data-hidden={hidden.has(row.id) || undefined} title={row.text}>
            {row.name}
          </span>
        ),
      },
      value("last", t("metrics.last")), value("least", t("metrics.least")),
      value("most", t("metrics.most")), value("average", t("metrics.average")),
      {
        id: "gaps", label: t("metrics.gaps"), width: "64px", isNumber: true, sortBy: (row) => row.summary.gaps,
        cell: (row) => <span className={row.summary.gaps === 0 ? "muted" : undefined}>{count(row.summary.gaps)}</span>,
      },
      {
        id: "copy", label: "", width: "40px",
        cell: (row) => (
          <span onClick={(event) => event.stopPropagation()}>
            <CopyButton text={row.text} label={`${t("explore.copySeries")}: ${row.name}`} />
          </span>
        ),
      },
    ];
  }, [t, hidden, hasLetters, onToggle]);
  return (
    <TableView
      label={t("metrics.table")} columns={columns} rows={lines} rowKey={(row) => row.id} rowsMax={ROWS_MAX} isOld={isOld}
      onOpen={(row, isMore) => (isMore ? onToggle(row.id) : onIsolate(row.id))}
    />
  );
}

interface MarkProps {
  readonly line: PromLine;
  readonly isHidden: boolean;
  readonly onToggle: (id: string) => void;
}

function Mark({ line, isHidden, onToggle }: MarkProps) {
  const t = useT();
  const label = `${isHidden ? t("metrics.show") : t("metrics.hide")}: ${line.name}`;
  return (
    <button
      type="button" className={table.mark} aria-label={label} aria-pressed={!isHidden} title={label}
      style={{ borderColor: line.color, background: isHidden ? "none" : line.color }}
      onClick={(event) => {
        event.stopPropagation();
        onToggle(line.id);
      }}
    />
  );
}
