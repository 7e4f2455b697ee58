/** States and severities in their colours, always with their word. */

import { useT } from "~/i18n/use_t";
import type { Alert, Labels, Rule } from "~/api/alerts";
import type { IconName } from "~/parts/icon";
import { LabelText } from "~/parts/label_text";
import { StateMark, type Tone } from "~/parts/state_mark";
import classes from "./alerts.module.css";
import { shownLabels, toneOf } from "./grouping";

export function Severity({ text }: { readonly text: string }) {
  if (text === "") return <span className="muted">–</span>;
  const tone = toneOf(text).toLowerCase();
  return (
    <span className={classes.severity} style={{ color: `var(--tl-${tone}-text)` }} title={text}>
      <span className={classes.severityMark} style={{ background: `var(--tl-${tone})` }} />
      <span className="cut">{text}</span>
    </span>
  );
}

/** The labels that say which one it is, as many as there is room for; all of them on hover. */
export function TellingLabels({ labels, telling }: { readonly labels: Labels; readonly telling: readonly string[] }) {
  return <span className="cut"><LabelText labels={Object.fromEntries(shownLabels(labels, telling))} /></span>;
}

type ShownState = "firing" | "pending" | "kept" | "silenced" | "inhibited" | "muted" | "inactive" | "unknown";

export function stateOf(alert: Alert): ShownState {
  if (alert.silenced_by.length > 0) return "silenced";
  if (alert.inhibited_by.length > 0) return "inhibited";
  if (alert.muted_by.length > 0) return "muted";
  return alert.is_kept ? "kept" : alert.state;
}

const LOOKS: Readonly<Record<ShownState, readonly [Tone, IconName]>> = {
  firing: ["bad", "error"], kept: ["bad", "error"], pending: ["doubtful", "clock"], silenced: ["quiet", "pause"],
  inhibited: ["quiet", "minus"], muted: ["quiet", "moon"], inactive: ["plain", "check"], unknown: ["plain", "info"],
};

export function AlertState({ state }: { readonly state: ShownState }) {
  const t = useT();
  const [tone, icon] = LOOKS[state];
  return <StateMark tone={tone} icon={icon}>{t(`alerts.state.${state}`)}</StateMark>;
}

const HEALTHS = { ok: ["good", "check"], err: ["bad", "error"], unknown: ["plain", "info"] } as const;

export function RuleHealth({ rule }: { readonly rule: Rule }) {
  const t = useT();
  const [tone, icon] = HEALTHS[rule.health];
  return <StateMark tone={tone} icon={icon}>{t(`alerts.health.${rule.health}`)}</StateMark>;
}
