/** A table of any length: only the rows in sight are there. Sorted by a click, walked by keys. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { useT } from "~/i18n/use_t";
import { Icon } from "./icon";
import { nextSort, type Sort, sorted } from "./sorting";
import classes from "./table.module.css";
import { useListKeys } from "./use_list_keys";

export interface Column<Row> {
  readonly id: string;
  readonly label: string;
  /** A track of a CSS grid: `90px`, `minmax(8rem, 2fr)`. */
  readonly width: string;
  readonly cell: (row: Row) => ReactNode;
  /** Right-aligned, sorted from the greatest. */
  readonly isNumber?: boolean;
  /** Given, the column can be sorted by it. */
  readonly sortBy?: (row: Row) => number | string | null;
}

interface Props<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly selectedKey?: string | undefined;
  /** `isMore`: with Ctrl, Shift or Command. */
  readonly onOpen?: ((row: Row, isMore: boolean) => void) | undefined;
  readonly firstSort?: Sort;
  /** As high as its place if absent; a number of rows grows to that and then scrolls. */
  readonly rowsMax?: number;
  readonly rowHeightPx?: number;
  readonly empty?: ReactNode;
  /** Called near the end, to load more. */
  readonly onEnd?: (() => void) | undefined;
  readonly isMain?: boolean;
  readonly isOld?: boolean;
}

const HEAD_PX = 28;
const END_ROWS = 20;

export function TableView<Row>(props: Props<Row>) {
  const { columns, rows, rowKey, onOpen, rowHeightPx = 28, onEnd, rowsMax } = props;
  const [sort, setSort] = useState<Sort | null>(props.firstSort ?? null);
  const [active, setActive] = useState(-1);
  const place = useRef<HTMLDivElement>(null);

  const shown = useMemo(() => {
    const key = columns.find((column) => column.id === sort?.column)?.sortBy;
    return sort === null || key === undefined ? rows : sorted(rows, key, sort.isDescending);
  }, [rows, columns, sort]);
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => place.current,
    estimateSize: () => rowHeightPx,
    overscan: 12,
    scrollPaddingStart: HEAD_PX,
    getItemKey: (at) => {
      const row = shown[at];
      return row === undefined ? at : rowKey(row);
    },
  });
  const open = (at: number) => {
    const row = shown[at];
    if (row !== undefined) onOpen?.(row, false);
  };
  const keys = useListKeys({
    count: shown.length,
    active,
    isMain: props.isMain ?? false,
    onOpen: onOpen === undefined ? undefined : open,
    onActive: (at) => {
      setActive(at);
      virtual.scrollToIndex(at);
      if (props.selectedKey !== undefined) open(at);
    },
  });
  const items = virtual.getVirtualItems();
  const lastInSight = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (onEnd !== undefined && lastInSight >= shown.length - END_ROWS) onEnd();
  }, [onEnd, lastInSight, shown.length]);

  const tracks = columns.map((column) => column.width).join(" ");
  const most =
    rowsMax === undefined || shown.length === 0
      ? undefined
      : HEAD_PX + Math.min(rowsMax, shown.length) * rowHeightPx;
  return (
    <div
      ref={place}
      className={classes.table}
      style={most === undefined ? undefined : { height: most, flex: "none" }}
      data-old={props.isOld === true || undefined}
      role="grid" aria-label={props.label} aria-rowcount={shown.length + 1} tabIndex={0}
      onKeyDown={keys.onKeyDown}
    >
      <Head columns={columns} tracks={tracks} sort={sort} onSort={setSort} />
      {shown.length === 0 && props.empty}
      <div className={classes.rows} style={{ height: virtual.getTotalSize() }} role="rowgroup">
        {items.map((item) => {
          const row = shown[item.index];
          if (row === undefined) return null;
          const key = rowKey(row);
          return (
            <div
              key={item.key}
              className={classes.row}
              style={{ gridTemplateColumns: tracks, height: rowHeightPx, transform: `translateY(${item.start}px)` }}
              role="row" aria-rowindex={item.index + 2} aria-selected={key === props.selectedKey}
              data-last={item.index === shown.length - 1 || undefined}
              data-active={item.index === active || undefined}
              data-opens={onOpen !== undefined || undefined}
              onClick={(event) => {
                setActive(item.index);
                const isMore = event.shiftKey || event.ctrlKey || event.metaKey;
                if (!hasSelection()) onOpen?.(row, isMore);
              }}
            >
              {columns.map((column) => (
                <div key={column.id} className={classes.cell} data-number={column.isNumber} role="gridcell">
                  {column.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** Who marks text to copy it does not want the row opened. */
function hasSelection(): boolean {
  return (window.getSelection()?.toString() ?? "") !== "";
}

interface HeadProps<Row> {
  readonly columns: readonly Column<Row>[];
  readonly tracks: string;
  readonly sort: Sort | null;
  readonly onSort: (sort: Sort) => void;
}

function Head<Row>({ columns, tracks, sort, onSort }: HeadProps<Row>) {
  const t = useT();
  return (
    <div className={classes.head} style={{ gridTemplateColumns: tracks, height: HEAD_PX }} role="row">
      {columns.map((column) => {
        const isSorted = sort?.column === column.id;
        const way = sort?.isDescending === true ? "descending" : "ascending";
        return (
          <div
            key={column.id} className={classes.headCell} data-number={column.isNumber}
            role="columnheader" aria-sort={isSorted ? way : undefined}
          >
            {column.sortBy === undefined ? (
              <span className="cut" title={column.label}>
                {column.label}
              </span>
            ) : (
              <button
                type="button"
                title={t("parts.sortBy", { column: column.label })}
                onClick={() => onSort(nextSort(sort, column.id, column.isNumber === true))}
              >
                <span className="cut">{column.label}</span>
                {isSorted && <Icon name={way === "descending" ? "down" : "up"} sizePx={12} />}
              </button>
            )}
          </div>
        );
      })}
    </div>
  );
}
