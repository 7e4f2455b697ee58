/** Which lines of a chart are hidden, by id: a click isolates, with Shift or Ctrl it hides or shows. */

export type Hidden = ReadonlySet<string>;

export const NONE_HIDDEN: Hidden = new Set();

/** A second click on the only one that is shown brings all back. */
export function isolated(hidden: Hidden, ids: readonly string[], id: string): Hidden {
  const shown = ids.filter((one) => !hidden.has(one));
  if (shown.length === 1 && shown[0] === id) return NONE_HIDDEN;
  return new Set(ids.filter((one) => one !== id));
}

/** Never all of them: hiding the last one brings all back. */
export function toggled(hidden: Hidden, ids: readonly string[], id: string): Hidden {
  const next = new Set(hidden);
  if (!next.delete(id)) next.add(id);
  return ids.every((one) => next.has(one)) ? NONE_HIDDEN : next;
}
