/** Who sent what in the range: by signal, service and node. A row leads to what it sent. */

import { SegmentedControl, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Signal } from "~/api/overview";
import type { Sender } from "~/api/sources";
import { count, exact, perSecond } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { HowToSend } from "~/screens/overview/how_to_send";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import { useZone } from "~/state/preferences";
import type { Condition } from "~/state/filters";
import { isAmong } from "./matching";
import classes from "./sources.module.css";

const route = getRouteApi("/sources");
const SIGNALS = ["logs", "spans", "samples"] as const;

interface Props {
  readonly senders: readonly Sender[];
  readonly isOld: boolean;
}

export function Senders({ senders, isOld }: Props) {
  const t = useT();
  const zone = useZone();
  const { nowMs } = useMoment();
  const { signal, match = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const columns = useMemo(() => columnsOf(t, zone, nowMs), [t, zone, nowMs]);
  const shown = useMemo(() => senders.filter((one) => isAmong(one, signal, match)), [senders, signal, match]);
  const open = (sender: Sender) => {
    const filter: Condition[] = [
      { field: "service", op: "=" as const, value: sender.service },
      { field: "node", op: "=" as const, value: sender.node },
    ].filter((one) => one.value !== "");
    if (sender.signal === "logs") void navigate({ to: "/logs", search: { filter } });
    else if (sender.signal === "spans") void navigate({ to: "/traces", search: { filter } });
    else void navigate({ to: "/metrics", search: { filter } });
  };
  return (
    <Panel
      title={t("sources.senders")} note={t("sources.sendersCount", { n: shown.length })} isFlush
      actions={
        <span className={classes.senderSearch}>
          <SegmentedControl
            aria-label={t("sources.signal")}
            value={signal ?? "all"}
            onChange={(value) =>
              void navigate({
                replace: true,
                search: (old) => ({ ...old, signal: SIGNALS.find((one) => one === value) }),
              })
            }
            data={[
              { value: "all", label: t("sources.allSignals") },
              ...SIGNALS.map((one) => ({ value: one, label: t(`sources.signal.${one}`) })),
            ]}
          />
          <TextInput
            data-search
            aria-label={t("sources.match")} placeholder={t("sources.match")}
            value={match}
            onChange={(event) => {
              const text = event.currentTarget.value;
              void navigate({ replace: true, search: (old) => ({ ...old, match: text }) });
            }}
          />
        </span>
      }
    >
      <TableView
        label={t("sources.senders")} columns={columns} rows={shown} rowsMax={14} isOld={isOld} isMain
        rowKey={(row) => JSON.stringify([row.signal, row.service, row.node])}
        onOpen={open}
        empty={senders.length === 0 ? <NoSenders /> : <Empty title={t("sources.noMatch")} icon="search" />}
      />
    </Panel>
  );
}

function NoSenders() {
  const t = useT();
  return (
    <Empty title={t("sources.noSenders")} icon="sources">
      {t("sources.noSendersWhat")}
      <HowToSend what="otlp" />
      <HowToSend what="prometheus" />
    </Empty>
  );
}

function columnsOf(t: Translate, zone: Zone, nowMs: number): Column<Sender>[] {
  const word = (signal: Signal) => t(`sources.signal.${signal}`);
  return [
    { id: "signal", label: t("sources.signal"), width: "100px", sortBy: (row) => row.signal, cell: (row) => word(row.signal) },
    {
      id: "service", label: t("sources.service"), width: "minmax(9rem, 1.5fr)", sortBy: (row) => row.service,
      cell: (row) => <Name text={row.service} />,
    },
    {
      id: "node", label: t("sources.node"), width: "minmax(9rem, 2fr)", sortBy: (row) => row.node,
      cell: (row) => <Name text={row.node} />,
    },
    {
      id: "rows", label: t("sources.rowsInRange"), width: "minmax(112px, 1fr)", isNumber: true,
      sortBy: (row) => row.rows, cell: (row) => <span title={exact(row.rows)}>{count(row.rows)}</span>,
    },
    {
      id: "rate", label: t("sources.rate"), width: "minmax(90px, 1fr)", isNumber: true,
      sortBy: (row) => row.rows_per_s, cell: (row) => perSecond(row.rows_per_s),
    },
    {
      id: "last", label: t("sources.lastSeen"), width: "minmax(120px, 1fr)", isNumber: true,
      sortBy: (row) => row.last_seen_ms,
      cell: (row) => <span title={dateTime(row.last_seen_ms, zone)}>{ago(row.last_seen_ms, nowMs, t)}</span>,
    },
  ];
}

function Name({ text }: { readonly text: string }) {
  return text === "" ? <span className="muted">–</span> : <span title={text}>{text}</span>;
}
