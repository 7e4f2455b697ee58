/** Rules by file and group: how they do, when they were evaluated, what went wrong. */

import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type Rule, type RuleGroup, type Rules, useRules } from "~/api/alerts";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
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
import classes from "./alerts.module.css";
import type { Change } from "./alerts_screen";
import { lengthText } from "./lengths";
import { AlertState, RuleHealth, Severity } from "./marks";
import { RuleDetails } from "./rule_details";
import { type AlertsSearch, HEALTHS, RULE_STATES } from "./search";

interface Props {
  readonly search: AlertsSearch;
  readonly onChange: Change;
}

export function RulesView({ search, onChange }: Props) {
  const t = useT();
  const { state, severity, group, match, health, type, rule } = search;
  const known = RULE_STATES.find((one) => one === state);
  const asked = useRules({ state: known, severity, group, match, health, type });
  const isFiltered = Boolean(known ?? severity ?? group ?? match ?? health ?? type);
  const chosen = (value: string | undefined, choices: readonly string[]) => choices.find((one) => one === value);
  return (
    <>
      <FilterBar
        isFlush
        match={match ?? ""} hint={t("alerts.matchRules")} onMatch={(text) => onChange({ match: text }, true)}
        choices={[
          {
            label: t("alerts.state"), value: known,
            choices: RULE_STATES.map((one) => ({ value: one, label: t(`alerts.state.${one}`) })),
            onChange: (value) => onChange({ state: chosen(value, RULE_STATES) as typeof known }),
          },
          {
            label: t("alerts.health"), value: health,
            choices: HEALTHS.map((one) => ({ value: one, label: t(`alerts.health.${one}`) })),
            onChange: (value) => onChange({ health: HEALTHS.find((one) => one === value) }),
          },
          {
            label: t("alerts.type"), value: type,
            choices: (["alert", "record"] as const).map((one) => ({ value: one, label: t(`alerts.type.${one}`) })),
            onChange: (value) => onChange({ type: value === "alert" || value === "record" ? value : undefined }),
          },
          ...(group === undefined ? [] : [{
            label: t("alerts.group"), value: group, choices: [{ value: group, label: group }],
            onChange: (value: string | undefined) => onChange({ group: value }),
          }]),
          ...(severity === undefined ? [] : [{
            label: t("alerts.severity"), value: severity, choices: [{ value: severity, label: severity }],
            onChange: (value: string | undefined) => onChange({ severity: value }),
          }]),
        ]}
      >
        <Link className={classes.runbooks} to="/runbooks">{t("runbooks.title")}</Link>
        {asked.data !== undefined && <Counts answer={asked.data} />}
      </FilterBar>
      <div className={classes.split} data-open={rule !== undefined || undefined}>
        <div className={classes.list}>
          <Answered asked={asked} loading={<Loading heightPx={360} lines={12} />}>
            {(answer) => (
              <RuleList
                answer={answer} selected={rule} isOld={asked.isPlaceholderData} isFiltered={isFiltered}
                onOpen={(id) => onChange({ rule: id }, true)}
              />
            )}
          </Answered>
        </div>
        {rule !== undefined && <RuleDetails key={rule} id={rule} onClose={() => onChange({ rule: undefined }, true)} />}
      </div>
    </>
  );
}

function Counts({ answer }: { readonly answer: Rules }) {
  const t = useT();
  const { ok, err, unknown } = answer.health;
  return (
    <span className={classes.counts}>
      <span>{t("alerts.countRules", { total: exact(ok + err + unknown), n: ok + err + unknown })}</span>
      {err > 0 && <span data-state="firing">{t("alerts.countBroken", { n: exact(err) })}</span>}
    </span>
  );
}

interface RuleRow {
  readonly key: string;
  readonly group: RuleGroup;
  readonly rule: Rule | null;
}

interface ListProps {
  readonly answer: Rules;
  readonly selected: string | undefined;
  readonly isOld: boolean;
  readonly isFiltered: boolean;
  readonly onOpen: (id: string) => void;
}

