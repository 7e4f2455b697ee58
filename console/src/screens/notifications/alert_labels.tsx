/** One alert in a list: its name, how it is, its labels. */

import { Link } from "@tanstack/react-router";
import type { Labels } from "~/api/prometheus";
import { useT } from "~/i18n/use_t";
import { labelsText, wordsOf } from "~/format/labels";
import classes from "./notifications.module.css";

interface Props {
  readonly labels: Labels;
  readonly note: string;
  readonly tone: "bad" | "good" | "plain" | "doubtful";
  /** Of the whole group: told there. */
  readonly without: readonly string[];
}

export function AlertLabels({ labels, note, tone, without }: Props) {
  const t = useT();
  const shown = Object.entries(labels).filter(([name]) => name !== "alertname" && !without.includes(name));
  return (
    <div className={classes.alert} data-tone={tone}>
      <div className={classes.alertHead}>
        <Link to="/alerts" search={{ match: wordsOf(labels) }}><strong>{labels.alertname ?? "–"}</strong></Link>
        <span className={classes.alertNote}>{note}</span>
        <Link className={classes.itsWay} to="/notifications" search={{ view: "routes", labels: labelsText(labels) }}>
          {t("notifications.itsWay")}
        </Link>
      </div>
      {shown.length > 0 && (
        <div className={classes.alertLabels}>
          {shown.map(([name, value]) => (
            <span key={name}><span className="muted">{name}=</span>{value}</span>
          ))}
        </div>
      )}
    </div>
  );
}
