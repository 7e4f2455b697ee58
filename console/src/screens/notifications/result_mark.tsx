/** How an attempt or a receiver does: a mark and its word. */

import type { AttemptResult, Integration } from "~/api/notifications";
import { useT } from "~/i18n/use_t";
import { StateMark } from "~/parts/state_mark";

const LOOKS = {
  sent: ["good", "check"], working: ["good", "check"], failed: ["bad", "error"], failing: ["bad", "error"],
  unknown: ["doubtful", "warning"], interrupted: ["doubtful", "warning"], running: ["plain", "clock"],
  unused: ["plain", "minus"],
} as const;

export function ResultMark({ of }: { readonly of: AttemptResult | Integration["health"] }) {
  const t = useT();
  const [tone, icon] = LOOKS[of];
  return <StateMark tone={tone} icon={icon}>{t(`notifications.result.${of}`)}</StateMark>;
}
