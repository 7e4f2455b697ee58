/** Before there is a query: how to begin, with questions over metrics that there are. */

import { useMetricNames } from "~/api/metrics";
import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { useTimeRange } from "~/state/use_time_range";
import { usefulOf } from "../useful";
import classes from "./explore.module.css";
import { NAMES_MAX } from "./known_names";
import { exprOf } from "./usual";

interface Props {
  readonly window: string;
  readonly onExample: (expr: string) => void;
}

const SHOWN_MAX = 8;

export function Examples({ window, onExample }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const metrics = useMetricNames(range, undefined, NAMES_MAX).data?.metrics ?? [];
  const useful = usefulOf(metrics).slice(0, SHOWN_MAX);
  return (
    <div className={classes.examples}>
      <Empty title={t("explore.begin")} icon="metrics">{t("explore.beginWhat")}</Empty>
      {useful.length > 0 && (
        <ul className={classes.exampleList} aria-label={t("explore.examples")}>
          {useful.map(({ words, search }) => {
            const asking = { fn: search.fn ?? "value", agg: search.agg ?? "none", by: search.by ?? [] } as const;
            const expr = exprOf(search.metric, asking, search.filter ?? [], window);
            return (
              <li key={words}>
                <button type="button" className={classes.example} onClick={() => onExample(expr)}>
                  <span>{t.maybe(words) ?? words}</span>
                  <code>{expr}</code>
                </button>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}
