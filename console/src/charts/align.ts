/** Points of many lines as uPlot wants them: one column of times, one column of values a line. */

import type { Point } from "~/api/metrics";

export type Values = (number | null)[];

export interface Aligned {
  readonly times: number[];
  readonly columns: Values[];
}

/** Times are the union of all; a line has null where it has no point. */
export function aligned(lines: readonly (readonly Point[])[]): Aligned {
  const first = lines[0] ?? [];
  if (lines.every((line) => hasTimesOf(line, first))) {
    return {
      times: first.map((point) => point[0]),
      columns: lines.map((line) => line.map((point) => finite(point[1]))),
    };
  }
  const times = [...new Set(lines.flatMap((line) => line.map((point) => point[0])))].sort((a, b) => a - b);
  const place = new Map(times.map((time, at) => [time, at]));
  const columns = lines.map((line) => {
    const column: Values = new Array<number | null>(times.length).fill(null);
    for (const [time, value] of line) column[place.get(time) ?? 0] = finite(value);
    return column;
  });
  return { times, columns };
}

function hasTimesOf(line: readonly Point[], other: readonly Point[]): boolean {
  return line === other || (line.length === other.length && line.every((one, at) => one[0] === other[at]?.[0]));
}

function finite(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

/** Each column on top of the ones before it; a column that is not shown is all null. */
export function stacked(columns: readonly Values[], isShown: readonly boolean[]): Values[] {
  const height = new Array<number>(columns[0]?.length ?? 0).fill(0);
  return columns.map((column, at) => {
    if (isShown[at] === false) return column.map(() => null);
    return column.map((value, row) => (height[row] = (height[row] ?? 0) + (value ?? 0)));
  });
}

export function onlyShown(columns: readonly Values[], isShown: readonly boolean[]): Values[] {
  return columns.map((column, at) => (isShown[at] === false ? column.map(() => null) : column));
}

/** Rows whose neighbours are both missing: a line would not show them. */
export function isolatedRows(column: ArrayLike<number | null | undefined>): number[] {
  const rows: number[] = [];
  for (let row = 0; row < column.length; row += 1) {
    if (column[row] == null) continue;
    if (column[row - 1] == null && column[row + 1] == null) rows.push(row);
  }
  return rows;
}

export function sumOf(column: readonly (number | null)[]): number {
  return column.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

export function lastKnown(column: readonly (number | null)[]): number | null {
  for (let row = column.length - 1; row >= 0; row -= 1) {
    const value = column[row];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}
