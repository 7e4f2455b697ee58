/** The state of a target: a mark and its word. */

import type { Health } from "~/api/targets";
import { useT } from "~/i18n/use_t";
import { StateMark } from "~/parts/state_mark";

const LOOKS = {
  up: ["good", "check"], down: ["bad", "error"], unknown: ["plain", "clock"], dropped: ["quiet", "minus"],
} as const;

export function HealthMark({ health }: { readonly health: Health | "dropped" }) {
  const t = useT();
  const [tone, icon] = LOOKS[health];
  return <StateMark tone={tone} icon={icon}>{t(`targets.state.${health}`)}</StateMark>;
}
