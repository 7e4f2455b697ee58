/** Frames that were accepted but could not be decoded: kept until somebody replays or deletes them. */

import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import type { DeadLetter, DeadLetters as Letters, LetterAction } from "~/api/sources";
import { bytes, exact } from "~/format/numbers";
import { dateTime, millisecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Panel } from "~/parts/panel";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import { LetterConfirm } from "./letter_confirm";
import { formatName } from "./names";

interface Props {
  readonly letters: Letters;
  readonly selected: string | undefined;
  readonly onSelect: (id: string) => void;
}

export function DeadLetters({ letters, selected, onSelect }: Props) {
  const t = useT();
  const zone = useZone();
  const [asked, setAsked] = useState<LetterAction | null>(null);
  const shown = letters.dead_letters;
  const columns = useMemo<Column<DeadLetter>[]>(
    () => [
      {
        id: "received", label: t("sources.received"), width: "168px", sortBy: (row) => row.received_at,
        cell: (row) => dateTime(millisecondsOf(row.received_at), zone),
      },
      { id: "format", label: t("sources.format"), width: "minmax(9rem, 14rem)", cell: (row) => formatName(row.format) },
      {
        id: "size", label: t("sources.size"), width: "90px", isNumber: true,
        sortBy: (row) => row.size_bytes, cell: (row) => bytes(row.size_bytes),
      },
      {
        id: "attempts", label: t("sources.attempts"), width: "84px", isNumber: true,
        sortBy: (row) => row.attempts, cell: (row) => row.attempts,
      },
      {
        id: "reason", label: t("sources.reason"), width: "minmax(12rem, 1fr)",
        cell: (row) => <span className="mono" title={row.reason}>{row.reason}</span>,
      },
    ],
    [t, zone],
  );
  const isPart = letters.total > shown.length;
  return (
    <Panel
      title={t("sources.letters")} isFlush
      note={isPart ? t("sources.newestOf", { n: shown.length, total: exact(letters.total) }) : exact(letters.total)}
      actions={
        shown.length > 0 && (
          <>
            <Button variant="default" size="compact-xs" leftSection={<Icon name="replay" sizePx={13} />}
              onClick={() => setAsked("replay")}>
              {t("sources.replayShown", { n: shown.length })}
            </Button>
            <Button variant="default" size="compact-xs" leftSection={<Icon name="trash" sizePx={13} />}
              onClick={() => setAsked("delete")}>
              {t("sources.deleteShown", { n: shown.length })}
            </Button>
          </>
        )
      }
    >
      <TableView
        label={t("sources.letters")} columns={columns} rows={shown} rowsMax={6}
        rowKey={(row) => row.id} selectedKey={selected} onOpen={(row) => onSelect(row.id)}
        empty={<Empty title={t("sources.noLetters")} icon="check" />}
      />
      {asked !== null && (
        <LetterConfirm action={asked} ids={shown.map((one) => one.id)} onClose={() => setAsked(null)} />
      )}
    </Panel>
  );
}
