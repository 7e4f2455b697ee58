/** The journal: every attempt to notify that is on record, newest first. */

import { useMemo } from "react";
import { type Attempt, type Attempts as Answer, useAttempts } from "~/api/notifications";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { LabelText } from "~/parts/label_text";
import { Panel } from "~/parts/panel";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { AttemptDetails } from "./attempt_details";
import classes from "./notifications.module.css";
import { ResultMark } from "./result_mark";
import type { NotificationsSearch } from "./search";
import { until } from "./words";

interface Props {
  readonly search: NotificationsSearch;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

/** Table and details: two columns of the screen. */
export function Attempts({ search, onChange }: Props) {
  const { isLive } = useTimeRange();
  const asked = useAttempts(search, isLive);
  const chosen = asked.data?.attempts.find((one) => one.id === search.row);
  return (
    <div className={classes.withDetails}>
      <div className={classes.main}>
        <Answered asked={asked} loading={<Loading heightPx={300} />}>
          {(answer) => (
            <Journal answer={answer} atMs={asked.dataUpdatedAt} selected={search.row} isOld={asked.isPlaceholderData}
              onOpen={(row) => onChange({ row })} />
          )}
        </Answered>
      </div>
      {chosen !== undefined && (
        <AttemptDetails
          attempt={chosen} atMs={asked.dataUpdatedAt} onClose={() => onChange({ row: undefined })} onChange={onChange}
        />
      )}
    </div>
  );
}

interface JournalProps {
  readonly answer: Answer;
  readonly atMs: number;
  readonly selected: string | undefined;
  readonly isOld: boolean;
  readonly onOpen: (id: string) => void;
}

function Journal({ answer, atMs, selected, isOld, onOpen }: JournalProps) {
  const t = useT();
  const zone = useZone();
  const columns = useMemo(() => columnsOf(t, zone, atMs), [t, zone, atMs]);
  return (
    <Panel
      title={t("notifications.attempts")} isFlush className={classes.table}
      note={t("notifications.shownOf", { n: exact(answer.found), total: exact(answer.total) })}
    >
      <TableView
        label={t("notifications.attempts")} columns={columns} rows={answer.attempts} isMain isOld={isOld}
        rowKey={(row) => row.id} selectedKey={selected} onOpen={(row) => onOpen(row.id)}
        empty={
          <Empty title={t(answer.total === 0 ? "notifications.noAttempts" : "notifications.noMatch")} icon="info">
            {answer.total === 0 && t("notifications.noAttemptsWhat")}
          </Empty>
        }
      />
    </Panel>
  );
}

function columnsOf(t: Translate, zone: Zone, atMs: number): Column<Attempt>[] {
  return [
    {
      id: "when", label: t("notifications.when"), width: "168px", sortBy: (row) => row.began_at_ms,
      cell: (row) => dateTime(row.began_at_ms, zone),
    },
    {
      id: "result", label: t("notifications.result"), width: "112px", sortBy: (row) => row.result,
      cell: (row) => <ResultMark of={row.result} />,
    },
    {
      id: "receiver", label: t("notifications.receiver"), width: "minmax(10rem, 1.2fr)",
      sortBy: (row) => `${row.receiver}/${row.integration}`,
      cell: (row) => (
        <span title={`${row.receiver}/${row.integration}`}>
          {row.receiver}<span className="muted"> {row.integration}</span>
        </span>
      ),
    },
    {
      id: "group", label: t("notifications.group"), width: "minmax(12rem, 1.8fr)", sortBy: (row) => row.group_key,
      cell: (row) => <LabelText labels={row.group_labels} />,
    },
    {
      id: "alerts", label: t("notifications.alerts"), width: "68px", isNumber: true, sortBy: (row) => row.alert_count,
      cell: (row) => exact(row.alert_count),
    },
    {
      id: "number", label: t("notifications.number"), width: "72px", isNumber: true, sortBy: (row) => row.number,
      cell: (row) => <span className={row.number > 1 ? classes.warned : undefined}>{row.number}</span>,
    },
    {
      id: "duration", label: t("notifications.duration"), width: "84px", isNumber: true,
      sortBy: (row) => row.duration_ms,
      cell: (row) => (row.duration_ms === null ? <span className="muted">–</span> : duration(row.duration_ms * 1e6)),
    },
    {
      id: "error", label: t("notifications.outcome"), width: "minmax(12rem, 2.2fr)", sortBy: (row) => row.error,
      cell: (row) => <Outcome attempt={row} atMs={atMs} />,
    },
  ];
}

/** When it is tried again, and why; of one that went well why it was made. */
function Outcome({ attempt, atMs }: { readonly attempt: Attempt; readonly atMs: number }) {
  const t = useT();
  if (attempt.error === "") return <span className="muted">{reasonWord(attempt, t)}</span>;
  return (
    <span title={attempt.error}>
      {attempt.retry_at_ms !== null && (
        <span className={classes.retry}>{t("notifications.again", { when: until(attempt.retry_at_ms, atMs, t) })}</span>
      )}
      <span className={classes.errorCell}>{attempt.error}</span>
    </span>
  );
}

export function reasonWord(attempt: Attempt, t: Translate): string {
  return t.maybe(`notifications.reason.${attempt.reason}`) ?? attempt.reason;
}
