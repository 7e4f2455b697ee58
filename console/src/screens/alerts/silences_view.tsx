/** Silences: those that hold, those that will, those that are over. */

import { Button } from "@mantine/core";
import { useMemo } from "react";
import { useAlerts } from "~/api/alerts";
import { type Silence, useSilences } from "~/api/silences";
import { exact } from "~/format/numbers";
import { dateTime, millisecondsOf, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { FilterBar } from "~/parts/filter_bar";
import { Icon } from "~/parts/icon";
import { Prose } from "~/parts/prose";
import { StateMark } from "~/parts/state_mark";
import { Answered, Empty, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { useZone } from "~/state/preferences";
import classes from "./alerts.module.css";
import type { Change } from "./alerts_screen";
import { matcherText, readMatchers } from "./matchers";
import { type AlertsSearch, NEW_SILENCE, SILENCE_STATES } from "./search";
import { SilenceDetails } from "./silence_details";
import { SilenceForm } from "./silence_form";

interface Props {
  readonly search: AlertsSearch;
  readonly onChange: Change;
}

export function SilencesView({ search, onChange }: Props) {
  const t = useT();
  const alerts = useAlerts({ limit: 0 });
  return (
    <Answered asked={alerts} loading={<Loading heightPx={300} lines={8} />}>
      {(answer) =>
        answer.has_alertmanager ? <Silences search={search} onChange={onChange} /> : (
          <Empty title={t("alerts.noAlertmanager")} icon="pause">
            <Prose text={t("alerts.noAlertmanagerWhat")} />
          </Empty>
        )
      }
    </Answered>
  );
}

function Silences({ search, onChange }: Props) {
  const t = useT();
  const zone = useZone();
  const isNew = search.silence === NEW_SILENCE;
  const asked = useSilences(true);
  const { match = "", silence } = search;
  const state = SILENCE_STATES.find((one) => one === search.state);
  const { data } = asked;
  const shown = useMemo(() => (data ?? []).filter((one) => isAmong(one, state, match)), [data, state, match]);
  const columns = useMemo(() => columnsOf(t, zone), [t, zone]);
  const open = asked.data?.find((one) => one.id === silence);
  const active = asked.data?.filter((one) => one.status.state === "active").length;
  return (
    <>
      <FilterBar
        isFlush
        match={match} hint={t("alerts.matchSilences")} onMatch={(text) => onChange({ match: text }, true)}
        choices={[{
          label: t("alerts.state"), value: state,
          choices: SILENCE_STATES.map((one) => ({ value: one, label: t(`alerts.silence.${one}`) })),
          onChange: (value) => onChange({ state: SILENCE_STATES.find((one) => one === value) }),
        }]}
      >
        {active !== undefined && <span className={classes.counts}>{t("alerts.countSilences", { n: exact(active) })}</span>}
        <Button leftSection={<Icon name="plus" sizePx={13} />} onClick={() => onChange({ silence: NEW_SILENCE, labels: undefined }, true)}>{t("alerts.newSilence")}</Button>
      </FilterBar>
      <div className={classes.split} data-open={open !== undefined || undefined}>
        <div className={classes.list}>
          <Answered asked={asked} loading={<Loading heightPx={300} lines={8} />}>
            {(all) => (
              <TableView
                label={t("alerts.silences")} columns={columns} rows={shown} rowKey={(row) => row.id} selectedKey={silence}
                isMain rowHeightPx={30} onOpen={(row) => onChange({ silence: row.id }, true)}
                empty={<Empty title={t(all.length === 0 ? "alerts.noSilences" : "alerts.noMatch")} icon="pause" />}
              />
            )}
          </Answered>
        </div>
        {open !== undefined && (
          <SilenceDetails
            key={open.id} silence={open} onClose={() => onChange({ silence: undefined }, true)}
            onMoved={(id) => onChange({ silence: id }, true)}
          />
        )}
      </div>
      {isNew && (
        <SilenceForm
          first={{ matchers: readMatchers(search.labels ?? "") }}
          onClose={() => onChange({ silence: undefined, labels: undefined }, true)}
          onDone={(id) => onChange({ silence: id, labels: undefined }, true)}
        />
      )}
    </>
  );
}

function isAmong(silence: Silence, state: string | undefined, match: string): boolean {
  if (state !== undefined && silence.status.state !== state) return false;
  const text = [...silence.matchers.map(matcherText), silence.createdBy, silence.comment, silence.id].join(" ").toLowerCase();
  return match.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function columnsOf(t: Translate, zone: Zone): Column<Silence>[] {
  return [
    {
      id: "state", label: t("alerts.state"), width: "110px", sortBy: (row) => row.status.state,
      cell: (row) => <SilenceMark silence={row} />,
    },
    {
      id: "matchers", label: t("alerts.matchers"), width: "minmax(16rem, 3fr)",
      cell: (row) => {
        const text = row.matchers.map(matcherText).join(", ");
        return <span className="mono cut" title={text}>{text}</span>;
      },
    },
    {
      id: "ends", label: t("alerts.ends"), width: "156px", sortBy: (row) => row.endsAt,
      cell: (row) => dateTime(millisecondsOf(row.endsAt), zone),
    },
    { id: "author", label: t("alerts.author"), width: "minmax(7rem, 1fr)", sortBy: (row) => row.createdBy, cell: (row) => row.createdBy },
    {
      id: "comment", label: t("alerts.comment"), width: "minmax(12rem, 2fr)",
      cell: (row) => <span className="cut" title={row.comment}>{row.comment}</span>,
    },
  ];
}

const SILENCE_LOOKS = { active: ["quiet", "pause"], pending: ["doubtful", "clock"], expired: ["plain", "check"] } as const;

export function SilenceMark({ silence }: { readonly silence: Silence }) {
  const t = useT();
  const { state } = silence.status;
  const [tone, icon] = SILENCE_LOOKS[state];
  return <StateMark tone={tone} icon={icon}>{t(`alerts.silence.${state}`)}</StateMark>;
}
