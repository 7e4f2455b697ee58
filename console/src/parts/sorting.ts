/** Order of rows by a column. */

export interface Sort {
  readonly column: string;
  readonly isDescending: boolean;
}

type Key = number | string | null;

/** Rows without a value come last either way; equal rows keep their order. */
export function sorted<Row>(rows: readonly Row[], key: (row: Row) => Key, isDescending: boolean): Row[] {
  const sign = isDescending ? -1 : 1;
  return rows.toSorted((one, other) => {
    const a = key(one);
    const b = key(other);
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    if (a === b) return 0;
    return a < b ? -sign : sign;
  });
}

/** The first click on a column of numbers shows the greatest first, on one of texts the first. */
export function nextSort(sort: Sort | null, column: string, isNumber: boolean): Sort {
  if (sort?.column !== column) return { column, isDescending: isNumber };
  return { column, isDescending: !sort.isDescending };
}
