/** What arrives now: a rate of each signal, and how much of the logs is errors. */

import { useMemo } from "react";
import type { LogBucket } from "~/api/logs";
import type { Point } from "~/api/metrics";
import type { Arrival } from "~/api/overview";
import { Sparkline } from "~/charts/sparkline";
import { count, exact, percent, perSecond } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { StatTile } from "~/parts/stat_tile";
import classes from "./overview.module.css";

interface Props {
  readonly arriving: readonly Arrival[];
  readonly volume: readonly LogBucket[];
}

export function Arriving({ arriving, volume }: Props) {
  const t = useT();
  const errors = useMemo(() => errorPoints(volume), [volume]);
  return (
    <div className={classes.tiles} role="group" aria-label={t("overview.arriving")}>
      {arriving.map((one) => (
        <StatTile
          key={one.signal}
          label={t(`overview.signal.${one.signal}`)}
          value={perSecond(one.rate_per_s)}
          note={<span title={exact(one.total)}>{t("overview.inRange", { count: count(one.total) })}</span>}
          chart={<Sparkline points={one.points} label={t(`overview.signal.${one.signal}`)} />}
        />
      ))}
      <StatTile
        label={t("overview.errorLogs")}
        value={count(errors.total)}
        tone={errors.total > 0 ? "error" : "normal"}
        note={errors.rows === 0 ? undefined : t("overview.errorShare", { share: percent(errors.total / errors.rows) })}
        chart={<Sparkline points={errors.points} label={t("overview.errorLogs")} tone="error" />}
      />
    </div>
  );
}

function errorPoints(volume: readonly LogBucket[]): { points: Point[]; total: number; rows: number } {
  let rows = 0;
  let total = 0;
  const points = volume.map((bucket): Point => {
    const errors = (bucket.counts.ERROR ?? 0) + (bucket.counts.FATAL ?? 0);
    for (const n of Object.values(bucket.counts)) rows += n;
    total += errors;
    return [bucket.t_ms, errors];
  });
  return { points, total, rows };
}
