/** The tree of routes as it stands in the file, and the way that an alert would take through it. */

import { useRouteTree, type RouteRow, useWhere, type Where } from "~/api/notifications";
import { duration } from "~/format/durations";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Answered, Loading } from "~/parts/states";
import { useTimeRange } from "~/state/use_time_range";
import { readLabels } from "~/format/labels";
import classes from "./notifications.module.css";
import type { NotificationsSearch } from "./search";
import { WhereBox } from "./where_box";

interface Props {
  readonly search: NotificationsSearch;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

export function Routes({ search, onChange }: Props) {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useRouteTree(isLive);
  const read = readLabels(search.labels ?? "");
  const isWhole = read.faultAt === null && Object.keys(read.labels).length > 0;
  const where = useWhere(isWhole ? read.labels : null, isLive);
  const found = isWhole ? where.data : undefined;
  return (
    <div className={classes.routes}>
      <WhereBox
        text={search.labels ?? ""} read={read} asked={where} isWhole={isWhole} routes={asked.data?.routes ?? []}
        onChange={(labels) => onChange({ labels: labels === "" ? undefined : labels })}
      />
      <Panel title={t("notifications.tree")} className={classes.treePanel}>
        <Answered asked={asked} loading={<Loading heightPx={200} lines={6} />}>
          {({ routes }) => <Tree routes={routes} where={found} />}
        </Answered>
      </Panel>
    </div>
  );
}

function Tree({ routes, where }: { readonly routes: readonly RouteRow[]; readonly where: Where | undefined }) {
  const passed = new Set(where?.passed);
  const ends = new Set(where?.ways.map((one) => one.route));
  return (
    <ul className={classes.tree}>
      {routes.map((route) => (
        <li
          key={route.id} className={classes.route} style={{ marginLeft: `${route.depth * 22}px` }}
          data-way={where === undefined ? undefined : ends.has(route.id) ? "end" : passed.has(route.id) ? "passed" : "no"}
        >
          <RouteLine route={route} isEnd={ends.has(route.id)} />
        </li>
      ))}
    </ul>
  );
}

function RouteLine({ route, isEnd }: { readonly route: RouteRow; readonly isEnd: boolean }) {
  const t = useT();
  const length = (ms: number) => (ms === 0 ? "0 s" : duration(ms * 1e6));
  return (
    <>
      <div className={classes.routeHead}>
        {route.matchers.length === 0 ? (
          <span className="muted">{t(route.depth === 0 ? "notifications.root" : "notifications.everything")}</span>
        ) : (
          route.matchers.map((one) => <code key={one} className={classes.matcher}>{one}</code>)
        )}
        <span className={classes.arrow} aria-hidden>→</span>
        <strong>{route.receiver}</strong>
        {isEnd && <span className={classes.here}>{t("notifications.goesHere")}</span>}
        {route.does_continue && <span className={classes.tag}>{t("notifications.continues")}</span>}
        {route.muted_by.length > 0 && (
          <span className={classes.tag} data-tone="doubtful">
            {t("notifications.mutedBy", { names: route.muted_by.join(", ") })}
          </span>
        )}
      </div>
      <div className={classes.routeFacts}>
        <span>{groupedBy(route, t("notifications.byAll"), t("notifications.together"))}</span>
        <span>{t("notifications.waits", {
          wait: length(route.group_wait_ms), interval: length(route.group_interval_ms),
          repeat: length(route.repeat_interval_ms),
        })}</span>
        {route.mute_times.length > 0 && <span>{t("notifications.muteTimes", { names: route.mute_times.join(", ") })}</span>}
        {route.active_times.length > 0 && (
          <span>{t("notifications.activeTimes", { names: route.active_times.join(", ") })}</span>
        )}
        {route.groups > 0 && <span>{t("notifications.groupCount", { n: route.groups })}</span>}
      </div>
    </>
  );
}

function groupedBy(route: RouteRow, all: string, none: string): string {
  if (route.group_by.length === 0) return none;
  return route.group_by[0] === "..." ? all : `group_by ${route.group_by.join(", ")}`;
}
