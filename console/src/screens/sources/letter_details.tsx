/** One dead letter: why it could not be read, and what can be done about it. */

import { Button } from "@mantine/core";
import { useState } from "react";
import type { DeadLetter, LetterAction } from "~/api/sources";
import { bytes, exact } from "~/format/numbers";
import { fullTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { Icon } from "~/parts/icon";
import { KeyValues } from "~/parts/key_values";
import { useZone } from "~/state/preferences";
import { LetterConfirm } from "./letter_confirm";
import { formatName } from "./names";
import classes from "./sources.module.css";

interface Props {
  readonly letter: DeadLetter;
  readonly onClose: () => void;
}

export function LetterDetails({ letter, onClose }: Props) {
  const t = useT();
  const zone = useZone();
  const [asked, setAsked] = useState<LetterAction | null>(null);
  return (
    <Drawer title={formatName(letter.format)} label={t("sources.letter")} onClose={onClose} widthPx={420}>
      <div className={classes.letterButtons}>
        <Button variant="default" leftSection={<Icon name="replay" sizePx={14} />} onClick={() => setAsked("replay")}>
          {t("sources.replay")}
        </Button>
        <Button variant="default" leftSection={<Icon name="trash" sizePx={14} />} onClick={() => setAsked("delete")}>
          {t("sources.delete")}
        </Button>
      </div>
      <h3 className={classes.letterHead}>{t("sources.reason")}</h3>
      <pre className={classes.reason}>{letter.reason}</pre>
      <KeyValues
        isOrdered
        values={{
          [t("sources.received")]: fullTime(letter.received_at, zone),
          [t("sources.size")]: `${bytes(letter.size_bytes)} (${exact(letter.size_bytes)} B)`,
          [t("sources.code")]: String(letter.code),
          [t("sources.attempts")]: String(letter.attempts),
          [t("sources.id")]: letter.id,
        }}
      />
      {asked !== null && (
        <LetterConfirm action={asked} ids={[letter.id]} onClose={() => setAsked(null)} onDone={onClose} />
      )}
    </Drawer>
  );
}
