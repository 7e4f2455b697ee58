/** What the engine was asked for a query, statement by statement. */

import { useStatements } from "~/api/prometheus";
import { useT } from "~/i18n/use_t";
import { CodeLine } from "~/parts/code_line";
import { Answered, Loading } from "~/parts/states";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./explore.module.css";

export function Statements({ expr, stepMs }: { readonly expr: string; readonly stepMs: number | null }) {
  const t = useT();
  const { range } = useTimeRange();
  const asked = useStatements(expr, range, stepMs);
  return (
    <Answered asked={asked} loading={<Loading heightPx={60} lines={3} />}>
      {(statements) =>
        statements.length === 0 ? (
          <p className={classes.note}>{t("explore.noSql")}</p>
        ) : (
          <ol className={classes.statements} aria-label={t("explore.statements")}>
            {statements.map((text, at) => <li key={at}><CodeLine text={text} /></li>)}
          </ol>
        )
      }
    </Answered>
  );
}
