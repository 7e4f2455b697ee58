/** The stream of new rows: /api/console/logs/follow, as server-sent events. */

import { useEffect, useEffectEvent, useReducer } from "react";
import { ApiError, errorOf, urlOf } from "~/api/client";
import type { LogRow } from "~/api/logs";
import { arrived, type Followed, NOTHING, released } from "./followed";

export type Connection = "off" | "connecting" | "open" | "lost";

export interface Follow extends Followed {
  readonly connection: Connection;
  /** The engine did not answer the last look. */
  readonly error: ApiError | null;
  /** Grows with each connection: the rows before it must be asked again, some may have been missed. */
  readonly epoch: number;
}

type Event =
  | { readonly kind: "rows"; readonly rows: readonly LogRow[]; readonly isHeld: boolean }
  | { readonly kind: "skipped"; readonly count: number }
  | { readonly kind: "failed"; readonly error: ApiError }
  | { readonly kind: "connection"; readonly connection: Connection }
  | { readonly kind: "released" };

const OFF: Follow = { ...NOTHING, connection: "off", error: null, epoch: 0 };
const RETRY_MS = 5000;

function next(state: Follow, event: Event): Follow {
  switch (event.kind) {
    case "rows":
      return { ...state, ...arrived(state, event.rows, event.isHeld), error: null };
    case "skipped":
      return { ...state, skipped: state.skipped + event.count };
    case "failed":
      return { ...state, error: event.error };
    case "connection":
      if (event.connection === "open") return { ...OFF, connection: "open", epoch: state.epoch + 1 };
      if (event.connection === "off") return { ...OFF, epoch: state.epoch };
      return { ...state, connection: event.connection };
    case "released":
      return { ...state, ...released(state) };
  }
}

interface Asked {
  /** Undefined: nothing is followed. */
  readonly parameters: Parameters<typeof urlOf>[1] | undefined;
  /** What arrives now waits. */
  readonly isHeld: boolean;
  readonly onOpen: () => void;
}

export function useFollow({ parameters, isHeld, onOpen }: Asked): Follow {
  const [state, dispatch] = useReducer(next, OFF);
  const url = parameters === undefined ? null : urlOf("/logs/follow", parameters);
  const opened = useEffectEvent(() => {
    dispatch({ kind: "connection", connection: "open" });
    onOpen();
  });
  const came = useEffectEvent((rows: readonly LogRow[]) => dispatch({ kind: "rows", rows, isHeld }));

  useEffect(() => {
    if (url === null) return undefined;
    dispatch({ kind: "connection", connection: "connecting" });
    const connected = connect(url, (event) => {
      if (event.kind === "rows") came(event.rows);
      else if (event.kind === "connection" && event.connection === "open") opened();
      else dispatch(event);
    });
    return () => {
      connected.close();
      dispatch({ kind: "connection", connection: "off" });
    };
  }, [url]);

  useEffect(() => {
    if (!isHeld) dispatch({ kind: "released" });
  }, [isHeld]);
  return state;
}

type Heard = Exclude<Event, { kind: "rows" }> | { readonly kind: "rows"; readonly rows: readonly LogRow[] };

/** The browser connects again after a break; after a refusal it does not, so we do. */
function connect(url: string, heard: (event: Heard) => void): { close: () => void } {
  let source: EventSource | null = null;
  let timer = 0;
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("open", () => heard({ kind: "connection", connection: "open" }));
    source.addEventListener("rows", (event) => heard({ kind: "rows", rows: dataOf(event) as LogRow[] }));
    source.addEventListener("lag", (event) =>
      heard({ kind: "skipped", count: (dataOf(event) as { skipped: number }).skipped }));
    // The server's own event and a break of the connection have the same name.
    source.addEventListener("error", (event) => {
      if (event instanceof MessageEvent) {
        heard({ kind: "failed", error: errorOf(503, dataOf(event)) });
        return;
      }
      heard({ kind: "connection", connection: "lost" });
      if (source?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, RETRY_MS);
    });
  };
  open();
  return {
    close: () => {
      window.clearTimeout(timer);
      source?.close();
    },
  };
}

function dataOf(event: MessageEvent): unknown {
  return JSON.parse(String(event.data)) as unknown;
}
