/** The lines, as many as there are: only those in sight are drawn. Walked by keys, opened by Enter. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useEffect, useEffectEvent, useMemo, useRef, useState } from "react";
import type { LogRow } from "~/api/logs";
import { useT } from "~/i18n/use_t";
import { useListKeys } from "~/parts/use_list_keys";
import { tracks } from "./columns";
import { ListHead } from "./list_head";
import { LogLine } from "./log_line";
import classes from "./logs.module.css";

interface Props {
  readonly place: RefObject<HTMLDivElement | null>;
  readonly rows: readonly LogRow[];
  readonly columns: readonly string[];
  readonly onColumns: (columns: readonly string[]) => void;
  readonly isWrapped: boolean;
  readonly isTimeShort: boolean;
  readonly isOld: boolean;
  readonly found: RegExp | null;
  readonly selected: string | undefined;
  readonly onOpen: (row: LogRow) => void;
  readonly onEnd: () => void;
  readonly onScroll: (offsetPx: number) => void;
  readonly firstOffsetPx: number;
  /** Below the last line. */
  readonly end: ReactNode;
}

const LINE_PX = 22;
const HEAD_PX = 26;
const END_ROWS = 40;

export function LogList(props: Props) {
  const { place, rows, columns, isWrapped, selected, onOpen, onEnd } = props;
  const t = useT();
  const [walkedTo, setWalkedTo] = useState<string>();
  const current = selected ?? walkedTo;
  const active = useMemo(() => rows.findIndex((row) => row.id === current), [rows, current]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => place.current,
    estimateSize: () => LINE_PX,
    overscan: 15,
    scrollPaddingStart: HEAD_PX,
    initialOffset: props.firstOffsetPx,
    getItemKey: (at) => rows[at]?.id ?? at,
  });
  const walk = (at: number) => {
    const row = rows[at];
    if (row === undefined) return;
    setWalkedTo(row.id);
    // Whatever button was pressed last would take the Enter that opens the row.
    place.current?.focus({ preventScroll: true });
    virtual.scrollToIndex(at);
    if (selected !== undefined) onOpen(row);
  };
  const open = (at: number) => {
    const row = rows[at];
    if (row !== undefined) onOpen(row);
  };
  const keys = useListKeys({ count: rows.length, active, isMain: true, onActive: walk, onOpen: open });
  useSeen(selected, active, (at) => virtual.scrollToIndex(at));
  useEffect(() => virtual.measure(), [virtual, isWrapped]);

  const items = virtual.getVirtualItems();
  const lastInSight = items.at(-1)?.index ?? -1;
  const isNearEnd = rows.length > 0 && lastInSight >= rows.length - END_ROWS;
  useEffect(() => {
    if (isNearEnd) onEnd();
  }, [isNearEnd, onEnd, rows.length]);

  const template = tracks(columns, props.isTimeShort ? "94px" : "138px");
  return (
    <div
      ref={place} className={classes.list} data-old={props.isOld || undefined} data-wrapped={isWrapped || undefined}
      role="grid" aria-label={t("logs.lines")} aria-rowcount={rows.length + 1} tabIndex={0}
      onKeyDown={keys.onKeyDown}
      onScroll={(event) => props.onScroll(event.currentTarget.scrollTop)}
    >
      <ListHead columns={columns} template={template} onColumns={props.onColumns} />
      <div className={classes.lines} style={{ height: virtual.getTotalSize() }} role="rowgroup">
        {items.map((item) => {
          const row = rows[item.index];
          if (row === undefined) return null;
          return (
            <div
              key={item.key} ref={isWrapped ? virtual.measureElement : undefined} data-index={item.index}
              className={classes.line} data-severity={row.severity}
              style={{
                gridTemplateColumns: template, transform: `translateY(${item.start}px)`,
                ...(isWrapped ? {} : { height: LINE_PX }),
              }}
              role="row" aria-rowindex={item.index + 2} aria-selected={row.id === selected}
              data-active={item.index === active || undefined}
              onClick={() => {
                setWalkedTo(row.id);
                if (!hasSelection()) onOpen(row);
              }}
            >
              <LogLine
                row={row} columns={columns} isWrapped={isWrapped} isTimeShort={props.isTimeShort} found={props.found}
              />
            </div>
          );
        })}
      </div>
      {props.end}
    </div>
  );
}

/** A row that was opened from elsewhere is brought into sight, once. */
function useSeen(selected: string | undefined, at: number, show: (at: number) => void) {
  const seen = useRef<string>(undefined);
  const shown = useEffectEvent(show);
  useEffect(() => {
    if (selected === undefined || at < 0 || seen.current === selected) return;
    seen.current = selected;
    shown(at);
  }, [selected, at]);
}

/** Who marks text to copy it does not want the row opened. */
function hasSelection(): boolean {
  return (window.getSelection()?.toString() ?? "") !== "";
}
