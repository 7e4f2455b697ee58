/** The legend of a chart as a table: a row shows its line alone, the mark hides or shows it. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useMemo } from "react";
import type { Hidden } from "~/charts/visibility";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { type Column, TableView } from "~/parts/table_view";
import type { Line } from "./lines";
import classes from "./metrics.module.css";
import type { Summary } from "./series";

interface Props {
  readonly lines: readonly Line[];
  readonly hidden: Hidden;
  readonly format: (value: number) => string;
  readonly isOld: boolean;
  readonly onIsolate: (id: string) => void;
  readonly onToggle: (id: string) => void;
  readonly onFilter: (labels: Readonly<Record<string, string>>) => void;
}

const ROWS_MAX = 12;

export function SeriesTable({ lines, hidden, format, isOld, onIsolate, onToggle, onFilter }: Props) {
  const t = useT();
  const columns = useMemo<Column<Line>[]>(() => {
    const value = (key: keyof Omit<Summary, "gaps">, label: string): Column<Line> => ({
      id: key, label, width: "minmax(78px, 104px)", isNumber: true, sortBy: (row) => row.summary[key],
      cell: (row) => (row.summary[key] === null ? "–" : format(row.summary[key])),
    });
    return [
      {
        id: "mark", label: "", width: "34px",
        cell: (row) => <Mark line={row} isHidden={hidden.has(row.id)} onToggle={onToggle} />,
      },
      {
        id: "name", label: t("metrics.line"), width: "minmax(8rem, 2fr)", sortBy: (row) => row.name,
        cell: (row) => (
          <span className={classes.lineName} data-hidden={hidden.has(row.id) || undefined} title={row.text}>
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
        id: "filter", label: "", width: "40px",
        cell: (row) =>
          Object.keys(row.series.labels).length === 0 ? null : (
            <Tooltip label={t("metrics.onlySeries")}>
              <ActionIcon
                size="sm" aria-label={`${t("metrics.onlySeries")}: ${row.name}`}
                onClick={(event) => {
                  event.stopPropagation();
                  onFilter(row.series.labels);
                }}
              >
                <Icon name="filter" sizePx={13} />
              </ActionIcon>
            </Tooltip>
          ),
      },
    ];
  }, [t, hidden, format, onToggle, onFilter]);
  return (
    <TableView
      label={t("metrics.table")} columns={columns} rows={lines} rowKey={(row) => row.id} rowsMax={ROWS_MAX}
      onOpen={(row) => onIsolate(row.id)} isOld={isOld}
    />
  );
}

interface MarkProps {
  readonly line: Line;
  readonly isHidden: boolean;
  readonly onToggle: (id: string) => void;
}

function Mark({ line, isHidden, onToggle }: MarkProps) {
  const t = useT();
  const label = `${isHidden ? t("metrics.show") : t("metrics.hide")}: ${line.name}`;
  return (
    <button
      type="button" className={classes.mark} aria-label={label} aria-pressed={!isHidden} title={label}
      style={{ borderColor: line.color, background: isHidden ? "none" : line.color }}
      onClick={(event) => {
        event.stopPropagation();
        onToggle(line.id);
      }}
    />
  );
}
