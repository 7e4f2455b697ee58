/** The rows of the list: pages of the past, and above them what arrives while they are followed. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { ApiError } from "~/api/client";
import { type LogQuestion, type LogRow, logParameters, useLogRows } from "~/api/logs";
import { useMoment } from "~/state/moment";
import type { TimeRange } from "~/state/time_range";
import { joined, waitingCount } from "./followed";
import { type Follow, useFollow } from "./use_follow";
import { useHeldRange } from "./use_held_range";

interface Asked {
  readonly range: TimeRange;
  /** Changes when a person chooses another range, not when the clock moves it. */
  readonly rangeKey: string;
  readonly question: LogQuestion;
  readonly isFollowing: boolean;
  /** Somebody has scrolled down or has a row open: nothing may move. */
  readonly isReading: boolean;
  readonly isScrolled: boolean;
  readonly firstRange?: TimeRange | undefined;
}

export interface LogList {
  readonly rows: readonly LogRow[];
  readonly range: TimeRange;
  /** The range has moved on since; the list waits for its reader. */
  readonly isHeld: boolean;
  readonly isPending: boolean;
  readonly isOld: boolean;
  readonly error: ApiError | null;
  readonly retry: () => void;
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  readonly loadMore: () => void;
  readonly readRows: number;
  readonly elapsedMs: number;
  readonly follow: Follow;
  /** Rows that arrived and are not shown yet. */
  readonly waiting: number;
}

/** Rows may be stamped ahead of our clock; those of the last moment must not be missed. */
const AHEAD_MS = 5000;
/** What was being loaded while the stream was opened is visible by then. */
const SETTLED_MS = 3000;

export function useLogList(asked: Asked): LogList {
  const { question, isFollowing } = asked;
  const { move } = useMoment();
  const parameters = logParameters(question);
  const follow = useFollow({
    parameters: isFollowing ? parameters : undefined,
    isHeld: asked.isScrolled,
    onOpen: move,
  });
  const key = JSON.stringify([asked.rangeKey, parameters, question.order, isFollowing && follow.epoch]);
  const held = useHeldRange(asked.range, {
    key, isReading: isFollowing || asked.isReading, first: asked.firstRange,
  });
  const fromMs = held.range.fromMs;
  const toMs = held.range.toMs + (isFollowing ? AHEAD_MS : 0);
  const pages = useLogRows({ fromMs, toMs }, question);
  useSettling(isFollowing ? follow.epoch : 0);

  const before = useMemo(() => pages.data?.pages.flatMap((page) => page.rows) ?? [], [pages.data]);
  const rows = useMemo(() => (isFollowing ? joined(follow, before) : before), [isFollowing, follow, before]);
  const waiting = useMemo(() => waitingCount(follow, before), [follow, before]);
  const { fetchNextPage } = pages;
  const isCut = isFollowing && follow.isCut;
  return {
    rows,
    range: held.range,
    isHeld: held.isHeld && !isFollowing,
    isPending: pages.data === undefined && pages.error === null,
    isOld: pages.isPlaceholderData,
    error: pages.error instanceof ApiError ? pages.error : null,
    retry: () => void (pages.isFetchNextPageError ? pages.fetchNextPage() : pages.refetch()),
    hasMore: pages.hasNextPage && !isCut,
    isLoadingMore: pages.isFetchingNextPage,
    loadMore: () => {
      if (pages.hasNextPage && !pages.isFetching && !pages.isFetchNextPageError && !isCut) void fetchNextPage();
    },
    ...cost(pages.data?.pages ?? []),
    follow,
    waiting,
  };
}

/** After each connection the newest pages are asked once more. */
function useSettling(epoch: number) {
  const client = useQueryClient();
  useEffect(() => {
    if (epoch === 0) return undefined;
    const again = () => void client.invalidateQueries({ queryKey: ["/logs"] });
    const timer = window.setTimeout(again, SETTLED_MS);
    return () => window.clearTimeout(timer);
  }, [client, epoch]);
}

function cost(pages: readonly { read_rows: number; elapsed_ms: number }[]) {
  return {
    readRows: pages.reduce((sum, page) => sum + page.read_rows, 0),
    elapsedMs: pages.reduce((sum, page) => sum + page.elapsed_ms, 0),
  };
}
