/** Names of the lines. A click shows one alone; with Shift or Ctrl it hides or shows one. */

import { useT } from "~/i18n/use_t";
import classes from "./charts.module.css";
import { type Hidden, isolated, toggled } from "./visibility";

interface Item {
  readonly id: string;
  readonly label: string;
  readonly color: string;
  readonly value: string;
}

interface Props {
  readonly items: readonly Item[];
  readonly ids: readonly string[];
  readonly hidden: Hidden;
  readonly onHidden: (hidden: Hidden) => void;
}

export function Legend({ items, ids, hidden, onHidden }: Props) {
  const t = useT();
  return (
    <div className={classes.legend}>
      {items.map((item) => (
        <button
          key={item.id}
          type="button"
          className={classes.legendItem}
          aria-pressed={!hidden.has(item.id)}
          title={`${item.label}\n${t("parts.onlyThis", { name: item.label })}`}
          onClick={(event) => {
            const change = event.shiftKey || event.ctrlKey || event.metaKey ? toggled : isolated;
            onHidden(change(hidden, ids, item.id));
          }}
        >
          <span className={classes.swatch} style={{ background: item.color }} />
          <span className={classes.legendLabel}>{item.label}</span>
          <span className={classes.legendValue}>{item.value}</span>
        </button>
      ))}
    </div>
  );
}
