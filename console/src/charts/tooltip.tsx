/** The values under the cursor, beside it on the side that has room. */

import { useT } from "~/i18n/use_t";
import classes from "./charts.module.css";

const ROWS_MAX = 10;

interface Row {
  readonly id: string;
  readonly label: string;
  readonly value: number;
  readonly color: string;
  readonly format?: ((value: number) => string) | undefined;
}

interface Props {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly isStacked: boolean;
  readonly format: (value: number) => string;
  readonly nearest: number;
  readonly leftPx: number;
  readonly widthPx: number;
}

export function Tooltip({ title, rows, isStacked, format, nearest, leftPx, widthPx }: Props) {
  const t = useT();
  const sorted = isStacked ? rows.filter((row) => row.value > 0).toReversed() : byNearness(rows, nearest);
  const isLeft = leftPx > widthPx / 2;
  const side = isLeft ? { right: widthPx - leftPx + 12 } : { left: leftPx + 12 };
  return (
    <div className={classes.tooltip} style={side} aria-hidden>
      <div className={classes.tooltipTitle}>{title}</div>
      {sorted.slice(0, ROWS_MAX).map((row, at) => (
        <div key={row.id} className={classes.tooltipRow} data-nearest={(!isStacked && at === 0) || undefined}>
          <span className={classes.swatch} style={{ background: row.color }} />
          <span className={classes.tooltipLabel}>{row.label}</span>
          <span className={classes.tooltipValue}>{(row.format ?? format)(row.value)}</span>
        </div>
      ))}
      {sorted.length > ROWS_MAX && (
        <div className={classes.tooltipMore}>{t("parts.others", { n: sorted.length - ROWS_MAX })}</div>
      )}
    </div>
  );
}

function byNearness(rows: readonly Row[], nearest: number): readonly Row[] {
  return rows.toSorted((a, b) => Math.abs(a.value - nearest) - Math.abs(b.value - nearest));
}
