/** Alerts that fire and that nobody holds back, the gravest first; nothing where none does. */

import { Link } from "@tanstack/react-router";
import { useAlerts } from "~/api/alerts";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { groupsOf } from "~/screens/alerts/grouping";
import { Severity } from "~/screens/alerts/marks";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import classes from "./overview.module.css";

const ASKED_MAX = 500;
const SHOWN_MAX = 12;

export function Firing() {
  const t = useT();
  const { nowMs } = useMoment();
  const { data } = useAlerts({ state: "firing", limit: ASKED_MAX });
  if (data === undefined || data.total === 0) return null;
  const groups = groupsOf(data.alerts);
  const title = t("alerts.overview", { n: data.total });
  return (
    <section className={classes.problems} aria-label={title}>
      <h2 className={classes.problemsTitle}>
        {title} <Link className={classes.firingAll} to="/alerts" search={{}}>{t("alerts.overviewAll")}</Link>
      </h2>
      <ul className={classes.problemList}>
        {groups.slice(0, SHOWN_MAX).map((group) => {
          const only = group.alerts.length === 1 ? group.alerts[0] : undefined;
          const summary = group.alerts[0]?.annotations.summary ?? "";
          const search = only === undefined ? { match: `alertname=${group.name}` } : { alert: only.id };
          const count = only === undefined ? ` ×${exact(group.alerts.length)}` : "";
          return (
            <li key={group.key} data-severity="error">
              <Icon name="alerts" />
              <Link to="/alerts" search={search} title={summary}>
                <strong>{`${group.name}${count}`}</strong>{` · ${ago(group.sinceMs, nowMs, t)}`}
                {only !== undefined && summary !== "" && ` · ${summary}`}
              </Link>
              <span className={classes.firingSeverity}><Severity text={group.severity} /></span>
            </li>
          );
        })}
      </ul>
      {groups.length > SHOWN_MAX && <p className="muted">{t("parts.others", { n: groups.length - SHOWN_MAX })}</p>}
    </section>
  );
}
