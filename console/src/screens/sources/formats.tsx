/** Each wire format since the start of the program. */

import { useMemo } from "react";
import type { WireFormat } from "~/api/sources";
import { duration } from "~/format/durations";
import { bytes, count, exact, perSecond } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { type Column, TableView } from "~/parts/table_view";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import { useZone } from "~/state/preferences";
import { Alarming } from "./alarming";
import { formatName } from "./names";

interface Props {
  readonly formats: readonly WireFormat[];
  readonly isOld: boolean;
}

export function Formats({ formats, isOld }: Props) {
  const t = useT();
  const zone = useZone();
  const { nowMs } = useMoment();
  const columns = useMemo(() => columnsOf(t, zone, nowMs), [t, zone, nowMs]);
  return (
    <TableView
      label={t("sources.formats")} columns={columns} rows={formats} rowsMax={20} isOld={isOld}
      rowKey={(row) => row.format}
    />
  );
}

function columnsOf(t: Translate, zone: Zone, nowMs: number): Column<WireFormat>[] {
  const number = (
    id: string, label: string, width: string, value: (row: WireFormat) => number, written: (value: number) => string,
  ): Column<WireFormat> => ({
    id, label, width, isNumber: true, sortBy: value,
    cell: (row) => <span title={exact(value(row))}>{written(value(row))}</span>,
  });
  return [
    {
      id: "format", label: t("sources.format"), width: "minmax(12.5rem, 1.6fr)",
      cell: (row) => <span title={formatName(row.format)}>{formatName(row.format)}</span>,
    },
    number("rate", t("sources.requestRate"), "minmax(80px, 1fr)", (row) => row.requests_per_s, perSecond),
    number("bytesRate", t("sources.byteRate"), "minmax(86px, 1fr)", (row) => row.bytes_per_s, (value) => `${bytes(value)}/s`),
    number("requests", t("sources.requests"), "minmax(72px, 1fr)", (row) => row.requests, count),
    {
      id: "refused", label: t("sources.refused"), width: "minmax(72px, 1fr)", isNumber: true,
      sortBy: (row) => row.refused,
      cell: (row) => <Alarming isSo={row.refused > 0}>{count(row.refused)}</Alarming>,
    },
    number("records", t("sources.rows"), "minmax(72px, 1fr)", (row) => row.records, count),
    number("spool", t("sources.inSpool"), "minmax(84px, 1fr)", (row) => row.spool_bytes, bytes),
    {
      id: "lag", label: t("sources.lagShort"), width: "minmax(76px, 1fr)", isNumber: true,
      sortBy: (row) => row.lag_ms,
      cell: (row) => <Alarming isSo={row.lag_ms > 30_000}>{row.lag_ms === 0 ? "–" : duration(row.lag_ms * 1e6)}</Alarming>,
    },
    {
      id: "letters", label: t("sources.lettersShort"), width: "minmax(94px, 1fr)", isNumber: true,
      sortBy: (row) => row.dead_letters,
      cell: (row) => <Alarming isSo={row.dead_letters > 0}>{exact(row.dead_letters)}</Alarming>,
    },
    {
      id: "last", label: t("sources.lastReceived"), width: "minmax(108px, 1.2fr)", isNumber: true,
      sortBy: (row) => row.last_received_ms,
      cell: (row) =>
        row.last_received_ms === null ? (
          <span className="muted">{t("sources.never")}</span>
        ) : (
          <span title={dateTime(row.last_received_ms, zone)}>{ago(row.last_received_ms, nowMs, t)}</span>
        ),
    },
  ];
}
