/** The names of the columns; those a person put there can be taken away. */

import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { shortName } from "./columns";
import classes from "./logs.module.css";

interface Props {
  readonly columns: readonly string[];
  readonly template: string;
  readonly onColumns: (columns: readonly string[]) => void;
}

export function ListHead({ columns, template, onColumns }: Props) {
  const t = useT();
  return (
    <div className={classes.listHead} style={{ gridTemplateColumns: template }} role="row">
      <span aria-hidden />
      <span className={classes.headCell} role="columnheader">{t("logs.time")}</span>
      {columns.map((field) => {
        const name = t.maybe(`logs.field.${field}`) ?? shortName(field);
        return (
          <span key={field} className={classes.headCell} role="columnheader" title={field}>
            <span className="cut">{name}</span>
            <button
              type="button" className={classes.headGone} aria-label={t("logs.columnOff", { field: name })}
              onClick={() => onColumns(columns.filter((one) => one !== field))}
            >
              <Icon name="close" sizePx={11} />
            </button>
          </span>
        );
      })}
      <span className={classes.headCell} role="columnheader">{t("logs.field.body")}</span>
    </div>
  );
}
