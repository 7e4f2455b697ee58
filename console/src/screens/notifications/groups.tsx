/** Groups of alerts as they stand: who hears of each, and when it is looked at next. */

import { useMemo } from "react";
import { type AlertGroup, useAlertGroups } from "~/api/notifications";
import { exact } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { KeyValues } from "~/parts/key_values";
import { LabelText } from "~/parts/label_text";
import { Panel } from "~/parts/panel";
import { Section } from "~/parts/section";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { ago } from "~/shell/time_words";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { AlertLabels } from "./alert_labels";
import classes from "./notifications.module.css";
import { Ago } from "./receivers";
import type { NotificationsSearch } from "./search";
import { until } from "./words";

interface Props {
  readonly search: NotificationsSearch;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

export function Groups({ search, onChange }: Props) {
  const t = useT();
  const zone = useZone();
  const { isLive } = useTimeRange();
  const asked = useAlertGroups(search, isLive);
  const atMs = asked.dataUpdatedAt;
  const columns = useMemo(() => columnsOf(t, zone, atMs), [t, zone, atMs]);
  const chosen = asked.data?.groups.find((one) => keyOf(one) === search.row);
  return (
    <div className={classes.withDetails}>
      <div className={classes.main}>
        <Answered asked={asked} loading={<Loading heightPx={300} />}>
          {(answer) => (
            <Panel
              title={t("notifications.groups")} isFlush className={classes.table}
              note={t("notifications.shownOf", { n: exact(answer.groups.length), total: exact(answer.total) })}
            >
              <TableView
                label={t("notifications.groups")} columns={columns} rows={answer.groups} isMain
                isOld={asked.isPlaceholderData} rowKey={keyOf} selectedKey={search.row}
                onOpen={(row) => onChange({ row: keyOf(row) })}
                empty={<Empty title={t("notifications.noGroups")} icon="check">{t("notifications.noGroupsWhat")}</Empty>}
              />
            </Panel>
          )}
        </Answered>
      </div>
      {chosen !== undefined && (
        <GroupDetails group={chosen} atMs={atMs} onClose={() => onChange({ row: undefined })} />
      )}
    </div>
  );
}

/** Two routes with the same matchers have groups of the same key. */
function keyOf(group: AlertGroup): string {
  return `${group.route} ${group.key}`;
}

function columnsOf(t: Translate, zone: Zone, atMs: number): Column<AlertGroup>[] {
  return [
    {
      id: "labels", label: t("notifications.group"), width: "minmax(14rem, 2.2fr)",
      sortBy: (row) => JSON.stringify(row.labels),
      cell: (row) => Object.keys(row.labels).length === 0
        ? <span className="muted">{t("notifications.allTogether")}</span>
        : <LabelText labels={row.labels} />,
    },
    {
      id: "receiver", label: t("notifications.receiver"), width: "minmax(8rem, 1fr)", sortBy: (row) => row.receiver,
      cell: (row) => <span title={row.receiver}>{row.receiver}</span>,
    },
    {
      id: "firing", label: t("notifications.firing"), width: "72px", isNumber: true, sortBy: (row) => row.firing,
      cell: (row) => <span className={row.firing > 0 ? classes.bad : "muted"}>{exact(row.firing)}</span>,
    },
    {
      id: "resolved", label: t("notifications.resolved"), width: "84px", isNumber: true, sortBy: (row) => row.resolved,
      cell: (row) => <span className={row.resolved > 0 ? undefined : "muted"}>{exact(row.resolved)}</span>,
    },
    {
      id: "state", label: t("notifications.state"), width: "minmax(9rem, 1.2fr)",
      cell: (row) => <span title={stateOf(row, t)}>{stateOf(row, t)}</span>,
    },
    {
      id: "next", label: t("notifications.nextLook"), width: "minmax(120px, 0.8fr)", isNumber: true,
      sortBy: (row) => row.next_flush_ms,
      cell: (row) => row.next_flush_ms !== null && (
        <span title={dateTime(row.next_flush_ms, zone)}>{until(row.next_flush_ms, atMs, t)}</span>
      ),
    },
    {
      id: "last", label: t("notifications.lastSent"), width: "minmax(120px, 0.8fr)", isNumber: true,
      sortBy: (row) => lastSent(row), cell: (row) => <Ago atMs={lastSent(row)} nowMs={atMs} zone={zone} />,
    },
  ];
}

function lastSent(group: AlertGroup): number | null {
  const times = group.integrations.flatMap((one) => one.last_sent_ms ?? []);
  return times.length === 0 ? null : Math.max(...times);
}

/** What holds it back, or what it waits for. */
function stateOf(group: AlertGroup, t: Translate): string {
  if (group.muted_by.length > 0) return t("notifications.mutedBy", { names: group.muted_by.join(", ") });
  const isQuiet = group.alerts.length === group.firing + group.resolved &&
    group.alerts.every((one) => one.silenced_by.length > 0 || one.inhibited_by.length > 0);
  if (isQuiet) return t("notifications.allQuiet");
  if (group.integrations.length === 0) return t("notifications.tellsNobody");
  if (group.integrations.some((one) => one.retry_at_ms !== null)) return t("notifications.retrying");
  if (group.is_sending) return t("notifications.sendingNow");
  const hasGap = group.firing > 0 && group.integrations.some((one) => one.last_sent_ms === null);
  if (group.has_flushed && hasGap) return t("notifications.notAll");
  return t(group.has_flushed ? "notifications.told" : "notifications.waitsFirst");
}

interface DetailsProps {
  readonly group: AlertGroup;
  readonly atMs: number;
  readonly onClose: () => void;
}

function GroupDetails({ group, atMs, onClose }: DetailsProps) {
  const t = useT();
  const zone = useZone();
  const left = group.firing + group.resolved - group.alerts.length;
  return (
    <Drawer title={group.receiver} label={t("notifications.oneGroup")} onClose={onClose} widthPx={480}>
      <KeyValues
        isOrdered
        values={{
          [t("notifications.state")]: stateOf(group, t),
          [t("notifications.nextLook")]: group.next_flush_ms === null
            ? "–"
            : `${dateTime(group.next_flush_ms, zone)}, ${until(group.next_flush_ms, atMs, t)}`,
          ...group.labels,
          [t("notifications.groupKey")]: group.key,
        }}
      />
      <Section title={t("notifications.integrations")}>
        {group.integrations.length === 0 && <p className="muted">{t("notifications.tellsNobody")}</p>}
        {group.integrations.map((one) => (
          <div key={one.name} className={classes.told}>
            <strong>{one.name}</strong>
            <span className="muted">
              {one.last_sent_ms === null
                ? t("notifications.notYet")
                : t("notifications.heard", { ago: ago(one.last_sent_ms, atMs, t) })}
              {one.repeat_at_ms !== null && ` · ${t("notifications.repeats", { when: until(one.repeat_at_ms, atMs, t) })}`}
              {one.retry_at_ms !== null && ` · ${t("notifications.again", { when: until(one.retry_at_ms, atMs, t) })}`}
            </span>
            {one.error !== "" && <span className={classes.errorText}>{one.error}</span>}
          </div>
        ))}
      </Section>
      <Section title={t("notifications.alerts")} note={exact(group.firing + group.resolved)}>
        {group.alerts.map((one) => {
          const quiet = one.silenced_by.length > 0 ? "silenced" : one.inhibited_by.length > 0 ? "inhibited" : null;
          return (
            <AlertLabels
              key={one.fingerprint} labels={one.labels} without={Object.keys(group.labels)}
              note={t(`notifications.alert.${quiet ?? one.status}`)}
              tone={quiet !== null ? "plain" : one.status === "firing" ? "bad" : "good"}
            />
          );
        })}
        {left > 0 && <p className="muted">{t("notifications.moreAlerts", { n: left })}</p>}
      </Section>
    </Drawer>
  );
}
