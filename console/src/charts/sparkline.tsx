/** A small line without axes; it says how something went, its number beside it says how much. */

import type { Point } from "~/api/metrics";
import classes from "./charts.module.css";

interface Props {
  readonly points: readonly Point[];
  readonly label: string;
  /** The top of the drawing; the greatest value if absent. */
  readonly most?: number;
  readonly heightPx?: number;
  readonly tone?: "normal" | "error";
}

const WIDTH = 200;

export function Sparkline({ points, label, most, heightPx = 32, tone = "normal" }: Props) {
  const paths = sparkPaths(points, { width: WIDTH, height: heightPx, ...(most === undefined ? {} : { most }) });
  return (
    <svg
      className={classes.spark} data-tone={tone} role="img" aria-label={label} height={heightPx}
      viewBox={`0 0 ${WIDTH} ${heightPx}`} preserveAspectRatio="none"
    >
      <path d={paths.area} className={classes.sparkArea} />
      <path d={paths.line} className={classes.sparkLine} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

/** Gaps stay gaps. */
export function sparkPaths(
  points: readonly Point[],
  size: { width: number; height: number; most?: number },
): { line: string; area: string } {
  const known = points.flatMap(([, value]) => (value === null ? [] : [value]));
  const most = Math.max(size.most ?? Math.max(0, ...known), 1e-9);
  const firstMs = points[0]?.[0] ?? 0;
  const lengthMs = Math.max(1, (points.at(-1)?.[0] ?? 0) - firstMs);
  const x = (ms: number) => round(((ms - firstMs) / lengthMs) * size.width);
  const y = (value: number) => round(size.height - 1 - (Math.min(value, most) / most) * (size.height - 2));
  let line = "";
  let area = "";
  for (const run of runs(points)) {
    const way = run.map(([ms, value]) => `${x(ms)} ${y(value)}`).join("L");
    line += `M${way}${run.length === 1 ? "h1" : ""}`;
    area += `M${x(run[0]?.[0] ?? 0)} ${size.height}L${way}L${x(run.at(-1)?.[0] ?? 0)} ${size.height}Z`;
  }
  return { line, area };
}

function runs(points: readonly Point[]): (readonly [number, number])[][] {
  const found: (readonly [number, number])[][] = [[]];
  for (const [ms, value] of points) {
    if (value === null) found.push([]);
    else found.at(-1)?.push([ms, value]);
  }
  return found.filter((run) => run.length > 0);
}

const round = (value: number) => Math.round(value * 10) / 10;
