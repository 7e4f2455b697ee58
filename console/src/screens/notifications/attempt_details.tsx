/** One attempt: what was said to whom, and what came of it. */

import { Button } from "@mantine/core";
import type { Attempt } from "~/api/notifications";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { FailureText } from "~/parts/failure_text";
import { KeyValues } from "~/parts/key_values";
import { Section } from "~/parts/section";
import { useZone } from "~/state/preferences";
import { AlertLabels } from "./alert_labels";
import { reasonWord } from "./attempts";
import classes from "./notifications.module.css";
import { ResultMark } from "./result_mark";
import type { NotificationsSearch } from "./search";
import { until } from "./words";

interface Props {
  readonly attempt: Attempt;
  readonly atMs: number;
  readonly onClose: () => void;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

export function AttemptDetails({ attempt, atMs, onClose, onChange }: Props) {
  const t = useT();
  const zone = useZone();
  const left = attempt.alert_count - attempt.alerts.length;
  return (
    <Drawer
      title={`${attempt.receiver} ${attempt.integration}`} label={t("notifications.attempt")} onClose={onClose}
      widthPx={480}
    >
      <p className={classes.headLine}>
        <ResultMark of={attempt.result} />
        <Button variant="default" size="compact-xs" onClick={() => onChange({ match: attempt.group_key, result: undefined, receiver: undefined })}>
          {t("notifications.ofGroup")}
        </Button>
      </p>
      {attempt.error !== "" && <FailureText label={t("notifications.error")} text={attempt.error} />}
      <KeyValues
        isOrdered
        values={{
          [t("notifications.when")]: dateTime(attempt.began_at_ms, zone),
          [t("notifications.duration")]: attempt.duration_ms === null ? "–" : duration(attempt.duration_ms * 1e6),
          [t("notifications.number")]: String(attempt.number),
          ...(attempt.retry_at_ms === null
            ? {}
            : { [t("notifications.nextRetry")]: `${dateTime(attempt.retry_at_ms, zone)}, ${until(attempt.retry_at_ms, atMs, t)}` }),
          ...(attempt.status === null ? {} : { [t("notifications.status")]: String(attempt.status) }),
          [t("notifications.reason")]: reasonWord(attempt, t),
          [t("notifications.groupKey")]: attempt.group_key,
        }}
      />
      <Section title={t("notifications.alerts")} note={exact(attempt.alert_count)}>
        {attempt.alerts.map((one, at) => (
          <AlertLabels
            key={at} labels={one.labels} note={t.maybe(`notifications.alert.${one.status}`) ?? one.status}
            tone={one.status === "firing" ? "bad" : "good"} without={Object.keys(attempt.group_labels)}
          />
        ))}
        {left > 0 && <p className="muted">{t("notifications.moreAlerts", { n: left })}</p>}
      </Section>
    </Drawer>
  );
}
