/** Alerts that are pending or firing, the gravest first, those of one name together. */

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type Alert, type Alerts, useAlerts } from "~/api/alerts";
import { count, exact } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { FilterBar } from "~/parts/filter_bar";
import { Icon } from "~/parts/icon";
import { Prose } from "~/parts/prose";
import { StateMark } from "~/parts/state_mark";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import { useZone } from "~/state/preferences";
import { AlertDetails } from "./alert_details";
import classes from "./alerts.module.css";
import type { Change } from "./alerts_screen";
import { type AlertGroup, type AlertRow, groupsOf, isOpen, rowsOf } from "./grouping";
import { AlertState, Severity, stateOf, TellingLabels } from "./marks";
import { type AlertsSearch, STATES } from "./search";

interface Props {
  readonly search: AlertsSearch;
  readonly onChange: Change;
}

export function AlertsView({ search, onChange }: Props) {
  const t = useT();
  const { state, severity, group, match } = search;
  const known = STATES.find((one) => one === state);
  const asked = useAlerts({ state: known, severity, group, match });
  const answer = asked.data;
  const open = answer?.alerts.find((one) => one.id === search.alert);
  const close = () => onChange({ alert: undefined }, true);
  return (
    <>
      <FilterBar
        isFlush
        match={match ?? ""} hint={t("alerts.match")}
        onMatch={(text) => onChange({ match: text }, true)}
        choices={[
          {
            label: t("alerts.state"), value: known,
            onChange: (value) => onChange({ state: STATES.find((one) => one === value) }),
            choices: STATES.map((one) => ({ value: one, label: t(`alerts.state.${one}`) })),
          },
          {
            label: t("alerts.severity"), value: severity, onChange: (value) => onChange({ severity: value }),
            choices: namesOf(answer?.severities, severity),
          },
          {
            label: t("alerts.group"), value: group, onChange: (value) => onChange({ group: value }),
            choices: namesOf(answer?.groups, group),
          },
        ]}
      >
        {answer !== undefined && <Counts answer={answer} />}
      </FilterBar>
      <div className={classes.split} data-open={open !== undefined || undefined}>
        <div className={classes.list}>
          <Answered asked={asked} loading={<Loading heightPx={360} lines={12} />}>
            {(found) => (
              <AlertList
                answer={found} selected={search.alert} isOld={asked.isPlaceholderData}
                isFiltered={Boolean(known ?? severity ?? group ?? match)}
                onOpen={(id) => onChange({ alert: id }, true)}
                onAll={() => onChange({ state: undefined, severity: undefined, group: undefined, match: undefined })}
              />
            )}
          </Answered>
        </div>
        {open !== undefined && answer !== undefined && (
          <AlertDetails
            key={open.id} alert={open} hasAlertmanager={answer.has_alertmanager} onClose={close} onChange={onChange}
          />
        )}
        {open === undefined && search.alert !== undefined && answer !== undefined && !asked.isPlaceholderData && (
          <Gone onClose={close} />
        )}
      </div>
    </>
  );
}

/** A choice stays to be seen when nothing has it any more. */
function namesOf(counted: Alerts["severities"] | undefined, chosen: string | undefined) {
  const named = (counted ?? []).filter((one) => one.name !== "");
  const known = named.map((one) => ({ value: one.name, label: `${one.name} (${exact(one.count)})` }));
  if (chosen === undefined || named.some((one) => one.name === chosen)) return known;
  return [...known, { value: chosen, label: chosen }];
}

function Counts({ answer }: { readonly answer: Alerts }) {
  const t = useT();
  const { firing, pending, suppressed } = answer.counts;
  return (
    <span className={classes.counts} aria-live="polite">
      <span data-state={firing > 0 ? "firing" : undefined}>{t("alerts.countFiring", { n: exact(firing) })}</span>
      <span data-state={pending > 0 ? "pending" : undefined}>{t("alerts.countPending", { n: exact(pending) })}</span>
      {suppressed > 0 && <span>{t("alerts.countSuppressed", { n: exact(suppressed) })}</span>}
    </span>
  );
}

/** The link was to an alert that is over. */
function Gone({ onClose }: { readonly onClose: () => void }) {
  const t = useT();
  return (
    <aside className={classes.gone} aria-label={t("alerts.gone")}>
      <Empty title={t("alerts.gone")} icon="check">
        {t("alerts.goneWhat")}
        <Button variant="default" onClick={onClose}>{t("parts.close")}</Button>
      </Empty>
    </aside>
  );
}

interface ListProps {
  readonly answer: Alerts;
  readonly selected: string | undefined;
  readonly isOld: boolean;
  readonly isFiltered: boolean;
  readonly onOpen: (id: string) => void;
  readonly onAll: () => void;
}

