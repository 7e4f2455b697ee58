/** Single moments over a chart, each a link to its trace. One above or below the axis stands at its edge. */

import { Link } from "@tanstack/react-router";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { useZone } from "~/state/preferences";
import classes from "./charts.module.css";
import type { PlotPlace } from "./time_plot";

export interface ChartDot {
  readonly id: string;
  readonly atMs: number;
  readonly value: number;
  readonly traceId: string;
  readonly label: string;
}

interface Props {
  readonly dots: readonly ChartDot[];
  readonly place: PlotPlace | null;
  readonly format: (value: number) => string;
}

export function Dots({ dots, place, format }: Props) {
  const t = useT();
  const zone = useZone();
  if (place === null) return null;
  const [fromMs, toMs] = place.x;
  const [least, most] = place.y;
  return (
    <div
      className={classes.dots}
      style={{ left: place.leftPx, top: place.topPx, width: place.widthPx, height: place.heightPx }}
    >
      {dots.filter((dot) => dot.atMs >= fromMs && dot.atMs <= toMs).map((dot) => {
        const share = most > least ? (dot.value - least) / (most - least) : 0;
        const words = [t("parts.openTrace"), `${format(dot.value)} · ${dateTime(dot.atMs, zone)}`, dot.label];
        return (
          <Link
            key={dot.id} to="/traces/$traceId" params={{ traceId: dot.traceId }} className={classes.dot}
            title={words.filter((one) => one !== "").join("\n")} aria-label={words.slice(0, 2).join(": ")}
            style={{
              left: `${((dot.atMs - fromMs) / Math.max(1, toMs - fromMs)) * 100}%`,
              bottom: `${Math.min(1, Math.max(0, share)) * 100}%`,
            }}
          />
        );
      })}
    </div>
  );
}
