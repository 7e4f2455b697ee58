/** Colours of lines that mean nothing by themselves; in this order neighbours are told apart by all. */

import type { Scheme } from "~/theme";

const COLORS: Readonly<Record<Scheme, readonly string[]>> = {
  light: [
    "#0072b2", "#d07c00", "#00875f", "#a8477f", "#8a7a00",
    "#3a5fd0", "#c04800", "#6b4fc0", "#4e7f12", "#66727e",
  ],
  dark: [
    "#56b4e9", "#e69f00", "#2fc49b", "#d98bb8", "#e5d84a",
    "#7fa8ff", "#f2702c", "#b59cff", "#9fd356", "#a8b3bd",
  ],
};
const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3]];

export function lineColor(scheme: Scheme, index: number): string {
  const colors = COLORS[scheme];
  return colors[index % colors.length] ?? "#888888";
}

/** When the colours have been used up, lines are dashed. */
export function lineDash(index: number): number[] {
  return [...(DASHES[Math.floor(index / 10) % DASHES.length] ?? [])];
}
