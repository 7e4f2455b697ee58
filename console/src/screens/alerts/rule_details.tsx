/** One rule: what it says, how it does, its alerts over time and the values behind them. */

import { Link } from "@tanstack/react-router";
import { useRule, useStates, useValues, type WholeRule } from "~/api/alerts";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { FailureText } from "~/parts/failure_text";
import { KeyValues } from "~/parts/key_values";
import { Section } from "~/parts/section";
import { Answered, Empty, Loading } from "~/parts/states";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./alerts.module.css";
import { Annotations, Expression } from "./details_parts";
import { lengthText } from "./lengths";
import { AlertState, RuleHealth, Severity } from "./marks";
import { StateBands } from "./state_bands";
import { ValuesCharts } from "./values_charts";

interface Props {
  readonly id: string;
  readonly onClose: () => void;
}

export function RuleDetails({ id, onClose }: Props) {
  const t = useT();
  const asked = useRule(id);
  return (
    <Drawer title={asked.data?.rule.name ?? t("alerts.rule")} label={t("alerts.rule")} onClose={onClose} widthPx={600}>
      <Answered asked={asked} loading={<Loading heightPx={260} lines={8} />}>
        {(whole) => <Details whole={whole} />}
      </Answered>
    </Drawer>
  );
}

function Details({ whole }: { readonly whole: WholeRule }) {
  const t = useT();
  const { rule } = whole;
  const isAlert = rule.type === "alert";
  return (
    <>
      <div className={classes.headLine}>
        {rule.state === "" ? <span className="muted">{t("alerts.type.record")}</span> : <AlertState state={rule.state} />}
        {isAlert && <Severity text={rule.severity} />}
        <RuleHealth rule={rule} />
      </div>
      {rule.error !== "" && <FailureText label={t("alerts.lastError")} text={rule.error} />}
      <Section
        title={t("alerts.expression")}
        actions={isAlert && (
          <>
            <Link to="/alerts" search={{ view: "preview", rule: rule.id }}>{t("alerts.wouldHave")}</Link>
            {rule.firing + rule.pending > 0 && (
              <Link to="/alerts" search={{ match: rule.name }}>
                {t("alerts.itsAlerts", { n: exact(rule.firing + rule.pending) })}
              </Link>
            )}
          </>
        )}
      >
        <Expression rule={rule} />
      </Section>
      <Annotations annotations={rule.annotations} />
      {isAlert && <Past id={rule.id} isWell={rule.health !== "err"} />}
      {Object.keys(rule.labels).length > 0 && (
        <Section title={t("alerts.labels")}><KeyValues values={rule.labels} /></Section>
      )}
      <Facts whole={whole} />
    </>
  );
}

/** Of a rule that fails there are no values, for the reason that is said above. */
function Past({ id, isWell }: { readonly id: string; readonly isWell: boolean }) {
  const t = useT();
  const { range } = useTimeRange();
  const states = useStates(range, id);
  const values = useValues(range, { rule: isWell ? id : undefined });
  return (
    <>
      <Section title={t("alerts.states")}>
        <Answered asked={states} loading={<Loading heightPx={60} />}>
          {(answer) =>
            answer.alerts.length === 0 ? (
              <Empty title={t("alerts.noStates")} icon="check" />
            ) : (
              <>
                <StateBands label={t("alerts.states")} rows={answer.alerts} range={range} isOld={states.isPlaceholderData} />
                {answer.total > answer.alerts.length && (
                  <p className={classes.note}>
                    {t("alerts.notAll", { shown: exact(answer.alerts.length), total: exact(answer.total) })}
                  </p>
                )}
              </>
            )
          }
        </Answered>
      </Section>
      {isWell && (
        <Section title={t("alerts.values")}>
          <Answered asked={values} loading={<Loading heightPx={190} />}>
            {(answer) => <ValuesCharts values={answer} isOld={values.isPlaceholderData} />}
          </Answered>
        </Section>
      )}
    </>
  );
}

function Facts({ whole }: { readonly whole: WholeRule }) {
  const t = useT();
  const zone = useZone();
  const { rule, group } = whole;
  const evaluated = rule.evaluated_at_ms === null ? t("alerts.never") : dateTime(rule.evaluated_at_ms, zone);
  const facts = {
    [t("alerts.file")]: `${group.file}:${rule.line}`,
    [t("alerts.group")]: group.name,
    [t("alerts.interval")]: lengthText(group.interval_ms),
    [t("alerts.evaluated")]: evaluated,
    [t("alerts.took")]: `${duration(rule.took_ms * 1e6)} (${t("alerts.groupTook", { length: duration(group.took_ms * 1e6) })})`,
    [t("alerts.missedTitle")]: exact(group.missed),
    ...(group.limit > 0 ? { [t("alerts.limit")]: exact(group.limit) } : {}),
    ...(group.query_offset_ms > 0 ? { [t("alerts.offset")]: lengthText(group.query_offset_ms) } : {}),
  };
  return <Section title={t("alerts.evaluation")}><KeyValues values={facts} isOrdered /></Section>;
}
