/** The states of alerts over time: a band each, the colours of the list, an axis below. */

import { useMemo } from "react";
import type { StateRow, StateSpan } from "~/api/alerts";
import { duration } from "~/format/durations";
import { dateTime, tick, type Zone } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { useZone } from "~/state/preferences";
import type { TimeRange } from "~/state/time_range";
import classes from "./alerts.module.css";
import { shownLabels, tellingOf } from "./grouping";

interface Props {
  readonly label: string;
  readonly rows: readonly StateRow[];
  readonly range: TimeRange;
  readonly isOld?: boolean;
}

const TICKS_S = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];
const TICKS_MAX = 6;
const STATES = ["pending", "firing", "kept"] as const;

export function StateBands({ label, rows, range, isOld }: Props) {
  const t = useT();
  const zone = useZone();
  const names = useMemo(() => namesOf(rows), [rows]);
  const present = STATES.filter((state) => rows.some((row) => row.spans.some((span) => span.state === state)));
  const { ticks, stepS } = useMemo(() => ticksOf(range), [range]);
  const shareOf = (atMs: number) => (100 * (atMs - range.fromMs)) / Math.max(1, range.toMs - range.fromMs);
  return (
    <div className={classes.bands} data-old={isOld === true || undefined} data-named={rows.length > 1 || undefined}>
      <div className={classes.bandRows} role="list" aria-label={label} tabIndex={0}>
        {rows.map((row, at) => (
          <div key={JSON.stringify(row.labels)} className={classes.band} role="listitem">
            {rows.length > 1 && <span className={classes.bandName} title={names[at]}>{names[at]}</span>}
            <span className={classes.bandTrack}>
              {row.spans.map((span) => <Piece key={span.start_ms} span={span} range={range} zone={zone} />)}
            </span>
          </div>
        ))}
      </div>
      <div className={classes.bandAxis} aria-hidden>
        {ticks.map((atMs) => (
          <span key={atMs} style={{ left: `${shareOf(atMs)}%` }}>{tick(atMs, stepS, zone)}</span>
        ))}
      </div>
      <div className={classes.bandLegend}>
        {[...present, "inactive" as const].map((state) => (
          <span key={state} data-state={state}>{t(`alerts.state.${state}`)}</span>
        ))}
      </div>
    </div>
  );
}

interface PieceProps {
  readonly span: StateSpan;
  readonly range: TimeRange;
  readonly zone: Zone;
}

function Piece({ span, range, zone }: PieceProps) {
  const t = useT();
  const wholeMs = Math.max(1, range.toMs - range.fromMs);
  const fromMs = Math.max(span.start_ms, range.fromMs);
  const toMs = Math.min(span.end_ms, range.toMs);
  if (toMs <= fromMs) return null;
  const text = t("alerts.spanText", {
    state: t(`alerts.state.${span.state}`), from: dateTime(span.start_ms, zone), to: dateTime(span.end_ms, zone),
    length: duration((span.end_ms - span.start_ms) * 1e6),
  });
  return (
    <span
      className={classes.piece} data-state={span.state} title={text} role="img" aria-label={text}
      style={{ left: `${(100 * (fromMs - range.fromMs)) / wholeMs}%`, width: `${(100 * (toMs - fromMs)) / wholeMs}%` }}
    />
  );
}

function namesOf(rows: readonly StateRow[]): string[] {
  const telling = tellingOf(rows.map((row) => row.labels));
  return rows.map((row) => shownLabels(row.labels, telling).map(([name, value]) => `${name}=${value}`).join(" "));
}

function ticksOf(range: TimeRange): { readonly ticks: number[]; readonly stepS: number } {
  const lengthS = (range.toMs - range.fromMs) / 1000;
  const stepS = TICKS_S.find((one) => lengthS / one <= TICKS_MAX) ?? 2_592_000;
  const stepMs = stepS * 1000;
  const ticks: number[] = [];
  // The outermost would be cut off.
  const marginMs = (range.toMs - range.fromMs) * 0.04;
  for (let at = Math.ceil((range.fromMs + marginMs) / stepMs) * stepMs; at <= range.toMs - marginMs; at += stepMs) {
    ticks.push(at);
  }
  return { ticks, stepS };
}
