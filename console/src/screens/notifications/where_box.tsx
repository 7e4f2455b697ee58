/** Where would an alert with these labels go, and what would hold it back now? */

import { Textarea } from "@mantine/core";
import type { ReactNode } from "react";
import type { RouteRow, Way, Where } from "~/api/notifications";
import type { Asked } from "~/api/questions";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon, type IconName } from "~/parts/icon";
import { Panel } from "~/parts/panel";
import { Answered, Loading } from "~/parts/states";
import { useZone } from "~/state/preferences";
import { useTyped } from "~/state/use_typed";
import { labelsText, type ReadLabels } from "~/format/labels";
import classes from "./notifications.module.css";

interface Props {
  readonly text: string;
  readonly read: ReadLabels;
  readonly asked: Asked<Where>;
  /** There is something to ask. */
  readonly isWhole: boolean;
  readonly routes: readonly RouteRow[];
  readonly onChange: (text: string) => void;
}

export function WhereBox({ text, read, asked, isWhole, routes, onChange }: Props) {
  const t = useT();
  const [typed, type] = useTyped(text, onChange);
  return (
    <Panel title={t("notifications.where")} className={classes.wherePanel}>
      <Textarea
        data-search aria-label={t("notifications.whereLabels")} placeholder="alertname=KubePodCrashLooping, severity=warning, namespace=shop"
        description={t("notifications.whereWhat")} autosize minRows={2} maxRows={8} spellCheck={false}
        classNames={{ input: "mono" }}
        value={typed} onChange={(event) => type(event.currentTarget.value)}
        error={read.faultAt === null ? undefined : t("notifications.labelsFault", { position: read.faultAt + 1 })}
      />
      {isWhole && (
        <Answered asked={asked} loading={<Loading heightPx={120} lines={4} />}>
          {(where) => <Ways where={where} routes={routes} />}
        </Answered>
      )}
    </Panel>
  );
}

function Ways({ where, routes }: { readonly where: Where; readonly routes: readonly RouteRow[] }) {
  const t = useT();
  const zone = useZone();
  const isHeld = where.silences.length > 0 || where.inhibited_by !== null;
  const told = where.ways.filter((one) => one.muted_by.length === 0 && one.integrations.length > 0);
  const names = [...new Set(told.map((one) => one.receiver))];
  const isTold = !isHeld && names.length > 0;
  return (
    <div className={classes.ways} role="status">
      <p className={classes.verdict} data-tone={isTold ? "good" : "doubtful"}>
        <Icon name={isTold ? "check" : "warning"} />
        <strong>{isTold ? t("notifications.tells", { names: names.join(", ") }) : t("notifications.tellsNobodyNow")}</strong>
      </p>
      {where.inhibited_by !== null && (
        <Held icon="pause" title={t("notifications.inhibited", { rule: where.inhibited_by.rule.name })}>
          <code>{labelsText(where.inhibited_by.labels)}</code>
          <span className="muted">
            {t("notifications.inhibitRule", {
              source: where.inhibited_by.rule.source_matchers.join(", "),
              target: where.inhibited_by.rule.target_matchers.join(", "),
              equal: where.inhibited_by.rule.equal.join(", "),
            })}
          </span>
        </Held>
      )}
      {where.silences.map((one) => (
        <Held key={one.id} icon="pause" title={t("notifications.silenced", { by: one.created_by, comment: one.comment })}>
          <code>{one.matchers.join(", ")}</code>
          {one.ends_at_ms !== null && (
            <span className="muted">{t("notifications.silenceEnds", { at: dateTime(one.ends_at_ms, zone) })}</span>
          )}
        </Held>
      ))}
      <ol className={classes.wayList}>
        {where.ways.map((way) => (
          <li key={way.route}>
            <OneWay way={way} path={pathTo(way.route, routes)} />
          </li>
        ))}
      </ol>
    </div>
  );
}

interface HeldProps {
  readonly icon: IconName;
  readonly title: string;
  readonly children: ReactNode;
}

function Held({ icon, title, children }: HeldProps) {
  return (
    <div className={classes.held}>
      <Icon name={icon} sizePx={14} />
      <div>
        <strong>{title}</strong>
        {children}
      </div>
    </div>
  );
}

function OneWay({ way, path }: { readonly way: Way; readonly path: readonly RouteRow[] }) {
  const t = useT();
  return (
    <>
      <div className={classes.routeHead}>
        <span className="muted">{t("notifications.root")}</span>
        {path.slice(1).map((one) => (
          <span key={one.id} className={classes.crumb}>
            <span className={classes.arrow} aria-hidden>›</span>
            <code className={classes.matcher}>{one.matchers.length === 0 ? t("notifications.everything") : one.matchers.join(", ")}</code>
          </span>
        ))}
        <span className={classes.arrow} aria-hidden>→</span>
        <strong>{way.receiver}</strong>
        <span className="muted">
          {way.integrations.length === 0 ? t("notifications.nobody") : way.integrations.join(", ")}
        </span>
      </div>
      <div className={classes.routeFacts}>
        <span>
          {Object.keys(way.group_labels).length === 0
            ? t("notifications.together")
            : t("notifications.inGroup", { labels: labelsText(way.group_labels) })}
        </span>
        <span>{t(way.group_next_flush_ms === null ? "notifications.groupNew" : "notifications.groupThere")}</span>
        {way.muted_by.length > 0 && (
          <span className={classes.tag} data-tone="doubtful">
            {t("notifications.mutedBy", { names: way.muted_by.join(", ") })}
          </span>
        )}
      </div>
    </>
  );
}

/** From the root down: each is the last one above the next that is less deep. */
function pathTo(id: string, routes: readonly RouteRow[]): RouteRow[] {
  const path: RouteRow[] = [];
  for (let at = routes.findIndex((one) => one.id === id); at >= 0; at -= 1) {
    const one = routes[at];
    const below = path[0];
    if (one !== undefined && (below === undefined || one.depth === below.depth - 1)) path.unshift(one);
  }
  return path;
}
