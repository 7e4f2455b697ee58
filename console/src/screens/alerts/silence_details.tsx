/** One silence: what it matches and holds, and how it is changed, extended or ended. */

import { Button } from "@mantine/core";
import { useState } from "react";
import { type Silence, useExpireSilence, usePutSilence } from "~/api/silences";
import { dateTime, millisecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { Icon } from "~/parts/icon";
import { KeyValues } from "~/parts/key_values";
import { Section } from "~/parts/section";
import { ErrorNote } from "~/parts/states";
import { useZone } from "~/state/preferences";
import classes from "./alerts.module.css";
import { matcherText } from "./matchers";
import { Held, SilenceForm } from "./silence_form";
import { SilenceMark } from "./silences_view";

interface Props {
  readonly silence: Silence;
  readonly onClose: () => void;
  /** A change may have made another one of it. */
  readonly onMoved: (id: string) => void;
}

const EXTENSIONS = [["1h", 3600e3], ["4h", 4 * 3600e3], ["1d", 86_400e3]] as const;

export function SilenceDetails({ silence, onClose, onMoved }: Props) {
  const t = useT();
  const zone = useZone();
  const [isEditing, setEditing] = useState(false);
  const put = usePutSilence();
  const expire = useExpireSilence();
  const isOver = silence.status.state === "expired";
  const isBusy = put.isPending || expire.isPending;
  const extend = (byMs: number) => {
    const { id, matchers, startsAt, createdBy, comment, annotations } = silence;
    const endsAt = new Date(millisecondsOf(silence.endsAt) + byMs).toISOString();
    put.mutate(
      { id, matchers, startsAt, endsAt, createdBy, comment, ...(annotations === undefined ? {} : { annotations }) },
      { onSuccess: (answer) => onMoved(answer.silenceID) },
    );
  };
  const error = put.error ?? expire.error;
  return (
    <Drawer title={silence.comment} label={t("alerts.silenceOne")} onClose={onClose} widthPx={480}>
      <div className={classes.headLine}>
        <SilenceMark silence={silence} />
        <span className="muted">{t("alerts.until", { at: dateTime(millisecondsOf(silence.endsAt), zone) })}</span>
      </div>
      <div className={classes.buttons}>
        <Button variant="default" disabled={isBusy} onClick={() => setEditing(true)}>
          {t(isOver ? "alerts.renew" : "alerts.edit")}
        </Button>
        {!isOver && EXTENSIONS.map(([text, byMs]) => (
          <Button key={text} variant="default" disabled={isBusy} onClick={() => extend(byMs)} aria-label={t("alerts.extend", { by: text })}>
            {`+${text}`}
          </Button>
        ))}
        {!isOver && (
          <Button
            variant="default" disabled={isBusy} leftSection={<Icon name="close" sizePx={13} />}
            onClick={() => expire.mutate(silence.id)}
          >
            {t("alerts.expire")}
          </Button>
        )}
      </div>
      {error !== null && <ErrorNote error={error} />}
      <Section title={t("alerts.matchers")}>
        <ul className={classes.matcherList}>
          {silence.matchers.map((one) => <li key={matcherText(one)} className="mono">{matcherText(one)}</li>)}
        </ul>
      </Section>
      {!isOver && <Section title={t("alerts.holds")}><Held matchers={silence.matchers} /></Section>}
      <Section title={t("alerts.about")}>
        <KeyValues
          isOrdered
          values={{
            [t("alerts.author")]: silence.createdBy,
            [t("alerts.comment")]: silence.comment,
            [t("alerts.starts")]: dateTime(millisecondsOf(silence.startsAt), zone),
            [t("alerts.ends")]: dateTime(millisecondsOf(silence.endsAt), zone),
            [t("alerts.updated")]: dateTime(millisecondsOf(silence.updatedAt), zone),
            [t("alerts.id")]: silence.id,
          }}
        />
      </Section>
      {isEditing && (
        <SilenceForm
          first={{ matchers: silence.matchers, silence }} onClose={() => setEditing(false)}
          onDone={(id) => {
            setEditing(false);
            onMoved(id);
          }}
        />
      )}
    </Drawer>
  );
}
