/** What fires and why: alerts, the rules behind them, silences, and what a rule would have done. */

import { SegmentedControl } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "~/i18n/use_t";
import { Screen } from "~/shell/screen";
import classes from "./alerts.module.css";
import { AlertsView } from "./alerts_view";
import { PreviewView } from "./preview_view";
import { RulesView } from "./rules_view";
import type { AlertsSearch } from "./search";
import { SilencesView } from "./silences_view";

const route = getRouteApi("/alerts");

export type Change = (changed: Partial<AlertsSearch>, isTyping?: boolean) => void;

export function AlertsScreen() {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change: Change = (changed, isTyping = false) =>
    void navigate({ search: (old) => ({ ...old, ...changed }), replace: isTyping });
  const view = search.view ?? "alerts";
  const views = (
    <SegmentedControl
      size="xs" aria-label={t("alerts.view")} value={view}
      data={[
        { value: "alerts", label: t("alerts.viewAlerts") },
        { value: "rules", label: t("alerts.viewRules") },
        { value: "silences", label: t("alerts.viewSilences") },
        { value: "preview", label: t("alerts.viewPreview") },
      ]}
      onChange={(next) => {
        const chosen = (["rules", "silences", "preview"] as const).find((one) => one === next);
        const none = undefined;
        change({ view: chosen, state: none, match: none, rule: none, alert: none, silence: none });
      }}
    />
  );
  // The header of a narrow window has no room for it.
  return (
    <Screen title={t("alerts.title")} isFilling head={<span className={classes.headViews}>{views}</span>}>
      <div className={classes.bodyViews}>{views}</div>
      {view === "alerts" && <AlertsView search={search} onChange={change} />}
      {view === "rules" && <RulesView search={search} onChange={change} />}
      {view === "silences" && <SilencesView search={search} onChange={change} />}
      {view === "preview" && <PreviewView search={search} onChange={change} />}
    </Screen>
  );
}
