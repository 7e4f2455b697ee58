/** Engine, spool, loading and dead letters in four numbers. */

import type { Sources } from "~/api/sources";
import { duration } from "~/format/durations";
import { bytes, exact, percent } from "~/format/numbers";
import { millisecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Gauge, StatTile } from "~/parts/stat_tile";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import classes from "./sources.module.css";

/** From here on what arrives is seen late, and the overview says so too. */
const LAG_WARNING_MS = 30_000;

interface Props {
  readonly sources: Sources;
  readonly startedAt: string | undefined;
}

export function StateTiles({ sources, startedAt }: Props) {
  const t = useT();
  const { nowMs } = useMoment();
  const { engine, spool, formats } = sources;
  const fullness = spool.bytes_max === 0 ? null : spool.bytes / spool.bytes_max;
  const lagMs = Math.max(0, ...formats.map((one) => one.lag_ms));
  const letters = formats.reduce((sum, one) => sum + one.dead_letters, 0);
  const refused = formats.reduce((sum, one) => sum + one.refused, 0);
  return (
    <div className={classes.tiles}>
      <StatTile
        label={t("sources.engine", { kind: t(`sources.kind.${engine.kind}`), version: engine.version })}
        value={t(engine.ready ? "sources.engineReady" : "sources.engineDown")}
        tone={engine.ready ? "good" : "error"}
        note={<span title={t("sources.memory")}>{bytes(engine.memory_bytes)}</span>}
        chart={
          <span className={classes.tileEnd}>
            {startedAt === undefined ? "" : t("sources.started", { ago: ago(millisecondsOf(startedAt), nowMs, t) })}
            {` · ${t("sources.restarts", { n: engine.restarts })}`}
          </span>
        }
      />
      <StatTile
        label={t("sources.spool")}
        value={bytes(spool.bytes)}
        tone={toneOf(fullness ?? 0, 0.5, 0.9)}
        note={t("sources.spoolOf", { share: percent(fullness), most: bytes(spool.bytes_max) })}
        chart={
          <span className={classes.tileEnd}>
            <Gauge ratio={fullness} label={t("sources.spool")} warning={0.5} error={0.9} />
          </span>
        }
      />
      <StatTile
        label={t("sources.lag")}
        value={lagMs === 0 ? t("sources.lagNone") : duration(lagMs * 1e6)}
        tone={lagMs > LAG_WARNING_MS ? "warning" : "normal"}
        chart={<span className={classes.tileEnd}>{t("sources.lagWhat")}</span>}
      />
      <StatTile
        label={t("sources.letters")}
        value={exact(letters)}
        tone={letters > 0 ? "warning" : "normal"}
        note={t("sources.refusedCount", { count: exact(refused), n: refused })}
        chart={<span className={classes.tileEnd}>{t("sources.lettersWhat")}</span>}
      />
    </div>
  );
}

function toneOf(ratio: number, warning: number, error: number) {
  return ratio > error ? "error" : ratio > warning ? "warning" : "normal";
}
