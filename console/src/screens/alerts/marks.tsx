/** States and severities in their colours, always with their word. */

import { useT } from "~/i18n/use_t";
import type { Alert, Labels, Rule } from "~/api/alerts";
import { Icon } from "~/parts/icon";
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

/** The labels that say which one it is, as many as there is room for. */
export function LabelChips({ labels, telling }: { readonly labels: Labels; readonly telling: readonly string[] }) {
  const shown = shownLabels(labels, telling);
  return (
    <span className={classes.labels} title={shown.map(([name, value]) => `${name}=${value}`).join("  ")}>
      {shown.map(([name, value]) => (
        <span key={name} className={classes.label}><span className="muted">{name}=</span>{value}</span>
      ))}
    </span>
  );
}

type ShownState = "firing" | "pending" | "kept" | "silenced" | "inhibited" | "muted" | "inactive" | "unknown";

export function stateOf(alert: Alert): ShownState {
  if (alert.silenced_by.length > 0) return "silenced";
  if (alert.inhibited_by.length > 0) return "inhibited";
  if (alert.muted_by.length > 0) return "muted";
  return alert.is_kept ? "kept" : alert.state;
}

export function StateMark({ state }: { readonly state: ShownState }) {
  const t = useT();
  return (
    <span className={classes.state} data-state={state}>
      <Icon name={ICONS[state]} sizePx={13} />
      {t(`alerts.state.${state}`)}
    </span>
  );
}

const ICONS = {
  firing: "error", kept: "error", pending: "clock", silenced: "pause", inhibited: "minus", muted: "moon",
  inactive: "check", unknown: "info",
} as const;

export function HealthMark({ rule }: { readonly rule: Rule }) {
  const t = useT();
  return (
    <span className={classes.state} data-state={rule.health === "err" ? "firing" : rule.health === "ok" ? "ok" : "unknown"}>
      <Icon name={rule.health === "err" ? "error" : rule.health === "ok" ? "check" : "info"} sizePx={13} />
      {t(`alerts.health.${rule.health}`)}
    </span>
  );
}
