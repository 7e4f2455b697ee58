/** The list with its toolbar, and the details of the line that is open. */

import { getRouteApi, useLocation } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import type { LogHistogram, LogQuestion, LogRow } from "~/api/logs";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { useShortcuts } from "~/shell/keys";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { ColumnsMenu } from "./columns_menu";
import { highlighter } from "./highlight";
import { ListEnd } from "./list_end";
import { ListNotes } from "./list_notes";
import { LogList } from "./log_list";
import classes from "./logs.module.css";
import { OpenRow } from "./open_row";
import { leave, leftAt } from "./place_memory";
import { attributesOf, resourceOf } from "./row_fields";
import { Toolbar } from "./toolbar";
import { useFixedLink, useLogsAddress } from "./use_logs_address";
import { useLogList } from "./use_log_list";

interface Props {
  readonly question: LogQuestion;
  readonly histogram: LogHistogram | undefined;
}

const route = getRouteApi("/logs");
/** Further down than this, somebody reads. */
const TOP_PX = 8;
const OFFERED_ROWS = 100;

export function Lines({ question, histogram }: Props) {
  const t = useT();
  const zone = useZone();
  const search = route.useSearch();
  const address = useLogsAddress();
  const time = useTimeRange();
  const { row: rowId, order = "desc", tab = "fields" } = search;
  const isFollowing = search.follow === true;
  const isWrapped = search.wrap === true;

  const entry = useLocation({ select: (location) => location.state.__TSR_key ?? "" });
  const [left] = useState(() => leftAt(entry));
  const [isScrolled, setScrolled] = useState((left?.offsetPx ?? 0) > TOP_PX);
  const list = useLogList({
    range: time.range, rangeKey: `${time.text.from} ${time.text.to}`, question, isFollowing,
    isReading: isScrolled || rowId !== undefined, isScrolled, firstRange: left?.range,
  });
  const place = useRef<HTMLDivElement>(null);
  const offsetPx = useRef(left?.offsetPx ?? 0);
  const { fromMs, toMs } = list.range;
  useEffect(() => {
    leave(entry, { range: { fromMs, toMs }, offsetPx: offsetPx.current });
  }, [entry, fromMs, toMs]);
  const scrolled = (px: number) => {
    offsetPx.current = px;
    setScrolled(px > TOP_PX);
    leave(entry, { range: { fromMs, toMs }, offsetPx: px });
  };
  const toTop = () => place.current?.scrollTo({ top: 0 });
  // Another question or range begins at its top.
  const asked = JSON.stringify([question, time.text]);
  const shownFor = useRef(asked);
  useEffect(() => {
    if (asked !== shownFor.current) place.current?.scrollTo({ top: 0 });
    shownFor.current = asked;
  }, [asked]);

  const found = useMemo(() => highlighter(question.query ?? ""), [question.query]);
  const offered = useMemo(() => offeredFields(list.rows), [list.rows]);
  const link = useFixedLink(list.range, rowId);
  const isTimeShort = dateTime(fromMs, zone).slice(0, 10) === dateTime(toMs, zone).slice(0, 10);
  const toggleFollow = () => address.follow(!isFollowing, time.canBeLive);
  const toggleWrap = () => address.set({ wrap: isWrapped ? undefined : true });
  useShortcuts([
    { keys: "f", label: t("logs.followOn"), group: "onScreen", run: toggleFollow },
    { keys: "w", label: t("logs.wrap"), group: "onScreen", run: toggleWrap },
  ]);
  return (
    <div className={classes.panes}>
      <div className={classes.listPane}>
        <Toolbar
          histogram={histogram} list={list} order={isFollowing ? "desc" : order} isWrapped={isWrapped}
          isFollowing={isFollowing} link={link}
          columnsMenu={
            <ColumnsMenu
              columns={address.columns} offered={offered} onColumns={(columns) => address.set({ columns })}
            />
          }
          onOrder={(next) => address.set({ order: next === "desc" ? undefined : next })}
          onWrapped={toggleWrap} onFollowing={toggleFollow}
        />
        <ListNotes
          list={list} isFollowing={isFollowing} isScrolled={isScrolled}
          onNewest={() => {
            address.openRow(undefined);
            toTop();
          }}
        />
        <LogList
          place={place} rows={list.rows} columns={address.columns} isWrapped={isWrapped} isTimeShort={isTimeShort}
          isOld={list.isOld} found={found} selected={rowId} firstOffsetPx={left?.offsetPx ?? 0}
          onColumns={(columns) => address.set({ columns })} onOpen={(row) => address.openRow(row.id)}
          onEnd={list.loadMore} onScroll={scrolled}
          end={
            <ListEnd
              list={list} isFollowing={isFollowing} query={question.query ?? ""} conditions={question.conditions ?? []}
              onClearQuery={() => address.setQuery("")} onClearConditions={() => address.setConditions([])}
              onWider={time.zoomOut}
            />
          }
        />
      </div>
      {rowId !== undefined && (
        <OpenRow
          id={rowId} rows={list.rows} tab={tab} found={found} link={link}
          actions={{
            columns: address.columns, onTake: address.take, onLeaveOut: address.leaveOut,
            onColumn: address.toggleColumn,
          }}
        />
      )}
    </div>
  );
}

/** Attributes and fields of the resource of the first rows. */
function offeredFields(rows: readonly LogRow[]): string[] {
  const fields = new Set<string>();
  for (const row of rows.slice(0, OFFERED_ROWS)) {
    for (const one of [...attributesOf(row), ...resourceOf(row)]) fields.add(one.field);
  }
  return [...fields].sort();
}
