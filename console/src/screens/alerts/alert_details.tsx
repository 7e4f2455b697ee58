/** One alert: since when and why, what it says, and the ways to its metric, logs and traces. */

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { type Alert, useRule, useStates, useValues, type WholeRule } from "~/api/alerts";
import { duration } from "~/format/durations";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { Icon } from "~/parts/icon";
import { KeyValues } from "~/parts/key_values";
import { Section } from "~/parts/section";
import { Answered, Empty, Loading } from "~/parts/states";
import { labelsText, wordsOf } from "~/format/labels";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./alerts.module.css";
import type { Change } from "./alerts_screen";
import { Annotations, Expression } from "./details_parts";
import { AlertState, Severity, stateOf } from "./marks";
import { matchersOf } from "./matchers";
import { SilenceForm } from "./silence_form";
import { StateBands } from "./state_bands";
import { ValuesCharts } from "./values_charts";
import { conditionsOf, timeOf } from "./ways";

interface Props {
  readonly alert: Alert;
  readonly hasAlertmanager: boolean;
  readonly onClose: () => void;
  readonly onChange: Change;
}

export function AlertDetails({ alert, hasAlertmanager, onClose, onChange }: Props) {
  const t = useT();
  const rule = useRule(alert.rule);
  const [isSilencing, setSilencing] = useState(false);
  return (
    <Drawer
      title={alert.name === "" ? t("alerts.alert") : alert.name} label={t("alerts.alert")} onClose={onClose} widthPx={600}
      actions={
        hasAlertmanager && (
          <Button variant="default" leftSection={<Icon name="pause" sizePx={13} />} onClick={() => setSilencing(true)}>
            {t("alerts.silence")}
          </Button>
        )
      }
    >
      <div className={classes.headLine}>
        <AlertState state={stateOf(alert)} />
        <Severity text={alert.severity} />
        <Since alert={alert} />
      </div>
      {alert.suppressed && <HeldBy alert={alert} />}
      <Annotations annotations={alert.annotations} />
      <Ways alert={alert} rule={rule.data} />
      {alert.rule === "" ? (
        <p className={classes.note}>
          <Icon name="info" sizePx={13} />
          {t("alerts.toldByOthers")}
        </p>
      ) : (
        <Answered asked={rule} loading={<Loading heightPx={120} />}>
          {(whole) => (
            <Section
              title={t("alerts.expression")}
              actions={
                <>
                  <Link to="/alerts" search={{ view: "rules", rule: alert.rule }}>{t("alerts.toRule")}</Link>
                  <Link to="/alerts" search={{ view: "preview", rule: alert.rule }}>{t("alerts.wouldHave")}</Link>
                </>
              }
            >
              <Expression rule={whole.rule} />
            </Section>
          )}
        </Answered>
      )}
      {alert.rule !== "" && <Past alert={alert} />}
      <Section title={t("alerts.labels")}>
        <KeyValues
          values={alert.labels}
          onFilter={(key, value, op) => {
            if (op === "=") onChange({ match: `${key}=${value}` });
            else onChange({ match: undefined });
          }}
        />
      </Section>
      <Facts alert={alert} />
      {isSilencing && (
        <SilenceForm
          first={{ matchers: matchersOf(alert.told_labels ?? alert.labels) }} onClose={() => setSilencing(false)}
          onDone={() => setSilencing(false)}
        />
      )}
    </Drawer>
  );
}

function Since({ alert }: { readonly alert: Alert }) {
  const t = useT();
  const zone = useZone();
  const { nowMs } = useMoment();
  const atMs = alert.fired_at_ms ?? alert.active_at_ms;
  return (
    <span className="muted" title={dateTime(atMs, zone)}>{`${ago(atMs, nowMs, t)} · ${dateTime(atMs, zone)}`}</span>
  );
}

