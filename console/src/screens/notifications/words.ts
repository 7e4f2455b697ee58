/** How long until something happens. */

import type { Translate } from "~/i18n/use_t";
import { amountInWords } from "~/shell/time_words";

/** `in 12 seconds`; what is due has no number. */
export function until(atMs: number, nowMs: number, t: Translate): string {
  const seconds = Math.ceil((atMs - nowMs) / 1000);
  if (seconds <= 0) return t("notifications.now");
  const [n, unit] =
    seconds < 120 ? [seconds, "s"]
    : seconds < 7200 ? [Math.round(seconds / 60), "m"]
    : seconds < 172_800 ? [Math.round(seconds / 3600), "h"]
    : [Math.round(seconds / 86_400), "d"];
  return t("notifications.in", { amount: amountInWords(`${n}${unit}`, t) });
}