function AlertList({ answer, selected, isOld, isFiltered, onOpen, onAll }: ListProps) {
  const t = useT();
  const zone = useZone();
  const { nowMs } = useMoment();
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const groups = useMemo(() => groupsOf(answer.alerts), [answer.alerts]);
  const rows = useMemo(() => rowsOf(groups, toggled), [groups, toggled]);
  const columns = useMemo(() => columnsOf(t, zone, nowMs, toggled), [t, zone, nowMs, toggled]);
  const toggle = (group: AlertGroup) => {
    const next = new Set(toggled);
    if (!next.delete(group.key)) next.add(group.key);
    setToggled(next);
  };
  return (
    <>
      {answer.total > answer.alerts.length && (
        <p className={classes.note}>
          <Icon name="warning" sizePx={13} />
          {t("alerts.notAll", { shown: exact(answer.alerts.length), total: exact(answer.total) })}
        </p>
      )}
      <TableView
        label={t("alerts.list")} columns={columns} rows={rows} rowKey={(row) => row.key} selectedKey={selected}
        isMain isOld={isOld} rowHeightPx={32}
        onOpen={(row) => (row.alert === null ? toggle(row.group) : onOpen(row.alert.id))}
        empty={<Nothing answer={answer} isFiltered={isFiltered} onAll={onAll} />}
      />
    </>
  );
}

interface NothingProps {
  readonly answer: Alerts;
  readonly isFiltered: boolean;
  readonly onAll: () => void;
}

function Nothing({ answer, isFiltered, onAll }: NothingProps) {
  const t = useT();
  if (isFiltered) {
    return (
      <Empty title={t("alerts.noMatch")} icon="search">
        <Button variant="default" onClick={onAll}>{t("parts.clearFilters")}</Button>
      </Empty>
    );
  }
  if (!answer.has_rules) {
    return (
      <Empty title={t("alerts.noRules")} icon="alerts">
        <Prose text={t("alerts.noRulesWhat")} />
        <Link to="/alerts" search={{ view: "preview" }}>{t("alerts.tryPreview")}</Link>
      </Empty>
    );
  }
  return (
    <Empty title={t("alerts.allQuiet")} icon="check">
      <Link to="/alerts" search={{ view: "rules" }}>{t("alerts.toRules")}</Link>
    </Empty>
  );
}

function columnsOf(t: Translate, zone: Zone, nowMs: number, toggled: ReadonlySet<string>): Column<AlertRow>[] {
  return [
    {
      id: "state", label: t("alerts.state"), width: "124px",
      cell: ({ alert, group }) =>
        alert === null ? <GroupState group={group} /> : <AlertState state={stateOf(alert)} />,
    },
    {
      id: "severity", label: t("alerts.severity"), width: "98px",
      cell: ({ group, alert }) =>
        alert === null || group.alerts.length === 1 ? <Severity text={group.severity} /> : null,
    },
    {
      id: "name", label: t("alerts.alert"), width: "minmax(16rem, 2fr)",
      cell: ({ alert, group }) =>
        alert === null ? (
          <GroupName group={group} isOpen={isOpen(group, toggled)} />
        ) : (
          <AlertName alert={alert} group={group} />
        ),
    },
    {
      id: "since", label: t("alerts.since"), width: "120px", isNumber: true,
      cell: ({ alert, group }) => {
        const atMs = alert?.active_at_ms ?? group.sinceMs;
        return <span title={dateTime(atMs, zone)}>{ago(atMs, nowMs, t)}</span>;
      },
    },
    {
      id: "value", label: t("alerts.value"), width: "84px", isNumber: true,
      cell: ({ alert }) => (alert === null ? "" : <span title={String(alert.value)}>{count(alert.value)}</span>),
    },
    {
      id: "summary", label: t("alerts.summary"), width: "minmax(14rem, 3fr)",
      cell: ({ alert, group }) => <Summary alert={alert} group={group} />,
    },
  ];
}

function GroupState({ group }: { readonly group: AlertGroup }) {
  const t = useT();
  if (group.firing > 0) return <StateMark tone="bad">{t("alerts.countFiring", { n: exact(group.firing) })}</StateMark>;
  if (group.suppressed > 0) {
    return <StateMark tone="quiet">{t("alerts.countSuppressed", { n: exact(group.suppressed) })}</StateMark>;
  }
  return <StateMark tone="doubtful">{t("alerts.countPending", { n: exact(group.pending) })}</StateMark>;
}

function GroupName({ group, isOpen: opened }: { readonly group: AlertGroup; readonly isOpen: boolean }) {
  return (
    <span className={classes.groupName}>
      <Icon name={opened ? "down" : "right"} sizePx={13} />
      <strong className="cut" title={group.name}>{group.name === "" ? "–" : group.name}</strong>
      <span className="muted">{exact(group.alerts.length)}</span>
    </span>
  );
}

function AlertName({ alert, group }: { readonly alert: Alert; readonly group: AlertGroup }) {
  const isAlone = group.alerts.length === 1;
  return (
    <span className={classes.alertName} data-inner={!isAlone || undefined}>
      {isAlone && <strong>{alert.name === "" ? "–" : alert.name}</strong>}
      <TellingLabels labels={alert.labels} telling={isAlone ? [] : group.telling} />
    </span>
  );
}

function Summary({ alert, group }: { readonly alert: Alert | null; readonly group: AlertGroup }) {
  const t = useT();
  if (alert === null) {
    const { firing, pending, suppressed } = group;
    const parts = [
      ...(pending > 0 && firing + suppressed > 0 ? [t("alerts.countPending", { n: exact(pending) })] : []),
      ...(suppressed > 0 && firing > 0 ? [t("alerts.countSuppressed", { n: exact(suppressed) })] : []),
    ];
    return <span className="muted">{parts.join(" · ")}</span>;
  }
  const text = alert.annotations.summary ?? alert.annotations.description ?? alert.annotations.message ?? "";
  return <span className="cut" title={text}>{text}</span>;
}
