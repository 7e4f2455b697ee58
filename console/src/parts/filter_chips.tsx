/** The conditions that hold, each with a button that removes it. */

import { useT } from "~/i18n/use_t";
import { type Condition, shownCondition, withoutCondition } from "~/state/filters";
import { Icon } from "./icon";
import classes from "./parts.module.css";

interface Props {
  readonly conditions: readonly Condition[];
  readonly onChange: (conditions: readonly Condition[]) => void;
}

export function FilterChips({ conditions, onChange }: Props) {
  const t = useT();
  if (conditions.length === 0) return null;
  return (
    <div className={classes.chips} role="group" aria-label={t("parts.filters")}>
      {conditions.map((condition) => {
        const shown = shownCondition(condition);
        return (
          <span key={JSON.stringify(condition)} className={classes.chip}>
            <span className={classes.chipText} title={shown}>
              {shown}
            </span>
            <button
              type="button"
              aria-label={t("parts.removeFilter", { filter: shown })}
              onClick={() => onChange(withoutCondition(conditions, condition))}
            >
              <Icon name="close" sizePx={12} />
            </button>
          </span>
        );
      })}
      {conditions.length > 1 && (
        <button type="button" className={classes.chipsClear} onClick={() => onChange([])}>
          {t("parts.clearFilters")}
        </button>
      )}
    </div>
  );
}