/** What keeps people from being notified, each with a way to it. */
function HeldBy({ alert }: { readonly alert: Alert }) {
  const t = useT();
  return (
    <div className={classes.heldBy}>
      {alert.silenced_by.map((id) => (
        <p key={id}>
          {t("alerts.silencedBy")}{" "}
          <Link to="/alerts" search={{ view: "silences", silence: id }}><code>{id.slice(0, 8)}</code></Link>
        </p>
      ))}
      {alert.inhibited_by.map(({ fingerprint, labels }) => {
        const { alertname = fingerprint, ...rest } = labels;
        return (
          <p key={fingerprint}>
            {t("alerts.inhibitedBy")}{" "}
            <Link to="/alerts" search={{ match: wordsOf(labels) }}>{alertname}</Link>{" "}
            <span className="muted">{Object.entries(rest).map(([name, value]) => `${name}=${value}`).join(" ")}</span>
          </p>
        );
      })}
      {alert.muted_by.length > 0 && <p>{t("alerts.mutedBy", { names: alert.muted_by.join(", ") })}</p>}
    </div>
  );
}

function Ways({ alert, rule }: { readonly alert: Alert; readonly rule: WholeRule | undefined }) {
  const t = useT();
  const { nowMs } = useMoment();
  const time = timeOf(alert.active_at_ms, nowMs);
  const filter = conditionsOf(alert.labels);
  const expr = rule?.comparisons[0]?.expr ?? rule?.rule.query;
  return (
    <div className={classes.ways} role="group" aria-label={t("alerts.ways")}>
      {expr !== undefined && (
        <Link className={classes.way} to="/metrics" search={{ view: "query", q: [{ id: "A", expr }], ...time }}>
          <Icon name="metrics" sizePx={14} />{t("alerts.toMetric")}
        </Link>
      )}
      {filter.length > 0 && (
        <>
          <Link className={classes.way} to="/logs" search={{ filter, ...time }}>
            <Icon name="logs" sizePx={14} />{t("alerts.toLogs")}
          </Link>
          <Link className={classes.way} to="/traces" search={{ filter, ...time }}>
            <Icon name="traces" sizePx={14} />{t("alerts.toTraces")}
          </Link>
          <span className="muted">{filter.map((one) => `${one.field}=${String(one.value)}`).join(" ")}</span>
        </>
      )}
    </div>
  );
}

function Past({ alert }: { readonly alert: Alert }) {
  const t = useT();
  const { range } = useTimeRange();
  const states = useStates(range, alert.rule, alert.labels);
  const values = useValues(range, { rule: alert.rule, labels: alert.labels });
  return (
    <>
      <Section title={t("alerts.states")}>
        <Answered asked={states} loading={<Loading heightPx={60} />}>
          {(answer) =>
            answer.alerts.length === 0 ? (
              <Empty title={t("alerts.noStates")}>{t("alerts.noStatesWhat")}</Empty>
            ) : (
              <StateBands label={t("alerts.states")} rows={answer.alerts} range={range} isOld={states.isPlaceholderData} />
            )
          }
        </Answered>
      </Section>
      <Section title={t("alerts.values")}>
        <Answered asked={values} loading={<Loading heightPx={190} />}>
          {(answer) => <ValuesCharts values={answer} isOld={values.isPlaceholderData} />}
        </Answered>
      </Section>
    </>
  );
}

/** Who hears of it: by which route, and what became of telling them. */
function Told({ alert }: { readonly alert: Alert }) {
  const t = useT();
  const labels = alert.told_labels ?? alert.labels;
  return (
    <>
      {alert.receivers.join(", ")}{" · "}
      <Link to="/notifications" search={{ view: "routes", labels: labelsText(labels) }}>{t("notifications.itsWay")}</Link>{" · "}
      <Link to="/notifications" search={{ match: `alertname=${alert.name}` }}>{t("notifications.attempts")}</Link>
    </>
  );
}

function later(ms: number): string {
  return ms <= 0 ? "" : ` (+${duration(ms * 1e6)})`;
}

function Facts({ alert }: { readonly alert: Alert }) {
  const t = useT();
  const zone = useZone();
  const known: [string, ReactNode][] = [
    [t("alerts.activeAt"), dateTime(alert.active_at_ms, zone)],
    ...(alert.fired_at_ms === null || alert.rule === "" ? [] : [[
      t("alerts.firedAt"),
      `${dateTime(alert.fired_at_ms, zone)}${later(alert.fired_at_ms - alert.active_at_ms)}`,
    ] as [string, string]]),
    ...(alert.receivers.length === 0 ? [] : [[t("alerts.receivers"), <Told key="told" alert={alert} />] as [string, ReactNode]]),
    ...(alert.value === null ? [] : [[t("alerts.value"), String(alert.value)] as [string, string]]),
  ];
  return (
    <dl className={classes.facts}>
      {known.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}
