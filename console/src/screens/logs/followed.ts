/**
 * Rows that arrive while the log is followed. Those that arrive while somebody reads further down
 * wait, so that nothing moves under the eyes; what is too much is left out, and counted.
 */

import type { LogRow } from "~/api/logs";

export const ROWS_MAX = 5000;

export interface Followed {
  /** The newest arrival first. */
  readonly rows: readonly LogRow[];
  readonly waiting: readonly LogRow[];
  /** Arrived, but the server or the page had no room for them. */
  readonly skipped: number;
  /** Rows at the end were let go: what comes after them is not what came before. */
  readonly isCut: boolean;
}

export const NOTHING: Followed = { rows: [], waiting: [], skipped: 0, isCut: false };

/** `fresh` is in order of time, the oldest first. */
export function arrived(state: Followed, fresh: readonly LogRow[], isHeld: boolean): Followed {
  const used = new Set([...state.rows, ...state.waiting].map((row) => row.id));
  const numbered = fresh.map((row) => numberedApart(row, used));
  if (!isHeld) return shown(state, [...numbered.toReversed(), ...state.waiting]);
  const waiting = [...numbered.toReversed(), ...state.waiting];
  const left = Math.max(0, waiting.length - ROWS_MAX);
  return { ...state, waiting: waiting.slice(0, ROWS_MAX), skipped: state.skipped + left };
}

/** Those that waited are shown. */
export function released(state: Followed): Followed {
  return state.waiting.length === 0 ? state : shown(state, state.waiting);
}

function shown(state: Followed, added: readonly LogRow[]): Followed {
  const rows = [...added, ...state.rows];
  return { ...state, rows: rows.slice(0, ROWS_MAX), waiting: [], isCut: state.isCut || rows.length > ROWS_MAX };
}

/** Rows that are equal in everything need keys that are not. */
function numberedApart(row: LogRow, used: Set<string>): LogRow {
  let id = row.id;
  for (let n = 2; used.has(id); n += 1) id = `${row.id}.${n}`;
  used.add(id);
  return id === row.id ? row : { ...row, id };
}

/** The followed rows above those that were there: a row that is among both stands once. */
export function joined(followed: Followed, before: readonly LogRow[]): readonly LogRow[] {
  if (followed.rows.length === 0) return before;
  if (followed.isCut) return followed.rows;
  const ids = new Set(followed.rows.map((row) => row.id));
  return [...followed.rows, ...before.filter((row) => !ids.has(row.id))];
}

/** How many rows wait that are not there already: the pages may have been quicker than the stream. */
export function waitingCount(followed: Followed, before: readonly LogRow[]): number {
  if (followed.waiting.length === 0) return 0;
  const ids = new Set(before.map((row) => row.id));
  return followed.waiting.filter((row) => !ids.has(row.id)).length;
}