function RuleList({ answer, selected, isOld, isFiltered, onOpen }: ListProps) {
  const t = useT();
  const zone = useZone();
  const { nowMs } = useMoment();
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => rowsOf(answer.groups, folded), [answer.groups, folded]);
  const columns = useMemo(() => columnsOf(t, zone, nowMs, folded), [t, zone, nowMs, folded]);
  const toggle = (key: string) => {
    const next = new Set(folded);
    if (!next.delete(key)) next.add(key);
    setFolded(next);
  };
  return (
    <TableView
      label={t("alerts.rules")} columns={columns} rows={rows} rowKey={(row) => row.key} selectedKey={selected}
      isMain isOld={isOld} rowHeightPx={30}
      onOpen={(row) => (row.rule === null ? toggle(row.key) : onOpen(row.rule.id))}
      empty={
        isFiltered ? <Empty title={t("alerts.noMatch")} icon="search" /> : (
          <Empty title={t("alerts.noRules")} icon="alerts">
            <Prose text={t("alerts.noRulesWhat")} />
            <Link to="/alerts" search={{ view: "preview" }}>{t("alerts.tryPreview")}</Link>
          </Empty>
        )
      }
    />
  );
}

const keyOf = (group: RuleGroup) => JSON.stringify([group.file, group.name]);

function rowsOf(groups: readonly RuleGroup[], folded: ReadonlySet<string>): RuleRow[] {
  return groups.flatMap((group) => {
    const head: RuleRow = { key: keyOf(group), group, rule: null };
    if (folded.has(head.key)) return [head];
    return [head, ...group.rules.map((rule): RuleRow => ({ key: rule.id, group, rule }))];
  });
}

function columnsOf(t: Translate, zone: Zone, nowMs: number, folded: ReadonlySet<string>): Column<RuleRow>[] {
  return [
    {
      id: "name", label: t("alerts.rule"), width: "minmax(15rem, 2fr)",
      cell: ({ rule, group, key }) =>
        rule === null ? (
          <span className={classes.groupName} title={`${group.file} > ${group.name}`}>
            <Icon name={folded.has(key) ? "right" : "down"} sizePx={13} />
            <strong className="cut">{group.name}</strong>
            <span className="muted cut">{fileName(group.file)}</span>
          </span>
        ) : (
          <span className={classes.ruleName} title={rule.name}>
            <Icon name={rule.type === "alert" ? "alerts" : "metrics"} sizePx={13} />
            <span className="cut">{rule.name}</span>
          </span>
        ),
    },
    {
      id: "severity", label: t("alerts.severity"), width: "98px",
      cell: ({ rule }) => (rule === null || rule.type === "record" ? null : <Severity text={rule.severity} />),
    },
    { id: "state", label: t("alerts.state"), width: "132px", cell: ({ rule }) => rule === null ? null : <RuleState rule={rule} /> },
    { id: "health", label: t("alerts.health"), width: "92px", cell: ({ rule }) => (rule === null ? null : <RuleHealth rule={rule} />) },
    {
      id: "evaluated", label: t("alerts.evaluated"), width: "118px", isNumber: true,
      cell: ({ rule, group }) => {
        const atMs = (rule ?? group).evaluated_at_ms;
        if (atMs === null) return <span className="muted">{t("alerts.never")}</span>;
        return <span title={dateTime(atMs, zone)}>{ago(atMs, nowMs, t)}</span>;
      },
    },
    {
      id: "took", label: t("alerts.took"), width: "84px", isNumber: true,
      cell: ({ rule, group }) => duration((rule ?? group).took_ms * 1e6),
    },
    {
      id: "what", label: t("alerts.expressionOrError"), width: "minmax(16rem, 3fr)",
      cell: ({ rule, group }) =>
        rule === null ? (
          <span className="muted">
            {t("alerts.every", { length: lengthText(group.interval_ms) })}
            {group.missed > 0 && (
              <span className={classes.missed}>{` · ${t("alerts.missed", { n: exact(group.missed) })}`}</span>
            )}
          </span>
        ) : rule.error !== "" ? (
          <span className={`${classes.errorText ?? ""} cut`} title={rule.error}>{rule.error}</span>
        ) : (
          <span className="mono cut" title={rule.query}>{rule.query}</span>
        ),
    },
  ];
}

function RuleState({ rule }: { readonly rule: Rule }) {
  const t = useT();
  if (rule.state === "") return <span className="muted">{t("alerts.type.record")}</span>;
  if (rule.state !== "firing" && rule.state !== "pending") return <AlertState state={rule.state} />;
  return rule.state === "firing"
    ? <StateMark tone="bad">{t("alerts.countFiring", { n: exact(rule.firing) })}</StateMark>
    : <StateMark tone="doubtful">{t("alerts.countPending", { n: exact(rule.pending) })}</StateMark>;
}

function fileName(path: string): string {
  return path.split("/").at(-1) ?? path;
}
