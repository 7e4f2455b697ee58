/** All queries over time: in one plot or in one each, with one table of lines as their legend. */

import { useMemo } from "react";
import type { Exemplar } from "~/api/prometheus";
import { TimeChart } from "~/charts/time_chart";
import { isolated, NONE_HIDDEN, toggled } from "~/charts/visibility";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { labelsText } from "../series";
import type { MetricsSearch } from "../search";
import classes from "./explore.module.css";
import { LineTable } from "./line_table";
import { hiddenOf, type PromLine, shownOf } from "./lines";

interface Props {
  readonly lines: readonly PromLine[];
  readonly queries: readonly { readonly id: string; readonly expr: string }[];
  readonly exemplars: readonly Exemplar[];
  readonly isOld: boolean;
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>, isTyping?: boolean) => void;
}

const ONE_PX = 340;
const EACH_PX = 200;

export function Graph({ lines, queries, exemplars, isOld, search, onChange }: Props) {
  const t = useT();
  const ids = useMemo(() => lines.map((line) => line.id), [lines]);
  const { only, hide } = search;
  const hidden = useMemo(() => hiddenOf(ids, { only, hide }), [ids, only, hide]);
  const dots = useMemo(
    () => exemplars.map((one, at) => ({
      id: `${one.traceId} ${one.atMs} ${at}`, atMs: one.atMs, value: one.value, traceId: one.traceId,
      label: labelsText(one.labels), expr: one.expr,
    })),
    [exemplars],
  );
  const isSplit = search.split === true && queries.length > 1;
  const groups = queries.map((one) => ({
    ...one,
    own: lines.filter((line) => line.queryId === one.id),
    dots: dots.filter((dot) => dot.expr === one.expr),
  }));
  const hasMixedUnits = !isSplit && new Set(lines.map((line) => line.written.key)).size > 1;
  return (
    <>
      {hasMixedUnits && (
        <p className={classes.hint}>
          <Icon name="info" sizePx={13} />
          <span>{t("explore.mixed")}</span>
          <button type="button" className={classes.place} onClick={() => onChange({ split: true })}>
            {t("explore.splitThem")}
          </button>
        </p>
      )}
      {isSplit ? (
        groups.map((one) => (
          <div key={one.id} className={classes.group}>
            <h3 className={classes.groupTitle}>
              <span className={classes.groupLetter}>{one.id}</span>
              <span className="cut mono" title={one.expr}>{one.expr}</span>
            </h3>
            <Chart label={t("explore.plotOf", { id: one.id })} lines={one.own} hidden={hidden} heightPx={EACH_PX} isOld={isOld} dots={one.dots} />
          </div>
        ))
      ) : (
        <Chart label={t("explore.plot")} lines={lines} hidden={hidden} heightPx={ONE_PX} isOld={isOld} dots={dots} />
      )}
      <LineTable
        lines={lines} hidden={hidden} hasLetters={queries.length > 1} isOld={isOld}
        onIsolate={(id) => onChange(shownOf(ids, isolated(hidden, ids, id)))}
        onToggle={(id) => onChange(shownOf(ids, toggled(hidden, ids, id)))}
      />
      <p className={classes.legendHint}>
        <span>{t("explore.legendHint")}</span>
        {hidden.size > 0 && (
          <button type="button" className={classes.place} onClick={() => onChange(shownOf(ids, NONE_HIDDEN))}>
            {t("metrics.showAll")}
          </button>
        )}
      </p>
    </>
  );
}

interface ChartProps {
  readonly label: string;
  readonly lines: readonly PromLine[];
  readonly hidden: ReadonlySet<string>;
  readonly heightPx: number;
  readonly isOld: boolean;
  readonly dots?: Parameters<typeof TimeChart>[0]["dots"];
}

function Chart({ label, lines, hidden, heightPx, isOld, dots }: ChartProps) {
  const drawn = useMemo(
    () => lines.map((line) => ({
      id: line.id, label: line.name, color: line.color, dash: line.dash, format: line.written.format,
      points: hidden.has(line.id) ? [] : line.points,
    })),
    [lines, hidden],
  );
  const shown = lines.filter((line) => !hidden.has(line.id));
  const first = shown[0]?.written;
  const isOne = first !== undefined && shown.every((line) => line.written.key === first.key);
  return (
    <TimeChart
      label={label} lines={drawn} format={isOne ? first.format : count} unit={isOne ? first.axis : "none"} heightPx={heightPx}
      isFromZero={shown.every((line) => line.written.isFromZero)} hasLegend={false} isOld={isOld}
      {...(dots === undefined ? {} : { dots })}
    />
  );
}
