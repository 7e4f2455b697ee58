/** How an attempt or a receiver does: a mark and its word, never the colour alone. */

import type { AttemptResult, Integration } from "~/api/notifications";
import { useT } from "~/i18n/use_t";
import classes from "./notifications.module.css";

const TONES = {
  sent: "good", working: "good", failed: "bad", failing: "bad", unknown: "doubtful", interrupted: "doubtful",
  running: "plain", unused: "plain",
} as const;

export function ResultMark({ of }: { readonly of: AttemptResult | Integration["health"] }) {
  const t = useT();
  return (
    <span className={classes.result} data-tone={TONES[of]}>
      <span className={classes.resultMark} />
      {t(`notifications.result.${of}`)}
    </span>
  );
}
