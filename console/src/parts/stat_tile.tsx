/** One number that matters, how it went, and what it belongs to. */

import type { ReactNode } from "react";
import classes from "./parts.module.css";

interface Props {
  readonly label: string;
  readonly value: string;
  readonly note?: ReactNode;
  readonly chart?: ReactNode;
  readonly tone?: "normal" | "warning" | "error" | "good";
}

export function StatTile({ label, value, note, chart, tone = "normal" }: Props) {
  return (
    <div className={classes.tile} data-tone={tone}>
      <div className={classes.tileLabel} title={label}>{label}</div>
      <div className={classes.tileLine}>
        <span className={classes.tileValue}>{value}</span>
        {note !== undefined && <span className={classes.tileNote}>{note}</span>}
      </div>
      {chart}
    </div>
  );
}

interface GaugeProps {
  readonly ratio: number | null;
  readonly label: string;
  /** From here on it is shown as a warning, and as an error. */
  readonly warning?: number;
  readonly error?: number;
}

/** How full something is. */
export function Gauge({ ratio, label, warning = 0.9, error = 0.97 }: GaugeProps) {
  const known = Math.min(1, Math.max(0, ratio ?? 0));
  const tone = ratio === null || ratio <= warning ? "normal" : ratio > error ? "error" : "warning";
  return (
    <div
      className={classes.gauge} data-tone={tone} role="meter" aria-label={label}
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(known * 100)}
    >
      <div style={{ width: `${known * 100}%` }} />
    </div>
  );
}
