/** The state of a target: a mark and its word. */

import type { Health } from "~/api/targets";
import { useT } from "~/i18n/use_t";
import classes from "./targets.module.css";

export function HealthMark({ health }: { readonly health: Health | "dropped" }) {
  const t = useT();
  return (
    <span className={classes.health} data-health={health}>
      <span className={classes.healthMark} />
      {t(`targets.state.${health}`)}
    </span>
  );
}
